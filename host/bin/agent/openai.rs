//! OpenAI's Chat Completions API, and the many servers that speak it: its requests, and its answers as a stream of changes
//! to one message.

use inorder::Dialect;
use serde_json::{Value, json};

use super::api::{
    Answer, Ids, Lasting, MOST_CALLS, Piece, Question, Stop, Tokens, error_text, said, take,
};
use super::parts::{Calls, Finished};

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
    ids: Ids,
    text: String,
    refusal: String,
    calls: Calls,
    stop: Option<Stop>,
    tokens: Tokens,
    done: bool,
}

impl Gathering {
    pub fn new(ids: Ids) -> Gathering {
        Gathering { ids, ..Gathering::default() }
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
            let old = &delta["function_call"];
            if said(old, "name").or_else(|| said(old, "arguments")).is_some() {
                return Err(
                    "it has a `function_call`, which has no id: `tool_calls` have taken its place"
                        .to_owned(),
                );
            }
            if let Value::Array(parts) = take(&mut delta, "tool_calls") {
                parts.into_iter().for_each(|part| self.calls.add(part));
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
        let Finished { sent, run, refused } = self.calls.finish(self.ids);
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
            refused,
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

    #[test]
    fn what_a_server_adds_to_a_call_goes_back_to_it() {
        let mut gathering = Gathering::default();
        let part = json!({"index": 0, "id": "a", "function": {"name": "f"}, "extra_content": {"signature": "s"}});
        gathering.add(json!({"choices": [{"delta": {"tool_calls": [part]}}]})).unwrap();
        gathering.done();
        let message = gathering.finish().unwrap().message.unwrap();
        assert_eq!(message["tool_calls"][0]["extra_content"]["signature"], "s");
        assert_eq!(message["content"], Value::Null);
    }

    #[test]
    fn a_call_of_the_old_kind_is_not_passed_over() {
        let add = |delta: Value| Gathering::default().add(json!({"choices": [{"delta": delta}]}));
        assert!(add(json!({"function_call": {"name": "f", "arguments": "{}"}})).is_err());
        assert!(add(json!({"function_call": null, "content": "hi"})).is_ok());
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
            assert!(Gathering::default().add(chunk).is_ok());
        }
    }

    #[test]
    fn an_answer_ends_with_its_reason_or_its_mark() {
        let stopped = |reasons: &[Value]| {
            let mut gathering = Gathering::default();
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
