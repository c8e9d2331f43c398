//! UTF-16 as UTF-8, while it is read. Knows nothing of lines.

use std::char::{REPLACEMENT_CHARACTER, decode_utf16};
use std::io::{self, Read};

const CHUNK: u64 = 16 << 10;

/// Which byte of two comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    /// What the mark at the start of a file says; none if it is no UTF-16, or does not say so.
    pub fn of(bytes: &[u8]) -> Option<Order> {
        match bytes {
            [0xff, 0xfe, ..] => Some(Order::Little),
            [0xfe, 0xff, ..] => Some(Order::Big),
            _ => None,
        }
    }
}

/// The text without its mark; what is no UTF-16 becomes `\u{fffd}`.
pub struct Utf16<R> {
    reader: R,
    order: Order,
    /// Whether the mark is still to come.
    marked: bool,
    /// Bytes not yet decoded: the first half of a unit, or of a pair of units.
    rest: Vec<u8>,
    text: String,
    /// How much of the text was handed out.
    given: usize,
}

impl<R: Read> Utf16<R> {
    /// Takes a reader that is still before the mark.
    pub fn new(reader: R, order: Order) -> Utf16<R> {
        Utf16 { reader, order, marked: true, rest: Vec::new(), text: String::new(), given: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        // what was read may be no more than the mark, or half of a pair
        while self.text.is_empty() {
            let ended = self.reader.by_ref().take(CHUNK).read_to_end(&mut self.rest)? == 0;
            if ended && self.rest.is_empty() {
                break;
            }
            self.decode(ended);
        }
        Ok(())
    }

    fn decode(&mut self, ended: bool) {
        let unit = |pair: &[u8]| match self.order {
            Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
            Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
        };
        let mut whole = self.rest.len() / 2 * 2;
        let is_half = |unit| (0xd800..0xdc00).contains(&unit);
        if !ended && whole > 0 && is_half(unit(&self.rest[whole - 2..])) {
            whole -= 2;
        }
        let start = if self.marked { 2.min(whole) } else { 0 };
        let units = self.rest[start..whole].chunks_exact(2).map(unit);
        self.text.extend(decode_utf16(units).map(|it| it.unwrap_or(REPLACEMENT_CHARACTER)));
        self.marked &= whole == 0;
        self.rest.drain(..whole);
        if ended && !self.rest.is_empty() {
            self.rest.clear();
            self.text.push(REPLACEMENT_CHARACTER);
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.fill()?;
        }
        let read = (&self.text.as_bytes()[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        Utf16::new(bytes, Order::of(bytes).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn text_in_either_order_is_decoded_wherever_chunks_end() {
        for before in CHUNK as usize / 2 - 4..CHUNK as usize / 2 + 4 {
            let text = format!("{}\u{1f980}é\n", "x".repeat(before));
            let units = || "\u{feff}".encode_utf16().chain(text.encode_utf16());
            let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
            assert_eq!(decoded(&little), text);
            assert_eq!(decoded(&big), text);
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        for (bytes, expected) in [
            (&b"\xff\xfe"[..], ""),
            (b"\xff\xfea", "\u{fffd}"),
            (b"\xff\xfea\0b", "a\u{fffd}"),
            (b"\xff\xfe\x00\xd8a\0", "\u{fffd}a"),
            (b"\xff\xfe\x00\xdca\0", "\u{fffd}a"),
            (b"\xfe\xff\xd8\x00", "\u{fffd}"),
        ] {
            assert_eq!(decoded(bytes), expected, "{bytes:?}");
        }
        assert_eq!(Order::of(b"\xff"), None);
    }
}
