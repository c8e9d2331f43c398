//! OpenAI's Responses API: `{"type": "function_call", "call_id", "name", "arguments"}` items in the output of a response, and
//! `custom_tool_call` items, whose `input` is text.

use serde_json::{Value, json};

use super::chat::marked;
use super::message::{Dialect, Found, Named, Wrong, take, take_list, take_text, whole};
use crate::batch::media::Media;
use crate::batch::report::Outcome;

/// Of a response, and of an item.
pub const WHOLE: [&str; 1] = ["completed"];

pub fn calls(mut message: Value) -> Result<Vec<Found>, Wrong> {
    let mut stopped = take_text(&mut message, "status");
    let items = match message {
        Value::Array(items) => items,
        _ if is_call(&message) => vec![message],
        _ => take_list(&mut message, "output")
            .ok_or_else(|| Wrong::new("`output`", "it has to be a list of items"))?,
    };
    let mut calls = Vec::new();
    let called = items.into_iter().enumerate().filter(|(_, item)| is_call(item));
    for (place, mut item) in called {
        let tool = take_text(&mut item, "name")
            .ok_or_else(|| Wrong::new(format!("`output[{place}].name`"), "it has to be text"))?;
        // `id` is the item's own, by which no result is told apart.
        let id = take_text(&mut item, "call_id");
        if let Some(status) = take_text(&mut item, "status").filter(|it| !WHOLE.contains(&&**it)) {
            stopped = Some(status);
        }
        calls.push(match item["type"] == CUSTOM {
            true => Found::custom(id, tool, take_text(&mut item, "input")),
            false => Found::function(id, tool, take(&mut item, "arguments")),
        });
    }
    whole(calls, stopped, Dialect::Responses, "status")
}

/// The calls of OpenAI's own tools that whoever asked has to answer, and that are none of ours.
const OTHERS: [&str; 5] =
    ["apply_patch_call", "computer_call", "local_shell_call", "mcp_approval_request", "shell_call"];

pub fn unanswered(message: &Value) -> Vec<&'static str> {
    let items = message.as_array().or_else(|| message["output"].as_array());
    let has = |kind: &&str| items.is_some_and(|items| items.iter().any(|it| it["type"] == *kind));
    OTHERS.into_iter().filter(has).collect()
}

const CUSTOM: &str = "custom_tool_call";

fn is_call(item: &Value) -> bool {
    item["type"] == "function_call" || item["type"] == CUSTOM
}

pub fn items<'a>(results: impl Iterator<Item = (&'a Named, &'a Outcome)>) -> Value {
    let item = |(call, outcome): (&Named, &Outcome)| {
        let output = match outcome.media().filter(Media::is_picture) {
            Some(media) => json!([{ "type": "input_image", "image_url": media.url() }]),
            None => json!(marked(outcome)),
        };
        json!({
            "type": if call.custom { "custom_tool_call_output" } else { "function_call_output" },
            "call_id": call.id.as_ref().unwrap_or(&outcome.id),
            "output": output,
        })
    };
    results.map(item).collect()
}
