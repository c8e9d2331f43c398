//! How long a value is as JSON text, without writing the text.

use std::io;

use serde::Serialize;

/// Whether `value` takes more than `limit` bytes.
pub fn longer_than(value: &impl Serialize, limit: u64) -> bool {
    length(value, limit).is_none()
}

/// How many bytes `value` takes; `None` if more than `limit`. Stops counting there.
pub fn length(value: &impl Serialize, limit: u64) -> Option<u64> {
    let mut count = Count { left: limit };
    serde_json::to_writer(&mut count, value).ok()?;
    Some(limit - count.left)
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
    #[test]
    fn a_value_is_longer_than_one_byte_less_than_its_text() {
        let value = serde_json::json!({"a": ["\u{1F600}\n", 1.5]});
        let length = value.to_string().len() as u64;
        assert!(super::longer_than(&value, length - 1));
        assert!(!super::longer_than(&value, length));
    }
}
