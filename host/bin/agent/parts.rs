//! The calls of an answer in the Chat API, which come in parts: to which call each belongs.
//!
//! That is told by an index, as the API has it. But some servers give each call the same one, or none, and some give several
//! calls one id; so that none is lost, what is known of a call decides, too.

use serde_json::{Map, Value, json};

use super::api::{Arguments, Ids, arguments, said, take};

#[derive(Default)]
pub struct Calls(Vec<Call>);

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    braces: Braces,
    /// Anything else: some servers want it back.
    more: Map<String, Value>,
}

/// Whether a text is one whole object. It is followed as it comes: to parse all of it with every part could take for ever.
#[derive(Default)]
struct Braces {
    depth: usize,
    quoted: bool,
    escaped: bool,
    closed: bool,
}

#[derive(Default)]
pub struct Finished {
    /// As they are sent back.
    pub sent: Vec<Value>,
    /// As they are run.
    pub run: Vec<Value>,
    /// By their places, which are not, and why.
    pub refused: Vec<(usize, &'static str)>,
}

impl Calls {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn add(&mut self, mut part: Value) {
        let place = self.place(&part);
        let Some(call) = self.0.get_mut(place) else { return };
        let mut function = take(&mut part, "function");
        if let Some(name) = said(&function, "name").filter(|_| call.name.is_empty()) {
            call.name = name.to_owned();
        }
        match take(&mut function, "arguments") {
            Value::String(text) => call.go_on(&text),
            Value::Null => {}
            // Against the API, by some servers.
            other => call.go_on(&other.to_string()),
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

    fn place(&mut self, part: &Value) -> usize {
        let index = part["index"].as_u64();
        let id = said(part, "id");
        let other = |call: &Call| id.is_some_and(|id| !call.id.is_empty() && call.id != id);
        let known = match index {
            Some(_) => self.0.iter().rposition(|it| it.index == index && !other(it)),
            None if id.is_some() => self.0.iter().rposition(|it| Some(&*it.id) == id),
            None if said(&part["function"], "name").is_some() => None,
            None => self.0.len().checked_sub(1),
        };
        let known = known.filter(|&at| self.0.get(at).is_some_and(|it| !it.ends_before(part)));
        known.unwrap_or_else(|| {
            self.0.push(Call { index, ..Call::default() });
            self.0.len() - 1
        })
    }

    pub fn finish(self, mut ids: Ids) -> Finished {
        let mut calls: Vec<Call> = vec![];
        for call in self.0 {
            if !calls.iter().any(|before| before.is_said_again_by(&call)) {
                calls.push(call);
            }
        }
        let mut finished = Finished::default();
        for call in calls {
            let id = ids.next(&call.id);
            let Arguments { back, run, refused } = arguments(&call.arguments);
            let json = |arguments: Value| {
                let function = json!({ "name": call.name, "arguments": arguments });
                let mut json = json!({ "id": id, "type": "function", "function": function });
                if let Some(fields) = json.as_object_mut() {
                    fields.extend(call.more.clone());
                }
                json
            };
            finished.refused.extend(refused.map(|why| (finished.run.len(), why)));
            finished.sent.push(json(json!(back.to_string())));
            finished.run.push(json(run));
        }
        finished
    }
}

impl Call {
    fn go_on(&mut self, arguments: &str) {
        self.arguments.push_str(arguments);
        self.braces.read(arguments);
    }

    /// Whether `part` begins another call: it has a name, and this one has another, or all of its arguments.
    fn ends_before(&self, part: &Value) -> bool {
        let name = said(&part["function"], "name");
        name.is_some_and(|name| self.braces.closed || !self.name.is_empty() && self.name != name)
    }

    /// Some servers end with all that they have streamed. To run a call twice would be worse than to leave out one that was
    /// meant, which the model then sees that it has not made.
    fn is_said_again_by(&self, later: &Call) -> bool {
        let is_named = !self.id.is_empty() || self.index.is_some() && self.index == later.index;
        is_named
            && (&self.id, &self.name, &self.arguments) == (&later.id, &later.name, &later.arguments)
    }
}

impl Braces {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                b'{' | b'[' if !self.quoted => self.depth += 1,
                b'}' | b']' if !self.quoted => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed = self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The ids, names and arguments of the calls that parts come to.
    fn calls(parts: &[Value]) -> Vec<(String, String, String)> {
        let mut calls = Calls::default();
        for part in parts {
            calls.add(part.clone());
        }
        let Finished { sent, run, .. } =
            calls.finish(Ids::new("call_1".to_owned(), HashSet::new()));
        assert_eq!(sent.len(), run.len());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let call = |call: &Value| {
            let function = &call["function"];
            (text(&call["id"]), text(&function["name"]), text(&function["arguments"]))
        };
        sent.iter().map(call).collect()
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
        let one_id = |index: &Value| {
            [
                part(index.clone(), json!("a"), json!("f"), "{\"x\":"),
                part(index.clone(), json!("a"), none.clone(), "1}"),
                part(index.clone(), json!("a"), json!("g"), "{\"}\":"),
                part(index.clone(), json!("a"), json!("g"), "2}"),
                part(index.clone(), json!("a"), json!("g"), "{}"),
            ]
        };
        let three = [
            call("a", "f", "{\"x\":1}"),
            call("call_1_2", "g", "{\"}\":2}"),
            call("call_1_3", "g", "{}"),
        ];
        assert_eq!(calls(&one_id(&none)), three);
        assert_eq!(calls(&one_id(&json!(0))), three);
        let index_alone = [
            part(json!(0), none.clone(), json!("f"), "{\"x\":1}"),
            part(json!(0), none.clone(), json!("g"), "{}"),
        ];
        assert_eq!(
            calls(&index_alone),
            [call("call_1_1", "f", "{\"x\":1}"), call("call_1_2", "g", "{}")]
        );
        let said_again = [
            part(json!(0), json!("a"), json!("f"), "{\"x\""),
            part(json!(0), none.clone(), none.clone(), ":1}"),
            part(json!(0), json!("a"), json!("f"), "{\"x\":1}"),
        ];
        assert_eq!(calls(&said_again), two[..1]);
        let huge_index = [part(json!(u64::MAX), json!("a"), json!("f"), "{\"x\":1}")];
        assert_eq!(calls(&huge_index), two[..1]);
    }
}
