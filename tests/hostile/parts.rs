//! Attacks of components that are made of many parts, as text.

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

/// Puts 90,000 elements into one table, once for each instance.
pub fn elements_often() -> String {
    let elements = "$f ".repeat(90_000);
    often(
        "elements-often",
        r#"(table (export "it") 90000 funcref)"#,
        &format!(
            r#"(import "owner" "it" (table 90000 funcref)) (func $f) (elem (i32.const 0) func {elements})"#
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
