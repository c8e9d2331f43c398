//! The state of every call of a batch, and the transitions between states. Pure; no clock, no tasks, and
//! no knowledge of what calls read and write: it asks.
//!
//! ```text
//! Waiting --all that it needs has ended--> Ready --start--> Running --ran--> Ran --commit--> Ended
//!
//! Running --overtaken, or refused an effect--> Stopping --its task is gone--> Ready, or Refused
//! Refused --nobody before it is in its way---> Ready
//! Ran     --somebody is asked----------------> Asking --answered--> Ran
//! Ran     --stale----------------------------> Ready
//! Waiting --an input failed------------------> Ended
//! any     --fail, or the batch stops---------> Ended; if it has a task, by way of Stopping
//! ```
//!
//! Invariants:
//! - whatever a call waits for is an earlier call's end, so the first call that has not ended is never
//!   kept waiting by another: it can start, runs, or can be committed;
//! - a call is past `Waiting` only when all that it needs has ended, its inputs with [`Verdict::Ok`];
//! - unless the batch is stopped, a call ends only when all that it needs has ended, run or not: whoever
//!   waits for it waits for those too;
//! - a call ends once; `Ended` is final;
//! - at most one task of a call is alive: from `Stopping` on it waits for the old one to be gone;
//! - a call is `alone` when no earlier call that might write is unfinished. Once it is, it stays so; then
//!   only others than its batch can make it stale, and those get [`TRIES`]. What its own batch does to it
//!   costs time (one run again at once, the next one alone), never its result.

use std::collections::BTreeSet;

use super::job::{By, Needs, Verdict};
use super::queue::{Queue, Start};

/// How often others may overwrite what a call that is alone has read before it counts as in conflict.
pub const TRIES: u16 = 3;
/// Overtaken so often by calls of other batches of its host, it counts as if others had done it once. Each of those has got
/// done; what is to be bounded is an endless stream of them, under a call that takes long.
pub const NEIGHBOURS: u16 = 20;

/// What a run in vain counts, of `TRIES * NEIGHBOURS` in all.
pub fn weight(by: By) -> u16 {
    match by {
        By::Host => 1,
        By::Others => NEIGHBOURS,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `needs` inputs and predecessors have not ended, and `hints`. Of the inputs that failed, `doomed`
    /// is the earliest: the call ends without running.
    Waiting {
        needs: usize,
        hints: usize,
        doomed: Option<usize>,
    },
    /// In the queue.
    Ready,
    Running(Run),
    /// Its task was told to end, and has not.
    Stopping(Next),
    /// Waits for its turn: no unfinished call before `from` is in its way.
    Ran {
        run: Run,
        wrote: bool,
        from: usize,
    },
    /// Its turn has come, and somebody is asked whether it may be committed.
    Asking {
        run: Run,
    },
    /// Was stopped before an irrevocable effect; no unfinished call before `from` is in its way.
    Refused {
        from: usize,
    },
    Ended,
}

/// A run that was not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    alone: bool,
    /// Has gone past an irrevocable effect: is never stopped or run again.
    granted: bool,
}

/// What follows on a stopped task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Again(Start),
    Refused { blocker: usize },
    Conflict,
    Stop,
}

/// What a call that was stopped does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It runs again; nothing is to be done.
    Again,
    /// The caller decides its outcome and calls [`Order::fail`].
    Conflict,
    /// So it does because of [`Order::stop`].
    Batch,
}

/// A call that is to be run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    pub call: usize,
    pub attempt: u32,
    pub last: bool,
}

/// Whose conflicts are to be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A call that ran: it is committed if nobody is in its way.
    Ran(usize),
    /// A call that was stopped before an irrevocable effect: it becomes ready if nobody is.
    Refused(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Input,
    After,
    Hint,
    /// A call that is `Ran` or `Refused` looks again when the one in its way has ended.
    Turn,
}

struct Call {
    state: State,
    class: usize,
    attempt: u32,
    /// Runs that started alone and were stale.
    /// In `NEIGHBOURS` for each by others.
    tries: u16,
    /// Whether a run that had not started alone was stale, overtaken or refused before.
    restarted: bool,
}

