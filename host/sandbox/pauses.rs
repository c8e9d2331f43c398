//! Time of a call that is not its own: while somebody is asked, who takes as long as people do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pauses of one call, over all of its runs.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Pauses may overlap: since when there is at least one, and how many.
    open: Option<(Instant, usize)>,
    ended: Duration,
}

/// A pause, until it is dropped.
#[must_use]
pub struct Pause(Arc<Pauses>);

impl Pauses {
    pub fn begin(self: &Arc<Pauses>) -> Pause {
        let mut state = self.state();
        let (since, count) = state.open.unwrap_or_else(|| (Instant::now(), 0));
        state.open = Some((since, count + 1));
        Pause(self.clone())
    }

    /// All of them together, up to now.
    pub fn total(&self) -> Duration {
        let state = self.state();
        state.ended + state.open.map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.open {
            Some((since, 1)) => {
                state.ended += since.elapsed();
                state.open = None;
            }
            Some((since, count)) => state.open = Some((since, count - 1)),
            None => {}
        }
    }
}

/// The time of one run: what has passed since it began, without pauses, of what it has.
#[derive(Clone)]
pub struct Time {
    began: Instant,
    limit: Duration,
    /// With what they had been before it began.
    pauses: Option<(Arc<Pauses>, Duration)>,
}

impl Time {
    pub fn new(limit: Duration, pauses: Option<Arc<Pauses>>) -> Time {
        let pauses = pauses.map(|pauses| (pauses.clone(), pauses.total()));
        Time { began: Instant::now(), limit, pauses }
    }

    pub fn left(&self) -> Duration {
        let paused = self.pauses.as_ref();
        let paused = paused
            .map_or(Duration::ZERO, |(pauses, before)| pauses.total().saturating_sub(*before));
        self.limit.saturating_sub(self.began.elapsed().saturating_sub(paused))
    }

    /// Resolves when none is left.
    pub async fn is_up(&self) {
        const LEAST: Duration = Duration::from_millis(1);
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(LEAST)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_pauses_count_once_and_only_while_they_last() {
        let pauses = Arc::new(Pauses::default());
        let began = Instant::now();
        let (one, other) = (pauses.begin(), pauses.begin());
        std::thread::sleep(Duration::from_millis(5));
        drop(one);
        std::thread::sleep(Duration::from_millis(5));
        drop(other);
        let total = pauses.total();
        assert!(total >= Duration::from_millis(10) && total <= began.elapsed(), "{total:?}");
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(pauses.total(), total);
    }

    #[test]
    fn a_run_has_all_of_its_time_however_long_it_paused() {
        let pauses = Arc::new(Pauses::default());
        let before = pauses.begin();
        std::thread::sleep(Duration::from_millis(3));
        drop(before);
        let time = Time::new(Duration::from_secs(1000), Some(pauses.clone()));
        let pause = pauses.begin();
        std::thread::sleep(Duration::from_millis(30));
        assert!(time.left() > Duration::from_millis(999_980), "{:?}", time.left());
        drop(pause);
        assert!(Time::new(Duration::ZERO, Some(pauses)).left().is_zero());
    }
}
