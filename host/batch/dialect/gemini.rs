//! Gemini's API: `{"functionCall": {"id"?, "name", "args"}}` parts in the content of a candidate.
//!
//! Results are paired by their ids where there are some, else by their order, which is that of the calls.

use serde_json::{Value, json};

use super::message::{Dialect, Found, Named, Wrong, take, take_list, take_text, whole};
use crate::batch::media::Media;
use crate::batch::report::Outcome;

/// The second as libraries number it.
pub const WHOLE: [&str; 2] = ["STOP", "1"];

pub fn calls(message: Value) -> Result<Vec<Found>, Wrong> {
    let (parts, stopped) = match message {
        Value::Array(parts) => (parts, None),
        message => of_message(message)?,
    };
    let mut calls = Vec::new();
    for (place, mut part) in parts.into_iter().enumerate() {
        let Some(mut call) = either(&mut part, CALL) else { continue };
        if either(&mut call, ["willContinue", "will_continue"]) == Some(json!(true)) {
            let text = "it is a part of a call that is streamed: put all of them together before";
            return Err(Wrong::new(format!("`parts[{place}].functionCall`"), text));
        }
        let at = || format!("`parts[{place}].functionCall.name`");
        let tool =
            take_text(&mut call, "name").ok_or_else(|| Wrong::new(at(), "it has to be text"))?;
        let id = take_text(&mut call, "id");
        calls.push(Found::function(id, tool, take(&mut call, "args")));
    }
    whole(calls, stopped, Dialect::Gemini, "finishReason")
}

/// The parts of a message, and why it ended, where that is said.
fn of_message(mut message: Value) -> Result<(Vec<Value>, Option<String>), Wrong> {
    if has_call(&message) {
        return Ok((vec![message], None));
    }
    if message.get("candidates").is_some() {
        let candidates = take_list(&mut message, "candidates")
            .ok_or_else(|| Wrong::new("`candidates`", "it has to be a list"))?;
        let calls = |candidate: &Value| {
            let parts = candidate["content"]["parts"].as_array();
            parts.is_some_and(|it| it.iter().any(has_call))
        };
        let mut chosen = candidates.into_iter().filter(calls);
        let Some(mut candidate) = chosen.next() else { return Ok((vec![], None)) };
        if chosen.next().is_some() {
            let text = "several have calls: hand over the content of one";
            return Err(Wrong::new("`candidates`", text));
        }
        let parts = take_list(&mut candidate["content"], "parts").unwrap_or_default();
        let stopped = FINISH.iter().find_map(|name| take_text(&mut candidate, name));
        return Ok((parts, stopped));
    }
    let parts = take_list(&mut message, "parts");
    let parts = parts.ok_or_else(|| Wrong::new("`parts`", "it has to be a list of parts"))?;
    Ok((parts, None))
}

/// Both spellings are in use.
const CALL: [&str; 2] = ["functionCall", "function_call"];
const FINISH: [&str; 2] = ["finishReason", "finish_reason"];

fn has_call(part: &Value) -> bool {
    CALL.iter().any(|name| part.get(name).is_some())
}

fn either(object: &mut Value, names: [&str; 2]) -> Option<Value> {
    names.iter().find_map(|name| take(object, name))
}

/// As the API has it of results; everything else, it refuses.
fn is_taken(media: &Media) -> bool {
    media.is_pdf() || media.is_picture() && media.mime_type != "image/gif"
}

pub fn content<'a>(results: impl Iterator<Item = (&'a Named, &'a Outcome)>) -> Value {
    let part = |(call, outcome): (&Named, &Outcome)| {
        let media = outcome.media().filter(is_taken);
        // It has to be an object, in which these two names mean what they say.
        let response = match &outcome.result {
            Ok(_) if media.is_some() => json!({ "output": "attached" }),
            Ok(json) if json.is_null() => json!({ "output": outcome.text() }),
            Ok(json) => json!({ "output": json }),
            Err(_) => json!({ "error": outcome.text() }),
        };
        let mut answer = json!({ "name": call.tool, "response": response });
        if let Some(media) = media {
            let blob = json!({ "mimeType": media.mime_type, "data": media.data });
            answer["parts"] = json!([{ "inlineData": blob }]);
        }
        if let Some(id) = &call.id {
            answer["id"] = json!(id);
        }
        json!({ "functionResponse": answer })
    };
    json!({ "role": "user", "parts": results.map(part).collect::<Vec<_>>() })
}
