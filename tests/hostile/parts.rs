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
