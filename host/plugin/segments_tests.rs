//! A module whose segments are put into place by a function begins as it did, can be stopped meanwhile, and what is little
//! or known beforehand is left.

use std::borrow::Cow;
use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime::{
    Config, Engine, Extern, Global, GlobalType, Instance, Memory, MemoryType, Mutability, Ref,
    Store, Table, TableType, UpdateDeadline, Val, ValType,
};

use super::MOST_ELEMENTS;
use crate::plugin::divide;

fn component(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).unwrap()
}

/// The module in a component.
fn module(component: &[u8]) -> &[u8] {
    let mut sections = super::super::binary::sections(component);
    sections.find(|it| it.id == 1).unwrap().content
}

/// The module as it is, and as it becomes; none if it stays as it is.
fn both(text: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    let whole = component(text);
    let divided = match divide(&whole).unwrap() {
        Cow::Borrowed(_) => None,
        Cow::Owned(divided) => Some(module(&divided).to_vec()),
    };
    (module(&whole).to_vec(), divided)
}

const TABLE: u32 = 9_000;
const PAGES: u32 = 40;

/// A module of segments: of its own and of an imported memory and table, by constants and by an imported global.
#[derive(Clone, Debug)]
struct Segment {
    data: bool,
    imported: bool,
    /// The offset is the global's, 5, and this; or is known.
    global: bool,
    offset: u32,
    length: u32,
    active: bool,
    expressions: bool,
}

fn segment() -> impl Strategy<Value = Segment> {
    let end = PAGES << 16;
    let data = (
        prop_oneof![3 => 0..2_000_u32, 1 => 0..end, 1 => (end - 3_000)..(end + 10)],
        prop_oneof![3 => 0..100_u32, 1 => 1_048_000..1_049_000_u32, 2 => 1_048_577..2_300_000_u32],
    );
    let elements = (
        prop_oneof![3 => 0..50_u32, 1 => 0..TABLE, 1 => (TABLE - 50)..(TABLE + 2)],
        prop_oneof![4 => 0..20_u32, 1 => 900..1_100_u32],
    );
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.9), any::<bool>());
    (any::<bool>(), data, elements, flags).prop_map(
        |(data, of_data, of_elements, (imported, global, active, expressions))| {
            let (offset, length) = if data { of_data } else { of_elements };
            Segment { data, imported, global, offset, length, active, expressions }
        },
    )
}

/// The module, whose start copies what it finds in the imported memory, and then writes there.
fn text(segments: &[Segment], start: bool) -> String {
    let mut text = format!(
        r#"(import "" "memory" (memory $theirs {PAGES}))
        (import "" "table" (table $their {TABLE} funcref))
        (import "" "five" (global $five i32))
        (memory $ours (export "memory") {PAGES})
        (table $our (export "table") {TABLE} funcref)
        (func $a (export "a")) (func $b (export "b")) (func $c (export "c"))"#
    );
    if start {
        text += r#"(func $start
            (memory.copy $theirs $theirs (i32.const 1000) (i32.const 0) (i32.const 500))
            (memory.fill $theirs (i32.const 100) (i32.const 7) (i32.const 100))
            (table.set $their (i32.const 3) (ref.func $c)))
            (start $start)"#;
    }
    for (number, it) in segments.iter().enumerate() {
        let offset = match it.global {
            true => format!("(i32.add (global.get $five) (i32.const {}))", it.offset),
            false => format!("(i32.const {})", it.offset),
        };
        let (memory, table) = if it.imported { ("$theirs", "$their") } else { ("$ours", "$our") };
        let letter = char::from(b'a' + (number % 26) as u8);
        let name = ["$a", "$b", "$c"][number % 3];
        let length = it.length as usize;
        text += &match (it.data, it.active, it.expressions) {
            (true, true, _) => {
                let bytes = letter.to_string().repeat(length);
                format!("(data (memory {memory}) (offset {offset}) \"{bytes}\")")
            }
            (true, false, _) => format!("(data \"{letter}\")"),
            (false, true, false) => {
                let items = format!("{name} ").repeat(length);
                format!("(elem (table {table}) (offset {offset}) func {items})")
            }
            (false, true, true) => {
                let items = format!("(ref.func {name}) ").repeat(length);
                format!("(elem (table {table}) (offset {offset}) funcref {items})")
            }
            (false, false, _) => format!("(elem func {name})"),
        };
    }
    text
}

