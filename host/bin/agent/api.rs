//! The two APIs that are spoken: what is asked, and what an answer comes to.
//!
//! Knows what both have in common; how each writes it is `anthropic` and `openai`.

use std::collections::HashSet;

use inorder::Dialect;
use serde_json::{Map, Value, json};

use super::{anthropic, openai};
use crate::definitions::Definitions;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Anthropic's Messages
    Anthropic,
    /// OpenAI's Chat Completions, which most other servers speak
    Openai,
}

/// All that a request says.
pub struct Question<'a> {
    pub model: &'a str,
    pub system: &'a str,
    /// In the API's own form, oldest first.
    pub messages: &'a [Value],
    /// In the API's own form.
    pub tools: &'a Value,
    /// Of one answer; the API's own default, where it has one.
    pub max_tokens: Option<u32>,
    /// How the limit is called; see [`openai::request`].
    pub own_host: bool,
}

/// One answer of a model, whole.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// To be sent back with what follows; nothing if the answer was empty.
    pub message: Option<Value>,
    /// The calls in it, with their arguments as they came, if it has any.
    pub calls: Option<Value>,
    /// Of these, by their places, which are not run, and why.
    pub refused: Vec<(usize, &'static str)>,
    pub stop: Stop,
    pub tokens: Tokens,
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has said all, or waits for the results of its calls.
    Done,
    /// The limit of tokens of an answer, or of the model's context, is reached: anything in it may be cut off.
    CutOff,
    /// It, or a filter before it, will not answer.
    Refused,
    /// What that says of the answer is not known.
    Other(String),
}

impl Stop {
    /// Takes what an event says into account: of an answer that is not whole, no later one says that it is after all.
    pub fn take(said: &mut Option<Stop>, stop: Stop) {
        if matches!(said, None | Some(Stop::Done)) {
            *said = Some(stop);
        }
    }
}

/// As the API tells them, none where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tokens {
    /// All of the request, the cached ones too.
    pub input: u64,
    /// Of these, what was read from a cache.
    pub cached: u64,
    pub output: u64,
}

/// An answer as far as it has come.
pub enum Gathering {
    Anthropic(anthropic::Gathering),
    Openai(openai::Gathering),
}

/// What a piece of the stream brings.
#[derive(Debug, PartialEq)]
pub enum Piece {
    /// Text for whoever reads along; often none.
    Text(String),
    /// The API gives up.
    Error { message: String, lasting: Lasting },
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    Passing,
    Lasting,
}

impl Api {
    pub fn dialect(self) -> Dialect {
        match self {
            Api::Anthropic => Dialect::Anthropic,
            Api::Openai => Dialect::Chat,
        }
    }

    pub fn definitions(self) -> Definitions {
        match self {
            Api::Anthropic => Definitions::Anthropic,
            Api::Openai => Definitions::OpenaiChat,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Api::Anthropic => "anthropic",
            Api::Openai => "openai",
        }
    }

    /// What a person says.
    pub fn user(self, text: &str) -> Value {
        match self {
            Api::Anthropic => {
                json!({ "role": "user", "content": [{ "type": "text", "text": text }] })
            }
            Api::Openai => json!({ "role": "user", "content": text }),
        }
    }

    pub fn request(self, question: &Question) -> Value {
        match self {
            Api::Anthropic => anthropic::request(question),
            Api::Openai => openai::request(question),
        }
    }

    pub fn gathering(self, ids: Ids) -> Gathering {
        match self {
            Api::Anthropic => Gathering::Anthropic(anthropic::Gathering::new(ids)),
            Api::Openai => Gathering::Openai(openai::Gathering::new(ids)),
        }
    }
}

impl Gathering {
    /// The data of one event.
    ///
    /// # Errors
    /// It is not JSON, or there is more of it than an answer may have.
    pub fn add(&mut self, data: &str) -> Result<Piece, String> {
        match self {
            Gathering::Anthropic(gathering) => gathering.add(&event(data)?),
            Gathering::Openai(gathering) if data.trim() == "[DONE]" => {
                gathering.done();
                Ok(Piece::Text(String::new()))
            }
            Gathering::Openai(gathering) => gathering.add(event(data)?),
        }
    }

    /// Nothing more will come.
    pub fn is_done(&self) -> bool {
        match self {
            Gathering::Anthropic(gathering) => gathering.is_done(),
            Gathering::Openai(gathering) => gathering.is_done(),
        }
    }

    /// The answer, unless it broke off before its end.
    pub fn finish(self) -> Option<Answer> {
        match self {
            Gathering::Anthropic(gathering) => gathering.finish(),
            Gathering::Openai(gathering) => gathering.finish(),
        }
    }
}

fn event(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|error| format!("an event is not JSON: {error}"))
}

