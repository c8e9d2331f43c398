//! Secrets taken out of what a guest is handed, and of what it says, wherever the pieces are cut.
//!
//! Found are a secret as it is, in any letter case, with its special characters in any of the spellings that they have in
//! JSON, URLs and HTML, each for itself; and within base64. A server that changes it in another way has been given it, and
//! can hand it to anybody.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::syntax;
use serde_json::{Map, Value};

use super::secret::Secret;

/// What to look for, and what to put in its place.
#[derive(Default)]
pub struct Patterns {
    find: Option<Find>,
    /// By pattern.
    markers: Vec<Vec<u8>>,
}

struct Find {
    plain: Regex,
    /// Within a string of JSON text.
    in_json: Regex,
    /// The most bytes that a secret may take.
    longest: usize,
}

/// A body on its way. Keeps back as much as the longest secret takes, whatever that is: a guest that saw its own guess kept
/// back, and another one not, would find the secret out letter by letter.
pub struct Scrub {
    patterns: Arc<Patterns>,
    held: Vec<u8>,
}

impl Patterns {
    /// # Errors
    /// They are too many and too long.
    pub fn new<'s>(
        secrets: impl IntoIterator<Item = &'s Secret>,
    ) -> Result<Patterns, Box<BuildError>> {
        let mut secrets: Vec<(&str, &str)> =
            secrets.into_iter().filter_map(|secret| Some((secret.raw()?, &*secret.name))).collect();
        if secrets.is_empty() {
            return Ok(Patterns::default());
        }
        // Of two that begin alike, the longer one is meant.
        secrets.sort_by_key(|(raw, _)| std::cmp::Reverse(raw.len()));
        let all: Vec<Vec<Form>> = secrets.iter().map(|(raw, _)| forms(raw)).collect();
        let lengths = all.iter().flatten().map(|form| {
            form.iter().map(|ways| ways.iter().map(String::len).max().unwrap_or(0)).sum()
        });
        let longest = lengths.max().unwrap_or(0);
        let find =
            Find { plain: regex(&all, str::to_owned)?, in_json: regex(&all, in_json)?, longest };
        let markers = secrets.iter().map(|(_, name)| format!("[secret {name}]").into_bytes());
        Ok(Patterns { find: Some(find), markers: markers.collect() })
    }

    pub fn is_empty(&self) -> bool {
        self.find.is_none()
    }

    /// What is left of `bytes`, of which only the beginning may be all that there will be: up to where that is certain.
    fn scan(&self, bytes: &[u8], is_end: bool) -> (Vec<u8>, usize) {
        let Some(find) = &self.find else { return (bytes.to_vec(), bytes.len()) };
        let kept = if is_end { 0 } else { find.longest - 1 };
        let certain = bytes.len().saturating_sub(kept);
        let (mut out, mut at) = (Vec::with_capacity(certain), 0);
        for found in find.plain.find_iter(bytes) {
            if found.start() >= certain {
                break;
            }
            out.extend_from_slice(&bytes[at..found.start()]);
            out.extend_from_slice(&self.markers[found.pattern().as_usize()]);
            at = found.end();
        }
        let end = certain.max(at);
        out.extend_from_slice(&bytes[at..end]);
        (out, end)
    }

    /// Whether any secret is in `bytes`.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        self.find.as_ref().is_some_and(|find| find.plain.is_match(bytes))
    }

    /// Whether any secret may be in a string of `text`, which is JSON as we write it: escaped only where it has to be.
    pub fn may_be_in_json(&self, text: &str) -> bool {
        self.find.as_ref().is_some_and(|find| find.in_json.is_match(text))
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

/// One way to write a secret: for each character, the ways to write that.
type Form = Vec<Vec<String>>;

/// The ways in which a secret is likely to be written.
fn forms(raw: &str) -> Vec<Form> {
    let mut texts = vec![raw.to_owned()];
    for before in 0..3 {
        // Of base64, the characters that depend on the secret alone, wherever it begins.
        let bytes = [&[0; 2][..before.min(2)], raw.as_bytes()].concat();
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = alphabet.encode(&bytes);
            let whole = if bytes.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
            let first = (before * 8).div_ceil(6);
            texts.push(text[first..whole].to_owned());
        }
    }
    texts.iter().map(|text| text.chars().map(spellings).collect()).collect()
}

/// Nobody escapes a letter or a digit.
fn spellings(it: char) -> Vec<String> {
    if it.is_ascii_alphanumeric() {
        return vec![it.to_string()];
    }
    let code = u32::from(it);
    let mut ways = vec![
        format!("%{code:02X}"),
        format!("\\u{code:04X}"),
        format!("\\{it}"),
        format!("&#{code};"),
        format!("&#x{code:X};"),
    ];
    match it {
        ' ' => ways.push("+".to_owned()),
        '&' => ways.push("&amp;".to_owned()),
        '<' => ways.push("&lt;".to_owned()),
        '>' => ways.push("&gt;".to_owned()),
        '"' => ways.push("&quot;".to_owned()),
        '\'' => ways.push("&apos;".to_owned()),
        _ => {}
    }
    ways.push(it.to_string());
    ways
}

/// One pattern for each secret, with all of its forms, as `within` writes them.
fn regex(all: &[Vec<Form>], within: fn(&str) -> String) -> Result<Regex, Box<BuildError>> {
    let literal = |text: &String| -> String {
        within(text).bytes().map(|byte| format!("\\x{byte:02X}")).collect()
    };
    let either = |ways: Vec<String>| format!("(?:{})", ways.join("|"));
    let of_form = |form: &Form| -> String {
        form.iter().map(|ways| either(ways.iter().map(literal).collect())).collect()
    };
    let patterns = all.iter().map(|forms| either(forms.iter().map(of_form).collect()));
    let patterns: Vec<String> = patterns.collect();
    const MOST: usize = 64 << 20;
    Regex::builder()
        .configure(Config::new().utf8_empty(false).nfa_size_limit(Some(MOST)))
        .syntax(syntax::Config::new().utf8(false).unicode(false).case_insensitive(true))
        .build_many(&patterns)
        .map_err(Box::new)
}

/// As it is within a string of JSON.
fn in_json(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
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
        Patterns::new(&secrets).unwrap()
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
            // By Python, JavaScript, Go, Gson, templates; and in capitals.
            ("a%22b/c%20d%2Be%3Df%3F".to_owned(), "[secret key]"),
            ("a%22b/c%20d+e=f%3F".to_owned(), "[secret key]"),
            ("a\\\"b/c d+e\\u003df?".to_owned(), "[secret key]"),
            ("a&quot;b/c d+e=f?".to_owned(), "[secret key]"),
            ("a&#34;b&#x2f;c d&#43;e=f?".to_owned(), "[secret key]"),
            ("A\"B/C D+E=F?".to_owned(), "[secret key]"),
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

    #[test]
    fn what_is_kept_back_does_not_tell_how_a_secret_begins() {
        let patterns = Arc::new(patterns(&[("key", "abcdefgh+ijkl"), ("other", "zyxwvuts")]));
        let kept = |text: &str| {
            let mut scrub = Scrub::new(patterns.clone());
            text.bytes().map(|byte| scrub.push(&[byte]).len()).collect::<Vec<_>>()
        };
        for text in ["abcdefgh+ijk", "zyxwvut", "YWJjZGVmZ2gr", "abcdefgh%2b"] {
            for cut in 1..=text.len() {
                let text = format!("{}\n", &text[..cut]).repeat(20);
                assert_eq!(kept(&text), kept(&"-".repeat(text.len())), "{text}");
            }
        }
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
