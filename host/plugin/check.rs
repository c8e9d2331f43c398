//! Does a JSON value fit a shape? Every mismatch is named with its place, before anything runs.
//!
//! `decode` turns into component values what passes here, and is asked first: this is for messages. Both read scalars
//! through the functions of this file, so that they cannot disagree.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::batch::{Pointer, Problem, Reference, describe};

use super::names::given;
use super::shape::{Case, Field, Shape};

/// Whether a reference may stand where a value is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// Before the batch runs: a reference fits any shape.
    Fit,
    /// Once they were replaced by values.
    Gone,
}

/// Names enough for a message; a wrong list of a million items is not spelt out.
const MOST_PROBLEMS: usize = 16;

/// Base64 with or without padding.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What of `args`, and of those given as `bytes`, does not fit `params`: unknown, missing and mistyped arguments, at most a
/// few.
pub fn check(
    params: &[Field],
    args: &Map<String, Value>,
    bytes: &[(String, Bytes)],
    references: References,
) -> Vec<Problem> {
    let mut walk = Walk { references, bytes, problems: Vec::new() };
    walk.fields(params, args, &Pointer::default(), "argument");
    walk.given_as_bytes(params, args);
    walk.problems
}

struct Walk<'a> {
    bytes: &'a [(String, Bytes)],
    references: References,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn given_as_bytes(&mut self, params: &[Field], args: &Map<String, Value>) {
        for (place, (name, _)) in self.bytes.iter().enumerate() {
            let param = params.iter().find(|param| param.json == *name);
            let twice = given(args, name).iter().any(Option::is_some)
                || self.bytes[..place].iter().any(|it| it.0 == *name);
            let message = match param {
                None => "unknown argument, given as bytes".to_owned(),
                Some(_) if twice => "given twice: as bytes, too".to_owned(),
                Some(param) if param.shape != Shape::Bytes => {
                    format!("expected {}, found bytes", expected(&param.shape))
                }
                Some(_) => continue,
            };
            self.problem(Pointer::default().child(name), message);
        }
    }

    /// Whether it is a parameter, which stands elsewhere.
    fn is_beside(&self, field: &Field, at: &Pointer) -> bool {
        at.as_str().is_empty() && self.bytes.iter().any(|(name, _)| *name == field.json)
    }

    fn problem(&mut self, at: Pointer, message: String) {
        self.problems.push(Problem { at, message });
    }

    fn value(&mut self, shape: &Shape, value: &Value, at: &Pointer) {
        if self.problems.len() >= MOST_PROBLEMS
            || (self.references == References::Fit && Reference::is_reference(value))
        {
            return;
        }
        match (shape, value) {
            (Shape::Option(some), value) => match some_of(some, value) {
                Some(None) => {}
                Some(Some(value)) => self.value(some, value, at),
                None => self.mismatch(shape, value, at),
            },
            (Shape::List(item), Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    // A pointer per item only where one can be needed.
                    if !fits_plainly(item, value) {
                        self.value(item, value, &at.child(index));
                    }
                }
            }
            (Shape::Tuple(items), Value::Array(values)) if items.len() == values.len() => {
                for (index, (item, value)) in items.iter().zip(values).enumerate() {
                    self.value(item, value, &at.child(index));
                }
            }
            (Shape::Record(fields), Value::Object(object)) => {
                self.fields(fields, object, at, "field");
            }
            (Shape::Variant(cases), value) => self.case(cases, shape, value, at),
            (Shape::Result(cases), value) => self.case(&**cases, shape, value, at),
            (Shape::Flags(cases), Value::Array(values)) => self.flags(cases, values, at),
            _ if fits_plainly(shape, value) => {}
            _ => self.mismatch(shape, value, at),
        }
    }

    fn fields(
        &mut self,
        fields: &[Field],
        object: &Map<String, Value>,
        at: &Pointer,
        what: &'static str,
    ) {
        for field in fields {
            match given(object, &field.json) {
                [Some(_), Some((name, _))] => {
                    self.problem(at.child(name), format!("given twice: as {:?}, too", field.json));
                }
                [Some((name, value)), None] | [None, Some((name, value))] => {
                    // A pointer only where one can be needed.
                    if !fits_plainly(&field.shape, value) {
                        self.value(&field.shape, value, &at.child(name));
                    }
                }
                [None, None] if field.optional() || self.is_beside(field, at) => {}
                [None, None] => {
                    let message = format!("missing: expected {}", expected(&field.shape));
                    self.problem(at.child(&field.json), message);
                }
            }
        }
        let known = |key: &str| fields.iter().any(|field| field.is_called(key));
        for key in object.keys().filter(|key| !known(key)).take(MOST_PROBLEMS) {
            let names = fields.iter().map(|field| field.json.as_str());
            let hint = match similar(key, names.clone()) {
                Some(name) => format!("did you mean {name:?}?"),
                None if fields.is_empty() => "none is taken".to_owned(),
                None => format!("it takes {}", names.collect::<Vec<_>>().join(", ")),
            };
            self.problem(at.child(key), format!("unknown {what}; {hint}"));
        }
    }

    fn case(&mut self, cases: &[Case], shape: &Shape, value: &Value, at: &Pointer) {
        match case_of(cases, value) {
            Some((_, None)) => {}
            Some((case, Some(payload))) => {
                if let Some(shape) = &case.payload {
                    self.value(shape, payload, &at.child(&case.json));
                }
            }
            None => self.mismatch(shape, value, at),
        }
    }

    fn flags(&mut self, cases: &[Case], values: &[Value], at: &Pointer) {
        for (index, value) in values.iter().enumerate() {
            if self.references == References::Fit && Reference::is_reference(value) {
                continue;
            }
            let named = value.as_str().filter(|name| cases.iter().any(|case| case.json == *name));
            if named.is_none() {
                self.mismatch(&Shape::Enum(cases.to_vec()), value, &at.child(index));
            } else if values[..index].contains(value) {
                self.problem(at.child(index), format!("the flag {value} is named twice"));
            }
            if self.problems.len() >= MOST_PROBLEMS {
                return;
            }
        }
    }

    fn mismatch(&mut self, shape: &Shape, value: &Value, at: &Pointer) {
        let message = format!("expected {}, got {}", expected(shape), describe(value));
        self.problem(at.clone(), message);
    }
}

