//! Results as guests leave them in their memory: read by `plugin/lift.rs`, and held against wasmtime's own values.

use std::task::{Context, Poll, Waker};

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, Linker, TypedFunc, Val};

use crate::plugin::{Args, Case, Crossing, Given, GivenValue, Shape, TooLong, Wire};

use super::encode::encode;
use super::types::{self, Spelt};

/// JSON text that a result may have, in bytes.
const MOST: u64 = 64 << 10;

/// What wasmtime's own reading may take, so that what is short as text can be read.
const FUEL: usize = 64 << 20;

/// The bytes choose a type, then what is in memory where a value of it should be.
pub fn lifted(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    // Too few bytes are no finding.
    let _ = agree(&mut u);
}

fn agree(u: &mut Unstructured<'_>) -> Result<()> {
    let spelt = types::spelt(u)?;
    let guests = ["utf8", "utf16", "latin1+utf16"].map(|it| Some((it, Guest::new(&spelt, it)?)));
    let mut guests: Vec<_> = guests.into_iter().flatten().collect();
    for _ in 0..4 {
        let memory = memory(u)?;
        for (encoding, guest) in &mut guests {
            let about = || format!("{spelt:?} {encoding} {memory:?}");
            let ours = guest.ours(&memory);
            // What is too long for us may be endless for others.
            if ours.as_ref().is_err_and(wasmtime::Error::is::<TooLong>) {
                continue;
            }
            let theirs = guest.theirs(&memory);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {ours:?} {theirs:?}", about());
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(ours, theirs, "{}", about());
            }
        }
    }
    Ok(())
}

/// Mostly words that lead somewhere in it, count few, or name a case; some say that a string is UTF-16.
fn memory(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut memory = Vec::new();
    for _ in 0..u.int_in_range(1..=40)? {
        let word = match u.int_in_range(0..=6)? {
            0 => u.arbitrary()?,
            1 => u32::from(u.arbitrary::<u8>()?) << 8 | u.int_in_range(0..=3)?,
            2 => u.int_in_range(0..=160)?,
            6 => 1 << 31 | u.int_in_range(0..=4)?,
            _ => u.int_in_range(0..=4)?,
        };
        memory.extend(word.to_le_bytes());
    }
    Ok(memory)
}

/// A function that takes bytes, has them put at the beginning of its memory, and says that its result is there.
struct Guest {
    store: Store<()>,
    instance: Instance,
    shape: Shape,
}

#[expect(clippy::expect_used, reason = "a component that is made wrong is a fault of this file")]
impl Guest {
    /// None for a type that is too large to have a shape.
    fn new(spelt: &Spelt, encoding: &str) -> Option<Guest> {
        // Two parts are always in memory.
        let text = format!(
            r#"(component {}
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                    (func (export "f") (param i32 i32) (result i32) i32.const 0))
                (core instance $i (instantiate $m))
                (func (export "f") (param "bytes" (list u8)) (result (tuple u8 {}))
                    (canon lift (core func $i "f") string-encoding={encoding}
                        (memory $i "memory") (realloc (func $i "realloc")))))"#,
            spelt.definitions, spelt.ty
        );
        let engine = types::engine();
        let component = Component::new(engine, wat::parse_str(&text).expect(&text)).expect(&text);
        let shape = types::of_function(&component, |function| function.results().next())?;
        let mut store = Store::new(engine, ());
        store.set_hostcall_fuel(FUEL);
        let instance = Linker::new(engine).instantiate(&mut store, &component).expect(&text);
        Some(Guest { store, instance, shape })
    }

    fn ours(&mut self, memory: &[u8]) -> wasmtime::Result<Value> {
        let function = self.instance.get_func(&mut self.store, "f").expect("it is exported");
        // SAFETY: `Args` and `Given` are values of whatever types the function has.
        #[expect(unsafe_code, reason = "these types are not known at compile time")]
        let function = unsafe { TypedFunc::<Args<'_>, Given>::new_unchecked(function) };
        let bytes = [Wire::Bytes(memory.to_vec().into())];
        let store = &mut self.store;
        let call = async { function.call(store, Args(&bytes)) };
        let call = std::pin::pin!(Crossing::new(MOST, || Ok(())).during(call));
        let Poll::Ready(given) = call.poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("nothing in it waits")
        };
        let GivenValue::Json(text) = given?.value else { unreachable!("a tuple is JSON") };
        Ok(serde_json::from_str(&text).expect("what is written is JSON"))
    }

    fn theirs(&mut self, memory: &[u8]) -> wasmtime::Result<Value> {
        let function = self.instance.get_func(&mut self.store, "f").expect("it is exported");
        let bytes = Val::List(memory.iter().map(|byte| Val::U8(*byte)).collect());
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, &[bytes], &mut results)?;
        let [result] = results;
        let wire = wire(&self.shape, result).expect("a value is of its type");
        Ok(encode(&self.shape, wire).expect("a value is of its shape"))
    }
}

