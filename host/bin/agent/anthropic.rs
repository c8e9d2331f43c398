//! Anthropic's Messages API: its requests, and its answers as a stream of events about blocks of content.

use std::collections::HashSet;

use inorder::Dialect;
use serde_json::{Value, json};

use super::api::{
    Answer, Ids, Lasting, MOST_CALLS, Piece, Question, Stop, Tokens, arguments, error_text, said,
};

/// The API wants a limit. Models with a lower one say so.
const MAX_TOKENS: u32 = 16_384;

pub fn request(question: &Question) -> Value {
    let mut messages = question.messages.to_vec();
    // What is before a mark, tools and system prompt first, is read from a cache in the next turn.
    let mark = json!({ "type": "ephemeral" });
    let last = messages.last_mut().and_then(|message| message["content"].as_array_mut());
    if let Some(block) = last.and_then(|blocks| blocks.last_mut()) {
        block["cache_control"] = mark.clone();
    }
    let mut request = json!({
        "model": question.model,
        "max_tokens": question.max_tokens.unwrap_or(MAX_TOKENS),
        "messages": messages,
        "stream": true,
    });
    if !question.system.is_empty() {
        request["system"] =
            json!([{ "type": "text", "text": question.system, "cache_control": mark }]);
    }
    if question.tools.as_array().is_some_and(|tools| !tools.is_empty()) {
        request["tools"] = question.tools.clone();
    }
    request
}

#[derive(Default)]
pub struct Gathering {
    ids: Ids,
    blocks: Vec<Block>,
    stop: Option<Stop>,
    usage: Usage,
    done: bool,
}

struct Block {
    /// By which events name it. Some servers give each the same one, or none.
    index: Option<u64>,
    value: Value,
    /// Of a call: its input, as far as it has come.
    input: String,
}

/// Later events repeat what they know better.
#[derive(Default)]
struct Usage {
    input: u64,
    read: u64,
    created: u64,
    output: u64,
}

impl Gathering {
    pub fn new(ids: Ids) -> Gathering {
        Gathering { ids, ..Gathering::default() }
    }

    pub fn add(&mut self, event: &Value) -> Result<Piece, String> {
        let index = event["index"].as_u64();
        let mut text = String::new();
        match event["type"].as_str() {
            Some("message_start") => self.usage.add(&event["message"]["usage"]),
            Some("content_block_start") => {
                let value = event["content_block"].clone();
                if value.is_object() && !self.is_begun(index, &value) {
                    text.push_str(said(&value, "text").unwrap_or_default());
                    self.blocks.push(Block { index, value, input: String::new() });
                }
                if self.blocks.len() > MOST_CALLS {
                    return Err(format!("it has more than {MOST_CALLS} blocks"));
                }
            }
            Some("content_block_delta") => text = self.delta(index, &event["delta"])?,
            Some("message_delta") => {
                if let Some(reason) = said(&event["delta"], "stop_reason") {
                    Stop::take(&mut self.stop, stop(reason));
                }
                self.usage.add(&event["usage"]);
            }
            Some("message_stop") => self.done = true,
            Some("error") => {
                let error = &event["error"];
                let passing =
                    ["overloaded_error", "api_error", "rate_limit_error", "timeout_error"];
                let lasting = match error["type"].as_str() {
                    Some(kind) if !passing.contains(&kind) => Lasting::Lasting,
                    _ => Lasting::Passing,
                };
                return Ok(Piece::Error { message: error_text(error), lasting });
            }
            // `ping`, and what may be added to the API.
            _ => {}
        }
        Ok(Piece::Text(text))
    }

    /// The last block of an index; of those without one, the last.
    fn at(&self, index: Option<u64>) -> Option<usize> {
        self.blocks.iter().rposition(|block| index.is_none() || block.index == index)
    }

    /// Whether a block that begins is said again: with its index, or its id.
    fn is_begun(&self, index: Option<u64>, value: &Value) -> bool {
        if index.is_none() && said(value, "id").is_none() {
            return false;
        }
        let block = self.at(index).and_then(|at| self.blocks.get(at));
        block.is_some_and(|block| block.input.is_empty() && block.value == *value)
    }

