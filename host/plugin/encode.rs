//! Component value -> JSON, by the same table as `decode`.

use base64::Engine as _;
use serde_json::{Map, Number, Value, json};
use wasmtime::component::Val;

use super::check::{BASE64, MAX_SAFE};
use super::shape::{Case, Field, Shape};

/// The JSON form of a value that a tool gave; `None` if it is not of that shape, which would be a
/// fault of the host.
pub fn encode(shape: &Shape, value: &Val) -> Option<Value> {
    Some(match (shape, value) {
        (Shape::Bool, Val::Bool(value)) => json!(value),
        (Shape::S8, Val::S8(value)) => json!(value),
        (Shape::U8, Val::U8(value)) => json!(value),
        (Shape::S16, Val::S16(value)) => json!(value),
        (Shape::U16, Val::U16(value)) => json!(value),
        (Shape::S32, Val::S32(value)) => json!(value),
        (Shape::U32, Val::U32(value)) => json!(value),
        (Shape::S64, Val::S64(value)) if value.unsigned_abs() <= MAX_SAFE.unsigned_abs() => {
            json!(value)
        }
        (Shape::S64, Val::S64(value)) => json!(value.to_string()),
        (Shape::U64, Val::U64(value)) if *value <= MAX_SAFE.unsigned_abs() => json!(value),
        (Shape::U64, Val::U64(value)) => json!(value.to_string()),
        (Shape::F32, Val::Float32(value)) => float(shortest(*value)),
        (Shape::F64, Val::Float64(value)) => float(*value),
        (Shape::Char, Val::Char(value)) => json!(value),
        (Shape::String, Val::String(value)) => json!(value),
        (Shape::Bytes, Val::List(items)) => {
            let byte = |item: &Val| if let Val::U8(byte) = item { Some(*byte) } else { None };
            json!(BASE64.encode(items.iter().map(byte).collect::<Option<Vec<u8>>>()?))
        }
        (Shape::List(item), Val::List(items)) => {
            Value::Array(items.iter().map(|value| encode(item, value)).collect::<Option<_>>()?)
        }
        (Shape::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => {
            let items = shapes.iter().zip(items).map(|(shape, value)| encode(shape, value));
            Value::Array(items.collect::<Option<_>>()?)
        }
        (Shape::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
            let field = |(field, (_, value)): (&Field, &(String, Val))| {
                Some((field.json.clone(), encode(&field.shape, value)?))
            };
            Value::Object(fields.iter().zip(values).map(field).collect::<Option<Map<_, _>>>()?)
        }
        (Shape::Variant(cases), Val::Variant(name, payload)) => {
            case(cases, name, payload.as_deref())?
        }
        (Shape::Result(cases), Val::Result(Ok(payload))) => {
            case(&**cases, "ok", payload.as_deref())?
        }
        (Shape::Result(cases), Val::Result(Err(payload))) => {
            case(&**cases, "err", payload.as_deref())?
        }
        (Shape::Enum(cases), Val::Enum(name)) => json!(json_name(cases, name)?),
        (Shape::Flags(cases), Val::Flags(names)) => {
            let names = names.iter().map(|name| json_name(cases, name).map(Value::from));
            Value::Array(names.collect::<Option<_>>()?)
        }
        (Shape::Option(_), Val::Option(None)) => Value::Null,
        (Shape::Option(some), Val::Option(Some(value))) if some.nullable() => {
            json!({ "some": encode(some, value)? })
        }
        (Shape::Option(some), Val::Option(Some(value))) => encode(some, value)?,
        _ => return None,
    })
}

fn case(cases: &[Case], name: &str, payload: Option<&Val>) -> Option<Value> {
    let case = cases.iter().find(|case| case.wit == name)?;
    Some(match (&case.payload, payload) {
        (None, None) => json!(case.json),
        (Some(shape), Some(value)) => json!({ &case.json: encode(shape, value)? }),
        _ => return None,
    })
}

fn json_name<'s>(cases: &'s [Case], name: &str) -> Option<&'s str> {
    cases.iter().find(|case| case.wit == name).map(|case| case.json.as_str())
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
