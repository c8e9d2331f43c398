//! References: an argument that is part of an earlier call's result.
//!
//! Knows how a reference is written and how a pointer is followed. Which call a name means, and
//! whether it comes earlier, is decided in `plan.rs`.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// How one call names another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the id (a string) or the 1-based place (a number) of a call"
)]
pub enum CallRef {
    /// 1-based, in the order of the batch: a model does not know its ids while it writes them.
    Place(usize),
    Id(String),
}

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallRef::Place(place) => write!(f, "{place}"),
            CallRef::Id(id) => write!(f, "{id:?}"),
        }
    }
}

/// A JSON Pointer (RFC 6901), valid by construction: `""` (the whole value) or `/a/0/b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    pub fn parse(text: &str) -> Result<Pointer, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!(
                "{text:?} is not a JSON Pointer: it must be empty or begin with `/`, as in \"/{text}\""
            ));
        }
        let bad = |rest: &str| !rest.starts_with('0') && !rest.starts_with('1');
        if text.split('~').skip(1).any(bad) {
            return Err(format!(
                "{text:?} is not a JSON Pointer: `~` is written `~0`, `/` is `~1`"
            ));
        }
        Ok(Pointer(text.to_owned()))
    }

    /// The pointer one step deeper, at `key` or an index.
    pub fn child(&self, key: impl fmt::Display) -> Pointer {
        let key = key.to_string().replace('~', "~0").replace('/', "~1");
        Pointer(format!("{}/{key}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands at this pointer in `value`, or how far the pointer led and what it found there.
    pub fn follow<'v>(&self, value: &'v Value) -> Result<&'v Value, String> {
        if let Some(found) = value.pointer(&self.0) {
            return Ok(found);
        }
        let mut end = 0;
        let mut last = value;
        for (slash, _) in self.0.match_indices('/').skip(1).chain([(self.0.len(), "")]) {
            match value.pointer(&self.0[..slash]) {
                Some(found) => (end, last) = (slash, found),
                None => break,
            }
        }
        let whole = if end == 0 { "its value".to_owned() } else { format!("{:?}", &self.0[..end]) };
        Err(format!("nothing is at {:?}: {whole} is {}", self.0, describe(last)))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `{"$from": call, "at": pointer}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub from: CallRef,
    pub at: Pointer,
}

impl Reference {
    /// Reads `value` as a reference: `None` when it is not meant as one (no `$from` key).
    pub fn read(value: &Value) -> Option<Result<Reference, String>> {
        let object = value.as_object()?;
        let from = object.get("$from")?;
        Some((|| {
            let from = CallRef::deserialize(from).map_err(|error| format!("`$from`: {error}"))?;
            let at = match object.get("at") {
                None => Pointer::default(),
                Some(Value::String(text)) => {
                    Pointer::parse(text).map_err(|error| format!("`at`: {error}"))?
                }
                Some(other) => {
                    return Err(format!("`at`: expected a JSON Pointer, got {}", describe(other)));
                }
            };
            match object.keys().find(|key| *key != "$from" && *key != "at") {
                None => Ok(Reference { from, at }),
                Some(extra) => Err(format!(
                    "{extra:?} does not belong in a reference: it has `$from` and `at`"
                )),
            }
        })())
    }

    pub fn is_reference(value: &Value) -> bool {
        value.as_object().is_some_and(|object| object.contains_key("$from"))
    }
}

/// A few words for a message: what kind of value this is, and how large.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
        Value::String(text) => format!("a string of {} bytes", text.len()),
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) if fields.is_empty() => "an object without fields".to_owned(),
        Value::Object(fields) => {
            let mut names =
                fields.keys().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            if fields.len() > 8 {
                names.push_str(", ..");
            }
            format!("an object with {names}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_pointer_says_how_far_it_led() {
        let value = json!([{"path": "a"}]);
        let at = |text: &str| Pointer::parse(text).unwrap().follow(&value).cloned();
        assert_eq!(at("/0/path"), Ok(json!("a")));
        assert_eq!(at(""), Ok(value.clone()));
        assert_eq!(
            at("/3/path").unwrap_err(),
            r#"nothing is at "/3/path": its value is a list of 1"#
        );
        assert_eq!(
            at("/0/name").unwrap_err(),
            r#"nothing is at "/0/name": "/0" is an object with path"#
        );
    }

    #[test]
    fn what_is_not_a_pointer_is_refused() {
        assert!(Pointer::parse("0/path").is_err());
        assert!(Pointer::parse("/a~2").is_err());
        assert!(Pointer::parse("/a~").is_err());
        assert_eq!(Pointer::default().child("a/b~c").as_str(), "/a~1b~0c");
    }

    #[test]
    fn an_object_with_from_is_a_reference_and_nothing_else_may_stand_in_it() {
        assert!(Reference::read(&json!({"at": "/0"})).is_none());
        assert!(Reference::read(&json!("x")).is_none());
        assert!(Reference::read(&json!({"$from": "a"})).unwrap().is_ok());
        assert!(Reference::read(&json!({"$from": 1, "at": "/x"})).unwrap().is_ok());
        for bad in [
            json!({"$from": "a", "path": "/0"}),
            json!({"$from": 1.5}),
            json!({"$from": -1}),
            json!({"$from": null}),
            json!({"$from": "a", "at": 3}),
        ] {
            assert!(Reference::read(&bad).unwrap().is_err(), "{bad}");
        }
    }
}
