//! What a model says, as each API streams it: events cut in odd places, pings and unknown things among them.

use std::collections::HashSet;
use std::io;

use serde_json::{Value, json};

use crate::net::server::{Out, Then};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Anthropic,
    Openai,
}

pub const BOTH: [Api; 2] = [Api::Anthropic, Api::Openai];

/// One answer of the server.
#[derive(Clone)]
pub enum Step {
    /// A stream, whole.
    Stream(String),
    /// A stream that breaks off after these bytes.
    Broken(String),
    Refusal {
        status: &'static str,
        headers: String,
        body: String,
    },
    /// A stream of so many bytes, that never ends by itself.
    Flood(usize),
    /// Nothing at all, until the client goes.
    Silence,
}

/// An id, the name of a tool, its arguments.
pub type Call<'a> = (&'a str, &'a str, Value);

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Api::Anthropic => "anthropic",
            Api::Openai => "openai",
        }
    }

    /// An answer in full.
    pub fn says(self, text: &str, calls: &[Call]) -> Step {
        Step::Stream(self.stream(text, calls, None))
    }

    /// The same, cut off before its end.
    pub fn breaks_off(self, text: &str, calls: &[Call]) -> Step {
        Step::Broken(self.beginning(text, calls) + "data: {\"ty")
    }

    /// Two thirds of an answer, up to an event's end.
    pub fn beginning(self, text: &str, calls: &[Call]) -> String {
        let stream = self.stream(text, calls, None);
        let end = stream[..stream.len() * 2 / 3].rfind("\n\n").unwrap();
        stream[..end + 2].to_owned()
    }

    /// One that has reached the limit of tokens.
    pub fn cut_off(self, text: &str, calls: &[Call]) -> Step {
        let stop = if self == Api::Anthropic { "max_tokens" } else { "length" };
        Step::Stream(self.stream(text, calls, Some(stop)))
    }

    pub fn stream(self, text: &str, calls: &[Call], stop: Option<&str>) -> String {
        match self {
            Api::Anthropic => anthropic(text, calls, stop),
            Api::Openai => openai(text, calls, stop),
        }
    }

    /// An error in the middle of a stream, as it writes one.
    pub fn error(self, kind: &str) -> String {
        let error = json!({"type": kind, "message": "in the middle"});
        match self {
            Api::Anthropic => event(&json!({"type": "error", "error": error})),
            Api::Openai => data(&json!({"error": error})),
        }
    }

    /// The assistant's message that an answer is to be sent back as.
    pub fn message(self, text: &str, calls: &[Call]) -> Value {
        match self {
            Api::Anthropic => {
                let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
                let calls = calls.iter().map(
                    |(id, name, args)| json!({"type": "tool_use", "id": id, "name": name, "input": args}),
                );
                json!({"role": "assistant", "content": text.into_iter().chain(calls).collect::<Vec<_>>()})
            }
            Api::Openai => {
                let call = |(id, name, args): &Call| json!({"id": id, "type": "function", "function": {"name": name, "arguments": args.to_string()}});
                let content = if text.is_empty() { Value::Null } else { json!(text) };
                let calls: Vec<Value> = calls.iter().map(call).collect();
                let mut message = json!({"role": "assistant", "content": content});
                if !calls.is_empty() {
                    message["tool_calls"] = json!(calls);
                }
                message
            }
        }
    }

    /// The ids and texts of the results that a request ends with, and whether they are errors.
    pub fn results(self, request: &Value) -> Vec<(String, String, bool)> {
        let messages = request["messages"].as_array().unwrap();
        let text = |value: &Value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        };
        match self {
            Api::Anthropic => {
                let blocks = messages.last().unwrap()["content"].as_array().unwrap();
                let results = blocks.iter().filter(|block| block["type"] == "tool_result");
                let result = |it: &Value| {
                    let failed = it["is_error"] == true;
                    (text(&it["tool_use_id"]), text(&it["content"]), failed)
                };
                results.map(result).collect()
            }
            Api::Openai => {
                let last = messages.iter().rev().take_while(|it| it["role"] == "tool");
                let result = |it: &Value| {
                    let content = text(&it["content"]);
                    (text(&it["tool_call_id"]), content.clone(), content.starts_with("error: "))
                };
                let mut results: Vec<_> = last.map(result).collect();
                results.reverse();
                results
            }
        }
    }

    /// Asserts what the API does of the messages it is sent: every call has its result right after it, and no result is
    /// without a call; by Anthropic's, that no two calls have one id.
    pub fn accepts(self, request: &Value) {
        let messages = request["messages"].as_array().unwrap();
        let (mut open, mut used): (Vec<String>, HashSet<String>) = Default::default();
        let ids = |items: &Value, kind: &str, id: &str| -> Vec<String> {
            let items = items.as_array().into_iter().flatten();
            let items = items.filter(|it| kind.is_empty() || it["type"] == kind);
            items.map(|it| it[id].as_str().unwrap().to_owned()).collect()
        };
        for message in messages {
            match (self, message["role"].as_str().unwrap()) {
                (Api::Anthropic, "user") => {
                    let blocks = &message["content"];
                    assert!(!blocks.as_array().unwrap().is_empty(), "{request}");
                    assert_eq!(ids(blocks, "tool_result", "tool_use_id"), open, "{request}");
                    open.clear();
                }
                (Api::Anthropic, "assistant") => {
                    assert!(!message["content"].as_array().unwrap().is_empty(), "{request}");
                    open = ids(&message["content"], "tool_use", "id");
                    for id in &open {
                        assert!(used.insert(id.clone()), "{id} is there twice: {request}");
                    }
                }
                (Api::Openai, "tool") => {
                    assert_eq!(message["tool_call_id"], open.remove(0), "{request}");
                }
                (Api::Openai, "assistant") => {
                    assert!(open.is_empty(), "{request}");
                    open = ids(&message["tool_calls"], "", "id");
                }
                (Api::Openai, "user" | "system") => assert!(open.is_empty(), "{request}"),
                (_, other) => panic!("a message of {other:?}: {request}"),
            }
        }
        assert!(open.is_empty(), "calls without results: {request}");
        assert_ne!(messages.last().unwrap()["role"], "assistant", "{request}");
        if self == Api::Anthropic {
            let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
            assert!(roles.windows(2).all(|two| two[0] != two[1]), "{roles:?}");
        }
    }
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap())
}