/// Whether a value fits a shape that has no parts with places of their own. No reference does.
fn fits_plainly(shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Bool => value.is_boolean(),
        Shape::F32 => float64(value).and_then(single).is_some(),
        Shape::F64 => float64(value).is_some(),
        Shape::Char => value.as_str().and_then(character).is_some(),
        Shape::String => value.is_string(),
        Shape::Bytes => value.as_str().is_some_and(|text| BASE64.decode(text).is_ok()),
        Shape::Enum(cases) => {
            value.as_str().is_some_and(|name| cases.iter().any(|case| case.json == name))
        }
        Shape::Option(some) => match some_of(some, value) {
            Some(some_value) => some_value.is_none_or(|value| fits_plainly(some, value)),
            None => false,
        },
        _ => integer(shape, value).is_some(),
    }
}

/// The integer that `value` is, if it is one in the range of `shape`.
fn integer(shape: &Shape, value: &Value) -> Option<i128> {
    let integer = match value {
        Value::Number(number) => {
            let signed = number.as_i64().map(i128::from);
            let integer = signed.or_else(|| number.as_u64().map(i128::from));
            integer.or_else(|| whole(number.as_f64()?))?
        }
        Value::String(text) => digits(shape, text)?,
        _ => return None,
    };
    in_range(shape, integer)
}

/// The integer, if the shape is one of integers and has it.
pub fn in_range(shape: &Shape, integer: i128) -> Option<i128> {
    let (least, greatest) = shape.range()?;
    (least..=greatest).contains(&integer).then_some(integer)
}

