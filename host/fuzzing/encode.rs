//! Component value -> JSON, by the same table as `decode`: what `decode` is held against. A guest's results are written by
//! `plugin/lift.rs`, from its memory.

use base64::Engine as _;
use serde_json::{Map, Number, Value, json};

use crate::plugin::{BASE64, Case, MAX_SAFE, Shape, Wire};

/// The JSON form of a value that a tool gave; `None` if it is not of that shape, which would be a
/// fault of the host.
pub fn encode(shape: &Shape, value: Wire) -> Option<Value> {
    Some(match (shape, value) {
        (Shape::Bool, Wire::Bool(value)) => json!(value),
        (Shape::S8 | Shape::S16 | Shape::S32, Wire::Signed(value)) => json!(value),
        (Shape::U8 | Shape::U16 | Shape::U32, Wire::Unsigned(value)) => json!(value),
        (Shape::S64, Wire::Signed(value)) if value.unsigned_abs() <= MAX_SAFE.unsigned_abs() => {
            json!(value)
        }
        (Shape::S64, Wire::Signed(value)) => json!(value.to_string()),
        (Shape::U64, Wire::Unsigned(value)) if value <= MAX_SAFE.unsigned_abs() => json!(value),
        (Shape::U64, Wire::Unsigned(value)) => json!(value.to_string()),
        (Shape::F32, Wire::F32(value)) => float(shortest(value)),
        (Shape::F64, Wire::F64(value)) => float(value),
        (Shape::Char, Wire::Char(value)) => json!(value),
        (Shape::String, Wire::String(value)) => Value::String(value),
        (Shape::Bytes, Wire::Bytes(bytes)) => Value::String(BASE64.encode(bytes)),
        (Shape::List(item), Wire::List(items)) => {
            Value::Array(items.into_iter().map(|value| encode(item, value)).collect::<Option<_>>()?)
        }
        (Shape::Tuple(shapes), Wire::Fields(items)) if shapes.len() == items.len() => {
            let items = shapes.iter().zip(items).map(|(shape, value)| encode(shape, value));
            Value::Array(items.collect::<Option<_>>()?)
        }
        (Shape::Record(fields), Wire::Fields(values)) if fields.len() == values.len() => {
            let mut object = Map::with_capacity(fields.len());
            for (field, value) in fields.iter().zip(values) {
                object.insert(field.json.clone(), encode(&field.shape, value)?);
            }
            Value::Object(object)
        }
        (Shape::Variant(cases), Wire::Case(index, payload)) => case(cases, index, payload)?,
        (Shape::Result(cases), Wire::Case(index, payload)) => case(&**cases, index, payload)?,
        (Shape::Enum(cases), Wire::Case(index, None)) => json!(cases.get(index as usize)?.json),
        (Shape::Flags(cases), Wire::Flags(words)) => {
            let set =
                |at: &usize| words.get(at / 32).is_some_and(|word| word >> (at % 32) & 1 == 1);
            let names = (0..cases.len()).filter(set).map(|at| json!(cases[at].json));
            Value::Array(names.collect())
        }
        (Shape::Option(_), Wire::Case(0, None)) => Value::Null,
        (Shape::Option(some), Wire::Case(1, Some(value))) => {
            let value = encode(some, *value)?;
            if some.nullable() { json!({ "some": value }) } else { value }
        }
        _ => return None,
    })
}

fn case(cases: &[Case], index: u32, payload: Option<Box<Wire>>) -> Option<Value> {
    let case = cases.get(index as usize)?;
    Some(match (&case.payload, payload) {
        (None, None) => json!(case.json),
        (Some(shape), Some(value)) => json!({ &case.json: encode(shape, *value)? }),
        _ => return None,
    })
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// The f64 that prints as the f32 does: 0.1, not 0.10000000149011612.
fn shortest(value: f32) -> f64 {
    let short = value.to_string().parse::<f64>().unwrap_or(f64::from(value));
    if short as f32 == value { short } else { f64::from(value) }
}
