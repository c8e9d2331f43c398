//! The staged content of a file: what is kept of the old, and what is written over it.
//!
//! Pure: knows bytes and offsets, not where the old content is.

use std::collections::BTreeMap;

/// What has become of a file's content.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// As it is below.
    #[default]
    Base,
    /// As it is below, wherever that ends, and then this: nothing of the old was read.
    Tail(Vec<u8>),
    Edited(Edited),
    /// All of it, in a file of the stage.
    Spilled(super::stage::Spill),
}

/// The first `kept` bytes of the old content with patches over them, `len` bytes in all; what is neither
/// is zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edited {
    /// At most `len`.
    pub kept: u64,
    pub len: u64,
    pub patches: Patches,
}

/// What a piece takes besides its bytes.
pub const PIECE: u64 = 64;

/// Pieces of bytes by offset, none empty, none touching another from behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    pieces: BTreeMap<u64, Vec<u8>>,
    bytes: u64,
}

impl Edited {
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.patches.put(at, bytes);
        self.len = self.len.max(at + bytes.len() as u64);
    }

    pub fn truncate(&mut self, len: u64) {
        self.patches.cut(len);
        self.kept = self.kept.min(len);
        self.len = len;
    }
}

impl Patches {
    /// What they take of memory.
    pub fn held(&self) -> u64 {
        self.bytes + self.pieces.len() as u64 * PIECE
    }

    /// How many bytes they hold together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().map(|(at, piece)| (*at, piece.as_slice()))
    }

    /// Writes `bytes` at an offset, over whatever was there.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len() as u64;
        let before = self.pieces.range_mut(..=at).next_back();
        let before = before.filter(|(start, piece)| *start + piece.len() as u64 >= at);
        let start = match before {
            Some((start, piece)) => {
                let offset = usize::try_from(at - start).unwrap_or(usize::MAX);
                if let Some(over) = piece.get_mut(offset..offset + bytes.len()) {
                    over.copy_from_slice(bytes);
                    return;
                }
                self.bytes -= (piece.len() - offset) as u64;
                piece.truncate(offset);
                piece.extend_from_slice(bytes);
                *start
            }
            None => {
                self.pieces.insert(at, bytes.to_vec());
                at
            }
        };
        self.bytes += bytes.len() as u64;
        self.swallow(start, end);
    }

    /// Takes pieces that begin inside or right behind the one at `start`, which ends at `end`, into it.
    fn swallow(&mut self, start: u64, end: u64) {
        while let Some((&next, _)) = self.pieces.range(start + 1..=end).next() {
            let Some(piece) = self.pieces.remove(&next) else { return };
            let covered = usize::try_from(end - next).unwrap_or(usize::MAX).min(piece.len());
            self.bytes -= covered as u64;
            if let Some(first) = self.pieces.get_mut(&start) {
                first.extend_from_slice(&piece[covered..]);
            }
        }
    }

    /// Drops what lies at `len` or behind.
    pub fn cut(&mut self, len: u64) {
        let behind = self.pieces.split_off(&len);
        self.bytes -= behind.values().map(|piece| piece.len() as u64).sum::<u64>();
        if let Some((start, piece)) = self.pieces.range_mut(..len).next_back() {
            let most = usize::try_from(len - start).unwrap_or(usize::MAX);
            self.bytes -= piece.len().saturating_sub(most) as u64;
            piece.truncate(most);
            // What is counted is what it takes.
            piece.shrink_to_fit();
        }
    }

    /// Lays the pieces over `buffer`, which holds what is below them from `at` on.
    pub fn overlay(&self, at: u64, buffer: &mut [u8]) {
        let end = at + buffer.len() as u64;
        let first = self.pieces.range(..=at).next_back().map_or(at, |(start, _)| *start);
        for (start, piece) in self.pieces.range(first..end) {
            let from = at.saturating_sub(*start).min(piece.len() as u64);
            let (from, to) = (from as usize, (start + from).saturating_sub(at) as usize);
            if to < buffer.len() {
                let length = (piece.len() - from).min(buffer.len() - to);
                buffer[to..to + length].copy_from_slice(&piece[from..from + length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Truncate(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u64..60, proptest::collection::vec(1u8.., 0..20)).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            1 => (0u64..80).prop_map(Step::Truncate),
        ]
    }

    #[test]
    fn what_is_cut_off_is_not_held() {
        let mut patches = Patches::default();
        patches.put(0, &vec![b'x'; 1 << 20]);
        patches.cut(1);
        let capacity: usize = patches.pieces.values().map(Vec::capacity).sum();
        assert!(patches.bytes() == 1 && capacity < 100, "{capacity}");
    }

    proptest! {
        #[test]
        fn edits_are_as_those_of_a_plain_buffer(
            old in proptest::collection::vec(1u8.., 0..50),
            steps in proptest::collection::vec(step(), 0..30),
            window in (0u64..90, 0usize..90),
        ) {
            let mut plain = old.clone();
            let mut edited = Edited { kept: old.len() as u64, len: old.len() as u64, patches: Patches::default() };
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        edited.write(at, &bytes);
                        let end = at as usize + bytes.len();
                        if plain.len() < end { plain.resize(end, 0); }
                        plain[at as usize..end].copy_from_slice(&bytes);
                    }
                    Step::Truncate(len) => {
                        edited.truncate(len);
                        plain.resize(len as usize, 0);
                    }
                }
                prop_assert_eq!(edited.len, plain.len() as u64);
                let held: u64 = edited.patches.iter().map(|(_, piece)| piece.len() as u64).sum();
                prop_assert_eq!(edited.patches.bytes(), held);
            }
            let (at, length) = window;
            let mut buffer = vec![0; length];
            for (index, byte) in buffer.iter_mut().enumerate() {
                let place = at + index as u64;
                if place < edited.kept { *byte = old[place as usize]; }
            }
            edited.patches.overlay(at, &mut buffer);
            let mut expected = plain.get(at as usize..).unwrap_or_default().to_vec();
            expected.resize(length, 0);
            prop_assert_eq!(buffer, expected);
        }
    }
}
