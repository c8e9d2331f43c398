//! Where memory for what is handed over comes from is found however it is named, and too much at once is a trap.

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store, WasmBacktrace};

use super::*;
use crate::plugin::divide::{divide, with};

const REALLOC: &str = r#"(func $realloc (export "realloc") (export "again")
    (param i32 i32 i32 i32) (result i32) (i32.const 8))"#;

/// A component whose part is told a text of some length, and tells the length.
fn composed() -> String {
    format!(
        r#"(component
        (component $part
            (core module $m (memory (export "memory") 300) {REALLOC}
                (func (export "length") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "length") (param "text" string) (result u32)
                (canon lift (core func $i "length") (memory $i "memory") (realloc (func $i "realloc")))))
        (component $teller
            (import "length" (func $length (param "text" string) (result u32)))
            (core module $texts (memory (export "memory") 300) {REALLOC})
            (core instance $texts (instantiate $texts))
            (core func $length (canon lower (func $length) (memory $texts "memory")
                (realloc (func $texts "realloc"))))
            (core module $m (import "" "length" (func $length (param i32 i32) (result i32)))
                (func (export "length") (param i32) (result i32)
                    (call $length (i32.const 0) (local.get 0))))
            (core instance $m (instantiate $m (with "" (instance (export "length" (func $length))))))
            (func (export "length") (param "length" u32) (result u32)
                (canon lift (core func $m "length"))))
        (instance $part (instantiate $part))
        (instance $teller (instantiate $teller (with "length" (func $part "length"))))
        (export "length" (func $teller "length")))"#
    )
}

fn found(text: &str) -> Result<Vec<(usize, Vec<String>)>, DivideError> {
    let guarded = guarded(&wat::parse_str(text).unwrap())?;
    Ok(guarded.into_iter().map(|(module, names)| (module, names.into_iter().collect())).collect())
}

#[test]
fn more_than_may_be_handed_over_is_a_trap_that_says_so() {
    let component = wat::parse_str(composed()).unwrap();
    let engine = Engine::new(Config::new().wasm_multi_memory(true)).unwrap();
    let call = |component: &[u8], length: u32| {
        let component = Component::new(&engine, component).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let length_of = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "length").unwrap();
        length_of.call(&mut store, (length,))
    };
    assert_eq!(call(&component, MOST_HANDED + 1).unwrap(), (MOST_HANDED + 1,));
    let divided = divide(&component).unwrap();
    assert_eq!(call(&divided, MOST_HANDED).unwrap(), (MOST_HANDED,));
    assert_eq!(call(&divided, 0).unwrap(), (0,));
    let error = call(&divided, MOST_HANDED + 1).unwrap_err();
    let trace = error.downcast_ref::<WasmBacktrace>().unwrap();
    assert_eq!(trace.frames()[0].func_name(), Some(GUARD));
}

