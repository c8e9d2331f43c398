//! A JSON value as text, which is only taken apart for those who want a part of it.
//!
//! Most results go from a guest's memory into a report, and nobody looks at their parts on the way: as a tree of
//! [`Value`]s they would take many times as long.

use std::fmt;
use std::sync::OnceLock;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A value in JSON, compact.
///
/// Serialized, it is that value, if it is `serde_json` that serializes; for other formats, serialize [`Json::value`].
///
/// ```
/// let json = inorder::Json::from(serde_json::json!({"lines": [1, 2]}));
/// assert_eq!(json.text(), r#"{"lines":[1,2]}"#);
/// assert_eq!(json.value()["lines"][1], 2);
/// ```
#[derive(Clone)]
pub struct Json {
    text: Box<RawValue>,
    /// Made when it is first asked for.
    value: OnceLock<Value>,
}

impl Json {
    /// The value that this text is; nothing, if it is no JSON.
    pub(crate) fn written(text: String) -> Option<Json> {
        Some(Json { text: RawValue::from_string(text).ok()?, value: OnceLock::new() })
    }

    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// Parses it, once.
    pub fn value(&self) -> &Value {
        // It has been found to be JSON, and is not nested deeper than a parser takes.
        self.value.get_or_init(|| serde_json::from_str(self.text()).unwrap_or_default())
    }

    pub fn into_value(self) -> Value {
        self.value();
        self.value.into_inner().unwrap_or_default()
    }

    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        // Fails for maps whose keys are no strings, which a `Value` does not have.
        let text = to_raw_value(&value).unwrap_or_default();
        Json { text, value: OnceLock::from(value) }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.text() == other.text() || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_taken_over_as_it_is_and_read_when_asked() {
        let json = Json::written(r#"{"a":[1,"\n"]}"#.to_owned()).unwrap();
        assert_eq!(json, json!({"a": [1, "\n"]}).into());
        assert_eq!(serde_json::to_string(&[&json]).unwrap(), r#"[{"a":[1,"\n"]}]"#);
        assert_eq!(json!([json]), json!([{"a": [1, "\n"]}]));
        assert_eq!(json.into_value()["a"][0], 1);
        assert!(Json::written("{".to_owned()).is_none());
        assert!(Json::from(Value::Null).is_null());
    }
}
