//! Secrets taken out of what a guest is handed, and of what it says, wherever the pieces are cut.
//!
//! Found are a secret as it is, as JSON and URLs escape it, and within base64. A server that changes it in another way
//! has been given it, and can hand it to anybody.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::secret::Secret;

/// What to look for, and what to put in its place.
#[derive(Default)]
pub struct Patterns {
    /// The longest first.
    all: Vec<(Vec<u8>, Vec<u8>)>,
    /// By byte: whether one begins with it.
    begins: Vec<bool>,
    /// What each of them is within a string of JSON text.
    in_json: Vec<Vec<u8>>,
}

/// A body on its way. Keeps back what may be the beginning of a secret.
pub struct Scrub {
    patterns: Arc<Patterns>,
    held: Vec<u8>,
}

impl Patterns {
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Patterns {
        let mut all = Vec::new();
        for secret in secrets {
            let marker = format!("[secret {}]", secret.name).into_bytes();
            all.extend(forms(secret.raw()).into_iter().map(|form| (form, marker.clone())));
        }
        all.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        all.dedup_by(|one, other| one.0 == other.0);
        let mut begins = vec![false; 256];
        for (form, _) in &all {
            begins[usize::from(form[0])] = true;
        }
        let in_json = all.iter().map(|(form, _)| in_json(&String::from_utf8_lossy(form)));
        let in_json = in_json.collect();
        Patterns { all, begins, in_json }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What is left of `bytes`, and where the beginning of a secret may begin at its end.
    fn scan(&self, bytes: &[u8], is_end: bool) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        'next: while at < bytes.len() {
            let rest = &bytes[at..];
            if self.begins[usize::from(rest[0])] {
                for (form, marker) in &self.all {
                    if rest.starts_with(form) {
                        out.extend_from_slice(marker);
                        at += form.len();
                        continue 'next;
                    }
                    if !is_end && form.starts_with(rest) {
                        return (out, at);
                    }
                }
            }
            out.push(rest[0]);
            at += 1;
        }
        (out, at)
    }

    /// Whether any secret is in `bytes`.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        self.all.iter().any(|(form, _)| bytes.windows(form.len()).any(|part| part == form))
    }

    /// Whether any secret may be in a string of `text`, which is JSON as we write it: escaped only where it has to be.
    pub fn may_be_in_json(&self, text: &str) -> bool {
        let begins = |byte: u8| self.begins.get(usize::from(byte)) == Some(&true);
        let text = text.as_bytes();
        // None begins with anything else for being escaped, but those that begin with what is.
        text.iter().enumerate().any(|(at, byte)| {
            (begins(*byte) || *byte == b'\\')
                && self.in_json.iter().any(|form| text[at..].starts_with(form))
        })
    }

    /// All of `bytes`, without secrets.
    pub fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.are_in(bytes) { Cow::Owned(self.scan(bytes, true).0) } else { Cow::Borrowed(bytes) }
    }

    pub fn text(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.bytes(text.as_bytes()) {
            // Secrets and markers are ASCII, so that what is around them stays text.
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }

    /// Names of fields too.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                if fields.keys().any(|name| self.are_in(name.as_bytes())) {
                    let clean = std::mem::take(fields).into_iter().map(|(mut name, value)| {
                        self.text(&mut name);
                        (name, value)
                    });
                    *fields = clean.collect::<Map<_, _>>();
                }
                fields.values_mut().for_each(|value| self.value(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl Scrub {
    pub fn new(patterns: Arc<Patterns>) -> Scrub {
        Scrub { patterns, held: Vec::new() }
    }

    pub fn patterns(&self) -> &Arc<Patterns> {
        &self.patterns
    }

    /// More of the body. Gives what may be handed on.
    pub fn push(&mut self, more: &[u8]) -> Bytes {
        self.held.extend_from_slice(more);
        let (out, done) = self.patterns.scan(&self.held, false);
        self.held.drain(..done);
        out.into()
    }

    /// There is no more of it.
    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.patterns.scan(&held, true).0.into()
    }
}

/// The ways in which a secret is likely to be written.
/// As it is within a string of JSON.
fn in_json(text: &str) -> Vec<u8> {
    let json = Value::from(text).to_string();
    json.as_bytes()[1..json.len() - 1].to_vec()
}

fn forms(raw: &str) -> Vec<Vec<u8>> {
    // Names of headers are handed on in lower case.
    let mut forms = vec![raw.as_bytes().to_vec(), raw.to_ascii_lowercase().into_bytes()];
    forms.push(in_json(raw));
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let url: String = raw
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    // As some write JSON: slashes escaped, or all that HTML might take for its own.
    let escaped = String::from_utf8_lossy(&forms[2]).into_owned();
    forms.push(escaped.replace('/', "\\/").into_bytes());
    let wary = |upper: bool| -> String {
        let code = |it: char| match upper {
            true => format!("\\u{:04X}", u32::from(it)),
            false => format!("\\u{:04x}", u32::from(it)),
        };
        let special = |it: char| matches!(it, '+' | '<' | '>' | '&' | '\'' | '"');
        raw.chars().map(|it| if special(it) { code(it) } else { it.to_string() }).collect()
    };
    forms.extend([wary(true).into_bytes(), wary(false).into_bytes()]);
    let lower: String = raw
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect();
    forms.push(lower.into_bytes());
    forms.push(url.clone().into_bytes());
    forms.push(url.replace("%20", "+").into_bytes());
    for before in 0..3 {
        // Of base64, the characters that depend on the secret alone, wherever it begins.
        let bytes = [&[0; 2][..before.min(2)], raw.as_bytes()].concat();
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = alphabet.encode(&bytes);
            let whole = if bytes.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
            let first = (before * 8).div_ceil(6);
            forms.push(text.as_bytes()[first..whole].to_vec());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::{SecretConfig, SecretSource};

    fn patterns(secrets: &[(&str, &str)]) -> Patterns {
        let open = |(name, raw): &(&str, &str)| {
            let source = SecretSource::Value((*raw).to_owned());
            let config = SecretConfig::new("api.test", "authorization", "", source).unwrap();
            Secret::open(name, &config).unwrap()
        };
        let secrets: Vec<Secret> = secrets.iter().map(open).collect();
        Patterns::new(&secrets)
    }

    #[test]
    fn a_secret_is_found_however_it_is_likely_to_be_written() {
        let raw = "a\"b/c d+e=f?";
        let patterns = patterns(&[("key", raw)]);
        for (text, expected) in [
            (format!("<{raw}>"), "<[secret key]>"),
            (json!({ "x": raw }).to_string(), "{\"x\":\"[secret key]\"}"),
            ("q=a%22b%2Fc%20d%2Be%3Df%3F&".to_owned(), "q=[secret key]&"),
            ("q=a%22b%2Fc+d%2Be%3Df%3F&".to_owned(), "q=[secret key]&"),
            ("q=a%22b%2fc%20d%2be%3df%3f&".to_owned(), "q=[secret key]&"),
            ("<a\\\"b\\/c d+e=f?>".to_owned(), "<[secret key]>"),
            ("<a\\u0022b/c d\\u002Be=f?>".to_owned(), "<[secret key]>"),
            ("<a\\u0022b/c d\\u002be=f?>".to_owned(), "<[secret key]>"),
        ] {
            let mut clean = text.clone();
            patterns.text(&mut clean);
            assert_eq!(clean, expected, "{text}");
            assert!(patterns.may_be_in_json(&json!([1, { "x": text }]).to_string()), "{text}");
            assert!(patterns.may_be_in_json(&json!({ text: 1 }).to_string()));
            assert!(!patterns.may_be_in_json(&json!([expected, "a\"b/c", "d+e=f?"]).to_string()));
        }
        for before in ["", "u", "us", "user:", "user:x"] {
            let mut text = STANDARD.encode(format!("{before}{raw}!"));
            patterns.text(&mut text);
            assert!(text.contains("[secret key]"), "{before}: {text}");
            let encoded = STANDARD.encode(format!("{before}{raw}!"));
            assert!(patterns.may_be_in_json(&json!(encoded).to_string()), "{encoded}");
        }
        let mut value = json!({ raw: [1, { "x": format!("..{raw}") }] });
        patterns.value(&mut value);
        assert_eq!(value, json!({ "[secret key]": [1, { "x": "..[secret key]" }] }));
    }

    #[test]
    fn the_longer_of_two_secrets_wins_even_in_pieces() {
        let patterns = Arc::new(patterns(&[("short", "abcdefgh"), ("long", "abcdefghijkl")]));
        let mut scrub = Scrub::new(patterns);
        let out = [scrub.push(b"xabcdefgh"), scrub.push(b"ij"), scrub.push(b"kly"), scrub.finish()];
        assert_eq!(out.concat(), b"x[secret long]y");
        let out = [scrub.push(b"abcdefgh"), scrub.push(b"ijx"), scrub.finish()];
        assert_eq!(out.concat(), b"[secret short]ijx");
    }

    proptest! {
        /// A small alphabet, so that beginnings of secrets are everywhere.
        #[test]
        fn no_secret_passes_however_a_body_is_cut(
            parts in proptest::collection::vec("[ab]{0,7}|aababaab|babababa", 0..20),
        ) {
            let patterns = Arc::new(patterns(&[("one", "aababaab"), ("two", "babababa")]));
            let whole = parts.concat();
            let mut scrub = Scrub::new(patterns.clone());
            let mut out: Vec<u8> = parts.iter().flat_map(|part| scrub.push(part.as_bytes())).collect();
            out.extend(scrub.finish());
            prop_assert_eq!(&out, &patterns.scan(whole.as_bytes(), true).0);
            let text = String::from_utf8(out).unwrap();
            for secret in ["aababaab", "babababa"] {
                // A marker is not taken for a part of one.
                prop_assert!(text.split(']').all(|part| !part.contains(secret)), "{}", text);
            }
        }
    }
}