/// The ids by which the calls of an answer are sent back and answered. Anthropic's API refuses a conversation in which two
/// calls have the same one.
#[derive(Clone, Default)]
pub struct Ids {
    unnamed: String,
    used: HashSet<String>,
    given: usize,
}

impl Ids {
    /// `unnamed` begins those of calls that come without one, or with one of those that are `used`.
    pub fn new(unnamed: String, used: HashSet<String>) -> Ids {
        Ids { unnamed, used, given: 0 }
    }

    pub fn next(&mut self, given: &str) -> String {
        self.given += 1;
        let mut id = given.to_owned();
        let mut place = self.given;
        while id.is_empty() || self.used.contains(&id) {
            id = format!("{}_{place}", self.unnamed);
            place += 1;
        }
        self.used.insert(id.clone());
        id
    }
}

/// More of one answer than any model means.
pub const MOST_CALLS: usize = 10_000;

/// Deeper arguments could not be sent back: the text of a request may nest 127 deep.
const MOST_DEPTH: usize = 100;

/// Characters of what is no JSON that are sent back.
const MOST_KEPT: usize = 2000;

/// The arguments of a call, from their text.
pub struct Arguments {
    /// As they are sent back, which has to be an object.
    pub back: Value,
    /// As they are run, where text that is no object becomes the error of that call.
    pub run: Value,
    /// Why they are not run, where no text would say so.
    pub refused: Option<&'static str>,
}

pub fn arguments(text: &str) -> Arguments {
    let (back, run) = match serde_json::from_str::<Map<String, Value>>(text).map(Value::Object) {
        _ if text.trim().is_empty() => (json!({}), json!({})),
        Ok(object) if depth(&object) <= MOST_DEPTH => (object.clone(), object),
        Err(error) if !is_too_deep(&error) => (kept(text), json!(text)),
        Ok(_) | Err(_) => {
            let why = "the arguments nest lists and objects more than 100 deep";
            return Arguments { back: kept(text), run: json!({}), refused: Some(why) };
        }
    };
    Arguments { back, run, refused: None }
}

fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

fn kept(text: &str) -> Value {
    json!({ "not_json": text.chars().take(MOST_KEPT).collect::<String>() })
}

/// Values are as deep as the parser lets them be, so that this ends.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The text of a field that says something.
pub fn said<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The value of a field, if it has such a field.
pub fn take(value: &mut Value, field: &str) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

/// What an error of an API says, in the several ways in which servers write one.
pub fn error_text(error: &Value) -> String {
    let message = said(error, "message").or_else(|| error.as_str());
    let kind = said(error, "type").or_else(|| said(error, "code"));
    match (kind, message) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (None, Some(message)) => message.to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_object_are_sent_back_as_one_and_run_as_they_came() {
        for text in ["{\"path\": ", "[1]", "1], [2", "\"x\""] {
            let Arguments { back, run, refused } = arguments(text);
            assert_eq!(back, json!({ "not_json": text }));
            assert_eq!((run, refused), (json!(text), None));
        }
        for (text, object) in [(" ", json!({})), ("{\"a\": 1}", json!({"a": 1}))] {
            let Arguments { back, run, refused } = arguments(text);
            assert_eq!((back, run, refused), (object.clone(), object, None));
        }
    }

    #[test]
    fn no_two_calls_of_an_answer_have_the_same_id() {
        let mut ids = Ids::new("call_1".to_owned(), HashSet::from(["before".to_owned()]));
        let given = ["a", "", "before", "call_1_4", "", "call_1_2", "a"];
        let ids = given.map(|given| ids.next(given));
        assert_eq!(
            ids,
            ["a", "call_1_2", "call_1_3", "call_1_4", "call_1_5", "call_1_6", "call_1_7"]
        );
    }

    #[test]
    fn arguments_that_could_not_be_sent_back_for_their_depth_are_not_run() {
        let nested = |deep: usize| format!("{{\"a\": {}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert_eq!(arguments(&nested(99)).refused, None);
        for deep in [100, 120, 127, 10_000] {
            let Arguments { back, refused, .. } = arguments(&nested(deep));
            assert!(back["not_json"].is_string());
            assert!(refused.is_some_and(|why| why.contains("more than 100 deep")), "{deep}");
        }
    }

    #[test]
    fn errors_are_read_in_the_ways_in_which_servers_write_them() {
        assert_eq!(error_text(&json!({"type": "a", "message": "b"})), "a: b");
        assert_eq!(error_text(&json!({"message": "b", "code": 3})), "b");
        assert_eq!(error_text(&json!("b")), "b");
        assert_eq!(error_text(&json!({"odd": 1})), "{\"odd\":1}");
    }
}
