//! What was said so far, as it is sent.
//!
//! Keeps to what the APIs ask of its order; knows nothing of files or of who says what.

use std::collections::HashSet;

use inorder::{CallError, ErrorKind, read_message};
use serde_json::Value;

use super::api::Api;
use super::transcript::Record;

pub struct Conversation {
    api: Api,
    messages: Vec<Value>,
}

impl Conversation {
    pub fn new(api: Api) -> Conversation {
        Conversation { api, messages: vec![] }
    }

    pub fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// Adds what a line of a transcript says.
    pub fn take(&mut self, record: &Record) {
        for message in record.messages() {
            self.push(message.clone());
        }
    }

    /// Adds a message; to the last one where both are the user's and the API wants turns to alternate.
    fn push(&mut self, mut message: Value) {
        let is_user = |message: &Value| message["role"] == "user";
        if self.api == Api::Anthropic
            && is_user(&message)
            && let Some(last) = self.messages.last_mut().filter(|last| is_user(last))
            && let (Some(blocks), Some(more)) =
                (last["content"].as_array_mut(), message["content"].as_array_mut())
        {
            blocks.append(more);
            return;
        }
        self.messages.push(message);
    }

    /// Of the calls so far, where the API wants each to have one of its own. Others take it as it comes, and some want back
    /// just what they gave.
    pub fn ids(&self) -> HashSet<String> {
        if self.api != Api::Anthropic {
            return HashSet::new();
        }
        let blocks = self.messages.iter().filter_map(|message| message["content"].as_array());
        let calls = blocks.flatten().filter(|block| block["type"] == "tool_use");
        calls.filter_map(|call| call["id"].as_str().map(str::to_owned)).collect()
    }

    /// Whether the model has had the last word, so that there is nothing to ask it.
    pub fn is_answered(&self) -> bool {
        self.messages.last().is_none_or(|last| last["role"] == "assistant")
    }

    /// The messages that the API wants to see after calls without results: how far these came is not known.
    pub fn mending(&self) -> Vec<Value> {
        let Some(last) = self.messages.last().filter(|last| last["role"] == "assistant") else {
            return vec![];
        };
        let read = read_message(last.to_string().as_bytes(), Some(self.api.dialect()));
        let Ok((batch, reply)) = read else { return vec![] };
        if batch.calls.is_empty() {
            return vec![];
        }
        let why = "interrupted: the agent was stopped before the result was kept. It is not known whether the call was \
                   run: look before you make it again";
        messages(reply.failed(&CallError::new(ErrorKind::Cancelled, why)))
    }
}

/// A reply is one message, or a list of them.
pub fn messages(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(messages) => messages,
        message => vec![message],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_without_results_get_some_and_others_none() {
        let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
        let mut one = Conversation::new(Api::Anthropic);
        one.push(Api::Anthropic.user("do"));
        assert!(one.mending().is_empty() && !one.is_answered());
        one.push(json!({"role": "assistant", "content": [call]}));
        let mending = one.mending();
        assert_eq!(mending[0]["content"][0]["tool_use_id"], "a");
        assert_eq!(mending[0]["content"][0]["is_error"], true);
        for message in mending {
            one.push(message);
        }
        assert!(one.mending().is_empty());
        // A task that comes then is part of the same message.
        one.push(Api::Anthropic.user("go on"));
        assert_eq!(one.messages().len(), 3);
        assert_eq!(one.messages()[2]["content"][1]["text"], "go on");

        let mut other = Conversation::new(Api::Openai);
        let calls = ["a", "b"].map(|id| {
            json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
        });
        other.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        let mending = other.mending();
        assert_eq!(mending.len(), 2);
        assert_eq!(mending[1]["tool_call_id"], "b");
        other.push(json!({"role": "assistant", "content": "done"}));
        assert!(other.mending().is_empty() && other.is_answered());
    }
}
