//! JSON Schemas as the protocol wants them: results are objects, and a batch is described by the tools it may call.
//!
//! Schema in, schema out: knows neither the protocol's types nor what is loaded.

use serde_json::{Map, Value, json};

/// What is put around a result that is no object.
pub const RESULT: &str = "result";

/// Whether results of this schema are handed out as they are. The others are wrapped: `{"result": ..}`.
pub fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
}

/// Whether results of this schema are text, or nothing: to tell it is to hand it out.
pub fn is_told(schema: &Value) -> bool {
    ["string", "null"].iter().any(|it| *schema == json!({ "type": it }))
}

/// The schema of what is handed out for a result of `schema`.
pub fn wrapped(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(schema) if schema.get("type").is_some_and(|it| it == "object") => schema,
        other => fields(json!({
            "type": "object",
            "properties": { RESULT: other },
            "required": [RESULT],
            "additionalProperties": false,
        })),
    }
}

/// The schema of a batch of calls of these tools, each a name and the schema of its arguments.
///
/// Clients that read only `type` and `properties` still see what a call is made of: the tools' own schemas are in the
/// `anyOf` beside them.
pub fn batch<'a>(tools: impl Iterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    let (mut names, mut each) = (Vec::new(), Vec::new());
    for (name, mut args) in tools {
        let needs = args["required"].as_array().is_some_and(|required| !required.is_empty());
        without_descriptions(&mut args);
        within(&mut args);
        names.push(name);
        let mut call = json!({ "properties": { "tool": { "const": name }, "args": args } });
        if needs {
            call["required"] = json!(["args"]);
        }
        each.push(call);
    }
    let mut call = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "a name of yours for this call, for $from and after" },
            "tool": { "type": "string", "enum": names },
            "args": {
                "type": "object",
                "description": "the tool's arguments; any value in them may be {\"$from\": .., \"at\": ..} instead",
            },
            "after": {
                "type": "array",
                "items": { "type": ["string", "integer"] },
                "description": "earlier calls, by id or place, that must have ended first",
            },
            "limits": { "type": "object", "description": "lower limits for this call: {\"timeout\": \"2s\"}" },
        },
        "required": ["tool"],
        "additionalProperties": false,
    });
    if !each.is_empty() {
        call["anyOf"] = Value::Array(each);
    }
    fields(json!({
        "type": "object",
        "properties": { "calls": {
            "type": "array",
            "items": call,
            "description": "in the order in which they are to take effect",
        } },
        "required": ["calls"],
        "additionalProperties": false,
        "$defs": { "from": reference() },
    }))
}

/// The schema of a tool's arguments, where any of them may be a reference to an earlier call of the same response.
pub fn with_references(mut arguments: Value) -> Value {
    within(&mut arguments);
    let mut from = reference();
    from["description"] = json!(
        "instead of a value: the result of an earlier call of this response, by its 1-based place, or the part of it that a \
         JSON Pointer names"
    );
    arguments["$defs"] = json!({ "from": from });
    arguments
}

fn reference() -> Value {
    json!({
        "type": "object",
        "properties": {
            "$from": { "type": ["string", "integer"] },
            "at": { "type": "string" },
        },
        "required": ["$from"],
        "additionalProperties": false,
    })
}

/// The schema of a batch's report.
pub fn report() -> Map<String, Value> {
    fields(json!({
        "type": "object",
        "properties": {
            "results": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "tool": { "type": "string" },
                    "status": { "type": "string", "enum": ["ok", "error", "skipped"] },
                    "value": {},
                    "error": {
                        "type": "object",
                        "properties": { "kind": { "type": "string" }, "message": { "type": "string" } },
                        "required": ["kind", "message"],
                    },
                },
                "required": ["id", "tool", "status"],
            } },
            "elapsed_ms": { "type": "number" },
        },
        "required": ["results", "elapsed_ms"],
    }))
}

/// Lets a reference stand for any value within `schema`, but not for the value of `schema` itself.
fn within(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(or_reference);
    }
    if let Some(items) = schema.get_mut("items").filter(|it| **it != json!({})) {
        or_reference(items);
    }
    if let Some(Value::Array(items)) = schema.get_mut("prefixItems") {
        items.iter_mut().for_each(or_reference);
    }
    for cases in ["anyOf", "oneOf"] {
        if let Some(Value::Array(cases)) = schema.get_mut(cases) {
            cases.iter_mut().for_each(within);
        }
    }
}

fn or_reference(schema: &mut Value) {
    within(schema);
    let reference = json!({ "$ref": "#/$defs/from" });
    match schema.as_object_mut() {
        Some(any) if any.len() == 1 && any.contains_key("anyOf") => {
            if let Some(Value::Array(cases)) = any.get_mut("anyOf") {
                cases.push(reference);
            }
        }
        _ => *schema = json!({ "anyOf": [schema.take(), reference] }),
    }
}

/// They are read where the tool itself is listed.
fn without_descriptions(schema: &mut Value) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        property.remove("description");
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(required: bool) -> Value {
        let required: &[&str] = if required { &["text"] } else { &[] };
        json!({
            "type": "object",
            "properties": { "text": { "type": "string" }, "tags": { "type": "array", "items": { "type": "string" } } },
            "required": required,
            "additionalProperties": false,
        })
    }

    #[test]
    fn a_batch_is_described_by_its_tools_with_references_at_any_depth() {
        let tools = [("one", text(true)), ("two", text(false))];
        let schema = Value::Object(batch(tools.into_iter()));
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("batch.json", schema).unwrap();
        let index = compiler.compile("batch.json", &mut schemas).unwrap();
        let from = json!({"$from": 1, "at": "/0"});
        for (call, fits) in [
            (json!({"tool": "one", "args": {"text": "x"}}), true),
            (json!({"tool": "one", "args": {"text": from}}), true),
            (json!({"tool": "one", "args": {"text": "x", "tags": [from, "y"]}}), true),
            (json!({"tool": "one", "args": {"text": "x", "tags": from}}), true),
            (json!({"id": "a", "tool": "two", "after": ["b", 1]}), true),
            (json!({"tool": "one"}), false),
            (json!({"tool": "one", "args": from}), false),
            (json!({"tool": "one", "args": {"text": 1}}), false),
            (json!({"tool": "one", "args": {"text": {"from": 1}}}), false),
            (json!({"tool": "none"}), false),
            (json!({"tool": "two", "arguments": {}}), false),
        ] {
            let valid = schemas.validate(&json!({"calls": [call]}), index).is_ok();
            assert_eq!(valid, fits, "{call}");
        }
    }

    #[test]
    fn results_that_are_no_objects_are_wrapped() {
        assert_eq!(wrapped(text(true)), fields(text(true)));
        let list = json!({"type": "array"});
        assert_eq!(wrapped(list)["properties"]["result"]["type"], "array");
    }

    #[test]
    fn text_and_nothing_are_told() {
        for (schema, told) in [
            (json!({"type": "string"}), true),
            (json!({"type": "null"}), true),
            (json!({"type": "string", "enum": ["a", "b"]}), false),
            (json!({"type": "string", "contentEncoding": "base64"}), false),
            (json!({"type": "object"}), false),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), false),
        ] {
            assert_eq!(is_told(&schema), told, "{schema}");
        }
    }
}
