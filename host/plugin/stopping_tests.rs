//! How often a divided module can be stopped, and that it can be where it could not be before.

use wasmtime::{Config, Engine, Instance, Store, UpdateDeadline};

use super::tests::{MIB, module_divided, wat};
use super::*;
use crate::plugin::parts::MOST;

/// How often wasmtime could have stopped a call, of a module that may import a function.
pub(super) fn stops(module: &[u8], name: &str, operands: [u32; 3]) -> u32 {
    let engine =
        Engine::new(Config::new().epoch_interruption(true).wasm_multi_memory(true)).unwrap();
    let module = wasmtime::Module::from_binary(&engine, module).unwrap();
    let mut store = Store::new(&engine, 0);
    // The deadline has passed, each time it is looked at.
    store.set_epoch_deadline(0);
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        Ok(UpdateDeadline::Continue(0))
    });
    let host = wasmtime::Func::wrap(&mut store, || {});
    let imports = module.imports().map(|_| host.into()).collect::<Vec<_>>();
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    let function = instance.get_typed_func::<(u32, u32, u32), ()>(&mut store, name).unwrap();
    *store.data_mut() = 0;
    let [a, b, c] = operands;
    function.call(&mut store, (a, b, c)).unwrap();
    *store.data()
}

#[test]
fn a_long_instruction_can_be_stopped_at_each_part() {
    let data = "d".repeat(3 * MIB as usize);
    let whole = wat(&format!(
        r#"(module (memory 1024) (data $d "{data}")
            (func (export "fill") (param i32 i32 i32)
              (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
              (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
              (memory.init $d (local.get 0) (local.get 1) (local.get 2))))"#
    ));
    let divided = module_divided(&whole);
    for (name, operands, parts) in [
        ("fill", [0, 1, 64 * MIB], 64),
        ("copy", [0, 8, 64 * MIB - 8], 63),
        ("copy", [8, 0, 64 * MIB - 8], 63),
        ("init", [0, 0, 3 * MIB], 3),
    ] {
        assert!(stops(&whole, name, operands) < 3, "{name}: wasmtime divides it by itself");
        let stops = stops(&divided, name, operands);
        assert!(stops >= parts, "{name} can be stopped {stops} times");
    }
    assert!(stops(&divided, "copy", [8, 0, MOST]) < 4, "what is short is done at once");
}

#[test]
fn much_in_a_row_can_be_stopped() {
    let module = |instruction: &str, times: usize| {
        wat(&format!(
            r#"(module (memory 1) (type $t (func)) (table 1 funcref) (func $f) (elem (i32.const 0) func $f)
                (func (export "f") (param i32 i32 i32) (i32.const 7) {} (drop)))"#,
            instruction.repeat(times)
        ))
    };
    for (instruction, least, most) in [
        ("(i32.store8 (i32.const 0) (i32.const 1))", 4, 4),
        // A look in a branch is none for what goes past it.
        ("(if (local.get 2) (then (i32.store8 (i32.const 0) (i32.const 1))))", 4, 200),
        ("(drop (memory.grow (i32.const 0)))", 16, 16),
        ("(call_indirect (type $t) (i32.const 0))", 2_000, 2_000),
    ] {
        let long = module(instruction, 2_000);
        let by_itself = stops(&long, "f", [0, 0, 1]);
        let stops = stops(&module_divided(&long), "f", [0, 0, 1]) - by_itself;
        assert!((least..=most).contains(&stops), "{instruction}: {stops}");
    }
    // Where a function of the guest's own begins, it is looked at anyway.
    let calls = Module::read(&module("(call $f)", 1_000)).unwrap().divided(&BTreeSet::new());
    assert!(calls.unwrap().is_none());
}

#[test]
fn what_comes_after_a_call_has_returned_can_be_stopped() {
    for (then, more) in [
        ("(call $host) (call $host)", 2 * 51),
        ("(return_call $host)", 51),
        ("(return_call_indirect (type $t) (i32.const 0))", 51),
        ("(i32.store (i32.const 0) (i32.const 1))", 51),
        ("(br_if 0 (local.get 0)) (i32.store (i32.const 0) (i32.const 1))", 1),
        ("(i32.store (i32.const 0) (i32.const 1)) (br_if 0 (i32.const 1)) (unreachable)", 51),
        ("(i32.store (i32.const 0) (i32.const 1)) (br_table 0 0 (local.get 0))", 51),
        ("(i32.store (i32.const 0) (i32.const 1)) (return)", 51),
        ("(i32.store (i32.const 0) (i32.const 1)) (loop) (i32.const 1) (drop)", 0),
        ("(drop (i32.const 1))", 0),
    ] {
        let whole = wat(&format!(
            r#"(module (import "" "host" (func $host)) (memory 1)
                (type $t (func)) (table 1 funcref) (elem (i32.const 0) func $host)
                (func $f (export "f") (param i32 i32 i32)
                    (if (local.get 0) (then
                        (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (local.get 2))))
                    {then}))"#
        ));
        let by_itself = stops(&whole, "f", [50, 0, 0]);
        let divided = Module::read(&whole).unwrap().divided(&BTreeSet::new()).unwrap();
        let stops = stops(&divided.unwrap_or(whole), "f", [50, 0, 0]) - by_itself;
        assert_eq!(stops, more, "{then}");
    }
}
