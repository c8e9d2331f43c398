//! What a model's server says, without the key that it was sent: no such thing is shown or kept with the key in it.
//!
//! Text comes in pieces, and the key may be in several of them: what may be its beginning is held back until it is clear.

use serde_json::{Map, Value};

use super::api::{Answer, Stop};
use super::endpoint::Key;

/// Of a key, in characters. Servers that need none are given a shorter word in its place (`ollama`, `lm-studio`), and to take
/// that out of all that a model says would make other calls of its calls.
const SHORTEST: usize = 16;

pub struct Scrub<'a> {
    key: Option<&'a str>,
    /// What is in the key's place.
    named: String,
    held: String,
}

/// Of an error, where a key of any length is taken out: it is read by a person, and nothing is done by it.
pub fn error(key: &Key, text: &str) -> String {
    match key {
        Key::Sent { variable, value } => text.replace(value, &named(variable)),
        Key::None { .. } => text.to_owned(),
    }
}

fn named(variable: &str) -> String {
    format!("[{variable}]")
}

impl Scrub<'_> {
    pub fn new(key: &Key) -> Scrub<'_> {
        match key {
            Key::Sent { variable, value } if value.len() >= SHORTEST => {
                Scrub { key: Some(value), named: named(variable), held: String::new() }
            }
            _ => Scrub { key: None, named: String::new(), held: String::new() },
        }
    }

    /// What can be shown after another piece of text has come.
    pub fn piece(&mut self, piece: &str) -> String {
        let Some(key) = self.key else { return piece.to_owned() };
        let mut text = std::mem::take(&mut self.held) + piece;
        self.text(&mut text);
        let begun = (1..key.len()).rev().find(|length| text.ends_with(&key[..*length]));
        self.held = text.split_off(text.len() - begun.unwrap_or(0));
        text
    }

    /// What was held back, once no more comes.
    pub fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    pub fn answer(&self, mut answer: Answer) -> Answer {
        for part in [&mut answer.message, &mut answer.calls].into_iter().flatten() {
            self.value(part);
        }
        if let Stop::Other(reason) = &mut answer.stop {
            self.text(reason);
        }
        answer
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.value(field));
                if self.key.is_some_and(|key| fields.keys().any(|name| name.contains(key))) {
                    let named = std::mem::take(fields).into_iter().map(|(mut name, value)| {
                        self.text(&mut name);
                        (name, value)
                    });
                    *fields = Map::from_iter(named);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&self, text: &mut String) {
        if let Some(key) = self.key.filter(|key| text.contains(*key)) {
            *text = text.replace(key, &self.named);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::api::Tokens;
    use super::*;

    fn key(value: &str) -> Key {
        Key::Sent { variable: "X".to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_key_in_pieces_is_taken_out_and_what_only_begins_like_it_is_not() {
        let key = key("sk-0123456789-sk-9");
        let text = "a sk-0123456789-sk-9 b sk-0123456789-sk-8 sk-0123456789-sk-0123456789-sk-9 sk-";
        for size in 1..text.len() {
            let mut scrub = Scrub::new(&key);
            let pieces = text.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap());
            let shown: String = pieces.map(|piece| scrub.piece(piece)).collect();
            let shown = shown + &scrub.rest();
            assert_eq!(shown, "a [X] b sk-0123456789-sk-8 sk-0123456789-[X] sk-", "{size}");
        }
    }

    #[test]
    fn a_key_is_taken_out_of_all_of_an_answer() {
        let text = "sk-0123456789-0123";
        let (key, value) = (key(text), json!({"a": [text, {text: format!("x{text}")}], "n": 1}));
        let answer = Answer {
            message: Some(value.clone()),
            calls: Some(value),
            refused: vec![],
            stop: Stop::Other(text.to_owned()),
            tokens: Tokens::default(),
        };
        let answer = Scrub::new(&key).answer(answer);
        let value = json!({"a": ["[X]", {"[X]": "x[X]"}], "n": 1});
        assert_eq!((answer.message, answer.calls), (Some(value.clone()), Some(value)));
        assert_eq!(answer.stop, Stop::Other("[X]".to_owned()));
    }

    #[test]
    fn a_word_in_a_keys_place_is_taken_out_of_errors_alone() {
        let key = key("ollama");
        assert_eq!(Scrub::new(&key).piece("I ask ollama"), "I ask ollama");
        assert_eq!(error(&key, "bad key ollama"), "bad key [X]");
        assert_eq!(error(&Key::None { unsent: None }, "none"), "none");
    }
}
