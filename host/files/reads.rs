//! The read set of a call: what it looked at, and as of which commit.
//!
//! Filled by `view`, judged by the `ledger` (our own commits) and at commit time by the disk (changes from outside).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::disk::{Kind, Stat};
use super::place::{Facets, Key, Place};

/// The commit number of the first read of each facet; never, for one that was not read.
pub type Seen = [u64; Facets::COUNT];
const NEVER: u64 = u64::MAX;

#[derive(Default)]
pub struct Reads {
    reads: HashMap<Key, Read, RandomState>,
    /// A path was seen in two states during one call.
    torn: bool,
}

struct Read {
    seen: Seen,
    /// Of a path; not where a listing has told enough.
    observed: Option<Observed>,
}

/// The state that a path was in, as far as the call has seen it.
#[derive(Clone, Copy, Debug)]
pub enum Observed {
    Absent,
    /// That it exists, as what, and (for a directory) which one.
    Kind(Kind, (u64, u64)),
    /// Everything.
    Stat(Stat),
}

impl Reads {
    /// Records a read of facets of a path whose state was `observed`, begun at the commit `at`.
    pub fn record(&mut self, place: &Place, facets: Facets, at: u64, observed: Observed) {
        let read = self.mark(Key::Path(place.clone()), facets, at);
        let merged = match &read.observed {
            None => Some(observed),
            Some(known) => known.merge(&observed),
        };
        match merged {
            Some(merged) => read.observed = Some(merged),
            None => self.torn = true,
        }
    }

    /// Records a read that has no state of its own to compare with the disk.
    fn mark(&mut self, key: Key, facets: Facets, at: u64) -> &mut Read {
        let unread = || Read { seen: [NEVER; Facets::COUNT], observed: None };
        let read = self.reads.entry(key).or_insert_with(unread);
        facets.each().for_each(|facet| read.seen[facet] = read.seen[facet].min(at));
        read
    }

    /// [`Reads::record`] of something that has no state of its own to compare with the disk.
    pub fn note(&mut self, key: Key, facets: Facets, at: u64) {
        self.mark(key, facets, at);
    }

    /// Adds what was looked at elsewhere.
    pub fn add(&mut self, more: Reads) {
        self.torn |= more.torn;
        for (key, more) in more.reads {
            let Some(read) = self.reads.get_mut(&key) else {
                self.reads.insert(key, more);
                continue;
            };
            let seen = read.seen.iter_mut().zip(more.seen);
            seen.for_each(|(seen, more)| *seen = (*seen).min(more));
            match (&read.observed, &more.observed) {
                (Some(known), Some(observed)) => match known.merge(observed) {
                    Some(merged) => read.observed = Some(merged),
                    None => self.torn = true,
                },
                (None, observed) => read.observed = *observed,
                (Some(_), None) => {}
            }
        }
    }

    /// Every key with the commit numbers of its facets.
    pub fn seen(&self) -> impl Iterator<Item = (&Key, &Seen)> {
        self.reads.iter().map(|(key, read)| (key, &read.seen))
    }

    pub fn at(&self, key: &Key) -> Option<&Seen> {
        self.reads.get(key).map(|read| &read.seen)
    }

    /// The facets of a path that were read.
    pub fn facets(seen: &Seen) -> Facets {
        let all = [Facets::KIND, Facets::DATA, Facets::ATTR, Facets::LIST];
        let read = all.into_iter().zip(seen).filter(|(_, at)| **at != NEVER);
        read.fold(Facets::default(), |facets, (facet, _)| facets | facet)
    }

    /// Every path that was read, and the state that it was in.
    pub fn observed(&self) -> impl Iterator<Item = (&Place, &Observed)> {
        self.reads.iter().filter_map(|(key, read)| match (key, &read.observed) {
            (Key::Path(place), Some(observed)) => Some((place, observed)),
            _ => None,
        })
    }

    /// What was read, with the state that it was in.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Seen, Option<&Observed>)> {
        self.reads.iter().map(|(key, read)| (key, &read.seen, read.observed.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// Whether the call saw something change from outside while it ran.
    pub fn torn(&self) -> bool {
        self.torn
    }
}

impl Observed {
    /// What is known after both were seen; nothing if they are not of one state.
    fn merge(&self, other: &Observed) -> Option<Observed> {
        match (self, other) {
            (Observed::Absent, Observed::Absent) => Some(Observed::Absent),
            (Observed::Kind(kind, id), Observed::Kind(other, other_id)) => {
                let same = kind == other && (*kind != Kind::Dir || id == other_id);
                same.then_some(Observed::Kind(*kind, *other_id))
            }
            (Observed::Kind(kind, id), Observed::Stat(stat))
            | (Observed::Stat(stat), Observed::Kind(kind, id)) => {
                let same = *kind == stat.kind && (*kind != Kind::Dir || *id == stat.id());
                same.then_some(Observed::Stat(*stat))
            }
            (Observed::Stat(one), Observed::Stat(two)) => {
                one.same(two).then_some(Observed::Stat(*one))
            }
            _ => None,
        }
    }
}
