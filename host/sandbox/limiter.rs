//! The memory limits: linear memories and tables of one store together, and of all stores together.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::ceiling::{Ceiling, Part};

/// Counts what a store's guest holds, and refuses what would pass its limit or the host's ceiling.
///
/// A refused growth is an answer that a guest can live with (`memory.grow` gives -1), so it is not an
/// error here; it is remembered, since most guests then trap, and the reason would be lost.
pub struct Limiter {
    limit: u64,
    part: Part,
    refused: Option<Refused>,
}

/// What stood in the way of a growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The call's own limit.
    Limit,
    /// What the calls of the host hold together.
    Ceiling,
}

/// Host memory of a table element.
const ELEMENT: u64 = size_of::<usize>() as u64;

impl Limiter {
    pub fn new(limit: u64, ceiling: Arc<Ceiling>) -> Limiter {
        Limiter { limit, part: Part::new(ceiling), refused: None }
    }

    pub fn peak(&self) -> u64 {
        self.part.held()
    }

    /// Why the last growth that was refused was.
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// The most that all stores may hold together.
    pub fn ceiling(&self) -> u64 {
        self.part.most()
    }

    fn grow(&mut self, by: u64) -> bool {
        let held = self.part.held().saturating_add(by);
        if held > self.limit {
            self.refused = Some(Refused::Limit);
            return false;
        }
        if !self.part.hold(held) {
            self.refused = Some(Refused::Ceiling);
            return false;
        }
        true
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Past its own maximum it is refused without us, and no limit of ours would help.
        let own = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(own && self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(ELEMENT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_share_a_ceiling_and_give_back_what_they_held() {
        let ceiling = Arc::new(Ceiling::new(100));
        let store = || Limiter::new(70, ceiling.clone());
        let (mut one, mut two) = (store(), store());
        assert!(one.grow(60) && two.grow(40));
        assert!(!two.grow(1));
        assert_eq!(two.refused(), Some(Refused::Ceiling));
        assert!(!one.grow(11));
        assert_eq!(one.refused(), Some(Refused::Limit));
        drop(one);
        assert!(two.grow(30) && !two.grow(u64::MAX));
        drop(two);
        assert!(store().grow(70));
    }
}
