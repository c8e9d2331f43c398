//! A divided module does what it did undivided, and is otherwise the same.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime::{Config, Engine, Instance, Memory, MemoryType, Store, Trap};

use wasmparser::CodeSectionReader;

use super::stopping::stops;
use super::*;
use crate::plugin::builtins;
use crate::plugin::parts::MOST;

/// All instructions, on memories of their own, on two that are one, and on two that are not.
const EVERYTHING: &str = r#"(module
    (import "" "x" (memory $x 50 60))
    (import "" "x" (memory $again 50 60))
    (memory $a (export "a") 60 70)
    (memory $b (export "b") 40 40)
    (data $d "DATA")
    (func (export "fill") (param i32 i32 i32)
      (memory.fill $a (local.get 0) (local.get 1) (local.get 2)))
    (func (export "copy") (param i32 i32 i32)
      (memory.copy $a $a (local.get 0) (local.get 1) (local.get 2)))
    (func (export "there") (param i32 i32 i32)
      (memory.copy $b $a (local.get 0) (local.get 1) (local.get 2)))
    (func (export "back") (param i32 i32 i32)
      (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2)))
    (func (export "alias") (param i32 i32 i32)
      (memory.copy $x $again (local.get 0) (local.get 1) (local.get 2)))
    (func (export "init") (param i32 i32 i32)
      (memory.init $a $d (local.get 0) (local.get 1) (local.get 2)))
    (func (export "drop") (param i32 i32 i32) (data.drop $d))
    (func (export "grow") (param i32 i32 i32) (drop (memory.grow $a (i32.const 1)))))"#;

const NAMES: [&str; 8] = ["fill", "copy", "there", "back", "alias", "init", "drop", "grow"];

pub(super) const MIB: u32 = 1 << 20;

/// Bytes among which none of these lengths finds itself again.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(super) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

pub(super) fn module_divided(module: &[u8]) -> Vec<u8> {
    with(module, &BTreeSet::new())
}

/// One instance of a module, with its memories.
struct Machine {
    store: Store<()>,
    instance: Instance,
    memories: Vec<Memory>,
}

impl Machine {
    fn new(engine: &Engine, module: &wasmtime::Module) -> Machine {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(u64::MAX >> 1);
        let x = Memory::new(&mut store, MemoryType::new(50, Some(60))).unwrap();
        let instance = Instance::new(&mut store, module, &[x.into(), x.into()]).unwrap();
        let mut memories = vec![x];
        memories.extend(["a", "b"].map(|name| instance.get_memory(&mut store, name).unwrap()));
        static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(5 * MIB as usize, 7));
        for (number, memory) in memories.iter().enumerate() {
            let bytes = memory.data_mut(&mut store);
            bytes.copy_from_slice(&NOISE[number * 4321..][..bytes.len()]);
        }
        Machine { store, instance, memories }
    }

    fn run(&mut self, (name, [a, b, c]): (&str, [u32; 3])) -> Result<(), Trap> {
        let function =
            self.instance.get_typed_func::<(u32, u32, u32), ()>(&mut self.store, name).unwrap();
        function.call(&mut self.store, (a, b, c)).map_err(|it| *it.downcast_ref::<Trap>().unwrap())
    }

    fn memories(&self) -> impl Iterator<Item = &[u8]> {
        self.memories.iter().map(|memory| memory.data(&self.store))
    }
}

/// The undivided module, and the divided one.
fn both() -> (Engine, [wasmtime::Module; 2]) {
    let data: String =
        noise(5 * MIB as usize / 2, 3).iter().map(|it| char::from(b'a' + it % 26)).collect();
    let whole = wat(&EVERYTHING.replace("DATA", &data));
    let engine =
        Engine::new(Config::new().epoch_interruption(true).wasm_multi_memory(true)).unwrap();
    let divided = module_divided(&whole);
    let modules = [whole, divided].map(|it| wasmtime::Module::from_binary(&engine, &it).unwrap());
    (engine, modules)
}

/// Lengths of few and of many parts, whole ones and such with a rest; and ones that are in no memory.
fn length() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..100_u32,
        (0..5_u32, -3..=3_i32).prop_map(|(parts, more)| (parts * MOST).saturating_add_signed(more)),
        0..4 * MIB,
        (u32::MAX - 4 * MIB)..=u32::MAX,
    ]
}

/// Near each other, near the ends of the memories (2.5, 3.1 and 3.75 MiB), and nowhere.
fn address() -> impl Strategy<Value = u32> {
    let near = |at: u32| (0..2_000_u32).prop_map(move |off| at.saturating_add(off) - 1_000);
    prop_oneof![
        4 => 0..MIB,
        1 => 0..4 * MIB,
        1 => near(60 * 65_536),
        1 => near(40 * 65_536),
        1 => near(50 * 65_536 - MIB),
        1 => (u32::MAX - 3 * MIB)..=u32::MAX,
    ]
}

