//! The arguments of a call: JSON that is seldom looked at as such.
//!
//! Knows that they are an object. What a tool takes, and what a reference is, others know.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::size::length_of_fields;
use super::tape::Tape;

/// An object of a tool's parameters. Clones share it.
///
/// What was parsed from text becomes a [`Map`] only for those who ask ([`Args::as_map`]): a call whose arguments fit its tool
/// is planned and run without one.
///
/// ```
/// let batch = inorder::Batch::from_json(br#"{"calls": [{"tool": "read", "args": {"path": "a"}}]}"#)?;
/// assert_eq!(batch.calls[0].args.as_map()["path"], "a");
/// # Ok::<(), inorder::RequestError>(())
/// ```
#[derive(Clone)]
pub struct Args(Arc<Form>);

enum Form {
    Map(Map<String, Value>),
    /// As it was parsed, and as a map since somebody has asked.
    Parsed(Tape, OnceLock<Map<String, Value>>),
}

impl Args {
    /// Of a name that was given twice, the last value.
    pub fn as_map(&self) -> &Map<String, Value> {
        match &*self.0 {
            Form::Map(map) => map,
            Form::Parsed(tape, map) => map.get_or_init(|| map_of(tape)),
        }
    }

    /// [`Args::as_map`], without a copy if nobody shares them.
    pub fn into_map(self) -> Map<String, Value> {
        match Arc::try_unwrap(self.0) {
            Ok(Form::Map(map)) => map,
            Ok(Form::Parsed(tape, map)) => map.into_inner().unwrap_or_else(|| map_of(&tape)),
            Err(shared) => Args(shared).as_map().clone(),
        }
    }

    /// What `reader` makes of them, if it takes them.
    pub(crate) fn read<'a, S: DeserializeSeed<'a>>(&'a self, reader: S) -> Option<S::Value> {
        match &*self.0 {
            Form::Map(map) => reader.deserialize(map).ok(),
            Form::Parsed(tape, _) => reader.deserialize(&mut tape.reader()).ok(),
        }
    }

    /// Whether their JSON text, without spaces, surely has at most `limit` bytes. Names that were given twice count twice.
    pub(super) fn within(&self, limit: u64) -> bool {
        match &*self.0 {
            Form::Map(map) => length_of_fields(map, limit).is_some(),
            Form::Parsed(tape, _) => tape.most() <= limit || tape.length(limit).is_some(),
        }
    }
}

fn map_of(tape: &Tape) -> Map<String, Value> {
    // A tape is an object, and any JSON value can be in it.
    Map::deserialize(&mut tape.reader()).unwrap_or_default()
}

impl From<Map<String, Value>> for Args {
    fn from(map: Map<String, Value>) -> Args {
        Args(Arc::new(Form::Map(map)))
    }
}

impl Default for Args {
    fn default() -> Args {
        Map::new().into()
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_map().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Args {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Args, D::Error> {
        let tape = Tape::deserialize(deserializer)?;
        Ok(Args(Arc::new(Form::Parsed(tape, OnceLock::new()))))
    }
}

/// In the order given. A name that was given twice is there twice.
impl Serialize for Args {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            Form::Map(map) => map.serialize(serializer),
            Form::Parsed(tape, _) => tape.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = r#" {"a" : [1, -1, 1.50, 1e2, -0, 18446744073709551615, 1e300, null, true, false],
        "\u00e9\n\"": {"x": {}, "y": [[], ""]}, "long": "0123456789"} "#;

    #[test]
    fn arguments_are_the_same_parsed_and_as_a_map() {
        let map: Map<String, Value> = serde_json::from_str(TEXT).unwrap();
        let args: Args = serde_json::from_str(TEXT).unwrap();
        assert_eq!(json!(args), json!(map));
        assert_eq!(serde_json::to_string(&args).unwrap(), serde_json::to_string(&map).unwrap());
        assert_eq!(args.as_map(), &map);
        assert_eq!(args.clone().into_map(), map);
        let from_value: Args = serde_json::from_value(json!(map)).unwrap();
        assert_eq!(from_value.into_map(), map);
        assert_eq!(format!("{args:?}"), format!("{:?}", Args::from(map)));
    }

    #[test]
    fn arguments_are_within_the_length_of_their_text() {
        let map: Map<String, Value> = serde_json::from_str(TEXT).unwrap();
        let length = serde_json::to_string(&map).unwrap().len() as u64;
        let control = format!(r#"{{"": "{}"}}"#, "\\u0001".repeat(100));
        let floats = format!(r#"{{"": [{}]}}"#, ["-2.2250738585072014e-308"; 100].join(","));
        for (text, length) in [
            (TEXT, length),
            (&control, control.len() as u64 - 1),
            (&floats, floats.len() as u64 - 1),
        ] {
            let args: Args = serde_json::from_str(text).unwrap();
            for args in [&args, &Args::from(args.as_map().clone())] {
                assert!(args.within(length), "{text}");
                assert!(!args.within(length - 1), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_refused_in_the_words_of_a_map() {
        for text in ["[]", "null", "3", "\"{}\"", "", "{", r#"{"a": 1e400}"#, r#"{"a": "\ud800"}"#]
        {
            let args = serde_json::from_str::<Args>(text).unwrap_err();
            let map = serde_json::from_str::<Map<String, Value>>(text).unwrap_err();
            assert_eq!(args.to_string(), map.to_string());
        }
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(127), "]".repeat(127));
        let args = serde_json::from_str::<Args>(&deep).unwrap_err();
        assert!(args.to_string().starts_with("recursion limit"), "{args}");
    }

    #[test]
    fn of_a_name_given_twice_the_last_value_counts() {
        let args: Args = serde_json::from_str(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        assert_eq!(serde_json::to_string(args.as_map()).unwrap(), r#"{"a":3,"b":2}"#);
    }
}
