//! Memory of all calls of a host together: what their guests hold, and what the host keeps for them.
//!
//! Knows bytes alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most that all calls may hold together, and what they hold.
#[derive(Debug)]
pub struct Ceiling {
    most: u64,
    held: AtomicU64,
}

impl Ceiling {
    pub fn new(most: u64) -> Ceiling {
        Ceiling { most, held: AtomicU64::new(0) }
    }

    fn take(&self, bytes: u64) -> bool {
        let taken = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.try_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

/// A part of what all may hold, which is given back when this is dropped.
#[derive(Debug)]
pub struct Part {
    ceiling: Arc<Ceiling>,
    held: u64,
}

impl Part {
    pub fn new(ceiling: Arc<Ceiling>) -> Part {
        Part { ceiling, held: 0 }
    }

    /// The most that all parts may hold together.
    pub fn most(&self) -> u64 {
        self.ceiling.most
    }

    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether it may hold so much in all. What it has held once, it keeps.
    pub fn hold(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.held);
        let may = more == 0 || self.ceiling.take(more);
        self.held += if may { more } else { 0 };
        may
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.ceiling.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_a_ceiling_and_give_back_what_they_held() {
        let ceiling = Arc::new(Ceiling::new(100));
        let part = || Part::new(ceiling.clone());
        let (mut one, mut two) = (part(), part());
        assert!(one.hold(60) && two.hold(40));
        assert!(!two.hold(41) && two.hold(30) && !one.hold(61));
        drop(one);
        assert!(two.hold(100) && !two.hold(u64::MAX));
        drop(two);
        assert_eq!(ceiling.held.load(Ordering::Relaxed), 0);
    }
}
