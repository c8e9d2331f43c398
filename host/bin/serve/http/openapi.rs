//! The OpenAPI document of what is served besides the protocol, with the schema of a batch from those of the loaded tools.
//!
//! Schema in, document out: knows neither hosts nor requests.

use serde_json::{Map, Value, json};

use super::super::schema;

/// Whether clients have to send a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Open,
    Token,
}

/// `tools` are names and the schemas of their arguments.
pub fn document<'a>(tools: impl Iterator<Item = (&'a str, Value)>, access: Access) -> Value {
    let (batch, reference) = batch(tools);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "inorder",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs batches of tool calls in parallel, with the result of running them one at a time, in order. The Model Context Protocol is spoken at /mcp, and not described here.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": {
            "/v1/batch": { "post": run() },
            "/openapi.json": { "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": {
                    "200": answer("This document", &json!({ "type": "object" })),
                    "403": { "$ref": "#/components/responses/Forbidden" },
                },
            } },
            "/health": { "get": {
                "operationId": "health",
                "summary": "Whether the process is up",
                "security": [],
                "responses": { "200": answer("It is", &status(&["ok"])) },
            } },
            "/ready": { "get": {
                "operationId": "ready",
                "summary": "Whether calls are taken",
                "security": [],
                "responses": {
                    "200": answer("They are", &status(&["ready"])),
                    "503": answer("The server is shutting down", &status(&["stopping"])),
                },
            } },
        },
        "components": {
            "schemas": {
                "Batch": batch,
                "Reference": reference,
                "Message": message(),
                "Report": report(),
                "Outcome": outcome(),
                "CallError": call_error(),
                "Change": change(),
                "Usage": usage(),
                "Error": error(),
            },
            "responses": {
                "Forbidden": failed("The `Host` or the `Origin` is not one that this server knows"),
            },
        },
    });
    if access == Access::Token {
        document["security"] = json!([{ "token": [] }]);
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        let mut refused = failed("No token, or another one");
        refused["headers"] = json!({ "WWW-Authenticate": { "schema": { "type": "string" } } });
        document["components"]["responses"]["Unauthorized"] = refused;
        for (path, method) in [("/v1/batch", "post"), ("/openapi.json", "get")] {
            document["paths"][path][method]["responses"]["401"] =
                json!({ "$ref": "#/components/responses/Unauthorized" });
        }
    }
    document
}

fn run() -> Value {
    let flag = |name: &str, description: &str| {
        json!({
            "name": name, "in": "query", "description": description, "allowEmptyValue": true,
            "schema": { "type": "boolean", "default": false },
        })
    };
    let one_of = |name: &str, values: &[&str], description: &str| {
        json!({
            "name": name, "in": "query", "description": description,
            "schema": { "type": "string", "enum": values },
        })
    };
    let formats = ["native", "anthropic", "openai-chat", "openai-responses", "gemini"];
    json!({
        "operationId": "run_batch",
        "summary": "Run a batch",
        "description": "Calls run in parallel, with the result of running them one at a time, in order. A call that fails is part of the report, and so is one of a tool that does not exist; the status is 200 whenever the batch was run. It is cancelled when the client closes the connection.",
        "parameters": [
            one_of("format", &formats, "What the body is written in; found by itself where it is left out"),
            one_of("answer", &["report", "message"], "For the message of a model: the report, or the message to send back, which is what comes where it is left out. A batch is answered by its report"),
            flag("dry_run", "Change nothing, and tell what would be changed, in `diff`"),
            flag("atomic", "Change files only if every call is ok, and then all at once; with `dry_run`, nothing is"),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "anyOf": [{ "$ref": "#/components/schemas/Batch" }, { "$ref": "#/components/schemas/Message" }],
        } } } },
        "responses": {
            "200": answer("It was run: the report, or the message to send back", &json!({
                "anyOf": [{ "$ref": "#/components/schemas/Report" }, { "$ref": "#/components/schemas/Message" }],
            })),
            "204": { "description": "The message has no calls: there is nothing to send back" },
            "400": failed("The batch cannot be ordered, or is none: nothing was run. `message` is to be sent back, if it was a model's"),
            "403": { "$ref": "#/components/responses/Forbidden" },
            "408": failed("The body did not come in time"),
            "413": failed("The body is too large"),
            "415": failed("The body is not said to be application/json"),
            "500": failed("The host failed"),
            "503": failed("Too many calls have not ended, or the server is shutting down: nothing was run"),
        },
    })
}

