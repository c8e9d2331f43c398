//! The tool `run_batch`: several calls in one go, where one may use the results of earlier ones.
//!
//! To batches and single calls beside it, every call of a batch is one step: none is lost, but which of them comes first is
//! not promised. Whatever was answered before a batch is sent, it sees.

use inorder::{Batch, Host, RunOptions};
use rmcp::model::{CallToolResult, JsonObject};
use serde_json::Value;

use super::answer;
use super::names::Names;
use super::progress::Progress;

pub const NAME: &str = "run_batch";
pub const TITLE: &str = "Run several tools in one go";

/// What teaches a model to use it. `has` tells which tools there are, for the example.
pub fn description(has: impl Fn(&str) -> bool) -> String {
    let example = if has("search_files") && has("read_text_file") {
        r#"{"calls": [{"id": "find", "tool": "search_files", "args": {"path": ".", "pattern": "*.md"}}, {"tool": "read_text_file", "args": {"path": {"$from": "find", "at": "/0/path"}}}]}"#
    } else {
        r#"{"calls": [{"id": "a", "tool": "..", "args": {..}}, {"tool": "..", "args": {"path": {"$from": "a", "at": "/0/path"}}}]}"#
    };
    format!(
        "Run several tool calls in one go, instead of one answer each: also calls that need the results of others. They run \
         in parallel, with the result of running them one at a time, in this order. Where an argument is not known yet, write \
         {{\"$from\": id or 1-based place of an earlier call, \"at\": JSON Pointer into its result}}; without \"at\" it is the \
         whole result (for {{\"result\": x}} the result is x). If a call fails the others still run, but those that use its \
         result are skipped. Example: {example}"
    )
}

/// Runs a batch to its end, with its tools named as clients see them.
pub async fn run(
    host: &Host,
    names: &Names,
    arguments: JsonObject,
    mut options: RunOptions,
    mut progress: Progress,
) -> CallToolResult {
    let plan = match parse(names, arguments).and_then(|batch| host.plan(batch)) {
        Ok(plan) => plan,
        Err(error) => return answer::refused(format!("nothing was run: {error}")),
    };
    let tools: Vec<String> =
        plan.calls().iter().map(|call| names.shown(&call.tool).to_owned()).collect();
    let (told, telling) = progress.of_batch(tools);
    options.progress = told;
    let (report, ()) = tokio::join!(host.execute(plan, options), telling);
    answer::of_batch(report, names)
}

fn parse(names: &Names, arguments: JsonObject) -> Result<Batch, inorder::Error> {
    // By its text, so that what is wrong with it is told as for any other batch.
    let text = Value::Object(arguments).to_string();
    let mut batch = Batch::from_json(text.as_bytes())?;
    with_real_names(names, &mut batch);
    Ok(batch)
}

/// Tools as the host names them, instead of as clients and models see them.
pub fn with_real_names(names: &Names, batch: &mut Batch) {
    for call in &mut batch.calls {
        if let Some(real) = names.real(&call.tool) {
            call.tool = real.to_owned();
        }
    }
}
