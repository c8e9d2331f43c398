//! Calls that are each a request of their own: ordered by when they finish, not by when they were issued.
//!
//! A call that ran is committed at once, except that it waits for an earlier-issued, unfinished one that
//! declares, or has staged, a write to what it read: a read that is sent after a write of the same file
//! sees it, and a slow call holds back nothing that is unrelated. What a commit overwrites under a call
//! that runs makes that one run again.
//!
//! Two kinds of calls hold others back. One at its last try holds back later-issued ones that wrote what
//! it reads, or it might never get done. One that has gone past an irrevocable effect has its place in
//! the order from there on: everybody else who wrote what it reads waits for it, and it waits only for
//! those granted before it. So whoever waits, waits for a lower rank: granted ones by their grant, then
//! all others by their issue. Nobody waits in a circle.
//!
//! Knows nothing of batches. Each call is driven by its own future; the state that they share is behind a
//! mutex that is never held across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::aside::lock_aside;

use super::admission::{Permit, Share};
use super::job::{Approval, By, Committed, Job, NotRun, Turn, Wants};
use super::order::{NEIGHBOURS, TRIES, weight};
use super::questions::{Answer as Question, answered};
use super::running::Running;
use super::tasks::{Lost, Tasks, TokioTasks};

/// Loose calls of one host. Clones share everything.
pub struct Loose<J: Job, T = TokioTasks<<J as Job>::Run>> {
    shared: Arc<Shared<J>>,
    tasks: PhantomData<fn() -> T>,
}

struct Shared<J> {
    job: Arc<J>,
    room: Share,
    state: Mutex<State>,
    /// Held by whoever decides that nobody is in the way, until it has acted on it. Locked before
    /// `state`.
    deciding: Mutex<()>,
    /// Counts the commits that wrote something.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    next: usize,
    grants: u64,
    /// Those that have not ended.
    calls: BTreeMap<usize, Entry>,
    /// Those of them that hold back all others.
    granted: BTreeSet<usize>,
}

#[derive(Default)]
struct Entry {
    hold: Hold,
    /// Dropped with the entry, which wakes whoever waits for the call's end.
    waiters: Vec<oneshot::Sender<()>>,
}

/// Whether a call holds back others that wrote what it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hold {
    #[default]
    Nobody,
    /// Later-issued ones: it is at its last try.
    Later,
    /// All others: its irrevocable effect was the one of this number.
    All(u64),
}

/// A call that was issued and has not ended. Dropping it removes it.
pub struct Ticket<J: Job> {
    shared: Arc<Shared<J>>,
    id: usize,
}

/// Resolves, if only to an error, when the call that is waited for has ended.
type Ended = oneshot::Receiver<()>;

/// How a run came to its end.
enum End<R> {
    Ran(R),
    /// It was stopped: what it read was overwritten.
    Overtaken(By),
    /// It was stopped before an irrevocable effect, which this call is in the way of.
    Refused(Ended),
    Lost(NotRun),
}

/// What came of trying to commit a run.
enum Tried<R> {
    Committed(Committed),
    Blocked(R, Ended),
    Asked(Question<R>),
}

enum Answer {
    Granted,
    /// It was told that its turn has come, or waits no more.
    Nothing,
    Invalid(By),
    Blocked(Ended),
}

impl<J: Job, T> Clone for Loose<J, T> {
    fn clone(&self) -> Loose<J, T> {
        Loose { shared: self.shared.clone(), tasks: PhantomData }
    }
}

impl<J: Job> Loose<J> {
    /// Each run holds a permit of `room`, its tenant's.
    pub fn new(job: Arc<J>, room: Share) -> Loose<J> {
        Loose::new_on(job, room)
    }
}

impl<J: Job> Ticket<J> {
    pub fn id(&self) -> usize {
        self.id
    }
}

impl<J: Job, T: Tasks<J::Run>> Loose<J, T> {
    pub(super) fn new_on(job: Arc<J>, room: Share) -> Loose<J, T> {
        let (state, deciding) = (Mutex::default(), Mutex::default());
        let written = watch::Sender::new(0);
        let shared = Arc::new(Shared { job, room, state, deciding, written });
        Loose { shared, tasks: PhantomData }
    }

    /// A call that comes after all that were issued before. From here on it may be in the way of later
    /// ones.
    pub fn issue(&self) -> Ticket<J> {
        let mut state = lock(&self.shared.state);
        let id = state.next;
        state.next += 1;
        state.calls.insert(id, Entry::default());
        Ticket { shared: self.shared.clone(), id }
    }