pub struct Order {
    calls: Vec<Call>,
    /// By call: the later calls that wait for its end, and why.
    waits: Vec<Vec<(usize, Wait)>>,
    queue: Queue,
    /// Views of `calls`: those whose blocker has ended, those that have not ended, and of these those
    /// that might write.
    due: BTreeSet<usize>,
    unfinished: BTreeSet<usize>,
    writers: BTreeSet<usize>,
}

impl Order {
    /// One entry of `needs` per call. A need that is not of an earlier call is ignored, as the plan
    /// has ruled it out.
    pub fn new(needs: &[Needs]) -> Order {
        let mut order = Order {
            calls: Vec::with_capacity(needs.len()),
            waits: vec![Vec::new(); needs.len()],
            queue: Queue::default(),
            due: BTreeSet::new(),
            unfinished: (0..needs.len()).collect(),
            writers: (0..needs.len()).filter(|&call| needs[call].writes).collect(),
        };
        for (call, needs) in needs.iter().enumerate() {
            let mut wait = |list: &[usize], wait: Wait| {
                let list = list.iter().filter(|&&need| need < call);
                list.map(|&need| order.waits[need].push((call, wait))).count()
            };
            let waits = wait(&needs.inputs, Wait::Input) + wait(&needs.after, Wait::After);
            let hints = wait(&needs.hints, Wait::Hint);
            let state = State::Waiting { needs: waits, hints, doomed: None };
            let class = needs.class;
            order.calls.push(Call { state, class, attempt: 0, tries: 0, restarted: false });
            if waits + hints == 0 {
                order.ready(call, Start::AsClass);
            }
        }
        order
    }

    /// How many calls have not ended.
    pub fn left(&self) -> usize {
        self.unfinished.len()
    }

    pub fn has_ready(&mut self) -> bool {
        self.queue.first(self.writers.first().copied()).is_some()
    }

    /// Starts the earliest call that may: it is running from here on.
    pub fn start(&mut self) -> Option<Started> {
        let writer = self.writers.first().copied();
        let call = self.queue.pop(writer)?;
        let it = &mut self.calls[call];
        debug_assert_eq!(it.state, State::Ready);
        let alone = writer.is_none_or(|writer| writer >= call);
        it.state = State::Running(Run { alone, granted: false });
        it.attempt += 1;
        Some(Started { call, attempt: it.attempt, last: it.tries >= (TRIES - 1) * NEIGHBOURS })
    }

    /// The task of a call that is `Running` has left a run. It is to be asked about by
    /// [`Order::blocked`].
    pub fn ran(&mut self, call: usize, wrote: bool) {
        let State::Running(run) = self.calls[call].state else {
            return debug_assert!(false, "call {call} does not run");
        };
        self.calls[call].state = State::Ran { run, wrote, from: 0 };
    }

    /// The earliest call whose turn may have come. Each is to be asked about by [`Order::blocked`].
    pub fn due(&mut self) -> Option<Due> {
        let call = self.due.pop_first()?;
        match self.calls[call].state {
            State::Refused { .. } => Some(Due::Refused(call)),
            _ => Some(Due::Ran(call)),
        }
    }

    /// Whether an unfinished call is in the way of this one, which is `Ran` or `Refused`; if so, it is
    /// due again when that one has ended. Otherwise it is to be committed, or is ready, at once.
    pub fn blocked(&mut self, call: usize, conflicts: impl Fn(usize) -> bool) -> bool {
        let (from, among) = match self.calls[call].state {
            State::Ran { wrote: true, from, .. } => (from, &self.unfinished),
            State::Ran { wrote: false, from, .. } | State::Refused { from } => {
                (from, &self.writers)
            }
            state => {
                debug_assert!(false, "call {call} has no turn to wait for: {state:?}");
                return true;
            }
        };
        let blocker = among.range(from.min(call)..call).copied().find(|&call| conflicts(call));
        match (&mut self.calls[call].state, blocker) {
            (State::Ran { from, .. } | State::Refused { from }, Some(blocker)) => {
                *from = blocker;
                self.waits[blocker].push((call, Wait::Turn));
            }
            (State::Refused { .. }, None) => self.ready(call, Start::AtOnce),
            _ => {}
        }
        blocker.is_some()
    }

