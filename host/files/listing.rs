//! The names of a directory as a guest gets them: one at a time, by name.
//!
//! However many they are, nobody waits for them in one go: they are sorted some at a time, and merged as they are asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::disk::{Kind, Result};

/// Names that are sorted in a few milliseconds.
const SOME: usize = 8192;

/// What is left of a listing. All names are one allocation, which is given back at once.
#[derive(Debug, Default)]
pub struct Listing {
    text: String,
    /// Sorted, each [`SOME`] for themselves.
    entries: Vec<(Range<usize>, Kind)>,
    /// The next of each of those, and where it is in `entries`.
    next: BinaryHeap<Reverse<(String, usize)>>,
}

impl Listing {
    pub fn push(&mut self, name: &str, kind: Kind) {
        let from = self.text.len();
        self.text.push_str(name);
        self.entries.push((from..self.text.len(), kind));
    }

    /// To be called when all names are there, and asks now and then whether to go on.
    pub fn sort(&mut self, go_on: impl Fn() -> Result<()>) -> Result<()> {
        let text = &self.text;
        for (run, some) in self.entries.chunks_mut(SOME).enumerate() {
            go_on()?;
            some.sort_unstable_by(|(one, _), (two, _)| text[one.clone()].cmp(&text[two.clone()]));
            self.next.extend(some.first().map(|(name, _)| head(text, name, run * SOME)));
        }
        Ok(())
    }

    /// What it holds of the host's memory.
    pub fn bytes(&self) -> u64 {
        (self.text.capacity() + self.entries.capacity() * size_of::<(Range<usize>, Kind)>()) as u64
    }
}

impl Iterator for Listing {
    type Item = (String, Kind);

    fn next(&mut self) -> Option<(String, Kind)> {
        let Reverse((name, at)) = self.next.pop()?;
        let (_, kind) = self.entries[at];
        let after = at + 1;
        if !after.is_multiple_of(SOME)
            && let Some((name, _)) = self.entries.get(after)
        {
            self.next.push(head(&self.text, name, after));
        }
        Some((name, kind))
    }
}

fn head(text: &str, name: &Range<usize>, at: usize) -> Reverse<(String, usize)> {
    Reverse((text[name.clone()].to_owned(), at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_names_come_by_name() {
        for count in [0, 1, SOME - 1, SOME, SOME + 1, 5 * SOME, 5 * SOME + 7] {
            let of = |number: usize| if number.is_multiple_of(3) { Kind::Dir } else { Kind::File };
            let name = |number: usize| format!("{:x}", number.wrapping_mul(0x9e37_79b9));
            let mut expected: Vec<_> = (0..count).map(|it| (name(it), of(it))).collect();
            let mut listing = Listing::default();
            expected.iter().for_each(|(name, kind)| listing.push(name, *kind));
            assert_eq!(listing.next(), None, "nothing comes unsorted");
            listing.sort(|| Ok(())).unwrap();
            expected.sort_by(|(one, _), (two, _)| one.cmp(two));
            assert_eq!(listing.collect::<Vec<_>>(), expected);
        }
    }
}
