//! JSON to component values and back, for random types: of values that fit, and of any others.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value, json};

use crate::batch::Args;
use crate::plugin::{Case, Field, References, Shape, check, decode, schema};

use super::encode::encode;
use super::{spelling, types};

/// The bytes choose a type, then values.
pub fn json_values(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    // Too few bytes are no finding.
    let _ = round_trips(&mut u);
}

fn round_trips(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(shape) = types::shape(u)? else { return Ok(()) };
    assert!(schema(&shape).is_object());
    let params = [Field::new("p", shape.clone())];
    for _ in 0..4 {
        let fits = u.ratio(3, 4)?;
        let value = if fits { fitting(&shape, u)? } else { any(u, 4)? };
        let args = Args::from(Map::from_iter([("p".to_owned(), value)]));
        let problems = check(&params, args.as_map(), &[], References::Gone);
        assert!(!fits || problems.is_empty(), "{args:?}: {}", problems[0].message);
        let values = decode(&params, &args, &[]);
        assert_eq!(values.is_some(), problems.is_empty(), "{args:?}");
        let Some(values) = values else { continue };
        let written = encode(&shape, values[0].clone());
        assert!(written.is_some(), "{args:?} does not come back");
        let written = written.unwrap_or_default();
        let args = Args::from(Map::from_iter([("p".to_owned(), written.clone())]));
        assert!(
            check(&params, args.as_map(), &[], References::Gone).is_empty(),
            "{args:?} was ours"
        );
        let again = decode(&params, &args, &[]);
        // By their text: a NaN is not equal to itself.
        assert_eq!(format!("{:?}", again), format!("{:?}", Some(&values)), "{args:?}");
        assert_eq!(encode(&shape, values[0].clone()), Some(written));
    }
    for _ in 0..4 {
        let text = spelling::spelt(&shape, u)?;
        as_text_and_as_map(&params, &format!(r#"{{"p": {text}}}"#));
        if let Shape::Record(fields) = &shape {
            as_text_and_as_map(fields, &text);
        }
    }
    Ok(())
}

/// What decodes the text of arguments, decodes a map of them, and finds fault with them, are of one mind.
fn as_text_and_as_map(params: &[Field], text: &str) {
    let args = serde_json::from_str::<Args>(text).map_err(|error| error.to_string());
    let map = serde_json::from_str::<Map<String, Value>>(text).map_err(|error| error.to_string());
    let (Ok(args), Ok(map)) = (&args, &map) else {
        assert_eq!(args.err(), map.err(), "{text}");
        return;
    };
    assert_eq!(args.as_map(), map, "{text}");
    let written = serde_json::to_string(args).unwrap_or_default();
    let named_twice = written != serde_json::to_string(map).unwrap_or_default();
    let problems = check(params, map, &[], References::Gone);
    let of_text = decode(params, args, &[]);
    let of_map = decode(params, &Args::from(map.clone()), &[]);
    assert_eq!(of_map.is_some(), problems.is_empty(), "{text}");
    assert_eq!(of_text.is_some(), problems.is_empty() && !named_twice, "{text}");
    if of_text.is_some() {
        assert_eq!(format!("{of_text:?}"), format!("{of_map:?}"), "{text}");
    }
}

/// A value of the shape, in any of the forms that JSON has for it.
pub fn fitting(shape: &Shape, u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match shape {
        Shape::Bool => json!(u.arbitrary::<bool>()?),
        Shape::S8 => json!(u.arbitrary::<i8>()?),
        Shape::U8 => json!(u.arbitrary::<u8>()?),
        Shape::S16 => json!(u.arbitrary::<i16>()?),
        Shape::U16 => json!(u.arbitrary::<u16>()?),
        Shape::S32 => json!(u.arbitrary::<i32>()?),
        Shape::U32 => json!(u.arbitrary::<u32>()?),
        Shape::S64 => either(u, Unstructured::arbitrary::<i64>)?,
        Shape::U64 => either(u, Unstructured::arbitrary::<u64>)?,
        Shape::F32 => float(f64::from(u.arbitrary::<f32>()?)),
        Shape::F64 => float(u.arbitrary()?),
        Shape::Char => json!(u.arbitrary::<char>()?),
        Shape::String => json!(u.arbitrary::<String>()?),
        Shape::Bytes => {
            let bytes: Vec<u8> = u.arbitrary()?;
            json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes))
        }
        Shape::List(item) => {
            let count = u.int_in_range(0..=3)?;
            (0..count).map(|_| fitting(item, u)).collect::<Result<Value>>()?
        }
        Shape::Tuple(items) => items.iter().map(|it| fitting(it, u)).collect::<Result<Value>>()?,
        Shape::Record(fields) => {
            let mut object = Map::new();
            for field in fields {
                if !field.optional() || u.arbitrary()? {
                    object.insert(field.json.clone(), fitting(&field.shape, u)?);
                }
            }
            Value::Object(object)
        }
        Shape::Variant(cases) => case(cases, u)?,
        Shape::Result(cases) => case(&**cases, u)?,
        Shape::Enum(cases) => json!(u.choose(cases)?.json),
        Shape::Flags(cases) => {
            let mut names = Vec::new();
            for case in cases {
                if u.arbitrary()? {
                    names.push(case.json.as_str());
                }
            }
            json!(names)
        }
        Shape::Option(_) if u.arbitrary()? => Value::Null,
        Shape::Option(some) if some.nullable() => json!({ "some": fitting(some, u)? }),
        Shape::Option(some) => fitting(some, u)?,
    })
}

fn case(cases: &[Case], u: &mut Unstructured<'_>) -> Result<Value> {
    let case = u.choose(cases)?;
    Ok(match &case.payload {
        Some(payload) => json!({ &case.json: fitting(payload, u)? }),
        None => json!(case.json),
    })
}

/// A number, or its digits.
fn either<'u, T: Into<Value> + ToString>(
    u: &mut Unstructured<'u>,
    number: fn(&mut Unstructured<'u>) -> Result<T>,
) -> Result<Value> {
    let number = number(u)?;
    Ok(if u.arbitrary()? { json!(number.to_string()) } else { number.into() })
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => json!("NaN"),
        None => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

fn any(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    const KEYS: [&str; 6] = ["some", "ok", "err", "url", "a_b", "from_n1"];
    let kinds = if depth == 0 { 4 } else { 6 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => json!(u.arbitrary::<bool>()?),
        2 => json!(u.arbitrary::<i64>()?),
        3 => float(u.arbitrary()?),
        4 => json!(if u.arbitrary()? { *u.choose(&KEYS)? } else { u.arbitrary()? }),
        5 => {
            let count = u.int_in_range(0..=3)?;
            (0..count).map(|_| any(u, depth - 1)).collect::<Result<Value>>()?
        }
        _ => {
            let mut object = Map::new();
            for _ in 0..u.int_in_range(0..=3)? {
                object.insert((*u.choose(&KEYS)?).to_owned(), any(u, depth - 1)?);
            }
            Value::Object(object)
        }
    })
}