    /// Somebody is asked about a call that is `Ran` and not blocked. It keeps its place.
    pub fn asked(&mut self, call: usize) {
        let State::Ran { run, .. } = self.calls[call].state else {
            return debug_assert!(false, "call {call} is not at its turn");
        };
        self.calls[call].state = State::Asking { run };
    }

    /// The question is answered: the call is `Ran` again, with nobody in its way, as nobody was before.
    pub fn answered(&mut self, call: usize, wrote: bool) {
        let State::Asking { run } = self.calls[call].state else {
            return debug_assert!(false, "nobody was asked about call {call}");
        };
        self.calls[call].state = State::Ran { run, wrote, from: call };
    }

    /// A call that is `Ran` was committed. Gives the calls that end with it without having run, each
    /// with the input that failed it.
    #[must_use]
    pub fn commit(&mut self, call: usize, verdict: Verdict) -> Vec<(usize, usize)> {
        if let State::Ran { run: Run { alone: false, .. }, .. } = self.calls[call].state {
            self.queue.clean(self.calls[call].class);
        }
        self.end(call, verdict)
    }

    /// A call has ended in another way, its task being gone. As [`Order::commit`].
    #[must_use]
    pub fn fail(&mut self, call: usize) -> Vec<(usize, usize)> {
        self.end(call, Verdict::Failed)
    }

    /// The commit of a call that is `Ran` found its run to be stale. Gives whether it is run again; if
    /// not, the caller decides its outcome and calls [`Order::fail`].
    #[must_use]
    pub fn stale(&mut self, call: usize, by: By) -> bool {
        let State::Ran { run, .. } = self.calls[call].state else { return false };
        match self.conflict(call, run, by) {
            Next::Again(start) => {
                self.ready(call, start);
                true
            }
            _ => false,
        }
    }

    /// Whether a call runs and may be stopped.
    pub fn is_stoppable(&self, call: usize) -> bool {
        matches!(self.calls[call].state, State::Running(Run { granted: false, .. }))
    }

    /// A call that is stoppable has read what was overwritten since. The caller ends its task.
    pub fn overtaken(&mut self, call: usize, by: By) {
        if let State::Running(run) = self.calls[call].state {
            let next = self.conflict(call, run, by);
            self.stopping(call, next);
        }
    }

    /// Whether this is the run in progress of the call, and may be stopped.
    pub fn is_running(&self, call: usize, attempt: u32) -> bool {
        self.calls[call].attempt == attempt && matches!(self.calls[call].state, State::Running(_))
    }

    /// A running call wants to go past an irrevocable effect. If one that might write is in its way, it
    /// is refused: the caller ends its task.
    #[must_use]
    pub fn refuse(&mut self, call: usize, conflicts: impl Fn(usize) -> bool) -> bool {
        let State::Running(run) = self.calls[call].state else { return false };
        if run.granted {
            return false;
        }
        let blocker = self.writers.range(..call).copied().find(|&call| conflicts(call));
        if let Some(blocker) = blocker {
            // Once by what it reads, then for certain.
            let again = std::mem::replace(&mut self.calls[call].restarted, true);
            let next = if again { Next::Again(Start::Alone) } else { Next::Refused { blocker } };
            self.stopping(call, next);
        }
        blocker.is_some()
    }

    /// A running call has gone past an irrevocable effect.
    pub fn grant(&mut self, call: usize) {
        if let State::Running(run) = &mut self.calls[call].state {
            run.granted = true;
        }
    }

    pub fn is_granted(&self, call: usize) -> bool {
        matches!(self.calls[call].state, State::Running(Run { granted: true, .. }))
    }

    pub fn is_stopping(&self, call: usize) -> bool {
        matches!(self.calls[call].state, State::Stopping(_))
    }