    fn delta(&mut self, index: Option<u64>, delta: &Value) -> Result<String, String> {
        let kind = delta["type"].as_str().unwrap_or_default();
        let is_call =
            |at: usize| self.blocks.get(at).is_some_and(|it| it.value["type"] == "tool_use");
        if kind == "text_delta" && self.at(index).is_none_or(is_call) {
            let value = json!({ "type": "text" });
            self.blocks.push(Block { index, value, input: String::new() });
        }
        let block = self.at(index).and_then(|at| self.blocks.get_mut(at));
        let Some(block) = block else {
            return match kind {
                "input_json_delta" => Err("it goes on with a call that did not begin".to_owned()),
                _ => Ok(String::new()),
            };
        };
        match kind {
            "text_delta" => {
                append(&mut block.value, "text", delta);
                return Ok(said(delta, "text").unwrap_or_default().to_owned());
            }
            "input_json_delta" => {
                block.input.push_str(said(delta, "partial_json").unwrap_or_default());
            }
            "thinking_delta" => append(&mut block.value, "thinking", delta),
            "signature_delta" => append(&mut block.value, "signature", delta),
            _ => {}
        }
        Ok(String::new())
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    pub fn finish(mut self) -> Option<Answer> {
        if !self.done {
            return None;
        }
        self.blocks.sort_by_key(|block| block.index);
        let mut said_before = HashSet::new();
        let (mut content, mut calls, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for Block { mut value, input, .. } in self.blocks {
            match value["type"].as_str() {
                // The API does not take it back.
                Some("text") if said(&value, "text").is_none_or(|it| it.trim().is_empty()) => {}
                Some("tool_use") => {
                    // Some servers send it whole, when the block starts.
                    let given = value["input"].is_object() && input.trim().is_empty();
                    let input = if given { value["input"].to_string() } else { input };
                    let id = said(&value, "id").unwrap_or_default();
                    // A stream may hold a call twice. To run it twice would be worse than to leave out one that was meant,
                    // which the model then sees that it has not made.
                    let call = (id.to_owned(), value["name"].to_string(), input.clone());
                    if !id.is_empty() && !said_before.insert(call) {
                        continue;
                    }
                    value["id"] = json!(self.ids.next(id));
                    if !value["name"].is_string() {
                        value["name"] = json!("");
                    }
                    let arguments = arguments(&input);
                    refused.extend(arguments.refused.map(|why| (calls.len(), why)));
                    let mut call = value.clone();
                    (value["input"], call["input"]) = (arguments.back, arguments.run);
                    calls.push(call);
                    content.push(value);
                }
                _ => content.push(value),
            }
        }
        let assistant = |content| json!({ "role": "assistant", "content": content });
        Some(Answer {
            message: (!content.is_empty()).then(|| assistant(content)),
            calls: (!calls.is_empty()).then(|| assistant(calls)),
            refused,
            stop: self.stop.unwrap_or(Stop::Done),
            tokens: self.usage.tokens(),
        })
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        whole if Dialect::Anthropic.is_whole(whole) => Stop::Done,
        "max_tokens" | "model_context_window_exceeded" => Stop::CutOff,
        "refusal" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

fn append(block: &mut Value, field: &str, delta: &Value) {
    let Some(more) = said(delta, field) else { return };
    match &mut block[field] {
        Value::String(text) => text.push_str(more),
        other => *other = json!(more),
    }
}

impl Usage {
    fn add(&mut self, usage: &Value) {
        let fields = [
            ("input_tokens", &mut self.input),
            ("cache_read_input_tokens", &mut self.read),
            ("cache_creation_input_tokens", &mut self.created),
            ("output_tokens", &mut self.output),
        ];
        for (name, field) in fields {
            *field = usage[name].as_u64().unwrap_or(*field);
        }
    }

    /// The API counts what it has to do with a cache beside the input.
    fn tokens(&self) -> Tokens {
        let input = self.input.saturating_add(self.read).saturating_add(self.created);
        Tokens { input, cached: self.read, output: self.output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(events: &[Value]) -> Option<Answer> {
        let mut gathering = Gathering::new(Ids::new("call_1".to_owned(), HashSet::new()));
        for event in events {
            gathering.add(event).unwrap();
        }
        gathering.finish()
    }

    #[test]
    fn blocks_are_put_together_whatever_is_between_them_and_thoughts_are_kept() {
        let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let answer = gather(&[
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(0, json!({"type": "signature_delta", "signature": "s1"})),
            json!({"type": "novelty", "index": 0}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "", "name": "f", "input": {}}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            delta(2, json!({"type": "input_json_delta", "partial_json": "{\"a"})),
            delta(2, json!({"type": "novel_delta", "partial_json": "x"})),
            delta(2, json!({"type": "input_json_delta", "partial_json": "\": 1}"})),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]);
        let call = json!({"type": "tool_use", "id": "call_1_1", "name": "f", "input": {"a": 1}});
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": "s1"});
        let answer = answer.unwrap();
        assert_eq!(
            answer.message,
            Some(json!({"role": "assistant", "content": [thought, call.clone()]}))
        );
        assert_eq!(answer.calls, Some(json!({"role": "assistant", "content": [call]})));
        assert_eq!(answer.stop, Stop::Done);
        assert_eq!(answer.tokens, Tokens { input: 12, cached: 7, output: 9 });
    }

    #[test]
    fn an_answer_that_is_not_whole_does_not_become_so_by_a_later_event() {
        let delta = |delta: Value| json!({"type": "message_delta", "delta": delta});
        for (reason, stop) in [
            ("max_tokens", Stop::CutOff),
            ("refusal", Stop::Refused),
            ("tired", Stop::Other("tired".to_owned())),
        ] {
            for later in
                [json!({}), json!({"stop_reason": null}), json!({"stop_reason": "tool_use"})]
            {
                let first = delta(json!({"stop_reason": reason}));
                let answer = gather(&[first, delta(later), json!({"type": "message_stop"})]);
                assert_eq!(answer.unwrap().stop, stop);
            }
        }
    }

    #[test]
    fn no_call_is_lost_whatever_a_server_gives_for_its_index_and_id() {
        for (indices, ids) in [
            ([json!(0), json!(1)], ["a", "b"]),
            ([json!(0), json!(0)], ["a", "b"]),
            ([Value::Null, Value::Null], ["a", "b"]),
            ([json!(0), json!(1)], ["a", "a"]),
            ([Value::Null, Value::Null], ["a", "a"]),
        ] {
            let mut events = vec![];
            for (at, (index, id)) in indices.into_iter().zip(ids).enumerate() {
                let start = json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
                let start =
                    json!({"type": "content_block_start", "index": index, "content_block": start});
                // Said twice it is the same one.
                events.extend([start.clone(), start]);
                let delta =
                    json!({"type": "input_json_delta", "partial_json": format!("{{\"n\": {at}}}")});
                events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
            }
            events.push(json!({"type": "message_stop"}));
            let calls = gather(&events).unwrap().calls.unwrap();
            let second = if ids[0] == ids[1] { "call_1_2" } else { "b" };
            let call = |id: &str, n: u64| json!({"type": "tool_use", "id": id, "name": "f", "input": {"n": n}});
            assert_eq!(calls["content"], json!([call("a", 0), call(second, 1)]));
            // All that was streamed once more is the same two calls.
            let again: Vec<Value> = [&events[..events.len() - 1], &events[..]].concat();
            assert_eq!(gather(&again).unwrap().calls.unwrap(), calls);
        }
        // With neither, nothing says that it is the same one.
        let start = json!({"type": "tool_use", "name": "f", "input": {"a": 1}});
        let start = json!({"type": "content_block_start", "content_block": start});
        let twice = gather(&[start.clone(), start, json!({"type": "message_stop"})]);
        assert_eq!(twice.unwrap().calls.unwrap()["content"][1]["id"], "call_1_2");
        let delta = json!({"type": "input_json_delta", "partial_json": "{}"});
        let alone = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        assert!(Gathering::default().add(&alone).is_err());
    }

    #[test]
    fn an_answer_without_its_end_is_none_and_one_without_content_is_empty() {
        assert_eq!(gather(&[json!({"type": "message_start", "message": {}})]), None);
        assert_eq!(gather(&[json!({"type": "message_stop"})]).unwrap().message, None);
    }
}