fn engine() -> Engine {
    Engine::new(Config::new().epoch_interruption(true).wasm_multi_memory(true)).unwrap()
}

/// What an instance is after its start: memories, and which function is where in the tables. Or why it is none.
type After = Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), String>;

fn after(engine: &Engine, module: &[u8]) -> After {
    let module = wasmtime::Module::from_binary(engine, module).unwrap();
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX >> 1);
    let memory = Memory::new(&mut store, MemoryType::new(PAGES, None)).unwrap();
    let functions = TableType::new(wasmtime::RefType::FUNCREF, TABLE, None);
    let table = Table::new(&mut store, functions, Ref::Func(None)).unwrap();
    let of_five = GlobalType::new(ValType::I32, Mutability::Const);
    let five = Global::new(&mut store, of_five, Val::I32(5)).unwrap();
    let imports: [Extern; 3] = [memory.into(), table.into(), five.into()];
    let instance = Instance::new(&mut store, &module, &imports)
        .map_err(|error| error.downcast_ref::<wasmtime::Trap>().unwrap().to_string())?;
    let ours = instance.get_memory(&mut store, "memory").unwrap();
    let our = instance.get_table(&mut store, "table").unwrap();
    let memories = [memory, ours].map(|it| it.data(&store).to_vec()).to_vec();
    let known = ["a", "b", "c"].map(|name| instance.get_func(&mut store, name).unwrap());
    let known = known.map(|it| it.to_raw(&mut store));
    let mut tables = Vec::new();
    for table in [table, our] {
        let mut which = Vec::new();
        for at in 0..table.size(&store) {
            which.push(match table.get(&mut store, at).unwrap() {
                Ref::Func(Some(it)) => {
                    let raw = it.to_raw(&mut store);
                    known.iter().position(|it| *it == raw).unwrap() as u8
                }
                _ => u8::MAX,
            });
        }
        tables.push(which);
    }
    Ok((memories, tables))
}

#[test]
fn a_module_begins_as_it_did() {
    let engine = engine();
    let mut config = ProptestConfig::with_cases(60);
    config.failure_persistence = None;
    let (changed, began, trapped) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let ran = TestRunner::new(config).run(
        &(vec(segment(), 1..10), any::<bool>()),
        |(segments, start)| {
            let (whole, divided) = both(&text(&segments, start));
            let Some(divided) = divided else { return Ok(()) };
            changed.update(|it| it + 1);
            let (expected, is) = (after(&engine, &whole), after(&engine, &divided));
            match &expected {
                Ok(_) => began.update(|it| it + 1),
                Err(_) => trapped.update(|it| it + 1),
            }
            prop_assert!(expected == is, "it began otherwise: {:?}", is.err());
            Ok(())
        },
    );
    ran.unwrap();
    let counts = [changed.get(), began.get(), trapped.get()];
    assert!(counts.iter().all(|it| *it > 3), "changed, began, trapped: {counts:?}");
}

/// How often wasmtime could have stopped an instantiation.
fn stops(module: &[u8]) -> u32 {
    let engine = engine();
    let module = wasmtime::Module::from_binary(&engine, module).unwrap();
    let mut store = Store::new(&engine, 0);
    // The deadline has passed, each time it is looked at.
    store.set_epoch_deadline(0);
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        Ok(UpdateDeadline::Continue(0))
    });
    let memory = Memory::new(&mut store, MemoryType::new(160, None)).unwrap();
    let functions = TableType::new(wasmtime::RefType::FUNCREF, 100_000, None);
    let table = Table::new(&mut store, functions, Ref::Func(None)).unwrap();
    let externs: [Extern; 2] = [memory.into(), table.into()];
    let imports: Vec<_> =
        module.imports().map(|it| externs[usize::from(it.name() == "table")].clone()).collect();
    Instance::new(&mut store, &module, &imports).unwrap();
    *store.data()
}

