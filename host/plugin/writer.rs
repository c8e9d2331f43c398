//! JSON text, put together piece by piece: what `serde_json` would write of a value that nobody makes.
//!
//! Knows nothing of guests or their types. Whoever calls its functions in a wrong order gets text that is no JSON. What can be
//! long is refused where it would be longer than is wanted; the rest is for the caller to look at, by `is_too_long`.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::Number;

use super::check::{BASE64, MAX_SAFE};

/// Looked at in one go for bytes to escape, of which most texts have few: a few steps of the processor.
const CHUNK: usize = 64;

/// Bytes of escapes between two questions.
const PORTION: usize = 64 << 10;

#[derive(Debug)]
pub struct Writer {
    text: String,
    /// In bytes.
    most: usize,
}

/// The text would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long")]
pub struct TooLong;

impl Writer {
    /// Of a text of so many bytes, at the most.
    pub fn new(most: usize) -> Writer {
        Writer { text: String::new(), most }
    }

    /// # Errors
    /// It is too long.
    pub fn into_text(self) -> Result<String, TooLong> {
        self.room_for(0).map(|()| self.text)
    }

    /// # Errors
    /// With so many bytes more, it would be too long.
    pub fn room_for(&self, bytes: usize) -> Result<(), TooLong> {
        let length = self.text.len().checked_add(bytes);
        if length.is_some_and(|it| it <= self.most) { Ok(()) } else { Err(TooLong) }
    }

    /// That so many bytes more are about to be written, which only makes it faster.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes + 2);
    }

    /// Punctuation and literals, as they are.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// A string, if readers of JSON would not get it exact as a number.
    pub fn signed(&mut self, value: i64) {
        // Writing to a string cannot fail; nor can it below.
        let _ = match value.unsigned_abs() <= MAX_SAFE.unsigned_abs() {
            true => write!(self.text, "{value}"),
            false => write!(self.text, "\"{value}\""),
        };
    }

    /// Likewise.
    pub fn unsigned(&mut self, value: u64) {
        let _ = match value <= MAX_SAFE.unsigned_abs() {
            true => write!(self.text, "{value}"),
            false => write!(self.text, "\"{value}\""),
        };
    }

    /// Those that are no numbers in JSON are strings.
    pub fn float(&mut self, value: f64) {
        match Number::from_f64(value) {
            Some(number) => drop(write!(self.text, "{number}")),
            None if value.is_nan() => self.raw("\"NaN\""),
            None if value > 0.0 => self.raw("\"Infinity\""),
            None => self.raw("\"-Infinity\""),
        }
    }

    /// With the digits that tell it from other `f32`s: 0.1, not 0.10000000149011612.
    pub fn float32(&mut self, value: f32) {
        let short = value.to_string().parse().unwrap_or(f64::from(value));
        self.float(if short as f32 == value { short } else { value.into() });
    }

    pub fn char(&mut self, value: char) -> Result<(), TooLong> {
        self.string(value.encode_utf8(&mut [0; 4]))
    }

    /// Base64, padded.
    pub fn bytes(&mut self, value: &[u8]) -> Result<(), TooLong> {
        self.room_for(base64::encoded_len(value.len(), true).unwrap_or(usize::MAX))?;
        self.text.push('"');
        BASE64.encode_string(value, &mut self.text);
        self.text.push('"');
        Ok(())
    }

    pub fn string(&mut self, value: &str) -> Result<(), TooLong> {
        self.quote();
        self.text_while(value, |_| Ok(()))?;
        self.quote();
        Ok(())
    }

    /// Where a string begins, and where it ends.
    pub fn quote(&mut self) {
        self.text.push('"');
    }

    /// A part of a string, which may be long: for each portion by which escapes make it longer than it was, it is asked whether to
    /// go on.
    pub fn text_while<E: From<TooLong>>(
        &mut self,
        value: &str,
        mut go_on: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.room_for(value.len())?;
        self.text.reserve(value.len());
        let (begin, mut asked) = (self.text.len(), 0);
        let mut written = 0;
        for (chunk_at, chunk) in (0..).step_by(CHUNK).zip(value.as_bytes().chunks(CHUNK)) {
            if !chunk.iter().fold(false, |any, byte| any | must_be_escaped(*byte)) {
                continue;
            }
            // Escapes make text longer, up to six times.
            self.room_for(value.len() - written)?;
            let longer = self.text.len() - begin - written;
            if longer - asked >= PORTION {
                go_on(longer - asked)?;
                asked = longer;
            }
            for (at, byte) in (chunk_at..).zip(chunk) {
                if must_be_escaped(*byte) {
                    self.text.push_str(&value[written..at]);
                    self.escape(*byte);
                    written = at + 1;
                }
            }
        }
        self.text.push_str(&value[written..]);
        Ok(())
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.raw("\\\""),
            b'\\' => self.raw("\\\\"),
            b'\n' => self.raw("\\n"),
            b'\r' => self.raw("\\r"),
            b'\t' => self.raw("\\t"),
            0x08 => self.raw("\\b"),
            0x0c => self.raw("\\f"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                self.raw("\\u00");
                for digit in [control >> 4, control & 0xf] {
                    self.text.push(char::from(DIGITS[usize::from(digit)]));
                }
            }
        }
    }

    /// A name of WIT, in quotes, as `snake_case` has it.
    pub fn name(&mut self, wit: &str) {
        self.text.push('"');
        let json = |letter: char| if letter == '-' { '_' } else { letter.to_ascii_lowercase() };
        self.text.extend(wit.chars().map(json));
        self.text.push('"');
    }
}

