//! Shape -> JSON Schema (draft 2020-12): what `inorder tools` and `inspect` print, and clients validate by.
//!
//! `check` accepts what this describes, and `encode` gives nothing else.

use serde_json::{Map, Value, json};

use super::shape::{Case, Field, Shape};

pub fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::S8 | Shape::U8 | Shape::S16 | Shape::U16 | Shape::S32 | Shape::U32 => {
            let (least, greatest) = bounds(shape);
            json!({ "type": "integer", "minimum": least, "maximum": greatest })
        }
        Shape::S64 => json!({ "anyOf": [
            { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX },
            { "type": "string", "pattern": "^-?[0-9]+$" },
        ] }),
        Shape::U64 => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            { "type": "string", "pattern": "^[0-9]+$" },
        ] }),
        Shape::F32 | Shape::F64 => {
            json!({ "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
        }
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Shape::List(item) => json!({ "type": "array", "items": schema(item) }),
        Shape::Tuple(items) => json!({
            "type": "array",
            "prefixItems": items.iter().map(schema).collect::<Vec<_>>(),
            // Not `items: false`: to readers of older drafts, who do not know `prefixItems`, that is an empty list.
            "items": {},
            "minItems": items.len(),
            "maxItems": items.len(),
        }),
        Shape::Record(fields) => object(fields),
        Shape::Variant(cases) => one_of(cases),
        Shape::Result(cases) => one_of(&**cases),
        Shape::Enum(cases) => json!({ "type": "string", "enum": names(cases) }),
        Shape::Flags(cases) => json!({
            "type": "array",
            "items": { "type": "string", "enum": names(cases) },
            "uniqueItems": true,
        }),
        Shape::Option(some) if some.nullable() => json!({ "anyOf": [
            tagged("some", &schema(some)),
            { "type": "null" },
        ] }),
        Shape::Option(some) => json!({ "anyOf": [schema(some), { "type": "null" }] }),
    }
}

/// An object of `fields`, of which options may be absent.
pub fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.json.clone(), schema(&field.shape))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| !field.optional()).map(|field| field.json.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn bounds(shape: &Shape) -> (i64, i64) {
    let (least, greatest) = shape.range().unwrap_or((0, 0));
    (i64::try_from(least).unwrap_or(i64::MIN), i64::try_from(greatest).unwrap_or(i64::MAX))
}

fn one_of(cases: &[Case]) -> Value {
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| match &case.payload {
            Some(payload) => tagged(&case.json, &schema(payload)),
            None => json!({ "const": case.json }),
        })
        .collect();
    json!({ "oneOf": cases })
}

fn tagged(case: &str, payload: &Value) -> Value {
    json!({
        "type": "object",
        "properties": { case: payload },
        "required": [case],
        "additionalProperties": false,
    })
}

fn names(cases: &[Case]) -> Vec<&str> {
    cases.iter().map(|case| case.json.as_str()).collect()
}
