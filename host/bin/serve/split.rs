//! Pieces of input as lines, of which those that are too long are passed over.
//!
//! Knows bytes, not messages; but for the id of what is too long.

use rmcp::model::RequestId;

use super::scan::IdScan;

/// Pieces of input as lines.
pub struct Splitter {
    line: Vec<u8>,
    /// Of a line that is too long, what may be its id.
    long: Option<IdScan>,
    most: usize,
}

#[derive(Debug, PartialEq)]
pub enum Found {
    /// Without its end.
    Line(Vec<u8>),
    TooLong(Option<RequestId>),
}

impl Splitter {
    pub fn new(most: usize) -> Splitter {
        Splitter { line: Vec::new(), long: None, most }
    }

    /// The next line of what was read, which is cut by it. None, if more is to be read; but at the `end`, what was begun is one.
    pub fn next(&mut self, read: &mut &[u8], end: bool) -> Option<Found> {
        let newline = read.iter().position(|&byte| byte == b'\n');
        let piece = &read[..newline.unwrap_or(read.len())];
        match &mut self.long {
            Some(scan) => scan.feed(piece),
            None if self.line.len() + piece.len() > self.most => {
                let mut scan = IdScan::default();
                scan.feed(&std::mem::take(&mut self.line));
                scan.feed(piece);
                self.long = Some(scan);
            }
            None => self.line.extend_from_slice(piece),
        }
        *read = &read[piece.len() + usize::from(newline.is_some())..];
        let begun = !self.line.is_empty() || self.long.is_some();
        (newline.is_some() || (end && begun)).then(|| self.found())
    }

    fn found(&mut self) -> Found {
        let line = std::mem::take(&mut self.line);
        self.long.take().map_or(Found::Line(line), |scan| Found::TooLong(scan.found()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\r\n\n{\"id\":5,\"x\":\"yyyyyyyyyyyyyyyyyyyyyyyyy\"}\ntwo";

    #[test]
    fn lines_are_read_up_to_a_length_and_longer_ones_passed_over() {
        for size in 1..TEXT.len() {
            let mut lines = Splitter::new(20);
            let mut found = Vec::new();
            for mut piece in TEXT.as_bytes().chunks(size) {
                found.extend(std::iter::from_fn(|| lines.next(&mut piece, false)));
            }
            found.extend(lines.next(&mut &b""[..], true));
            let line = |text: &str| Found::Line(text.as_bytes().to_vec());
            let too_long = Found::TooLong(Some(RequestId::Number(5)));
            assert_eq!(found, [line("one\r"), line(""), too_long, line("two")], "by {size}");
            assert_eq!(lines.next(&mut &b""[..], true), None);
        }
    }
}
