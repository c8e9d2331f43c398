//! Which format a message is in, by the fields that only one of them has.

use serde_json::Value;

use super::chat::are_some;
use super::message::Dialect;

pub fn dialect(message: &Value) -> Option<Dialect> {
    if let Value::Array(items) = message {
        return items.iter().find_map(of_item);
    }
    let has = |field: &str| message.get(field).is_some();
    let list = |field: &str| message.get(field).and_then(Value::as_array);
    if has("calls") {
        Some(Dialect::Native)
    } else if has("candidates") || has("parts") {
        Some(Dialect::Gemini)
    } else if has("choices") || are_some(&message["tool_calls"]) {
        Some(Dialect::Chat)
    } else if has("output") || message["object"] == "response" {
        Some(Dialect::Responses)
    } else if let Some(content) = list("content") {
        // Some libraries write down that there are no calls of another format.
        let other = if has("tool_calls") { Dialect::Chat } else { Dialect::Anthropic };
        content.iter().find_map(of_item).or(Some(other))
    } else if message["role"] == "assistant" || has("tool_calls") {
        // Text alone, in which there is nothing to run.
        Some(Dialect::Chat)
    } else {
        of_item(message)
    }
}

/// What a message is that is of no format, if it is known what it is.
pub fn other(message: &Value) -> Option<String> {
    let list = |field: &str| message.get(field).is_some_and(Value::is_array);
    if let Value::Array(items) = message {
        let chunk =
            |item: &Value| item.get("candidates").is_some() || item.get("choices").is_some();
        return items.iter().any(chunk).then(|| {
            "these are the parts of a stream: put them together to one response before".to_owned()
        });
    }
    if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
        let said = error["message"].as_str().or(error.as_str()).unwrap_or_default();
        let said: String = said.chars().take(200).collect();
        return Some(format!("it is an API's error, not a response of a model: {said}"));
    }
    if list("messages") || list("contents") || (list("input") && message.get("model").is_some()) {
        return Some("it is a request to a model, not its response".to_owned());
    }
    None
}

/// By a single call of a list, or what stands beside it.
fn of_item(item: &Value) -> Option<Dialect> {
    match item["type"].as_str() {
        Some("tool_use") => Some(Dialect::Anthropic),
        Some("function_call" | "custom_tool_call") => Some(Dialect::Responses),
        Some("function" | "custom") => Some(Dialect::Chat),
        _ if item.get("functionCall").is_some() || item.get("function_call").is_some() => {
            Some(Dialect::Gemini)
        }
        _ if item.get("function").is_some() => Some(Dialect::Chat),
        _ => None,
    }
}