/// Instructions with their operands. For some, the end is right at the end of a memory or one behind it.
fn operations() -> impl Strategy<Value = Vec<(&'static str, [u32; 3])>> {
    let ends = prop_oneof![Just(60_u32), Just(40), Just(50)];
    let fits = (ends, 0..3_u32);
    let operation =
        (0..NAMES.len() * 4, address(), address(), length(), proptest::option::of(fits)).prop_map(
            |(name, mut to, mut from, length, fits)| {
                if let Some((pages, past)) = fits {
                    let end = (pages * 65_536 + past).saturating_sub(1);
                    match past {
                        0 | 1 => to = end.wrapping_sub(length),
                        _ => from = end.wrapping_sub(length),
                    }
                }
                // What changes the module for good is rare.
                let name = NAMES[if name < NAMES.len() { name } else { name % 6 }];
                (name, [to, from, length])
            },
        );
    vec(operation, 1..12)
}

#[test]
fn a_divided_instruction_does_what_it_does_whole() {
    let (engine, [whole, divided]) = both();
    let mut config = ProptestConfig::with_cases(150);
    config.failure_persistence = None;
    let (long, trapped) = (Cell::new(0), Cell::new(0));
    let ran = TestRunner::new(config).run(&operations(), |operations| {
        let mut whole = Machine::new(&engine, &whole);
        let mut divided = Machine::new(&engine, &divided);
        for operation in operations {
            let (expected, is) = (whole.run(operation), divided.run(operation));
            prop_assert_eq!(expected, is, "{:?}", operation);
            // Not `prop_assert_eq`, which would print megabytes.
            let same = whole.memories().eq(divided.memories());
            prop_assert!(same, "{:?} left other bytes", operation);
            match is {
                Ok(()) => long.update(|it| it + u32::from(operation.1[2] > MOST)),
                Err(_) => trapped.update(|it| it + 1),
            }
        }
        Ok(())
    });
    ran.unwrap();
    let (long, trapped) = (long.get(), trapped.get());
    assert!(long > 50 && trapped > 50, "{long} were long, {trapped} trapped");
}

#[test]
fn what_is_moved_by_less_than_a_part_keeps_its_bytes() {
    let (engine, [whole, divided]) = both();
    for name in ["copy", "alias"] {
        for (to, from) in [(0, 1), (1, 0), (5_000, MOST - 1), (MOST - 1, 5_000), (7, 7)] {
            let mut machines = [&whole, &divided].map(|it| Machine::new(&engine, it));
            for machine in &mut machines {
                machine.run((name, [to, from, 2 * MOST + 12_345])).unwrap();
            }
            let [whole, divided] = machines;
            assert!(whole.memories().eq(divided.memories()), "{name} from {from} to {to}");
        }
    }
}

#[test]
fn a_long_instruction_that_is_out_of_bounds_writes_nothing() {
    let (engine, [_, divided]) = both();
    let before = Machine::new(&engine, &divided);
    let end = 60 * 65_536;
    let mut machine = Machine::new(&engine, &divided);
    for (name, operands) in [
        ("fill", [1, 0, end]),
        ("fill", [4096, 0, u32::MAX]),
        ("copy", [1, 0, end]),
        ("copy", [0, 1, end]),
        ("there", [0, 0, 41 * 65_536]),
        ("init", [0, 1, 5 * MIB / 2]),
        ("init", [0, u32::MAX, 2 * MIB]),
        ("init", [end - MIB, 0, 2 * MIB]),
    ] {
        assert_eq!(machine.run((name, operands)), Err(Trap::MemoryOutOfBounds), "{name}");
        assert!(before.memories().eq(machine.memories()), "{name} has written");
    }
    machine.run(("drop", [0; 3])).unwrap();
    assert_eq!(machine.run(("init", [0, 0, 2 * MIB])), Err(Trap::MemoryOutOfBounds));
}

#[test]
fn what_has_nothing_long_stays_as_it_is() {
    for text in [
        "(component)",
        "(component (core module (memory 1) (func (memory.size) drop)))",
        // The length is in the instruction before.
        "(component (core module (memory 1)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 64 memory.copy)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 1048576 memory.fill)))",
        // A segment is never longer than it is.
        "(component (core module (memory 1) (data $d \"short\")
            (func (param i32) i32.const 0 i32.const 0 local.get 0 memory.init $d)))",
    ] {
        let component = wat(text);
        let divided = divide(&component).unwrap();
        assert!(matches!(divided, Cow::Borrowed(_)), "{text}");
        assert_eq!(divided, component);
    }
}

