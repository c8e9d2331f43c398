//! OpenAI's Chat Completions API, and the many servers that speak it: `tool_calls` of an assistant's message, with their
//! arguments as text.

use serde_json::{Value, json};

use super::message::{Dialect, Found, Named, Wrong, take, take_list, take_text, whole};
use crate::batch::report::Outcome;

/// OpenAI's three, and those of Together, xAI and Hugging Face.
pub const WHOLE: [&str; 7] =
    ["stop", "tool_calls", "function_call", "eos", "end_turn", "eos_token", "stop_sequence"];

pub fn calls(message: Value) -> Result<Vec<Found>, Wrong> {
    let (items, stopped) = match message {
        Value::Array(items) => (items, None),
        message => of_message(message)?,
    };
    let mut calls = Vec::new();
    for (place, mut item) in items.into_iter().enumerate() {
        let id = take_text(&mut item, "id");
        if let Some(mut custom) = take(&mut item, "custom") {
            let tool = name(&mut custom, place)?;
            calls.push(Found::custom(id, tool, take_text(&mut custom, "input")));
            continue;
        }
        let mut function = take(&mut item, "function").ok_or_else(|| {
            Wrong::new(format!("`tool_calls[{place}]`"), "it has to have a `function`")
        })?;
        let tool = name(&mut function, place)?;
        calls.push(Found::function(id, tool, take(&mut function, "arguments")));
    }
    whole(calls, stopped, Dialect::Chat, "finish_reason")
}

fn name(function: &mut Value, place: usize) -> Result<String, Wrong> {
    let at = || format!("`tool_calls[{place}].function.name`");
    take_text(function, "name").ok_or_else(|| Wrong::new(at(), "it has to be text"))
}

/// The calls of a message, and why it ended, where that is said.
fn of_message(mut message: Value) -> Result<(Vec<Value>, Option<String>), Wrong> {
    if message.get("choices").is_some() {
        let choices = take_list(&mut message, "choices")
            .ok_or_else(|| Wrong::new("`choices`", "it has to be a list"))?;
        if choices.iter().any(|choice| choice.get("delta").is_some()) {
            let text =
                "this is a part of a stream: put all of them together to one response before";
            return Err(Wrong::new("`choices`", text));
        }
        let with_calls = |choice: &Value| {
            let message = &choice["message"];
            are_some(&message["tool_calls"]) || are_some(&message["function_call"])
        };
        let mut chosen = choices.into_iter().filter(with_calls);
        let Some(mut choice) = chosen.next() else { return Ok((vec![], None)) };
        if chosen.next().is_some() {
            return Err(Wrong::new(
                "`choices`",
                "several have calls: hand over the message of one",
            ));
        }
        let items = items(&mut choice["message"])?;
        return Ok((items, take_text(&mut choice, "finish_reason")));
    }
    Ok((items(&mut message)?, None))
}

/// What of the calls of a message says that it has some, or something in their place.
pub fn are_some(calls: &Value) -> bool {
    !calls.is_null() && calls.as_array().is_none_or(|it| !it.is_empty())
}

fn items(message: &mut Value) -> Result<Vec<Value>, Wrong> {
    let items = match take(message, "tool_calls") {
        None if are_some(&message["function_call"]) => {
            let text = "`tool_calls` have taken its place, and it has no id";
            return Err(Wrong::new("`function_call`", text));
        }
        None => vec![],
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Wrong::new("`tool_calls`", "it has to be a list")),
    };
    let refuses = take_text(message, "refusal").is_some_and(|it| !it.is_empty());
    if refuses && !items.is_empty() {
        return Err(Wrong::new("`refusal`", "the model refuses, so that none of its calls is run"));
    }
    Ok(items)
}

/// The API has no mark for an error, so that the text begins with one.
pub fn messages<'a>(results: impl Iterator<Item = (&'a Named, &'a Outcome)>) -> Value {
    let message = |(call, outcome): (&Named, &Outcome)| {
        json!({
            "role": "tool",
            "tool_call_id": call.id.as_ref().unwrap_or(&outcome.id),
            "content": marked(outcome),
        })
    };
    results.map(message).collect()
}

/// `error: ..`, of a call that failed.
pub fn marked(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(_) => outcome.text(),
        Err(_) => format!("error: {}", outcome.text()),
    }
}
