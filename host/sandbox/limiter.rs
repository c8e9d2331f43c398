//! The memory limit of one store: linear memories and tables together.

use wasmtime::ResourceLimiter;

/// Counts what a store's guest holds, and refuses what would pass the limit.
///
/// A refused growth is an answer that a guest can live with (`memory.grow` gives -1), so it is not an
/// error here; it is remembered, since most guests then trap, and the reason would be lost.
pub struct Limiter {
    limit: u64,
    held: u64,
    peak: u64,
    refused: bool,
}

/// Host memory of a table element.
const ELEMENT: u64 = size_of::<usize>() as u64;

impl Limiter {
    pub fn new(limit: u64) -> Limiter {
        Limiter { limit, held: 0, peak: 0, refused: false }
    }

    pub fn peak(&self) -> u64 {
        self.peak
    }

    pub fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, by: u64) -> bool {
        let held = self.held.saturating_add(by);
        if held > self.limit {
            self.refused = true;
            return false;
        }
        self.held = held;
        self.peak = self.peak.max(held);
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