#[test]
fn streams_are_refused() {
    let stream = "(component (core module $m (memory (export \"memory\") 1)) (core instance $i (instantiate $m))
        (type $s (stream u8))
        (core func (canon stream.READ $s async (memory $i \"memory\"))))";
    for read in ["read", "write"] {
        let refused = found(&stream.replace("READ", read));
        assert!(matches!(refused, Err(DivideError::Streams)), "{refused:?}");
    }
    let cancel = "(component (type $s (future u8)) (core func (canon future.cancel-read $s)))";
    assert!(matches!(found(cancel), Err(DivideError::Streams)));
    let no_copy = "(component (type $s (stream u8)) (core func (canon stream.new $s)))";
    assert_eq!(found(no_copy).unwrap(), []);
}

#[test]
fn parts_do_not_call_each_other_asynchronously() {
    let lower = r#"(import "g" (func $g ASYNC)) (core func (canon lower (func $g) OPTION))"#;
    let composed = format!(
        "(component (component (core module $m) (core instance (instantiate $m)) {lower}))"
    );
    let alone = format!("(component (core module $m) (core instance (instantiate $m)) {lower})");
    let with = |text: &str, [ty, option]: [&str; 2]| {
        found(&text.replace("ASYNC", ty).replace("OPTION", option))
    };
    let refused = with(&composed, ["async", "async"]);
    assert!(matches!(refused, Err(DivideError::Asynchronous)), "{refused:?}");
    assert!(with(&composed, ["", ""]).is_ok());
    // A call of the host takes none.
    assert!(with(&alone, ["async", "async"]).is_ok());
}

#[test]
fn a_guarded_function_may_be_referred_to_still() {
    let text = r#"(module (func $realloc (export "realloc") (export "guarded-1")
            (param i32 i32 i32 i32) (result i32) (i32.const 8))
        (func (drop (ref.func $realloc))))"#;
    let guarded = BTreeSet::from(["realloc".to_owned()]);
    let module = with(&wat::parse_str(text).unwrap(), &guarded);
    wasmtime::Module::from_binary(&Engine::default(), &module).unwrap();
}

#[test]
fn only_bytes_and_characters_are_guarded() {
    let text = r#"(module (memory (export "memory") 1) REALLOC)"#.replace("REALLOC", REALLOC);
    let guarded = BTreeSet::from(["realloc".to_owned(), "again".to_owned()]);
    let module = with(&wat::parse_str(text).unwrap(), &guarded);
    let engine = Engine::default();
    let module = wasmtime::Module::from_binary(&engine, &module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
    for name in ["realloc", "again"] {
        let realloc = instance.get_typed_func::<(u32, u32, u32, u32), u32>(&mut store, name);
        let realloc = realloc.unwrap();
        let mut ask = |align, size| realloc.call(&mut store, (0, 0, align, size)).ok();
        for (align, size, expected) in [
            (1, MOST_HANDED, Some(8)),
            (1, MOST_HANDED + 1, None),
            (2, u32::MAX, None),
            (4, u32::MAX, Some(8)),
            (8, MOST_HANDED + 1, Some(8)),
        ] {
            assert_eq!(ask(align, size), expected, "{name}: {size} bytes, aligned to {align}");
        }
    }
}

#[test]
fn a_component_without_parts_is_left_as_it_is() {
    let alone = format!(
        r#"(component (import "log" (func $log (param "text" string)))
            (component $without (import "f" (func $f)) (export "g" (func $f)))
            (core module $m (memory (export "memory") 1) {REALLOC}
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (core func (canon lower (func $log) (memory $i "memory") (realloc (func $i "realloc"))))
            (func (export "f") (param "text" string)
                (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#
    );
    assert_eq!(found(&alone).unwrap(), []);
    assert!(matches!(
        divide(&wat::parse_str(alone).unwrap()).unwrap(),
        std::borrow::Cow::Borrowed(_)
    ));
}

#[test]
fn the_functions_are_found_through_every_way_to_name_them() {
    let realloc = vec!["realloc".to_owned()];
    assert_eq!(found(&composed()).unwrap(), [(0, realloc.clone()), (1, realloc.clone())]);
    // A module of the component around, after one of its own; by way of an instance of exports; by two names.
    let roundabout = format!(
        r#"(component $around (core module) (core module $m (memory (export "memory") 1) {REALLOC}
                (func (export "f") (param i32 i32)))
            (component
                (core module)
                (alias outer $around $m (core module $m))
                (core instance $i (instantiate $m))
                (alias core export $i "memory" (core memory $memory))
                (alias core export $i "again" (core func $again))
                (core instance $other (export "realloc" (func $again)))
                (func (export "f") (param "text" string) (canon lift (core func $i "f")
                    (memory $memory) (realloc (func $other "realloc"))))
                (func (export "g") (param "text" string) (canon lift (core func $i "f")
                    (memory $memory) (realloc (func $i "realloc"))))))"#
    );
    let both = vec!["again".to_owned(), "realloc".to_owned()];
    assert_eq!(found(&roundabout).unwrap(), [(1, both)]);
}

#[test]
fn memory_from_a_function_that_cannot_be_guarded_is_refused() {
    let lowered = r#"(component
        (import "realloc" (func $realloc (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (result u32)))
        (component $part (core module $m) (core instance (instantiate $m)))
        (core module $m (memory (export "memory") 1) (func (export "f") (param i32 i32)))
        (core instance $i (instantiate $m))
        (core func $realloc (canon lower (func $realloc)))
        (func (export "f") (param "text" string)
            (canon lift (core func $i "f") (memory $i "memory") (realloc $realloc))))"#;
    assert!(matches!(found(lowered), Err(DivideError::NoExport)));
    let alone = lowered.replace("(core instance (instantiate $m))", "");
    assert_eq!(found(&alone).unwrap(), []);
}
