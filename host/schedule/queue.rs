//! Which of the calls that may start does so next, and what conflicts teach about that.
//!
//! Knows no states and decides nothing about results: a call that starts too early is only run in vain.
//! "Alone" is a call with no earlier unfinished one that might write.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A class starts with the benefit of the doubt; how much of it clean commits can earn is bounded, so
/// that a change of behaviour is noticed.
const MOST_TRUST: i32 = -3;

/// How a call waits for its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As its class has learned to.
    AsClass,
    /// As soon as there is room.
    AtOnce,
    /// When it is alone.
    Alone,
}

#[derive(Default)]
pub struct Queue {
    /// Calls with their class, the earliest first.
    as_class: BinaryHeap<Reverse<(usize, usize)>>,
    at_once: BTreeSet<usize>,
    alone: BTreeSet<usize>,
    /// The waiting calls of each class that has ever had a conflict. They come here from `as_class`
    /// when they are first in it, and stay: a class that changes its mind often moves nobody.
    suspect: BTreeMap<usize, BTreeSet<usize>>,
    /// By class: conflicts less clean commits. Above zero, its calls start alone.
    scores: BTreeMap<usize, i32>,
}

impl Queue {
    pub fn push(&mut self, call: usize, class: usize, start: Start) {
        match start {
            Start::AsClass => self.as_class.push(Reverse((call, class))),
            Start::AtOnce => drop(self.at_once.insert(call)),
            Start::Alone => drop(self.alone.insert(call)),
        }
    }

    /// The earliest call that may start. `writer` is the first unfinished call that might write.
    pub fn first(&mut self, writer: Option<usize>) -> Option<usize> {
        while let Some(&Reverse((call, class))) = self.as_class.peek()
            && let Some(suspects) = self.suspect.get_mut(&class)
        {
            suspects.insert(call);
            self.as_class.pop();
        }
        let alone = |call: &usize| writer.is_none_or(|writer| writer >= *call);
        let as_class = self.as_class.peek().map(|Reverse((call, _))| *call);
        let at_once = self.at_once.first().copied();
        let by_itself = self.alone.first().copied().filter(alone);
        let suspects = self.suspect.iter().filter_map(|(class, calls)| {
            let held = self.scores.get(class).is_some_and(|score| *score > 0);
            calls.first().copied().filter(|call| !held || alone(call))
        });
        [as_class, at_once, by_itself].into_iter().flatten().chain(suspects).min()
    }

    /// Takes what [`Queue::first`] gives.
    pub fn pop(&mut self, writer: Option<usize>) -> Option<usize> {
        let call = self.first(writer)?;
        let as_class = self.as_class.peek().is_some_and(|Reverse((first, _))| *first == call);
        let found = (as_class && self.as_class.pop().is_some())
            || self.at_once.remove(&call)
            || self.alone.remove(&call)
            || self.suspect.values_mut().any(|calls| calls.remove(&call));
        debug_assert!(found);
        Some(call)
    }

    /// A run of this class was in vain.
    pub fn conflict(&mut self, class: usize) {
        *self.scores.entry(class).or_default() += 1;
        self.suspect.entry(class).or_default();
    }

    /// A call of this class that had not started alone was committed.
    pub fn clean(&mut self, class: usize) {
        let score = self.scores.entry(class).or_default();
        *score = (*score - 1).max(MOST_TRUST);
    }

    pub fn clear(&mut self) {
        self.as_class.clear();
        self.at_once.clear();
        self.alone.clear();
        self.suspect.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(calls: &[(usize, usize, Start)]) -> Queue {
        let mut queue = Queue::default();
        for &(call, class, start) in calls {
            queue.push(call, class, start);
        }
        queue
    }

    #[test]
    fn the_earliest_call_starts_first_however_it_waits() {
        let calls = [
            (3, 0, Start::AsClass),
            (1, 0, Start::Alone),
            (2, 1, Start::AtOnce),
            (0, 1, Start::AsClass),
        ];
        let mut queue = queue(&calls);
        let order: Vec<usize> = std::iter::from_fn(|| queue.pop(None)).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn a_class_with_a_conflict_waits_for_writers_and_others_do_not() {
        let mut queue =
            queue(&[(1, 0, Start::AsClass), (2, 1, Start::AsClass), (3, 0, Start::AtOnce)]);
        queue.conflict(0);
        assert_eq!(
            [queue.pop(Some(0)), queue.pop(Some(0)), queue.pop(Some(0))],
            [Some(2), Some(3), None]
        );
        assert_eq!(queue.pop(Some(1)), Some(1), "its own write is not in its way");
    }

    #[test]
    fn clean_commits_free_a_class_and_earn_bounded_trust() {
        let mut queue = queue(&[(1, 0, Start::AsClass), (2, 0, Start::AsClass)]);
        queue.conflict(0);
        assert_eq!(queue.first(Some(0)), None);
        for _ in 0..10 {
            queue.clean(0);
        }
        assert_eq!(queue.pop(Some(0)), Some(1));
        for _ in 0..=-MOST_TRUST {
            queue.conflict(0);
        }
        assert_eq!(queue.first(Some(0)), None);
    }

    #[test]
    fn a_call_that_must_be_alone_is_not_freed_by_its_class() {
        let mut queue = queue(&[(1, 0, Start::Alone)]);
        queue.clean(0);
        assert_eq!(queue.first(Some(0)), None);
        assert_eq!(queue.first(None), Some(1));
    }
}
