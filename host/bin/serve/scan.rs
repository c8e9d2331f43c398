//! Finds the `id` of a JSON-RPC message that cannot be parsed: one that is too long to be kept, or damaged further on.
//!
//! Sees each byte once and keeps none but those of the id, so that a request of any length can be answered with an
//! error of its own. Believes what it sees: whoever sends text that is not JSON gets its own idea of an id back.

use rmcp::model::RequestId;

/// An id that is longer is none.
const MOST: usize = 256;

#[derive(Default)]
pub struct IdScan {
    depth: usize,
    string: Option<Escape>,
    /// The string, or other word, at the top level that is being read, if it is short.
    word: Vec<u8>,
    /// What the next value at the top level belongs to.
    key: Key,
    id: Option<RequestId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Next,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Key {
    #[default]
    None,
    Id,
    Other,
}

impl IdScan {
    pub fn of(text: &[u8]) -> Option<RequestId> {
        let mut scan = IdScan::default();
        scan.feed(text);
        scan.found()
    }

    pub fn feed(&mut self, text: &[u8]) {
        for &byte in text {
            match self.string {
                Some(escape) => self.in_string(byte, escape),
                None => self.outside(byte),
            }
        }
    }

    pub fn found(self) -> Option<RequestId> {
        self.id
    }

    fn in_string(&mut self, byte: u8, escape: Escape) {
        match (escape, byte) {
            (Escape::No, b'"') => {
                self.string = None;
                self.keep(byte);
                if self.depth == 1 && self.key == Key::Id {
                    self.value_ended();
                }
            }
            (Escape::No, b'\\') => {
                self.string = Some(Escape::Next);
                self.keep(byte);
            }
            _ => {
                self.string = Some(Escape::No);
                self.keep(byte);
            }
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.string = Some(Escape::No);
                self.word.clear();
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.value_ended();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.key = if self.word == b"\"id\"" { Key::Id } else { Key::Other };
                self.word.clear();
            }
            b',' if self.depth == 1 => {
                self.value_ended();
                self.key = Key::None;
                self.word.clear();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.word.len() < MOST {
            self.word.push(byte);
        }
    }

    fn value_ended(&mut self) {
        if self.depth == 1 && self.key == Key::Id && self.id.is_none() {
            self.id = serde_json::from_slice(&self.word).ok();
        }
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        for (text, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"id":8,"a":"\"id\":9"#, Some("7")),
            (
                r#"{"method":"x","params":{"id":8,"a":["id",{"id":3}]},"jsonrpc":"2.0","id":12}"#,
                Some("12"),
            ),
            (r#"{"params":{"a":"},\"id\":3"}, "id" : "a-\"1" }"#, Some("a-\"1")),
            (r#"{"id":"id","x":1"#, Some("id")),
            (r#"{"x":"id","id":-1}"#, Some("-1")),
            (r#"{"id":1"#, None),
            (r#"{"id":1.5,"id":{}}"#, None),
            (r#"[{"id":1}]"#, None),
            (r#"{"idx":1,"id ":2}"#, None),
            ("", None),
            ("]]}{\"id\":1,", Some("1")),
        ] {
            for piece in [1, 3, 1000] {
                let mut scan = IdScan::default();
                text.as_bytes().chunks(piece).for_each(|piece| scan.feed(piece));
                assert_eq!(scan.found().map(|it| it.to_string()).as_deref(), id, "{text}");
            }
        }
    }
}