    /// Runs a call to its end: its outcome was then decided, by [`Job::commit`] or [`Job::not_run`]. It
    /// starts when the calls that `hints` name have ended. Dropping the future stops and removes the
    /// call, and decides nothing.
    pub async fn call(&self, ticket: Ticket<J>, hints: Vec<usize>, cancel: CancellationToken) {
        let mut tasks = Running::<T, J::Run>::new(ticket.id, self.shared.job.workers());
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(NotRun::Cancelled),
            end = self.shared.execute(ticket.id, &hints, &mut tasks) => end,
        };
        tasks.stop().await;
        if let Err(why) = end {
            self.shared.job.not_run(ticket.id, why);
        }
    }
}

impl<J: Job> Shared<J> {
    async fn execute<T: Tasks<J::Run>>(
        self: &Arc<Self>,
        id: usize,
        hints: &[usize],
        tasks: &mut Running<T, J::Run>,
    ) -> Result<(), NotRun> {
        for &hint in hints.iter().filter(|&&hint| hint < id) {
            let ended = lock(&self.state).ended(hint);
            wait(ended).await;
        }
        let mut written = self.written.subscribe();
        let (mut conflicts, mut tries) = (0, 0);
        for attempt in 1.. {
            let last = conflicts + 1 >= TRIES;
            if last {
                lock(&self.state).hold(id, Hold::Later);
            }
            let mut place = self.room.place();
            let room = poll_fn(|context| place.poll_acquire(context)).await;
            written.borrow_and_update();
            let stale = match self.run(id, attempt, last, room, &mut written, tasks).await {
                End::Ran(run) => match self.commit(id, run).await? {
                    Committed::Stale(by) => Some(by),
                    _ => None,
                },
                End::Overtaken(by) => Some(by),
                End::Refused(ended) => {
                    wait(Some(ended)).await;
                    continue;
                }
                End::Lost(why) => return Err(why),
            };
            // What other calls do to it costs time, never its result: they are held back at its last
            // try, but for earlier-issued ones, of which there are only so many, and for those of batches.
            let Some(by) = stale else { break };
            conflicts += 1;
            tries += weight(by);
            if tries >= TRIES * NEIGHBOURS || lock(&self.state).is_granted(id) {
                return Err(NotRun::Conflict);
            }
        }
        Ok(())
    }

    /// One run. When this returns its task is gone.
    async fn run<T: Tasks<J::Run>>(
        self: &Arc<Self>,
        call: usize,
        attempt: u32,
        last: bool,
        room: Permit,
        written: &mut watch::Receiver<u64>,
        tasks: &mut Running<T, J::Run>,
    ) -> End<J::Run> {
        let (asks, mut asked) = mpsc::unbounded_channel();
        let turn = Turn { attempt, last, call, asks };
        let job = self.job.clone();
        let alone = lock(&self.state).calls.len() == 1;
        tasks.start(alone, async move {
            let _room = room;
            job.run(call, &turn).await
        });
        let mut granted = false;
        let end = loop {
            tokio::select! {
                biased;
                end = tasks.join() => return match end {
                    Ok(run) => End::Ran(run),
                    Err(Lost::Panicked(message)) => End::Lost(NotRun::Panicked(message)),
                    Err(Lost::Aborted) => End::Lost(NotRun::Cancelled),
                },
                Some(ask) = asked.recv() => match self.asked(call, ask.granted, ask.wants) {
                    Answer::Granted => granted = true,
                    Answer::Nothing => {}
                    Answer::Invalid(by) => break End::Overtaken(by),
                    Answer::Blocked(ended) => break End::Refused(ended),
                },
                Ok(()) = written.changed(), if !granted => {
                    if self.job.overtaken(call) {
                        break End::Overtaken(By::Host);
                    }
                }
            }
        };
        drop(asked);
        tasks.stop().await;
        end
    }

    /// Commits a run as soon as nobody is in its way, and whoever has to agree does. While somebody is asked, the call is in
    /// the way of others as if it ran.
    async fn commit(&self, id: usize, mut run: J::Run) -> Result<Committed, NotRun> {
        loop {
            match self.try_commit(id, run) {
                Tried::Committed(committed) => return Ok(committed),
                Tried::Blocked(back, ended) => {
                    run = back;
                    wait(Some(ended)).await;
                }
                Tried::Asked(question) => {
                    run = answered(question).await.map_err(NotRun::Panicked)?;
                }
            }
        }
    }

