//! OpenAI's Chat Completions API, and the many servers that speak it: its requests, and its answers as a stream of changes
//! to one message.

use inorder::Dialect;
use serde_json::{Map, Value, json};

use super::api::{
    Answer, Lasting, MOST_CALLS, Piece, Question, Stop, Tokens, arguments, error_text, said,
};

/// The limit of an answer has a new name at OpenAI, whose newer models do not take the old one, which most other servers
/// alone know.
pub fn request(question: &Question) -> Value {
    let system = json!({ "role": "system", "content": question.system });
    let system = (!question.system.is_empty()).then_some(system);
    let messages: Vec<&Value> = system.iter().chain(question.messages).collect();
    let mut request = json!({
        "model": question.model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if let Some(most) = question.max_tokens {
        let field = if question.own_host { "max_completion_tokens" } else { "max_tokens" };
        request[field] = json!(most);
    }
    if question.tools.as_array().is_some_and(|tools| !tools.is_empty()) {
        request["tools"] = question.tools.clone();
    }
    request
}

#[derive(Default)]
pub struct Gathering {
    unnamed: String,
    text: String,
    refusal: String,
    calls: Vec<Call>,
    stop: Option<Stop>,
    tokens: Tokens,
    done: bool,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Anything else: some servers want it back.
    more: Map<String, Value>,
}

impl Gathering {
    pub fn new(unnamed: String) -> Gathering {
        Gathering { unnamed, ..Gathering::default() }
    }

    pub fn add(&mut self, mut chunk: Value) -> Result<Piece, String> {
        let error = &chunk["error"];
        if !error.is_null() {
            let refused = error["code"]
                .as_u64()
                .is_some_and(|code| (400..500).contains(&code) && code != 408 && code != 429);
            let refused = refused || error["type"] == "invalid_request_error";
            let lasting = if refused { Lasting::Lasting } else { Lasting::Passing };
            return Ok(Piece::Error { message: error_text(error), lasting });
        }
        if chunk["usage"].is_object() {
            self.tokens = tokens(&chunk["usage"]);
        }
        let choices = match take(&mut chunk, "choices") {
            Value::Array(choices) => choices,
            _ => vec![],
        };
        let mut text = String::new();
        for mut choice in choices.into_iter().filter(|it| it["index"].as_u64().unwrap_or(0) == 0) {
            let mut delta = take(&mut choice, "delta");
            let (words, refusal) = (words(&delta["content"]), said(&delta, "refusal"));
            self.text.push_str(&words);
            self.refusal.push_str(refusal.unwrap_or_default());
            text.extend([&*words, refusal.unwrap_or_default()]);
            if let Value::Array(calls) = take(&mut delta, "tool_calls") {
                calls.into_iter().for_each(|call| self.call(call));
            }
            if let Some(reason) = said(&choice, "finish_reason") {
                Stop::take(&mut self.stop, stop(reason));
            }
        }
        if self.calls.len() > MOST_CALLS {
            return Err(format!("it has more than {MOST_CALLS} calls"));
        }
        Ok(Piece::Text(text))
    }

    fn call(&mut self, mut part: Value) {
        let place = self.place(&part);
        let Some(call) = self.calls.get_mut(place) else { return };
        let mut function = take(&mut part, "function");
        if let Some(name) = said(&function, "name").filter(|_| call.name.is_empty()) {
            call.name = name.to_owned();
        }
        match take(&mut function, "arguments") {
            Value::String(text) => call.arguments.push_str(&text),
            Value::Null => {}
            // Against the API, by some servers.
            other => call.arguments.push_str(&other.to_string()),
        }
        let Value::Object(fields) = part else { return };
        for (name, value) in fields {
            match (&*name, value) {
                // `custom` would make another kind of call of it.
                ("index" | "function" | "custom" | "type", _) | (_, Value::Null) => {}
                ("id", Value::String(id)) if call.id.is_empty() => call.id = id,
                ("id", Value::Number(id)) if call.id.is_empty() => call.id = id.to_string(),
                ("id", _) => {}
                (_, value) => drop(call.more.insert(name, value)),
            }
        }
    }

    /// Which call a part belongs to. By the index, as the API has it; but some servers give each call the same one, or
    /// none, and tell them apart by id.
    fn place(&mut self, part: &Value) -> usize {
        let index = part["index"].as_u64();
        let id = said(part, "id");
        let other = |call: &Call| id.is_some_and(|id| !call.id.is_empty() && call.id != id);
        let known = match index {
            Some(_) => self.calls.iter().rposition(|it| it.index == index && !other(it)),
            None if id.is_some() => self.calls.iter().rposition(|it| Some(&*it.id) == id),
            None if said(&part["function"], "name").is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        known.unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        })
    }

    pub fn done(&mut self) {
        self.done = true;
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Some servers leave the mark of the end away.
    pub fn finish(self) -> Option<Answer> {
        if !self.done && self.stop.is_none() {
            return None;
        }
        let (mut sent, mut run) = (Vec::new(), Vec::new());
        for (place, call) in self.calls.into_iter().enumerate() {
            let id = match call.id {
                id if id.is_empty() => format!("{}_{}", self.unnamed, place + 1),
                id => id,
            };
            let (back, arguments) = arguments(&call.arguments);
            let json = |arguments: Value| {
                let function = json!({ "name": call.name, "arguments": arguments });
                let mut json = json!({ "id": id, "type": "function", "function": function });
                if let Some(fields) = json.as_object_mut() {
                    fields.extend(call.more.clone());
                }
                json
            };
            sent.push(json(json!(back.to_string())));
            run.push(json(arguments));
        }
        let mut message = json!({ "role": "assistant", "content": self.text });
        if self.text.is_empty() {
            message["content"] = Value::Null;
        }
        if !self.refusal.is_empty() {
            message["refusal"] = json!(self.refusal);
        }
        let empty = self.text.is_empty() && self.refusal.is_empty() && sent.is_empty();
        if !sent.is_empty() {
            message["tool_calls"] = json!(sent);
        }
        let stop = match self.stop {
            _ if !self.refusal.is_empty() => Stop::Refused,
            stop => stop.unwrap_or(Stop::Done),
        };
        Some(Answer {
            message: (!empty).then_some(message),
            calls: (!run.is_empty()).then(|| json!({ "role": "assistant", "tool_calls": run })),
            stop,
            tokens: self.tokens,
        })
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        whole if Dialect::Chat.is_whole(whole) => Stop::Done,
        // The second is Mistral's, of the model's context.
        "length" | "model_length" => Stop::CutOff,
        "content_filter" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

/// The value of a field, if it has such a field.
fn take(value: &mut Value, field: &str) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

/// Content as text, or as a list of parts of which some are text.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| said(part, "text")).collect(),
        _ => String::new(),
    }
}

fn tokens(usage: &Value) -> Tokens {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    Tokens {
        input: count(&usage["prompt_tokens"]),
        cached: count(&usage["prompt_tokens_details"]["cached_tokens"]),
        output: count(&usage["completion_tokens"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids, names and arguments of the calls that parts come to.
    fn calls(parts: &[Value]) -> Vec<(String, String, String)> {
        let mut gathering = Gathering::new("call_1".to_owned());
        for part in parts {
            gathering.add(json!({"choices": [{"delta": {"tool_calls": [part]}}]})).unwrap();
        }
        gathering.done();
        let message = gathering.finish().unwrap().message.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let call = |call: &Value| {
            let function = &call["function"];
            (text(&call["id"]), text(&function["name"]), text(&function["arguments"]))
        };
        message["tool_calls"].as_array().unwrap().iter().map(call).collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn calls_are_told_apart_however_a_server_counts_them() {
        let part = |index: Value, id: Value, name: Value, arguments: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
        let none = Value::Null;
        let two = [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")];
        let by_index = [
            part(json!(0), json!("a"), json!("f"), ""),
            part(json!(1), json!("b"), json!("g"), ""),
            part(json!(0), none.clone(), none.clone(), "{\"x\":"),
            part(json!(1), json!(""), json!(""), "{}"),
            part(json!(0), json!("a"), none.clone(), "1}"),
        ];
        assert_eq!(calls(&by_index), two);
        let all_the_same_index = [
            part(json!(0), json!("a"), json!("f"), "{\"x\":1}"),
            part(json!(0), json!("b"), json!("g"), "{}"),
        ];
        assert_eq!(calls(&all_the_same_index), two);
        let no_index = [
            part(none.clone(), json!("a"), json!("f"), "{\"x\":"),
            part(none.clone(), none.clone(), none.clone(), "1}"),
            part(none.clone(), json!("b"), json!("g"), "{}"),
        ];
        assert_eq!(calls(&no_index), two);
        let no_ids = [
            part(none.clone(), none.clone(), json!("f"), "{\"x\":1}"),
            part(none.clone(), none.clone(), json!("g"), ""),
        ];
        assert_eq!(
            calls(&no_ids),
            [call("call_1_1", "f", "{\"x\":1}"), call("call_1_2", "g", "{}")]
        );
        let huge_index = [part(json!(u64::MAX), json!("a"), json!("f"), "{\"x\":1}")];
        assert_eq!(calls(&huge_index), two[..1]);
    }

    #[test]
    fn what_a_server_adds_to_a_call_goes_back_to_it() {
        let mut gathering = Gathering::new(String::new());
        let part = json!({"index": 0, "id": "a", "function": {"name": "f"}, "extra_content": {"signature": "s"}});
        gathering.add(json!({"choices": [{"delta": {"tool_calls": [part]}}]})).unwrap();
        gathering.done();
        let message = gathering.finish().unwrap().message.unwrap();
        assert_eq!(message["tool_calls"][0]["extra_content"]["signature"], "s");
        assert_eq!(message["content"], Value::Null);
    }

    #[test]
    fn what_is_no_chunk_is_passed_over() {
        let item = json!({"choices": [{"delta": {"tool_calls": ["x"]}}]});
        let function = json!({"choices": [{"delta": {"tool_calls": [{"function": "x"}]}}]});
        for chunk in [
            json!(1),
            json!({"choices": ["x"]}),
            json!({"choices": [{"delta": "x"}]}),
            item,
            function,
        ] {
            assert!(Gathering::new(String::new()).add(chunk).is_ok());
        }
    }

    #[test]
    fn an_answer_ends_with_its_reason_or_its_mark() {
        let stopped = |reasons: &[Value]| {
            let mut gathering = Gathering::new(String::new());
            for reason in reasons {
                let choice = json!({"delta": {"content": "hi"}, "finish_reason": reason});
                gathering.add(json!({"choices": [choice]})).unwrap();
            }
            gathering.finish().map(|answer| answer.stop)
        };
        assert_eq!(stopped(&[Value::Null]), None);
        assert_eq!(stopped(&[json!("stop")]), Some(Stop::Done));
        for (reason, stop) in [
            ("length", Stop::CutOff),
            ("content_filter", Stop::Refused),
            ("tired", Stop::Other("tired".to_owned())),
        ] {
            assert_eq!(stopped(&[json!(reason)]).as_ref(), Some(&stop));
            // Of one that is not whole, none that comes later says that it is.
            for later in [json!("stop"), json!("tool_calls"), Value::Null] {
                assert_eq!(stopped(&[json!(reason), later]).as_ref(), Some(&stop));
            }
        }
        assert_eq!(stopped(&[json!("stop"), json!("length")]), Some(Stop::CutOff));
    }
}
