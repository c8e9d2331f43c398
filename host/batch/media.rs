//! A result that is a picture, a sound or a document, which some formats hand to a model as what it is.
//!
//! Told by its value alone: two fields, `data` in base64 and `mime_type`, which is what a tool gives as a record of
//! `data: list<u8>` and `mime-type: string`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
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
    /// Of a type that the APIs which take pictures take, of which Gemini takes no GIFs.
    pub fn is_picture(&self) -> bool {
        let mime_type = self.mime_type;
        matches!(mime_type, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
            && self.is_of_its_type()
    }

    pub fn is_pdf(&self) -> bool {
        self.mime_type == "application/pdf" && self.is_of_its_type()
    }

    /// Whether it begins as its type does; so does all that is of a type whose beginning is not known here. Tools go by the
    /// names of files, and an API refuses the whole conversation for a picture that is none.
    pub fn is_of_its_type(&self) -> bool {
        let beginning = &self.data[..self.data.len().min(16)];
        let beginning = BASE64_STANDARD_NO_PAD.decode(beginning.trim_end_matches('='));
        let bytes = beginning.unwrap_or_default();
        match self.mime_type {
            "image/png" => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            "image/jpeg" => bytes.starts_with(b"\xff\xd8\xff"),
            "image/gif" => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
            "image/webp" => bytes.starts_with(b"RIFF") && bytes.get(8..) == Some(b"WEBP"),
            "application/pdf" => bytes.starts_with(b"%PDF-"),
            _ => true,
        }
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
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
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
        let outcome = outcome(json!({"data": "iVBORw0KGgo=", "mime_type": "image/png"}));
        let media = outcome.media().unwrap();
        assert_eq!(media, Media { mime_type: "image/png", data: "iVBORw0KGgo=" });
        assert!(media.is_picture());
        assert_eq!(media.url(), "data:image/png;base64,iVBORw0KGgo=");
    }

    #[test]
    fn what_is_of_a_type_begins_as_that_type_does() {
        let beginnings: [(&str, &[u8]); 6] = [
            ("image/png", b"\x89PNG\r\n\x1a\n"),
            ("image/jpeg", b"\xff\xd8\xff\xe0"),
            ("image/gif", b"GIF89a"),
            ("image/gif", b"GIF87a"),
            ("image/webp", b"RIFF\x01\0\0\0WEBP"),
            ("application/pdf", b"%PDF-1.7"),
        ];
        for (mime_type, _) in beginnings {
            for (is_of, beginning) in beginnings {
                for more in [b"".as_slice(), b"\0", b"and what is more of it"] {
                    let data = BASE64_STANDARD.encode([beginning, more].concat());
                    let media = Media { mime_type, data: &data };
                    assert_eq!(media.is_of_its_type(), mime_type == is_of, "{mime_type}, {is_of}");
                }
            }
            assert!(!Media { mime_type, data: "aGVsbG8gd29ybGQ=" }.is_of_its_type());
        }
        assert!(Media { mime_type: "audio/wav", data: "aGVsbG8gd29ybGQ=" }.is_of_its_type());
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