/// Those of a batch, and of a reference in it.
fn batch<'a>(tools: impl Iterator<Item = (&'a str, Value)>) -> (Value, Value) {
    let mut batch = schema::batch(tools);
    let reference = batch.remove("$defs").map(|mut it| it["from"].take()).unwrap_or_default();
    let mut batch = Value::Object(batch);
    refer(&mut batch);
    (batch, reference)
}

/// References within a schema by itself, as references within the document.
fn refer(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" && to == "#/$defs/from" => {
                        *to = "#/components/schemas/Reference".to_owned();
                    }
                    value => refer(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer),
        _ => {}
    }
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn failed(description: &str) -> Value {
    answer(description, &json!({ "$ref": "#/components/schemas/Error" }))
}

fn status(values: &[&str]) -> Value {
    object(&json!({ "status": { "type": "string", "enum": values } }), &["status"])
}

fn message() -> Value {
    json!({
        "description": "A message of a model's API with calls in it, the whole response, or the bare list of calls; and what answers it there",
        "anyOf": [{ "type": "object" }, { "type": "array" }],
    })
}

fn report() -> Value {
    let no = object(&json!({ "because": { "type": "string" } }), &["because"]);
    let not = object(&json!({ "no": no }), &["no"]);
    let fields = json!({
        "results": {
            "description": "one for each call, in the order of the batch",
            "type": "array", "items": { "$ref": "#/components/schemas/Outcome" },
        },
        "elapsed_ms": { "type": "number" },
        "committed": {
            "description": "of an atomic batch: whether its changes were made",
            "anyOf": [{ "const": "yes" }, not],
        },
        "diff": { "description": "of a dry run: what would change, as a unified diff", "type": "string" },
    });
    object(&fields, &["results", "elapsed_ms"])
}

fn outcome() -> Value {
    let fields = json!({
        "id": { "type": "string" },
        "tool": { "type": "string" },
        "status": { "type": "string", "enum": ["ok", "error", "skipped"] },
        "value": { "description": "the result, if `status` is ok" },
        "error": { "$ref": "#/components/schemas/CallError" },
        "changes": { "type": "array", "items": { "$ref": "#/components/schemas/Change" } },
        "stdout": { "type": "string" },
        "stderr": { "type": "string" },
        "usage": { "$ref": "#/components/schemas/Usage" },
    });
    object(&fields, &["id", "tool", "status", "usage"])
}

fn call_error() -> Value {
    let fields = json!({
        "kind": { "type": "string" },
        "message": { "type": "string" },
        "value": { "description": "the tool's own error" },
        "because": { "description": "the call whose failure this one is skipped for", "type": "string" },
    });
    object(&fields, &["kind", "message"])
}

fn change() -> Value {
    let path = |name: &str| object(&json!({ name: { "type": "string" } }), &[name]);
    let ends = json!({ "from": { "type": "string" }, "to": { "type": "string" } });
    let renamed = object(&json!({ "renamed": object(&ends, &["from", "to"]) }), &["renamed"]);
    json!({ "oneOf": [path("created"), path("modified"), path("removed"), renamed] })
}

fn usage() -> Value {
    let number = json!({ "type": "number", "minimum": 0 });
    let whole = json!({ "type": "integer", "minimum": 0 });
    let fields = json!({
        "queued_ms": number, "run_ms": number, "commit_ms": number,
        "attempts": whole, "peak_memory": whole, "bytes_read": whole, "bytes_written": whole,
    });
    object(&fields, &["queued_ms", "run_ms", "commit_ms", "attempts"])
}

fn error() -> Value {
    let what = json!({
        "kind": { "type": "string" },
        "message": { "description": "what is wrong, and what would help", "type": "string" },
    });
    let fields = json!({
        "error": object(&what, &["kind", "message"]),
        "message": { "$ref": "#/components/schemas/Message" },
    });
    object(&fields, &["error"])
}

fn object(properties: &Value, required: &[&str]) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), properties.clone());
    object.insert("required".to_owned(), json!(required));
    object.insert("additionalProperties".to_owned(), json!(false));
    Value::Object(object)
}