#[test]
fn long_segments_can_be_stopped_at_each_part() {
    let data = "d".repeat(8 << 20);
    let memory = format!(r#"(import "" "memory" (memory 160)) (data (i32.const 0) "{data}")"#);
    let (whole, divided) = both(&memory);
    let by_itself = stops(&whole);
    assert!(by_itself < 3, "wasmtime stops {by_itself} times by itself");
    let stops = stops(&divided.unwrap());
    assert!((8..12).contains(&stops), "of 8 parts, stopped {stops} times");
}

#[test]
fn segments_that_are_little_or_known_beforehand_stay() {
    let long = "d".repeat(4 << 20);
    for text in [
        // An image of its own memory, which is mapped.
        format!(r#"(memory 160) (data (i32.const 64) "{long}") (data (i32.const 5000000) "x")"#),
        // Copied, but soon done.
        r#"(import "" "memory" (memory 1)) (data (i32.const 0) "little")"#.to_owned(),
        r#"(import "" "base" (global i32)) (memory 1) (data (global.get 0) "little")"#.to_owned(),
        // Many, of which each is soon done.
        format!(r#"(import "" "memory" (memory 1)) {}"#, "(data (i32.const 9) \"x\")".repeat(9000)),
        // Elements.
        format!(
            r#"(import "" "table" (table 9000 funcref)) (func $f) (elem (i32.const 5) func {})"#,
            "$f ".repeat(8000)
        ),
        // Passive already.
        format!(r#"(memory 1) (data "{long}")"#),
    ] {
        assert!(both(&text).1.is_none(), "{}", &text[..60]);
    }
}

#[test]
fn segments_that_are_copied_do_not_stay() {
    let long = "d".repeat(4 << 20);
    for text in [
        // No image is made of what is far apart.
        format!(r#"(memory 999) (data (i32.const 0) "{long}") (data (i32.const 20000000) "x")"#),
        format!(r#"(import "" "base" (global i32)) (memory 99) (data (global.get 0) "{long}")"#),
        format!(r#"(import "" "memory" (memory 99)) (data (i32.const 5) "{long}")"#),
    ] {
        assert!(both(&text).1.is_some(), "{}", &text[..60]);
    }
}

#[test]
fn a_segment_that_was_put_into_place_is_dropped() {
    let long = "d".repeat(2 << 20);
    let text = format!(
        r#"(import "" "memory" (memory 160)) (data $d (i32.const 0) "{long}")
        (func $f (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))) (start $f)"#
    );
    let engine = engine();
    let (whole, divided) = both(&text);
    for module in [whole, divided.unwrap()] {
        let module = wasmtime::Module::from_binary(&engine, &module).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let memory = Memory::new(&mut store, MemoryType::new(160, None)).unwrap();
        let error = Instance::new(&mut store, &module, &[memory.into()]).unwrap_err();
        let trap = error.downcast_ref::<wasmtime::Trap>().unwrap();
        assert_eq!(*trap, wasmtime::Trap::MemoryOutOfBounds);
    }
}

#[test]
fn a_component_with_many_passive_elements_is_refused() {
    let module =
        |count: usize| format!("(core module (func $f) (elem func {}))", "$f ".repeat(count));
    let divided = |text: &str| divide(&wat::parse_str(text).unwrap()).map(|_| ());
    let most = MOST_ELEMENTS as usize;
    let several = format!("(component {} (component {}))", module(most - 1), module(1));
    assert!(divided(&several).is_ok());
    let several = format!("(component {} (component {}))", module(most - 1), module(2));
    assert!(divided(&several).unwrap_err().to_string().contains("passive"));
    // Declared ones are nothing, and active ones have their place in a table.
    let others = format!(
        "(component (core module (table 9000 funcref) (func $f) (elem declare func {0}) (elem (i32.const 0) func {0})))",
        "$f ".repeat(8000)
    );
    assert!(divided(&others).is_ok());
}