    fn try_commit(&self, id: usize, run: J::Run) -> Tried<J::Run> {
        // Whoever holds it may wait for the lock of a root, or commit much.
        let _deciding = lock_aside(&self.deciding);
        let wrote = J::wrote(&run);
        let job = &self.job;
        let ended = lock(&self.state).blocker(id, |other, hold| {
            let overwrites = || wrote && job.may_conflict_running(other, id);
            match hold {
                Hold::Nobody => job.may_conflict(&run, other),
                Hold::Later => overwrites() || job.may_conflict(&run, other),
                Hold::All(_) => overwrites() || (other < id && job.may_conflict(&run, other)),
            }
        });
        if let Some(ended) = ended {
            return Tried::Blocked(run, ended);
        }
        let run = match job.approval(id, run) {
            Approval::Given(run) => run,
            Approval::Stale(by) => return Tried::Committed(Committed::Stale(by)),
            Approval::Asked(question) => return Tried::Asked(question),
        };
        let committed = job.commit(id, run);
        if wrote && matches!(committed, Committed::Ended(_)) {
            self.written.send_modify(|count| *count += 1);
        }
        Tried::Committed(committed)
    }

    /// A run wants to go past an irrevocable effect.
    fn asked(&self, id: usize, granted: oneshot::Sender<()>, wants: Wants) -> Answer {
        let _deciding = lock_aside(&self.deciding);
        let mut state = lock(&self.state);
        let job = &self.job;
        if state.is_granted(id) {
            return if granted.send(()).is_ok() { Answer::Granted } else { Answer::Nothing };
        }
        let ended = state.blocker(id, |other, hold| {
            job.may_conflict_running(id, other)
                || matches!(hold, Hold::All(_)) && job.may_conflict_running(other, id)
        });
        if let Some(ended) = ended {
            return Answer::Blocked(ended);
        }
        // It looks at files: who only wants to know who is here does not wait for that.
        drop(state);
        if let Some(by) = job.invalid(id) {
            return Answer::Invalid(by);
        }
        let mut state = lock(&self.state);
        // The run may have a deadline of its own.
        if granted.send(()).is_err() || wants == Wants::Turn {
            return Answer::Nothing;
        }
        state.grants += 1;
        let grant = Hold::All(state.grants);
        state.hold(id, grant);
        Answer::Granted
    }
}

impl State {
    /// When the first call of a lower rank that `is_blocker` will have ended, if there is one.
    fn blocker(&mut self, id: usize, is_blocker: impl Fn(usize, Hold) -> bool) -> Option<Ended> {
        let mine = self.calls.get(&id)?.hold;
        // Later ones are of a lower rank by their grant alone, and there may be very many of them.
        let granted = self.granted.iter().filter_map(|other| {
            let hold = self.calls.get(other)?.hold;
            let lower = match (hold, mine) {
                (Hold::All(other), Hold::All(mine)) => other < mine,
                _ => *other != id,
            };
            lower.then_some((*other, hold))
        });
        let earlier = if matches!(mine, Hold::All(_)) { 0..0 } else { 0..id };
        let earlier = self.calls.range(earlier).map(|(other, entry)| (*other, entry.hold));
        let mut lower = granted.chain(earlier);
        let (blocker, _) = lower.find(|(other, hold)| is_blocker(*other, *hold))?;
        self.ended(blocker)
    }

    /// The end of a call that has not ended.
    fn ended(&mut self, id: usize) -> Option<Ended> {
        let (waiter, ended) = oneshot::channel();
        self.calls.get_mut(&id)?.waiters.push(waiter);
        Some(ended)
    }

    fn hold(&mut self, id: usize, hold: Hold) {
        if let Some(entry) = self.calls.get_mut(&id) {
            entry.hold = hold;
            match hold {
                Hold::All(_) => self.granted.insert(id),
                Hold::Nobody | Hold::Later => self.granted.remove(&id),
            };
        }
    }

    fn is_granted(&self, id: usize) -> bool {
        self.calls.get(&id).is_some_and(|entry| matches!(entry.hold, Hold::All(_)))
    }
}

impl<J: Job> Drop for Ticket<J> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        let entry = state.calls.remove(&self.id);
        state.granted.remove(&self.id);
        drop(state);
        drop(entry);
    }
}

async fn wait(ended: Option<Ended>) {
    if let Some(ended) = ended {
        // It ends by being dropped.
        let _ = ended.await;
    }
}

/// What is behind the mutexes holds after every statement, so one that is poisoned is as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