    /// The task of a call that is `Stopping` is gone, whatever it left.
    pub fn stopped(&mut self, call: usize) -> Stopped {
        match self.calls[call].state {
            State::Stopping(Next::Again(start)) => self.ready(call, start),
            State::Stopping(Next::Refused { blocker }) => {
                self.calls[call].state = State::Refused { from: blocker };
                self.due.insert(call);
            }
            State::Stopping(Next::Conflict) => return Stopped::Conflict,
            State::Stopping(Next::Stop) => return Stopped::Batch,
            state => debug_assert!(false, "call {call} is not being stopped: {state:?}"),
        }
        Stopped::Again
    }

    /// Ends every call that has no task, and gives them in order. The caller ends the other tasks; each
    /// such call is over when it has [`Stopped`].
    #[must_use]
    pub fn stop(&mut self) -> Vec<usize> {
        let mut ended = Vec::new();
        for call in std::mem::take(&mut self.unfinished) {
            let state = &mut self.calls[call].state;
            if matches!(state, State::Running(_) | State::Stopping(_)) {
                *state = State::Stopping(Next::Stop);
                self.unfinished.insert(call);
            } else {
                *state = State::Ended;
                ended.push(call);
            }
        }
        self.writers.clear();
        self.due.clear();
        self.queue.clear();
        ended
    }

    /// A run of this call was in vain. What follows, and what is learned from it.
    fn conflict(&mut self, call: usize, run: Run, by: By) -> Next {
        let it = &mut self.calls[call];
        self.queue.conflict(it.class);
        if run.granted {
            return Next::Conflict;
        }
        if run.alone {
            it.tries += weight(by);
            return if it.tries < TRIES * NEIGHBOURS {
                Next::Again(Start::AtOnce)
            } else {
                Next::Conflict
            };
        }
        let again = std::mem::replace(&mut it.restarted, true);
        Next::Again(if again { Start::Alone } else { Start::AtOnce })
    }

    fn ready(&mut self, call: usize, start: Start) {
        self.calls[call].state = State::Ready;
        self.queue.push(call, self.calls[call].class, start);
    }

    fn stopping(&mut self, call: usize, next: Next) {
        self.calls[call].state = State::Stopping(next);
    }

    fn end(&mut self, call: usize, verdict: Verdict) -> Vec<(usize, usize)> {
        let mut skipped = Vec::new();
        let mut ended = vec![(call, verdict)];
        self.finish(call);
        while let Some((call, verdict)) = ended.pop() {
            for (later, wait) in std::mem::take(&mut self.waits[call]) {
                if let Some(input) = self.waited(later, wait, call, verdict) {
                    self.finish(later);
                    skipped.push((later, input));
                    ended.push((later, Verdict::Failed));
                }
            }
        }
        skipped
    }

    /// What `later` waited for has ended. Gives the input that failed it if it is to be skipped now.
    fn waited(
        &mut self,
        later: usize,
        wait: Wait,
        ended: usize,
        verdict: Verdict,
    ) -> Option<usize> {
        match &mut self.calls[later].state {
            State::Waiting { needs, hints, doomed } => {
                match wait {
                    Wait::Hint => *hints -= 1,
                    Wait::Input | Wait::After => *needs -= 1,
                    Wait::Turn => {}
                }
                if wait == Wait::Input && verdict == Verdict::Failed {
                    *doomed = Some(doomed.map_or(ended, |earlier| earlier.min(ended)));
                }
                match (*needs, *doomed, *hints) {
                    (0, Some(input), _) => return Some(input),
                    (0, None, 0) => self.ready(later, Start::AsClass),
                    _ => {}
                }
            }
            State::Ran { .. } | State::Refused { .. } if wait == Wait::Turn => {
                self.due.insert(later);
            }
            _ => {}
        }
        None
    }

    fn finish(&mut self, call: usize) {
        debug_assert_ne!(self.calls[call].state, State::Ended);
        self.calls[call].state = State::Ended;
        self.unfinished.remove(&call);
        self.writers.remove(&call);
    }
}
