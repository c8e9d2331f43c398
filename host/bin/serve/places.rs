//! The order in which calls came, for those that act at one after another though each has a task of its own.
//!
//! A place is passed when its call has done what has to be in order, or is gone without it. Knows nothing of messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Gives places. Clones share them.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    given: u64,
    /// All before it are passed.
    next: u64,
    ahead: BTreeMap<u64, Ahead>,
}

enum Ahead {
    Waits(oneshot::Sender<()>),
    Passed,
}

/// One place. Dropped, it is passed, whatever those before it do.
pub struct Place {
    places: Places,
    number: u64,
}

impl Places {
    pub fn give(&self) -> Place {
        let mut state = self.state();
        let number = state.given;
        state.given += 1;
        Place { places: self.clone(), number }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until all places before this one are passed. The next one's turn is when this is dropped.
    pub async fn turn(self) -> Place {
        let waits = {
            let mut state = self.places.state();
            (state.next < self.number).then(|| {
                let (sender, receiver) = oneshot::channel();
                state.ahead.insert(self.number, Ahead::Waits(sender));
                receiver
            })
        };
        if let Some(waits) = waits {
            let _ = waits.await;
        }
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.ahead.insert(self.number, Ahead::Passed);
        while let Some(Ahead::Passed) = state.ahead.get(&state.next) {
            let passed = state.next;
            state.ahead.remove(&passed);
            state.next += 1;
        }
        let next = state.next;
        if let Some(Ahead::Waits(_)) = state.ahead.get(&next)
            && let Some(Ahead::Waits(waits)) = state.ahead.remove(&next)
        {
            // Whoever has gone passes its place when it is dropped.
            let _ = waits.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_turn_comes_when_all_before_it_have_passed_and_those_that_are_gone_hand_on_no_earlier() {
        let places = Places::default();
        let [first, second, third, fourth] = [0; 4].map(|_| places.give());
        let mut context = Context::from_waker(Waker::noop());
        let mut third = pin!(third.turn());
        assert!(third.as_mut().poll(&mut context).is_pending());
        // Gone without a turn: the third still waits for the first.
        drop(second);
        assert!(third.as_mut().poll(&mut context).is_pending());
        let mut first = pin!(first.turn());
        let Poll::Ready(turn) = first.as_mut().poll(&mut context) else {
            panic!("it is the first")
        };
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(turn);
        let Poll::Ready(turn) = third.as_mut().poll(&mut context) else { panic!("it is next") };
        let mut fourth = pin!(fourth.turn());
        assert!(fourth.as_mut().poll(&mut context).is_pending());
        drop(turn);
        assert!(fourth.as_mut().poll(&mut context).is_ready());
        assert!(places.state().ahead.is_empty());
    }

    #[test]
    fn one_that_stops_waiting_hands_on() {
        let places = Places::default();
        let [first, second, third] = [0; 3].map(|_| places.give());
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut second = pin!(second.turn());
            assert!(second.as_mut().poll(&mut context).is_pending());
        }
        let mut third = pin!(third.turn());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(third.as_mut().poll(&mut context).is_ready());
    }
}
