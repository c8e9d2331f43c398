//! Attacks of components that are made of many parts, as text.

use std::fmt::Write as _;

/// Instances of one module: fewer than a component may have.
const INSTANCES: usize = 60;

/// Puts 8 MiB of data into one memory, once for each instance.
pub fn data_often() -> String {
    let data = "d".repeat(8 << 20);
    often(
        "data-often",
        r#"(memory (export "it") 130)"#,
        &format!(r#"(import "owner" "it" (memory 130)) (data (i32.const 0) "{data}")"#),
    )
}

/// Puts 45,000 elements into one table, once for each instance.
pub fn elements_often() -> String {
    let elements = "$f ".repeat(45_000);
    often(
        "elements-often",
        r#"(table (export "it") 45000 funcref)"#,
        &format!(
            r#"(import "owner" "it" (table 45000 funcref)) (func $f) (elem (i32.const 0) func {elements})"#
        ),
    )
}

fn often(tool: &str, owner: &str, module: &str) -> String {
    let instances = r#"(core instance (instantiate $m (with "owner" (instance $o))))"#;
    let instances = instances.repeat(INSTANCES);
    format!(
        r#"(component
            (core module $owner {owner})
            (core instance $o (instantiate $owner))
            (core module $m {module})
            {instances}
            (core module $tool (func (export "f")))
            (core instance $i (instantiate $tool))
            (func (export "{tool}") (canon lift (core func $i "f"))))"#
    )
}

/// Writes to 60,000 pages that nothing was written to before, one after the other, without a loop.
pub fn straight() -> String {
    let stores = (0..60_000_u32).fold(String::new(), |mut stores, page| {
        let _ = write!(stores, "(i32.store8 (i32.const {}) (i32.const 1))", page * 4096);
        stores
    });
    alone("straight", &format!(r#"(func (export "f") {stores})"#))
}

/// Writes to six new pages in each of 10,000 functions, after what they have called has returned.
pub fn unwinds() -> String {
    let stores: String = (0..6)
        .map(|page| format!("(i32.store8 offset={} (local.get $at) (i32.const 1))", page * 4096))
        .collect();
    alone(
        "unwinds",
        &format!(
            r#"(func $f (param $deep i32) (local $at i32)
                (if (local.get $deep)
                    (then (call $f (i32.sub (local.get $deep) (i32.const 1)))))
                (local.set $at (i32.mul (local.get $deep) (i32.const 24576)))
                {stores})
            (func (export "f") (call $f (i32.const 10000)))"#
        ),
    )
}

/// A tool of one function, and all the memory that a call may have.
fn alone(tool: &str, function: &str) -> String {
    format!(
        r#"(component
            (core module $m (memory 4000) {function})
            (core instance $i (instantiate $m))
            (func (export "{tool}") (canon lift (core func $i "f"))))"#
    )
}

/// Makes resources of its own without end.
pub const OWN_HANDLES: &str = r#"(component
    (type $r (resource (rep i32)))
    (core func $new (canon resource.new $r))
    (core module $m (import "" "new" (func $new (param i32) (result i32)))
        (func (export "f") (loop $again (drop (call $new (i32.const 1))) (br $again))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "own-handles") (canon lift (core func $i "f"))))"#;

/// Hands the host as many texts as are copied in one go, over and over: header fields, of which the first is none.
pub const HAND_TO_HOST: &str = r#"(component
    (import "wasi:http/types@0.2.0" (instance $http
        (export "fields" (type $fields (sub resource)))
        (type $error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
        (export "header-error" (type $error (eq $error')))
        (export "[static]fields.from-list" (func
            (param "entries" (list (tuple string (list u8))))
            (result (result (own $fields) (error $error)))))))
    (core module $libc (memory (export "memory") 14)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $libc (instantiate $libc))
    (core func $from (canon lower (func $http "[static]fields.from-list")
        (memory $libc "memory") (realloc (func $libc "realloc"))))
    (core module $m
        (import "" "memory" (memory 14))
        (import "" "from" (func $from (param i32 i32 i32)))
        (func (export "f")
            (local $at i32)
            ;; 40,000 names and values of one byte each, which lies before them.
            (local.set $at (i32.const 16))
            (i32.store8 (i32.const 0) (i32.const 32))
            (loop $next
                (i32.store offset=4 (local.get $at) (i32.const 1))
                (i32.store offset=12 (local.get $at) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 640016))))
            ;; The last one is nowhere, which whoever reads no more than a set may have does not see.
            (i32.store (i32.const 640000) (i32.const -1))
            (loop $again
                (call $from (i32.const 16) (i32.const 40000) (i32.const 8))
                (br_if $again (i32.eq (i32.load8_u (i32.const 8)) (i32.const 1))))
            unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $libc "memory")) (export "from" (func $from))))))
    (func (export "hand-to-host") (canon lift (core func $i "f"))))"#;

/// One part hands a text of so many bytes to another.
pub fn hand_over() -> String {
    let realloc = r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))"#;
    format!(
        r#"(component
            (component $taker
                (core module $m (memory (export "memory") 1900) {realloc}
                    (func (export "f") (param i32 i32) (result i32) (local.get 1)))
                (core instance $i (instantiate $m))
                (func (export "take") (param "text" string) (result u32)
                    (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))
            (component $giver
                (import "take" (func $take (param "text" string) (result u32)))
                (core module $texts (memory (export "memory") 1900) {realloc})
                (core instance $texts (instantiate $texts))
                (core func $take (canon lower (func $take) (memory $texts "memory")
                    (realloc (func $texts "realloc"))))
                (core module $m (import "" "take" (func $take (param i32 i32) (result i32)))
                    (func (export "f") (param i32) (result i32)
                        (call $take (i32.const 0) (local.get 0))))
                (core instance $m (instantiate $m (with "" (instance (export "take" (func $take))))))
                (func (export "give") (param "bytes" u32) (result u32) (canon lift (core func $m "f"))))
            (instance $taker (instantiate $taker))
            (instance $giver (instantiate $giver (with "take" (func $taker "take"))))
            (export "hand-over" (func $giver "give")))"#
    )
}