fn wire(shape: &Shape, value: Val) -> Option<Wire> {
    let all = |shapes: &mut dyn Iterator<Item = &Shape>, values: Vec<Val>| {
        shapes.zip(values).map(|(shape, value)| wire(shape, value)).collect::<Option<Vec<_>>>()
    };
    Some(match (shape, value) {
        (_, Val::Bool(value)) => Wire::Bool(value),
        (_, Val::S8(value)) => Wire::Signed(value.into()),
        (_, Val::S16(value)) => Wire::Signed(value.into()),
        (_, Val::S32(value)) => Wire::Signed(value.into()),
        (_, Val::S64(value)) => Wire::Signed(value),
        (_, Val::U8(value)) => Wire::Unsigned(value.into()),
        (_, Val::U16(value)) => Wire::Unsigned(value.into()),
        (_, Val::U32(value)) => Wire::Unsigned(value.into()),
        (_, Val::U64(value)) => Wire::Unsigned(value),
        (_, Val::Float32(value)) => Wire::F32(value),
        (_, Val::Float64(value)) => Wire::F64(value),
        (_, Val::Char(value)) => Wire::Char(value),
        (_, Val::String(value)) => Wire::String(value),
        (Shape::Bytes, Val::List(items)) => {
            let bytes = items.into_iter().map(|it| match it {
                Val::U8(byte) => Some(byte),
                _ => None,
            });
            Wire::Bytes(bytes.collect::<Option<Vec<u8>>>()?.into())
        }
        (Shape::List(item), Val::List(items)) => {
            Wire::List(all(&mut std::iter::repeat(&**item), items)?)
        }
        (Shape::Tuple(shapes), Val::Tuple(items)) => Wire::Fields(all(&mut shapes.iter(), items)?),
        (Shape::Record(fields), Val::Record(values)) => {
            let values = values.into_iter().map(|(_, value)| value).collect();
            Wire::Fields(all(&mut fields.iter().map(|it| &it.shape), values)?)
        }
        (Shape::Variant(cases), Val::Variant(name, payload)) => case(cases, &name, payload)?,
        (Shape::Enum(cases), Val::Enum(name)) => case(cases, &name, None)?,
        (Shape::Result(cases), Val::Result(Ok(payload))) => case(&**cases, "ok", payload)?,
        (Shape::Result(cases), Val::Result(Err(payload))) => case(&**cases, "err", payload)?,
        (Shape::Option(_), Val::Option(None)) => Wire::Case(0, None),
        (Shape::Option(some), Val::Option(Some(value))) => {
            Wire::Case(1, Some(Box::new(wire(some, *value)?)))
        }
        (Shape::Flags(cases), Val::Flags(names)) => {
            let set = cases.iter().enumerate().filter(|(_, case)| names.contains(&case.wit));
            let mut words = vec![0; cases.len().div_ceil(32)];
            set.for_each(|(at, _)| words[at / 32] |= 1 << (at % 32));
            Wire::Flags(words)
        }
        _ => return None,
    })
}

fn case(cases: &[Case], name: &str, payload: Option<Box<Val>>) -> Option<Wire> {
    let index = cases.iter().position(|case| case.wit == name)?;
    let payload = match (&cases[index].payload, payload) {
        (Some(shape), Some(value)) => Some(Box::new(wire(shape, *value)?)),
        (None, None) => None,
        _ => return None,
    };
    Some(Wire::Case(u32::try_from(index).ok()?, payload))
}