fn must_be_escaped(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::plugin::names::snake_case;

    fn written<T>(write: impl FnOnce(&mut Writer) -> T) -> String {
        let mut writer = Writer::new(usize::MAX);
        write(&mut writer);
        writer.into_text().unwrap()
    }

    proptest! {
        #[test]
        fn scalars_are_written_as_serde_json_writes_them(
            float in any::<f64>(),
            single in any::<f32>(),
            small in -MAX_SAFE..=MAX_SAFE,
            unsigned in 0..=MAX_SAFE.unsigned_abs(),
            text in any::<String>(),
            ascii in "[\\x00-\\x7f]{0,200}",
            letter in any::<char>(),
        ) {
            if float.is_finite() {
                prop_assert_eq!(written(|it| it.float(float)), json!(float).to_string());
            }
            if single.is_finite() {
                let text = written(|it| it.float32(single));
                prop_assert_eq!(text.parse::<f32>().unwrap(), single);
                let digits = text.split('e').next().unwrap_or_default().replace(['-', '.'], "");
                prop_assert!(digits.trim_matches('0').len() <= 9, "{text}");
            }
            prop_assert_eq!(written(|it| it.signed(small)), json!(small).to_string());
            prop_assert_eq!(written(|it| it.unsigned(unsigned)), json!(unsigned).to_string());
            prop_assert_eq!(written(|it| it.string(&text)), json!(text).to_string());
            prop_assert_eq!(written(|it| it.string(&ascii)), json!(ascii).to_string());
            prop_assert_eq!(written(|it| it.char(letter)), json!(letter).to_string());
        }
    }

    #[test]
    fn what_json_numbers_do_not_have_is_a_string() {
        for (text, expected) in [
            (written(|it| it.signed(i64::MIN)), "\"-9223372036854775808\""),
            (written(|it| it.unsigned(u64::MAX)), "\"18446744073709551615\""),
            (written(|it| it.float(f64::NAN)), "\"NaN\""),
            (written(|it| it.float(f64::NEG_INFINITY)), "\"-Infinity\""),
        ] {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn names_are_those_of_the_schemas() {
        for name in ["x", "zip-code", "parse-URL-v2"] {
            assert_eq!(written(|it| it.name(name)), format!("\"{}\"", snake_case(name)));
        }
    }

    #[test]
    fn no_more_is_written_than_is_wanted() {
        let escaped = "\0".repeat(1000);
        for (most, fits) in [(6002, true), (6001, false), (1000, false)] {
            let mut writer = Writer::new(most);
            let written = writer.string(&escaped).and_then(|()| writer.room_for(0));
            assert_eq!(written.is_ok(), fits);
            assert!(writer.text.len() < most + 6 * CHUNK);
        }
        assert_eq!(Writer::new(9).bytes(b"123456"), Ok(()));
        assert_eq!(Writer::new(7).bytes(b"123456"), Err(TooLong));
    }

    #[test]
    fn escapes_of_a_long_text_can_be_stopped() {
        let asked = |text: &str, most: usize| {
            let mut asked = 0;
            let written = Writer::new(usize::MAX).text_while(text, |_| {
                asked += 1;
                if asked <= most { Ok(()) } else { Err(TooLong) }
            });
            (asked, written.is_ok())
        };
        assert_eq!(asked(&"\0".repeat(10 * PORTION), 100), (49, true));
        assert_eq!(asked(&"\0".repeat(10 * PORTION), 2), (3, false));
        assert_eq!(asked(&"text".repeat(PORTION), 0), (0, true));
    }
}
