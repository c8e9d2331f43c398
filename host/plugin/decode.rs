//! JSON -> component value, for a value that `check` has passed.
//!
//! What does not fit is `None` all the same, never a panic.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::check::{BASE64, case_of, character, float32, float64, integer, some_of};
use super::shape::{Case, Field, Shape};
use super::wire::Wire;

/// The arguments in the order of `params`, or `None` if they do not fit. Those in `bytes` are not in `args`.
pub fn decode(
    params: &[Field],
    args: &Map<String, Value>,
    bytes: &[(String, Bytes)],
) -> Option<Vec<Wire>> {
    let param = |param: &Field| match bytes.iter().find(|(name, _)| *name == param.json) {
        Some((_, bytes)) => (param.shape == Shape::Bytes).then(|| Wire::Bytes(bytes.clone())),
        None => field(param, args),
    };
    params.iter().map(param).collect()
}

fn field(field: &Field, object: &Map<String, Value>) -> Option<Wire> {
    match object.get(&field.json) {
        Some(json) => value(&field.shape, json),
        None => field.optional().then_some(Wire::Case(0, None)),
    }
}

fn value(shape: &Shape, json: &Value) -> Option<Wire> {
    let whole = || integer(shape, json);
    Some(match shape {
        Shape::Bool => Wire::Bool(json.as_bool()?),
        Shape::S8 | Shape::S16 | Shape::S32 | Shape::S64 => Wire::Signed(whole()?.try_into().ok()?),
        Shape::U8 | Shape::U16 | Shape::U32 | Shape::U64 => {
            Wire::Unsigned(whole()?.try_into().ok()?)
        }
        Shape::F32 => Wire::F32(float32(json)?),
        Shape::F64 => Wire::F64(float64(json)?),
        Shape::Char => Wire::Char(character(json)?),
        Shape::String => Wire::String(json.as_str()?.to_owned()),
        Shape::Bytes => Wire::Bytes(BASE64.decode(json.as_str()?).ok()?.into()),
        Shape::List(item) => {
            let items = json.as_array()?.iter().map(|json| value(item, json));
            Wire::List(items.collect::<Option<_>>()?)
        }
        Shape::Tuple(shapes) => {
            let items = json.as_array()?;
            let pairs = shapes.iter().zip(items).map(|(shape, json)| value(shape, json));
            Wire::Fields(pairs.collect::<Option<Vec<_>>>().filter(|_| shapes.len() == items.len())?)
        }
        Shape::Record(fields) => {
            let object = json.as_object()?;
            Wire::Fields(fields.iter().map(|it| field(it, object)).collect::<Option<_>>()?)
        }
        Shape::Variant(cases) => case(cases, json)?,
        Shape::Result(cases) => case(&**cases, json)?,
        Shape::Enum(cases) => Wire::Case(named(cases, json)?, None),
        Shape::Flags(cases) => {
            let mut words = vec![0; cases.len().div_ceil(32)];
            for name in json.as_array()? {
                let flag = named(cases, name)? as usize;
                words[flag / 32] |= 1 << (flag % 32);
            }
            Wire::Flags(words)
        }
        Shape::Option(some) => match some_of(some, json)? {
            Some(json) => Wire::Case(1, Some(Box::new(value(some, json)?))),
            None => Wire::Case(0, None),
        },
    })
}

fn case(cases: &[Case], json: &Value) -> Option<Wire> {
    let (case, payload) = case_of(cases, json)?;
    let index = cases.iter().position(|it| std::ptr::eq(it, case))?;
    let payload = match (&case.payload, payload) {
        (Some(shape), Some(json)) => Some(Box::new(value(shape, json)?)),
        _ => None,
    };
    Some(Wire::Case(u32::try_from(index).ok()?, payload))
}

/// The place of the case of that name.
fn named(cases: &[Case], json: &Value) -> Option<u32> {
    let name = json.as_str()?;
    u32::try_from(cases.iter().position(|case| case.json == name)?).ok()
}
