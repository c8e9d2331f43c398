//! The ledger of commits: their number, what each wrote, and which states of the disk are our own doing.
//!
//! Knows no files. A reader takes [`Ledger::now`] BEFORE it looks; a commit changes the files, then writes down
//! what it wrote, then publishes its number. So whoever saw a new state under an old number, or an old state, has
//! read something that the ledger knows to be written later: there is no lock on the path of a read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::disk::{Stat, Time};
use super::place::{Facets, Key, Place};
use super::reads::Reads;

/// What one commit wrote.
pub type Writes = Vec<(Key, Facets)>;

#[derive(Default)]
pub struct Ledger {
    /// Of the last commit.
    number: AtomicU64,
    log: RwLock<Log>,
    /// How many views began at which number: what is older than all of them can be forgotten.
    active: Mutex<BTreeMap<u64, usize>>,
}

#[derive(Default)]
struct Log {
    /// The last commit that wrote each facet of each key.
    written: HashMap<Key, [u64; Facets::COUNT], RandomState>,
    recent: VecDeque<(u64, Arc<Writes>)>,
    /// Of all of them together.
    recent_writes: usize,
    lineage: HashMap<Place, Chain>,
}

/// States of one path that followed each other by our commits alone.
struct Chain {
    begins: Time,
    last: Stat,
    /// The commit that made `last`.
    number: u64,
}

/// More keys than this are looked through for ones that nobody can need any more.
const MANY: usize = 50_000;
/// Commits whose writes are kept as lists.
const RECENT: usize = 256;

impl Ledger {
    /// The number of the last commit.
    pub fn now(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Keeps what a view that begins now may ask for, until [`Ledger::leave`].
    pub fn enter(&self) -> u64 {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        *active.entry(now).or_default() += 1;
        now
    }

    pub fn leave(&self, began: u64) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = active.get_mut(&began) {
            *count -= 1;
            if *count == 0 {
                active.remove(&began);
            }
        }
    }

    /// Writes down a commit and publishes its number. Commits are one at a time: the caller sees to that.
    pub fn publish(&self, writes: Writes) -> u64 {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.now() + 1;
        for (key, facets) in &writes {
            let written = log.written.entry(key.clone()).or_default();
            facets.each().for_each(|facet| written[facet] = number);
        }
        log.recent_writes += writes.len();
        log.recent.push_back((number, Arc::new(writes)));
        while (log.recent.len() > RECENT || log.recent_writes > MANY)
            && let Some((_, writes)) = log.recent.pop_front()
        {
            log.recent_writes -= writes.len();
        }
        if log.written.len() > MANY || log.lineage.len() > MANY {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = active.keys().next().copied().unwrap_or(number);
            log.written.retain(|_, written| written.iter().any(|at| *at > oldest));
            log.lineage.retain(|_, chain| chain.number > oldest);
        }
        self.number.store(number, Ordering::Release);
        number
    }

    /// Says that a commit led a path from one state to another.
    pub fn follows(&self, place: &Place, before: &Stat, after: Stat) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.now() + 1;
        match log.lineage.get_mut(place) {
            Some(chain) if chain.last.same(before) => (chain.last, chain.number) = (after, number),
            _ => {
                let chain = Chain { begins: before.changed, last: after, number };
                log.lineage.insert(place.clone(), chain);
            }
        }
    }

    /// Whether a path that was in the state `then` and is now in the state `now` was changed by our commits alone.
    pub fn explains(&self, place: &Place, then: &Stat, now: &Stat) -> bool {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        log.lineage.get(place).is_some_and(|chain| {
            chain.last.same(now) && then.id() == now.id() && then.changed >= chain.begins
        })
    }

    /// Something that was read and then written by a commit, if anything was.
    pub fn overwritten(&self, reads: &Reads) -> Option<Key> {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let stale = |(key, seen): (&Key, &[u64; Facets::COUNT])| {
            let written = log.written.get(key)?;
            let later = seen.iter().zip(written).any(|(seen, written)| written > seen);
            later.then(|| key.clone())
        };
        reads.seen().find_map(stale)
    }

    /// [`Ledger::overwritten`], by the commits after `since` alone.
    pub fn overwritten_since(&self, since: u64, reads: &Reads) -> bool {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        if log.recent.front().is_none_or(|(first, _)| *first > since + 1) {
            drop(log);
            return self.overwritten(reads).is_some();
        }
        let later = log.recent.iter().rev().take_while(|(number, _)| *number > since);
        later.into_iter().any(|(number, writes)| {
            writes.iter().any(|(key, facets)| {
                reads.at(key).is_some_and(|seen| facets.each().any(|facet| seen[facet] < *number))
            })
        })
    }
}
