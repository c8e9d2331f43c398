//! A JSON value as text, which is only taken apart for those who want a part of it.
//!
//! Most results go from a guest's memory into a report, and nobody looks at their parts on the way: as a tree of
//! [`Value`]s they would take many times as long.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A value in JSON, compact.
///
/// ```
/// let json = inorder::Json::from(serde_json::json!({"lines": [1, 2]}));
/// assert_eq!(json.text(), r#"{"lines":[1,2]}"#);
/// assert_eq!(json.value()["lines"][1], 2);
/// ```
#[derive(Clone)]
pub struct Json {
    /// Invariant: it is JSON, and nests no deeper than `serde_json` reads.
    text: Arc<String>,
    /// Made when it is first asked for.
    value: OnceLock<Value>,
}

impl Json {
    /// The value that this text is, which has to be JSON.
    pub(crate) fn written(text: String) -> Json {
        Json { text: Arc::new(text), value: OnceLock::new() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Parses it, once.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
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
        Json { text: Arc::new(value.to_string()), value: OnceLock::from(value) }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.text == other.text || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value.get() {
            Some(value) => value.serialize(serializer),
            None => {
                let mut text = serde_json::Deserializer::from_str(&self.text);
                serde_transcode::transcode(&mut text, serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_taken_over_as_it_is_and_read_when_asked() {
        let text = r#"{"a":[1,-2.5,"\n",null,true,9007199254740993]}"#;
        let json = Json::written(text.to_owned());
        assert_eq!(serde_json::to_string(&[&json]).unwrap(), format!("[{text}]"));
        let value = json!({"a": [1, -2.5, "\n", null, true, 9_007_199_254_740_993_u64]});
        assert_eq!(json!([json]), json!([value]));
        assert_eq!(json, value.clone().into());
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert_eq!(json.into_value(), value);
        assert!(Json::from(Value::Null).is_null());
    }
}
