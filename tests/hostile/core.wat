;; Attacks that no compiler writes: by core wasm itself, and by what is handed over at the component's border.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))

  ;; Where the host's function is found by code that is there before it.
  (core module $later (table (export "host") 1 funcref))
  (core instance $later (instantiate $later))
  (core module $m
    (import "" "host" (table $host 1 funcref))
    (memory (export "memory") 2)
    (table $t 1 funcref)
    (type $get (func (param i64 i32)))
    (data (i32.const 1000) "\ff\fe\c0\80")

    ;; Endless, and each round is one instruction over all of a large memory.
    (func $large (drop (memory.grow (i32.const 3000))))
    (func (export "fill") (call $large)
      (loop $again
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 190000000))
        (br $again)))
    (func (export "copy") (call $large)
      (loop $again
        (memory.copy (i32.const 0) (i32.const 8) (i32.const 190000000))
        (br $again)))
    ;; One instruction over all of it, which nothing has touched yet.
    (func $largest (drop (memory.grow (i32.const 4092))))
    (func (export "fill-once") (call $largest)
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 268304384)))
    (func (export "copy-once") (call $largest)
      (memory.copy (i32.const 0) (i32.const 134217728) (i32.const 134086656)))

    (func (export "grow-by-one") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
    (func (export "table-bomb") (result i32)
      (loop $again
        (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
      (table.size $t))
    (func (export "table-fill")
      (drop (table.grow $t (ref.null func) (i32.const 90000)))
      (loop $again
        (table.fill $t (i32.const 0) (ref.null func) (i32.const 90000))
        (br $again)))

    ;; What is at 0 .. 8 is a result: a pointer and a length, a discriminant, a character.
    (func $pair (param $at i32) (param $length i32) (result i32)
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $length))
      (i32.const 0))
    (func (export "not-utf8") (result i32) (call $pair (i32.const 1000) (i32.const 4)))
    (func (export "not-mine") (result i32) (call $pair (i32.const -16) (i32.const 1000)))
    (func (export "askew") (result i32) (call $pair (i32.const 1001) (i32.const 2)))
    (func (export "nine") (result i32) (call $pair (i32.const 9) (i32.const 9)))
    (func (export "surrogate") (result i32) (i32.const 0xd800))
    (func (export "large-text") (result i32) (call $large)
      (call $pair (i32.const 65536) (i32.const 104857600)))
    ;; Eight levels of lists that are all the same hundred items.
    (func (export "laughs") (result i32) (local $at i32)
      (local.set $at (i32.const 8))
      (loop $again
        (i32.store (local.get $at) (i32.const 8))
        (i32.store offset=4 (local.get $at) (i32.const 100))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 808))))
      (call $pair (i32.const 8) (i32.const 100)))

    (func (export "nothing"))
    (func (export "nothing-of") (param i32 i32))
    (func (export "realloc-trap") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "realloc-loop") (param i32 i32 i32 i32) (result i32) (loop $again (br $again)) (i32.const 0))
    (func $deeper (export "realloc-deeper") (param i32 i32 i32 i32) (result i32)
      (call $deeper (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "realloc-outside") (param i32 i32 i32 i32) (result i32) (i32.const -1024))
    (func (export "realloc-askew") (param i32 i32 i32 i32) (result i32) (i32.const 1001))
    (func (export "realloc-plain") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
    ;; Asks the host for bytes, for which the host asks this for room.
    (func (export "realloc-again") (param i32 i32 i32 i32) (result i32)
      (call_indirect $host (type $get) (i64.const 8) (i32.const 512) (i32.const 0))
      (i32.const 2048))
    (func (export "ask")
      (call_indirect $host (type $get) (i64.const 8) (i32.const 512) (i32.const 0)))
    (func (export "loop") (loop $again (br $again)))
    (func (export "trap") unreachable)
    (func (export "zero") (result i32) (call $pair (i32.const 1000) (i32.const 0)))
    (func (export "loop-after") (param i32) (loop $again (br $again)))
    (func (export "trap-after") (param i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance $later))))
  (core func $get (canon lower (func $random "get-random-bytes")
    (memory $i "memory") (realloc (func $i "realloc-again"))))
  (core module $link
    (import "" "host" (table 1 funcref))
    (import "" "get" (func $get (param i64 i32)))
    (elem (i32.const 0) func $get))
  (core instance (instantiate $link (with "" (instance
    (export "host" (table $later "host")) (export "get" (func $get))))))

  (func (export "fill") (canon lift (core func $i "fill")))
  (func (export "copy") (canon lift (core func $i "copy")))
  (func (export "fill-once") (canon lift (core func $i "fill-once")))
  (func (export "copy-once") (canon lift (core func $i "copy-once")))
  (func (export "grow-by-one") (canon lift (core func $i "grow-by-one")))
  (func (export "table-bomb") (result u32) (canon lift (core func $i "table-bomb")))
  (func (export "table-fill") (canon lift (core func $i "table-fill")))

  (func (export "not-utf8") (result string) (canon lift (core func $i "not-utf8") (memory $i "memory")))
  (func (export "not-mine") (result string) (canon lift (core func $i "not-mine") (memory $i "memory")))
  (func (export "askew") (result (list u64)) (canon lift (core func $i "askew") (memory $i "memory")))
  (func (export "no-case") (result (option u32)) (canon lift (core func $i "nine") (memory $i "memory")))
  (func (export "no-result") (result (result u32 (error u32)))
    (canon lift (core func $i "nine") (memory $i "memory")))
  (func (export "no-char") (result char) (canon lift (core func $i "surrogate")))
  (func (export "large-text") (result string) (canon lift (core func $i "large-text") (memory $i "memory")))
  (func (export "laughs")
    (result (list (list (list (list (list (list (list (list string)))))))))
    (canon lift (core func $i "laughs") (memory $i "memory")))

  (func (export "realloc-trap") (param "text" string)
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-trap"))))
  (func (export "realloc-loop") (param "text" string)
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-loop"))))
  (func (export "realloc-deeper") (param "text" string)
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-deeper"))))
  (func (export "realloc-outside") (param "text" string)
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-outside"))))
  (func (export "realloc-askew") (param "numbers" (list u64))
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-askew"))))
  (func (export "realloc-again") (param "text" string)
    (canon lift (core func $i "nothing-of") (memory $i "memory") (realloc (func $i "realloc-again"))))
  (func (export "ask-again") (canon lift (core func $i "ask")))

  (func (export "loop-after") (result string)
    (canon lift (core func $i "zero") (memory $i "memory") (post-return (func $i "loop-after"))))
  (func (export "trap-after") (result string)
    (canon lift (core func $i "zero") (memory $i "memory") (post-return (func $i "trap-after"))))
)