/// `5.0` and `1e3` are integers in JSON Schema; beyond 2^53 they are not exact.
pub fn whole(float: f64) -> Option<i128> {
    (float.fract() == 0.0 && float.abs() < MAX_SAFE as f64).then_some(float as i128)
}

/// The integer that text is, where it may be text: of those that are not exact as numbers.
pub fn digits(shape: &Shape, text: &str) -> Option<i128> {
    let signed = match shape {
        Shape::S64 => true,
        Shape::U64 => false,
        _ => return None,
    };
    let digits = text.strip_prefix('-').filter(|_| signed).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| decimal)
}

/// Integers beyond this are not exact in the floating-point numbers that JSON readers use.
pub const MAX_SAFE: i64 = 1 << 53;

fn float64(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => named_float(text),
        _ => None,
    }
}

/// Those that JSON has no numbers for.
pub fn named_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A finite number that only fits an f64 is none: it would silently become infinite.
pub fn single(double: f64) -> Option<f32> {
    let single = double as f32;
    (single.is_finite() || !double.is_finite()).then_some(single)
}

pub fn character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

/// The value inside an option of `some`: `None` if `value` is not an option's at all.
fn some_of<'v>(some: &Shape, value: &'v Value) -> Option<Option<&'v Value>> {
    match value {
        Value::Null => Some(None),
        value if !some.nullable() => Some(Some(value)),
        Value::Object(object) if object.len() == 1 => object.get("some").map(Some),
        _ => None,
    }
}

/// The case that `value` spells, with its payload: `"case"` or `{"case": payload}`.
fn case_of<'s, 'v>(cases: &'s [Case], value: &'v Value) -> Option<(&'s Case, Option<&'v Value>)> {
    let (name, payload) = match value {
        Value::String(name) => (name, None),
        Value::Object(object) if object.len() == 1 => {
            let (name, payload) = object.iter().next()?;
            (name, Some(payload))
        }
        _ => return None,
    };
    let case = cases.iter().find(|case| case.json == *name)?;
    (case.payload.is_some() == payload.is_some()).then_some((case, payload))
}

/// A few words for a message: what fits the shape.
pub fn expected(shape: &Shape) -> String {
    let list = |cases: &[Case]| {
        cases.iter().map(|case| format!("{:?}", case.json)).collect::<Vec<_>>().join(", ")
    };
    let variant = |cases: &[Case]| {
        let spelt = cases.iter().map(|case| match case.payload {
            Some(_) => format!("{{{:?}: ..}}", case.json),
            None => format!("{:?}", case.json),
        });
        format!("one of {}", spelt.collect::<Vec<_>>().join(", "))
    };
    match shape {
        Shape::Bool => "a boolean".to_owned(),
        Shape::F32 => "a number that fits 32 bits".to_owned(),
        Shape::F64 => "a number".to_owned(),
        Shape::Char => "a string of one character".to_owned(),
        Shape::String => "a string".to_owned(),
        Shape::Bytes => "a base64 string".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Tuple(items) => format!("a list of exactly {}", items.len()),
        Shape::Record(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.json.as_str()).collect();
            format!("an object with {}", names.join(", "))
        }
        Shape::Variant(cases) => variant(cases),
        Shape::Result(cases) => variant(&**cases),
        Shape::Enum(cases) => format!("one of {}", list(cases)),
        Shape::Flags(cases) => format!("a list of {}", list(cases)),
        Shape::Option(some) if some.nullable() => "null or {\"some\": ..}".to_owned(),
        Shape::Option(some) => format!("{} or null", expected(some)),
        integer => {
            let (least, greatest) = integer.range().unwrap_or_default();
            format!("an integer from {least} to {greatest}")
        }
    }
}

/// The name that `key` is probably meant to be, if one is near.
pub fn similar<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Nobody mistypes at such length, and comparing takes the square of it.
    if key.len() > 64 {
        return None;
    }
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let key = plain(key);
    let near = names.map(|name| (strsim::normalized_damerau_levenshtein(&plain(name), &key), name));
    let best = near.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= 0.6).then_some(best.1)
}