#[test]
fn a_length_that_is_known_to_be_long_or_is_jumped_to_is_divided() {
    for code in [
        "local.get 0 local.get 0 i32.const 1048577 memory.copy",
        "local.get 0 local.get 0 i32.const -1 memory.fill",
        "local.get 0 local.get 0 (block (result i32) local.get 0 br 0 i32.const 1) memory.fill",
    ] {
        let component =
            wat(&format!("(component (core module (memory 1) (func (param i32) {code})))"));
        assert!(matches!(divide(&component), Ok(Cow::Owned(_))), "{code}");
    }
}

fn validate(bytes: &[u8]) -> Result<(), String> {
    let validated = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes);
    validated.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn modules_are_found_wherever_they_are_and_the_rest_is_left() {
    let module = r#"(core module (memory 1) (memory 1)
        (func (export "f") (param i32 i32 i32)
          (memory.fill 0 (local.get 0) (local.get 1) (local.get 2))
          (memory.fill 1 (local.get 0) (local.get 1) (local.get 2))
          (memory.fill 0 (local.get 0) (local.get 1) (local.get 2))
          (memory.copy 1 0 (local.get 0) (local.get 1) (local.get 2))))"#;
    let component = wat(&format!(
        r#"(component $c (core module (func)) {module}
            (component (component (@custom "kept" "as it is") {module}) (core module (func))))"#
    ));
    let divided = divide(&component).unwrap().into_owned();
    validate(&divided).unwrap();
    let functions = |bytes: &[u8]| {
        let payloads = wasmparser::Parser::new(0).parse_all(bytes);
        let count = |payload: Result<_, _>| match payload.unwrap() {
            wasmparser::Payload::FunctionSection(section) => Some(section.count()),
            _ => None,
        };
        payloads.filter_map(count).collect::<Vec<_>>()
    };
    assert_eq!(functions(&component), [1, 1, 1, 1]);
    assert_eq!(functions(&divided), [1, 4, 4, 1]);
    let kept = b"\x04keptas it is";
    assert!(divided.windows(kept.len()).any(|it| it == kept));
}

#[test]
fn code_stays_where_it_was() {
    let whole = wat(&EVERYTHING.replace("DATA", &"d".repeat(2 * MIB as usize)));
    let divided = module_divided(&whole);
    let bodies = |bytes: &[u8]| {
        let sections = sections(bytes).find(|it| it.id == CODE).unwrap();
        let code = CodeSectionReader::new(BinaryReader::new(sections.content, 0)).unwrap();
        code.into_iter().map(|it| it.unwrap().range()).collect::<Vec<_>>()
    };
    let (before, after) = (bodies(&whole), bodies(&divided));
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len() - before.len(), 6);
}

/// A call of such an index takes more bytes than `memory.fill`, and one more function more than a byte of the count.
#[test]
fn calls_that_are_longer_than_the_instruction_make_room() {
    let many = "(func)".repeat(16_382);
    let module = format!(
        r#"(module (memory 1) (func (export "f") (param i32 i32 i32)
            (memory.fill (local.get 0) (local.get 1) (local.get 2))
            (memory.fill (local.get 0) (local.get 1) (local.get 2))) {many}
            (func (export "g") (param i32) (drop (i32.const 5))))"#
    );
    let divided = module_divided(&wat(&module));
    validate(&divided).unwrap();
    assert!(stops(&divided, "f", [0, 7, 65_536]) >= 3);
}

#[test]
fn what_is_invalid_does_not_become_valid() {
    // It calls a function that it has not, where the added one comes to be.
    let mut module = wat("(module (memory 1) (func (param i32 i32 i32)
        local.get 0 local.get 1 local.get 2 call 0
        local.get 0 local.get 1 local.get 2 memory.copy))");
    let call = module.windows(2).position(|it| it == [0x10, 0]).unwrap();
    module[call + 1] = 1;
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    put_section(1, &module, &mut component);
    let error = divide(&component).unwrap_err().to_string();
    assert!(error.contains("unknown function 1"), "{error}");
}

#[test]
fn components_too_deep_in_each_other_are_an_error() {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..=DEEPEST {
        let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
        put_section(4, &component, &mut outer);
        component = outer;
    }
    assert!(matches!(divide(&component), Err(DivideError::Deep)));
    let cut_off = b"\0asm\x0d\0\x01\0\x01\x05";
    assert!(divide(cut_off).is_err());
    assert!(matches!(whole_sections(cut_off), Err(DivideError::CutOff)));
}

#[test]
fn the_built_in_plugins_are_divided_and_valid() {
    for builtin in builtins() {
        let divided = divide(builtin.component).unwrap();
        assert!(matches!(divided, Cow::Owned(_)), "{}", builtin.name);
        validate(&divided).unwrap();
    }
}

#[test]
fn memories_of_64_bits_are_none_of_ours() {
    // Where it cannot be reached, any operand has the right type, and so would the call's.
    let component =
        wat(r#"(component (core module (memory i64 1) (func unreachable (memory.copy))))"#);
    let refused = divide(&component).unwrap_err();
    assert!(matches!(refused, DivideError::Unreadable(_)), "{refused}");
}
