//! How long a value is as JSON text, without writing the text.

use std::io;

use serde_json::{Map, Number, Value};

/// How many bytes `value` takes; `None` if more than `limit`. Stops counting there.
pub fn length(value: &Value, limit: u64) -> Option<u64> {
    let left = after(value, limit)?;
    Some(limit - left)
}

/// [`length`] of an object.
pub fn length_of_fields(fields: &Map<String, Value>, limit: u64) -> Option<u64> {
    let left = after_fields(fields, limit)?;
    Some(limit - left)
}

/// What `value` leaves of so many bytes.
fn after(value: &Value, left: u64) -> Option<u64> {
    match value {
        Value::Null | Value::Bool(true) => left.checked_sub(4),
        Value::Bool(false) => left.checked_sub(5),
        Value::Number(number) => after_number(number, left),
        Value::String(text) => after_string(text, left),
        Value::Array(items) => {
            let left = left.checked_sub(separators(items.len()))?;
            items.iter().try_fold(left, |left, item| after(item, left))
        }
        Value::Object(fields) => after_fields(fields, left),
    }
}

fn after_fields(fields: &Map<String, Value>, left: u64) -> Option<u64> {
    let left = left.checked_sub(separators(fields.len()))?;
    fields.iter().try_fold(left, |left, (key, value)| {
        let left = after_string(key, left)?.checked_sub(1)?;
        after(value, left)
    })
}

/// Brackets, and commas between so many.
pub(super) fn separators(parts: usize) -> u64 {
    2 + (parts as u64).saturating_sub(1)
}

pub(super) fn after_string(text: &str, left: u64) -> Option<u64> {
    let left = left.checked_sub(2 + text.len() as u64)?;
    // So many that their count fits a byte, which makes sixteen of them one step for the processor.
    let escapes = text.as_bytes().chunks(240).map(|chunk| {
        let escaped = |byte: u8| u8::from((byte == b'"') | (byte == b'\\') | (byte < 0x20));
        let count = chunk.iter().fold(0, |count, byte| count + escaped(*byte));
        if count == 0 { 0 } else { chunk.iter().map(|byte| longer_by(*byte)).sum() }
    });
    left.checked_sub(escapes.sum())
}

/// How many more bytes than one a byte of a string takes.
fn longer_by(byte: u8) -> u64 {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        // `\u0001`
        0..0x20 => 5,
        _ => 0,
    }
}

pub(super) fn after_number(number: &Number, left: u64) -> Option<u64> {
    let mut count = Count { left };
    serde_json::to_writer(&mut count, number).ok()?;
    Some(count.left)
}

struct Count {
    left: u64,
}

impl io::Write for Count {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(buffer.len() as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{length, length_of_fields};

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_length_of_any_value_is_that_of_its_text(value in values()) {
            let written = value.to_string().len() as u64;
            prop_assert_eq!(length(&value, u64::MAX), Some(written));
            prop_assert_eq!(length(&value, written), Some(written));
            prop_assert_eq!(length(&value, written - 1), None);
            if let Value::Object(fields) = &value {
                prop_assert_eq!(length_of_fields(fields, u64::MAX), Some(written));
            }
        }
    }
}
