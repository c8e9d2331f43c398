//! The state of every call of a batch, and the transitions between states. Pure; no clock, no tasks.
//!
//! ```text
//! Waiting --last need ended, all inputs ok--> Ready --start--> Running --end--> Ended
//!    |                                          |                               ^
//!    +-- last need ended, an input failed;      +-- the batch is cancelled -----+
//!        or the batch is cancelled -------------------------------------------- +
//! ```
//!
//! Invariants:
//! - needs point to earlier calls, so some call that has not ended is always ready or running;
//! - a call is `Ready` or `Running` only when all that it needs has ended, its inputs with [`Verdict::Ok`];
//! - unless the batch is cancelled, a call ends only when all that it needs has ended, run or not: whoever
//!   waits for it waits for those too;
//! - a call ends once; `Ended` is final.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a call waits for: indexes of earlier calls.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Their results are used: the call cannot run if one fails.
    pub inputs: Vec<usize>,
    /// Only their end is waited for.
    pub after: Vec<usize>,
}

/// Whether a call that ended has a result for others to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `doomed` by the first input that failed, it ends without running.
    Waiting {
        needs: usize,
        doomed: Option<usize>,
    },
    Ready,
    Running,
    Ended,
}

pub struct Order {
    states: Vec<State>,
    /// By call: the later calls that need it, and how.
    needed_by: Vec<Vec<(usize, Need)>>,
    /// A view of `states`: the ready calls, earliest first. May hold calls that have ended since.
    ready: BinaryHeap<Reverse<usize>>,
    left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Input,
    After,
}

impl Order {
    /// One entry of `needs` per call. A need that is not of an earlier call is ignored, as the plan
    /// has ruled it out.
    pub fn new(needs: &[Needs]) -> Order {
        let mut needed_by = vec![Vec::new(); needs.len()];
        let mut states = Vec::with_capacity(needs.len());
        let mut ready = BinaryHeap::new();
        for (call, needs) in needs.iter().enumerate() {
            let inputs = needs.inputs.iter().map(|&need| (need, Need::Input));
            let after = needs.after.iter().map(|&need| (need, Need::After));
            let mut count = 0;
            for (need, how) in inputs.chain(after).filter(|(need, _)| *need < call) {
                needed_by[need].push((call, how));
                count += 1;
            }
            states.push(match count {
                0 => State::Ready,
                needs => State::Waiting { needs, doomed: None },
            });
            if count == 0 {
                ready.push(Reverse(call));
            }
        }
        Order { left: states.len(), states, needed_by, ready }
    }

    /// How many calls have not ended.
    pub fn left(&self) -> usize {
        self.left
    }

    pub fn has_ready(&mut self) -> bool {
        while let Some(Reverse(call)) = self.ready.peek() {
            if self.states[*call] == State::Ready {
                return true;
            }
            self.ready.pop();
        }
        false
    }

    /// Starts the earliest ready call: it is running from here on.
    pub fn start(&mut self) -> Option<usize> {
        if !self.has_ready() {
            return None;
        }
        let Reverse(call) = self.ready.pop()?;
        self.states[call] = State::Running;
        Some(call)
    }

    /// A running call has ended. Gives the calls that end with it without having run, each with the
    /// input that failed it.
    #[must_use]
    pub fn end(&mut self, call: usize, verdict: Verdict) -> Vec<(usize, usize)> {
        debug_assert_eq!(self.states[call], State::Running);
        let mut skipped = Vec::new();
        let mut ended = vec![(call, verdict)];
        self.finish(call);
        while let Some((call, verdict)) = ended.pop() {
            for (later, need) in std::mem::take(&mut self.needed_by[call]) {
                let State::Waiting { needs, doomed } = &mut self.states[later] else { continue };
                *needs -= 1;
                if need == Need::Input && verdict == Verdict::Failed {
                    doomed.get_or_insert(call);
                }
                match (*needs, *doomed) {
                    (0, Some(input)) => {
                        self.finish(later);
                        skipped.push((later, input));
                        ended.push((later, Verdict::Failed));
                    }
                    (0, None) => {
                        self.states[later] = State::Ready;
                        self.ready.push(Reverse(later));
                    }
                    _ => {}
                }
            }
        }
        skipped
    }

    /// Ends every call that is not running, and gives them in order.
    #[must_use]
    pub fn cancel(&mut self) -> Vec<usize> {
        let idle = |state: &State| matches!(state, State::Waiting { .. } | State::Ready);
        let calls = (0..self.states.len()).filter(|&call| idle(&self.states[call]));
        let calls: Vec<usize> = calls.collect();
        for &call in &calls {
            self.finish(call);
        }
        calls
    }

