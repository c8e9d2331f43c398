//! JSON text that nearly fits a shape: fields in any order, left out, twice or unknown; numbers and strings as nobody would
//! write them.

use arbitrary::{Result, Unstructured};

use crate::plugin::{Case, Field, Shape, camel_case};

use super::values::fitting;

/// Whether it fits is left to chance; that it is JSON is likely.
pub fn spelt(shape: &Shape, u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 24)? {
        return Ok((*u.choose(&ODD)?).to_owned());
    }
    Ok(match shape {
        Shape::List(item) => {
            let count = u.int_in_range(0..=3)?;
            let items = (0..count).map(|_| spelt(item, u));
            list(&items.collect::<Result<Vec<_>>>()?)
        }
        Shape::Tuple(items) => {
            let mut items = items.iter().map(|it| spelt(it, u)).collect::<Result<Vec<_>>>()?;
            if u.ratio(1, 24)? && items.pop().is_none() {
                items.push("1".to_owned());
            }
            list(&items)
        }
        Shape::Record(fields) => record(fields, u)?,
        Shape::Variant(cases) => case(cases, u)?,
        Shape::Result(cases) => case(&**cases, u)?,
        Shape::Enum(cases) => quoted(&u.choose(cases)?.json),
        Shape::Flags(cases) => {
            let mut names = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                names.push(quoted(&u.choose(cases)?.json));
            }
            list(&names)
        }
        Shape::Option(_) if u.ratio(1, 4)? => "null".to_owned(),
        Shape::Option(some) if u.ratio(if some.nullable() { 1 } else { 23 }, 24)? => {
            spelt(some, u)?
        }
        Shape::Option(some) => object(&[("some", spelt(some, u)?)]),
        plain => {
            let value = fitting(plain, u)?.to_string();
            match u.int_in_range(0..=5)? {
                0 => format!(" {value}\n"),
                // Of most numbers another spelling.
                1 if !value.contains(['"', 'e', '.']) => format!("{value}.0"),
                2 if !value.contains(['"', 'e']) => format!("{value}e1"),
                _ => value,
            }
        }
    })
}

const ODD: [&str; 32] = [
    "null",
    "true",
    "{}",
    "[]",
    "0",
    "-0",
    "-1",
    "5.0",
    "1e3",
    "0.1",
    "1e-400",
    "1e400",
    "3.5e38",
    "9007199254740993.0",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    r#""18446744073709551615""#,
    r#""18446744073709551616""#,
    r#""-9223372036854775808""#,
    r#""+1""#,
    r#""-""#,
    r#""NaN""#,
    r#""-Infinity""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""QQ""#,
    r#""QQ==""#,
    r#""Q""#,
    r#"{"some": null}"#,
    r#"{"some": {"some": 1}}"#,
    r#"{"$from": 1}"#,
];

fn record(fields: &[Field], u: &mut Unstructured<'_>) -> Result<String> {
    let mut parts = Vec::new();
    for field in fields {
        if u.ratio(1, if field.optional() { 3 } else { 48 })? {
            continue;
        }
        let camel = camel_case(&field.json);
        let name = |camel: &Option<String>, u: &mut Unstructured<'_>| match camel {
            Some(camel) if u.ratio(1, 3)? => Ok(camel.clone()),
            _ => Result::Ok(field.json.clone()),
        };
        parts.push((name(&camel, u)?, spelt(&field.shape, u)?));
        if u.ratio(1, 48)? {
            parts.push((name(&camel, u)?, spelt(&field.shape, u)?));
        }
    }
    if u.ratio(1, 48)? {
        parts.push(("other".to_owned(), "1".to_owned()));
    }
    if !parts.is_empty() {
        let first = u.choose_index(parts.len())?;
        parts.rotate_left(first);
    }
    let parts: Vec<_> = parts.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Ok(object(&parts))
}

fn case(cases: &[Case], u: &mut Unstructured<'_>) -> Result<String> {
    let case = u.choose(cases)?;
    let mut parts = match &case.payload {
        Some(payload) => vec![(case.json.as_str(), spelt(payload, u)?)],
        None if u.ratio(1, 24)? => vec![(case.json.as_str(), "null".to_owned())],
        None => return Ok(quoted(&case.json)),
    };
    if u.ratio(1, 24)? {
        parts.extend(parts.clone());
    } else if u.ratio(1, 24)? {
        return Ok(quoted(&case.json));
    }
    Ok(object(&parts))
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

fn object(fields: &[(&str, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{}: {value}", quoted(name)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn quoted(name: &str) -> String {
    // An escape where none is needed.
    match name.strip_prefix('s') {
        Some(rest) => format!("\"\\u0073{rest}\""),
        None => format!("\"{name}\""),
    }
}
