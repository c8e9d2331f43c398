//! JSON -> component value, for a value that `check` has passed.
//!
//! What does not fit is `None` all the same, never a panic.

use base64::Engine as _;
use serde_json::{Map, Value};
use wasmtime::component::Val;

use super::check::{BASE64, case_of, character, float32, float64, integer, some_of};
use super::shape::{Case, Field, Shape};

/// The arguments in the order of `params`, or `None` if they do not fit.
pub fn decode(params: &[Field], args: &Map<String, Value>) -> Option<Vec<Val>> {
    params.iter().map(|param| field(param, args)).collect()
}

fn field(field: &Field, object: &Map<String, Value>) -> Option<Val> {
    match object.get(&field.json) {
        Some(json) => value(&field.shape, json),
        None => field.optional().then_some(Val::Option(None)),
    }
}

fn value(shape: &Shape, json: &Value) -> Option<Val> {
    let whole = || integer(shape, json);
    Some(match shape {
        Shape::Bool => Val::Bool(json.as_bool()?),
        Shape::S8 => Val::S8(whole()?.try_into().ok()?),
        Shape::U8 => Val::U8(whole()?.try_into().ok()?),
        Shape::S16 => Val::S16(whole()?.try_into().ok()?),
        Shape::U16 => Val::U16(whole()?.try_into().ok()?),
        Shape::S32 => Val::S32(whole()?.try_into().ok()?),
        Shape::U32 => Val::U32(whole()?.try_into().ok()?),
        Shape::S64 => Val::S64(whole()?.try_into().ok()?),
        Shape::U64 => Val::U64(whole()?.try_into().ok()?),
        Shape::F32 => Val::Float32(float32(json)?),
        Shape::F64 => Val::Float64(float64(json)?),
        Shape::Char => Val::Char(character(json)?),
        Shape::String => Val::String(json.as_str()?.to_owned()),
        Shape::Bytes => {
            let bytes = BASE64.decode(json.as_str()?).ok()?;
            Val::List(bytes.into_iter().map(Val::U8).collect())
        }
        Shape::List(item) => {
            let items = json.as_array()?.iter().map(|json| value(item, json));
            Val::List(items.collect::<Option<_>>()?)
        }
        Shape::Tuple(shapes) => {
            let items = json.as_array()?;
            let pairs = shapes.iter().zip(items).map(|(shape, json)| value(shape, json));
            Val::Tuple(pairs.collect::<Option<Vec<_>>>().filter(|_| shapes.len() == items.len())?)
        }
        Shape::Record(fields) => {
            let object = json.as_object()?;
            let values = fields.iter().map(|it| Some((it.wit.clone(), field(it, object)?)));
            Val::Record(values.collect::<Option<_>>()?)
        }
        Shape::Variant(cases) => {
            let (case, payload) = case(cases, json)?;
            Val::Variant(case.wit.clone(), payload)
        }
        Shape::Result(cases) => {
            let (case, payload) = case(&**cases, json)?;
            Val::Result(if case.wit == "ok" { Ok(payload) } else { Err(payload) })
        }
        Shape::Enum(cases) => Val::Enum(named(cases, json)?),
        Shape::Flags(cases) => {
            let names = json.as_array()?.iter().map(|name| named(cases, name));
            Val::Flags(names.collect::<Option<_>>()?)
        }
        Shape::Option(some) => Val::Option(match some_of(some, json)? {
            Some(json) => Some(Box::new(value(some, json)?)),
            None => None,
        }),
    })
}

fn case<'s>(cases: &'s [Case], json: &Value) -> Option<(&'s Case, Option<Box<Val>>)> {
    let (case, payload) = case_of(cases, json)?;
    let payload = match (&case.payload, payload) {
        (Some(shape), Some(json)) => Some(Box::new(value(shape, json)?)),
        _ => None,
    };
    Some((case, payload))
}

fn named(cases: &[Case], json: &Value) -> Option<String> {
    let name = json.as_str()?;
    cases.iter().find(|case| case.json == name).map(|case| case.wit.clone())
}
