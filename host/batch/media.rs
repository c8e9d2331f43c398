//! A result that is a picture, a sound or a document, which some formats hand to a model as what it is.
//!
//! Told by its value alone: two fields, `data` in base64 and `mime_type`, which is what a tool gives as a record of
//! `data: list<u8>` and `mime-type: string`.

use serde_json::Value;

use super::report::Outcome;

/// Bytes of some type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// As in `image/png`, in lower case, without parameters.
    pub mime_type: &'a str,
    /// In base64, padded.
    pub data: &'a str,
}

impl Outcome {
    /// Its value, if that is media.
    pub fn media(&self) -> Option<Media<'_>> {
        let json = self.result.as_ref().ok()?;
        if !json.text().starts_with('{') || !json.text().contains(r#""mime_type":"#) {
            return None;
        }
        let fields = json.value().as_object().filter(|fields| fields.len() == 2)?;
        let text = |field| fields.get(field).and_then(Value::as_str);
        let media = Media { mime_type: text("mime_type")?, data: text("data")? };
        (is_mime_type(media.mime_type) && is_base64(media.data)).then_some(media)
    }
}

impl Media<'_> {
    /// Of a type that every API which takes pictures takes.
    pub fn is_picture(&self) -> bool {
        matches!(self.mime_type, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
    }

    /// A `data:` URL of it.
    pub fn url(&self) -> String {
        format!("data:{};base64,{}", self.mime_type, self.data)
    }
}

fn is_mime_type(text: &str) -> bool {
    let part = |part: &str| {
        let allowed =
            |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'-' | b'_');
        !part.is_empty() && part.bytes().all(allowed)
    };
    text.len() <= 127 && text.split_once('/').is_some_and(|(one, two)| part(one) && part(two))
}

fn is_base64(text: &str) -> bool {
    let bytes = text.strip_suffix("==").or(text.strip_suffix('=')).unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    !text.is_empty() && text.len().is_multiple_of(4) && bytes.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Media;
    use crate::batch::report::{Outcome, Usage};

    fn outcome(value: Value) -> Outcome {
        Outcome {
            id: "1".to_owned(),
            tool: "look".to_owned(),
            result: Ok(value.into()),
            usage: Usage::default(),
            changes: vec![],
            bytes: None,
            stdout: String::new(),
            stderr: String::new(),
            _held: None,
        }
    }

    #[test]
    fn bytes_with_their_type_are_media() {
        let outcome = outcome(json!({"data": "iVBORw==", "mime_type": "image/png"}));
        let media = outcome.media().unwrap();
        assert_eq!(media, Media { mime_type: "image/png", data: "iVBORw==" });
        assert!(media.is_picture());
        assert_eq!(media.url(), "data:image/png;base64,iVBORw==");
    }

    #[test]
    fn what_only_looks_like_it_is_none() {
        for value in [
            json!({"data": "not base64", "mime_type": "image/png"}),
            json!({"data": "iVBORw=", "mime_type": "image/png"}),
            json!({"data": "", "mime_type": "image/png"}),
            json!({"data": "iVBORw==", "mime_type": "png"}),
            json!({"data": "iVBORw==", "mime_type": "image/png; a\"b"}),
            json!({"data": "iVBORw==", "mime_type": "image/png", "more": 1}),
            json!({"data": "iVBORw=="}),
            json!("iVBORw=="),
        ] {
            assert_eq!(outcome(value.clone()).media(), None, "{value}");
        }
    }
}