pub fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// `text` in pieces of three characters.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(3).map(|piece| piece.iter().collect()).collect()
}

fn anthropic(text: &str, calls: &[Call], stop: Option<&str>) -> String {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [],
            "usage": {"input_tokens": 100, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        json!({"type": "something_new", "index": 0, "delta": {"type": "text_delta", "text": "not this"}}),
    ];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        let at = index;
        index += 1;
        events.push(json!({"type": "content_block_start", "index": at, "content_block": start, "new": true}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": at, "delta": delta}));
        }
        events.push(json!({"type": "ping"}));
        events.push(json!({"type": "content_block_stop", "index": at}));
    };
    if !text.is_empty() {
        let delta = |text: String| json!({"type": "text_delta", "text": text});
        block(json!({"type": "text", "text": ""}), pieces(text).into_iter().map(delta).collect());
    }
    for (id, name, args) in calls {
        let delta = |json: String| json!({"type": "input_json_delta", "partial_json": json});
        let text = args.as_str().map_or_else(|| args.to_string(), str::to_owned);
        let deltas = [String::new()].into_iter().chain(pieces(&text)).map(delta);
        block(json!({"type": "tool_use", "id": id, "name": name, "input": {}}), deltas.collect());
    }
    let reason = stop.unwrap_or(if calls.is_empty() { "end_turn" } else { "tool_use" });
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 20}}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(event).collect()
}

fn openai(text: &str, calls: &[Call], stop: Option<&str>) -> String {
    let chunk = |delta: Value, stop: Value| json!({"id": "c", "object": "chat.completion.chunk", "new": {}, "choices": [{"index": 0, "delta": delta, "finish_reason": stop, "logprobs": null}]});
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    for piece in pieces(text) {
        chunks.push(chunk(json!({"content": piece}), Value::Null));
    }
    for (index, (id, name, _)) in calls.iter().enumerate() {
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": index, "id": id, "type": "function", "function": function});
        chunks.push(chunk(json!({"tool_calls": [call]}), Value::Null));
    }
    // Calls side by side, a piece of each in turn.
    let arguments: Vec<Vec<String>> = calls
        .iter()
        .map(|(.., args)| pieces(&args.as_str().map_or_else(|| args.to_string(), str::to_owned)))
        .collect();
    for at in 0..arguments.iter().map(Vec::len).max().unwrap_or(0) {
        for (index, pieces) in arguments.iter().enumerate() {
            let Some(piece) = pieces.get(at) else { continue };
            let call = json!({"index": index, "function": {"arguments": piece}});
            chunks.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        }
    }
    let reason = stop.unwrap_or(if calls.is_empty() { "stop" } else { "tool_calls" });
    chunks.push(chunk(json!({}), json!(reason)));
    chunks.push(json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 1010, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 900}}}));
    let chunks: String = chunks.iter().map(data).collect();
    format!(": a comment\n\n{chunks}data: [DONE]\n\n")
}

impl Step {
    pub fn refusal(status: &'static str, headers: &str, body: &Value) -> Step {
        Step::Refusal { status, headers: headers.to_owned(), body: body.to_string() }
    }

    /// In pieces that end anywhere.
    pub fn play(&self, out: &mut dyn Out) -> io::Result<Then> {
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
        match self {
            Step::Stream(text) | Step::Broken(text) => {
                write!(out, "{HEAD}")?;
                for piece in text.as_bytes().chunks(101) {
                    write!(out, "{:x}\r\n", piece.len())?;
                    out.write_all(piece)?;
                    write!(out, "\r\n")?;
                }
                if matches!(self, Step::Broken(_)) {
                    return Ok(Then::Close);
                }
                write!(out, "0\r\n\r\n")?;
            }
            Step::Refusal { status, headers, body } => {
                let length = body.len();
                write!(
                    out,
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
                )?;
            }
            Step::Flood(size) => {
                write!(out, "{HEAD}{size:x}\r\ndata: ")?;
                let piece = [b'x'; 64 << 10];
                for _ in 0..size / piece.len() {
                    out.write_all(&piece)?;
                }
                return Ok(Then::Close);
            }
            Step::Silence => {
                out.flush()?;
                let _ = out.read(&mut [0; 1])?;
                return Ok(Then::Close);
            }
        }
        Ok(Then::Keep)
    }
}
