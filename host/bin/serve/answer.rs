//! Outcomes and reports as results of the protocol: text for the model, and the same as structured content.
//!
//! A string is given as it is and everything else as JSON, since a model reads escaped line ends badly.

use inorder::{Change, ErrorKind, Outcome, Report};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde_json::{Value, json};

use super::names::Names;
use super::schema::RESULT;

/// How the results of a tool are handed out: as its output schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Object,
    /// `{"result": ..}`
    Wrapped,
}

/// What a failed plugin wrote itself; more of it would bury the message.
const MOST_OUTPUT: usize = 4000;

pub fn of_call(outcome: Outcome, form: Form) -> CallToolResult {
    let value = match outcome.result {
        Ok(value) => value,
        Err(_) => return failed(&outcome),
    };
    let mut result =
        CallToolResult::success(vec![ContentBlock::text(text(&value, &outcome.changes))]);
    result.structured_content = Some(match form {
        Form::Object => value,
        Form::Wrapped => json!({ RESULT: value }),
    });
    result
}

/// A result that says what was wrong with a call before there was an outcome.
pub fn refused(message: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(message)])
}

/// A block for each call. It is an error only if no call was ok: whoever reads that something failed does it all again.
pub fn of_batch(mut report: Report, names: &Names) -> CallToolResult {
    for outcome in &mut report.results {
        outcome.tool = names.shown(&outcome.tool).to_owned();
    }
    let blocks = report.results.iter().map(|outcome| {
        let Outcome { id, tool, .. } = outcome;
        let (how, said) = match &outcome.result {
            Ok(value) => ("ok".to_owned(), text(value, &outcome.changes)),
            Err(error) => (error.kind.as_str().to_owned(), message(outcome)),
        };
        ContentBlock::text(format!("[{id}] {tool}: {how}\n{said}"))
    });
    let blocks = blocks.collect();
    let any_ok = report.results.iter().any(|outcome| outcome.result.is_ok());
    let mut result = match any_ok || report.results.is_empty() {
        true => CallToolResult::success(blocks),
        false => CallToolResult::error(blocks),
    };
    let mut structured = json!(report);
    let usage = without_usage(&mut structured);
    result.structured_content = Some(structured);
    result.meta = Some(meta("inorder/usage", usage));
    result
}

fn failed(outcome: &Outcome) -> CallToolResult {
    let mut blocks = vec![ContentBlock::text(message(outcome))];
    for (name, output) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        if !output.is_empty() {
            blocks.push(ContentBlock::text(format!("{name} of the tool:\n{}", end_of(output))));
        }
    }
    let mut result = CallToolResult::error(blocks);
    // Not as structured content, which would have to fit the schema of results.
    if let Err(error) = &outcome.result {
        result.meta = Some(meta("inorder/error", json!(error)));
    }
    result
}

/// Takes out what each call has used, for programs: some clients give structured content to the model.
fn without_usage(report: &mut Value) -> Value {
    let results = report["results"].as_array_mut().into_iter().flatten();
    results.filter_map(|result| result.as_object_mut()?.shift_remove("usage")).collect()
}

fn meta(key: &str, value: Value) -> MetaObject {
    MetaObject(JsonObject::from_iter([(key.to_owned(), value)]))
}

fn message(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(_) => String::new(),
        Err(error) => match &error.value {
            // The message has only its beginning.
            Some(value) if error.kind == ErrorKind::Tool && value.is_string() => {
                text(value, &outcome.changes)
            }
            _ => error.message.clone(),
        },
    }
}

fn text(value: &Value, changes: &[Change]) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null if changes.is_empty() => "done".to_owned(),
        Value::Null => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
        value => value.to_string(),
    }
}

fn line(change: &Change) -> String {
    match change {
        Change::Created(path) => format!("created {path}"),
        Change::Modified(path) => format!("modified {path}"),
        Change::Removed(path) => format!("removed {path}"),
        Change::Renamed { from, to } => format!("renamed {from} to {to}"),
    }
}

fn end_of(output: &str) -> &str {
    let start = output.len().saturating_sub(MOST_OUTPUT);
    let start = (start..=output.len()).find(|&it| output.is_char_boundary(it));
    &output[start.unwrap_or(output.len())..]
}