    fn finish(&mut self, call: usize) {
        debug_assert_ne!(self.states[call], State::Ended);
        self.states[call] = State::Ended;
        self.left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each call with a subset of the earlier ones as inputs and as predecessors, and its verdict.
    fn batches() -> impl Strategy<Value = Vec<(Needs, bool)>> {
        let call = (
            proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
            proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
            prop::bool::weighted(0.8),
        );
        proptest::collection::vec(call, 0..40).prop_map(|calls| {
            let earlier = |picks: &[prop::sample::Index], call: usize| -> Vec<usize> {
                if call == 0 { vec![] } else { picks.iter().map(|pick| pick.index(call)).collect() }
            };
            let needs = calls.iter().enumerate().map(|(call, (inputs, after, ok))| {
                (Needs { inputs: earlier(inputs, call), after: earlier(after, call) }, *ok)
            });
            needs.collect()
        })
    }

    proptest! {
        #[test]
        fn every_call_ends_once_after_all_it_needs_whatever_the_order_of_ends(
            batch in batches(),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
            at_once in 1usize..8,
        ) {
            let needs: Vec<Needs> = batch.iter().map(|(needs, _)| needs.clone()).collect();
            let mut order = Order::new(&needs);
            let mut ended: Vec<Option<Verdict>> = vec![None; batch.len()];
            let mut running = Vec::new();
            let mut picks = picks.iter().cycle();
            while order.left() > 0 {
                while running.len() < at_once {
                    let Some(call) = order.start() else { break };
                    for &need in needs[call].inputs.iter().chain(&needs[call].after) {
                        prop_assert!(ended[need].is_some(), "{call} started before {need} ended");
                    }
                    for &input in &needs[call].inputs {
                        prop_assert_eq!(ended[input], Some(Verdict::Ok));
                    }
                    running.push(call);
                }
                prop_assert!(!running.is_empty(), "{} calls left and none can run", order.left());
                let call = running.swap_remove(picks.next().unwrap().index(running.len()));
                let verdict = if batch[call].1 { Verdict::Ok } else { Verdict::Failed };
                prop_assert_eq!(ended[call].replace(verdict), None);
                for (skipped, because) in order.end(call, verdict) {
                    for &need in needs[skipped].inputs.iter().chain(&needs[skipped].after) {
                        prop_assert!(ended[need].is_some(), "{skipped} ended before {need}");
                    }
                    prop_assert!(needs[skipped].inputs.contains(&because));
                    prop_assert_eq!(ended[because], Some(Verdict::Failed));
                    prop_assert_eq!(ended[skipped].replace(Verdict::Failed), None);
                }
            }
            prop_assert!(ended.iter().all(Option::is_some));
            prop_assert_eq!(order.start(), None);
        }
    }

    #[test]
    fn ready_calls_start_in_request_order() {
        let mut order = Order::new(&[Needs::default(), Needs::default(), Needs::default()]);
        assert_eq!([order.start(), order.start(), order.start()], [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_failed_input_skips_but_a_failed_predecessor_does_not() {
        let needs = [
            Needs::default(),
            Needs { inputs: vec![0], after: vec![] },
            Needs { inputs: vec![], after: vec![0, 1] },
        ];
        let mut order = Order::new(&needs);
        assert_eq!(order.start(), Some(0));
        assert_eq!(order.end(0, Verdict::Failed), [(1, 0)]);
        assert_eq!(order.start(), Some(2));
    }

    #[test]
    fn a_call_that_will_be_skipped_still_holds_back_those_that_wait_for_it() {
        let needs = [
            Needs::default(),
            Needs::default(),
            Needs { inputs: vec![1], after: vec![0] },
            Needs { inputs: vec![], after: vec![2] },
        ];
        let mut order = Order::new(&needs);
        assert_eq!([order.start(), order.start()], [Some(0), Some(1)]);
        assert_eq!(order.end(1, Verdict::Failed), []);
        assert_eq!(order.start(), None);
        assert_eq!(order.end(0, Verdict::Ok), [(2, 1)]);
        assert_eq!(order.start(), Some(3));
    }

    #[test]
    fn cancelling_leaves_only_running_calls() {
        let needs = [Needs::default(), Needs::default(), Needs { inputs: vec![0], after: vec![] }];
        let mut order = Order::new(&needs);
        assert_eq!(order.start(), Some(0));
        assert_eq!(order.cancel(), [1, 2]);
        assert!(!order.has_ready());
        assert_eq!(order.end(0, Verdict::Ok), []);
        assert_eq!(order.left(), 0);
    }
}
