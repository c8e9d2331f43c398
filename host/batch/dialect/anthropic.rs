//! Anthropic's Messages API: `{"type": "tool_use", "id", "name", "input"}` blocks in the content of an assistant's message.

use serde_json::{Value, json};

use super::message::{Dialect, Found, Named, Wrong, take, take_list, take_text, whole};
use crate::batch::report::Outcome;

/// Not `pause_turn`: what the server was at is not done.
pub const WHOLE: [&str; 3] = ["end_turn", "tool_use", "stop_sequence"];

pub fn calls(mut message: Value) -> Result<Vec<Found>, Wrong> {
    let stopped = take_text(&mut message, "stop_reason");
    let blocks = match message {
        Value::Array(blocks) => blocks,
        // Content may be text alone.
        _ if message["content"].is_string() => vec![],
        _ if message["type"] == "tool_use" => vec![message],
        _ => take_list(&mut message, "content")
            .ok_or_else(|| Wrong::new("`content`", "it has to be a list of blocks"))?,
    };
    let mut calls = Vec::new();
    // Tools that the server itself runs have blocks of other types.
    let used = blocks.into_iter().enumerate().filter(|(_, block)| block["type"] == "tool_use");
    for (place, mut block) in used {
        let name = take_text(&mut block, "name")
            .ok_or_else(|| Wrong::new(format!("`content[{place}].name`"), "it has to be text"))?;
        let (id, input) = (take_text(&mut block, "id"), take(&mut block, "input"));
        calls.push(Found::function(id, name, input));
    }
    whole(calls, stopped, Dialect::Anthropic, "stop_reason")
}

/// Text, or a block of what is no text.
fn content(outcome: &Outcome) -> Value {
    let Some(media) = outcome.media() else { return json!(outcome.text()) };
    let block = match media {
        _ if media.is_picture() => "image",
        _ if media.is_pdf() => "document",
        _ => return json!(outcome.text()),
    };
    let source = json!({ "type": "base64", "media_type": media.mime_type, "data": media.data });
    json!([{ "type": block, "source": source }])
}

pub fn message<'a>(results: impl Iterator<Item = (&'a Named, &'a Outcome)>) -> Value {
    let block = |(call, outcome): (&Named, &Outcome)| {
        let mut block = json!({
            "type": "tool_result",
            "tool_use_id": call.id.as_ref().unwrap_or(&outcome.id),
            "content": content(outcome),
        });
        if outcome.result.is_err() {
            block["is_error"] = json!(true);
        }
        block
    };
    json!({ "role": "user", "content": results.map(block).collect::<Vec<_>>() })
}
