//! Outcomes and reports as results of the protocol: text for the model, and the same as structured content.

use inorder::{Media, Outcome, Report};
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
    /// As blocks alone: text as it is, or that it is done; a picture or a sound. Many clients give structured content to the model
    /// in place of blocks, and a file would be a string of JSON to be read, a picture base64.
    Blocks,
}

/// What a failed plugin wrote itself; more of it would bury the message.
const MOST_OUTPUT: usize = 4000;

pub fn of_call(outcome: Outcome, form: Form) -> CallToolResult {
    let block = block(&outcome);
    let value = match outcome.result {
        Ok(value) => value,
        Err(_) => return failed(&outcome),
    };
    let mut result = CallToolResult::success(vec![block]);
    result.structured_content = match form {
        Form::Object => Some(value.into_value()),
        Form::Wrapped => Some(json!({ RESULT: value })),
        Form::Blocks => None,
    };
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
    let blocks = report.results.iter().flat_map(|outcome| {
        let Outcome { id, tool, .. } = outcome;
        let how = outcome.result.as_ref().map_or_else(|error| error.kind.as_str(), |_| "ok");
        let head = format!("[{id}] {tool}: {how}\n");
        match block(outcome) {
            ContentBlock::Text(it) => vec![ContentBlock::text(head + &it.text)],
            other => vec![ContentBlock::text(head), other],
        }
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

/// What it gave, or what was wrong.
fn block(outcome: &Outcome) -> ContentBlock {
    match outcome.media().filter(Media::is_of_its_type) {
        Some(Media { mime_type, data }) if mime_type.starts_with("image/") => {
            ContentBlock::image(data, mime_type)
        }
        Some(Media { mime_type, data }) if mime_type.starts_with("audio/") => {
            ContentBlock::audio(data, mime_type)
        }
        _ => ContentBlock::text(outcome.text()),
    }
}

fn failed(outcome: &Outcome) -> CallToolResult {
    let mut blocks = vec![ContentBlock::text(outcome.text())];
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

fn end_of(output: &str) -> &str {
    let start = output.len().saturating_sub(MOST_OUTPUT);
    let start = (start..=output.len()).find(|&it| output.is_char_boundary(it));
    &output[start.unwrap_or(output.len())..]
}
