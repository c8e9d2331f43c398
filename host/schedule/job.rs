//! What is scheduled, as the scheduler sees it, and what a run knows of its turn.
//!
//! Knows nothing of how calls are ordered.

use std::future::{Future, pending};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::questions::Answer;

/// Calls by their index (in a batch) or id (loose): a lower one comes earlier.
///
/// The methods besides `run` are asked from the loop that schedules, must not block for long, and must
/// not call the scheduler.
pub trait Job: Send + Sync + 'static {
    /// What one run of a call leaves, to be committed or dropped.
    type Run: Send + 'static;

    /// Where runs go that are not done by whoever waits for them: the runtime of that one, if none is named.
    fn workers(&self) -> Option<&Handle> {
        None
    }

    /// Runs a call once. Nothing of it lasts before `commit`, but for what it does after
    /// [`Turn::irrevocable`]. The future is dropped when the run is stopped. No two runs of one call
    /// overlap.
    fn run(&self, call: usize, turn: &Turn) -> impl Future<Output = Self::Run> + Send;

    /// Whether the run is to write anything at its commit. If not, only calls that might write are asked
    /// about.
    fn wrote(run: &Self::Run) -> bool;

    /// Whether `earlier`, a call before this one that has not ended, might still write something this
    /// run read, or read or write something that it wrote (so that this run may not be committed before
    /// it). Once false for a run and a call, it stays so.
    ///
    /// For loose calls only: whether `earlier` declares, or has staged already, a write to something
    /// this run read. Any change of the answer is allowed.
    fn may_conflict(&self, run: &Self::Run, earlier: usize) -> bool;

    /// Whether the run in progress of a call has read something that was overwritten since: all it can
    /// do is be run again. A yes about an earlier run of the call costs time, not its result.
    fn overtaken(&self, call: usize) -> bool;

    /// Whether somebody has to agree before the run is committed. Asked at the call's turn, before every commit, also
    /// of a run that a question has given back. Short; what takes long is the question's.
    fn approval(&self, call: usize, run: Self::Run) -> Approval<Self::Run> {
        let _ = call;
        Approval::Given(run)
    }

    /// Makes the run's writes real if what it read still holds, whatever its outcome is: stale reads may
    /// have caused a failure. Short and blocking.
    fn commit(&self, call: usize, run: Self::Run) -> Committed;

    /// Who has overwritten something that the call that runs has read so far, if anybody has: asked before an irrevocable
    /// effect.
    fn invalid(&self, call: usize) -> Option<By>;

    /// Whether `other` might still write something that `call`, which has been started and has not
    /// ended, has read or may yet read. Answered for the latest run of `call`, also when that one was
    /// stopped. Decides about irrevocable effects: where it says no too early, the call may end as
    /// [`NotRun::Conflict`].
    fn may_conflict_running(&self, call: usize, other: usize) -> bool;

    /// Decides the outcome of a call that will not end by itself.
    fn not_run(&self, call: usize, why: NotRun);
}

/// Whether a run may be committed.
pub enum Approval<R> {
    Given(R),
    /// What the run read was overwritten: there is nothing to ask about.
    Stale(By),
    /// Somebody is asked. The run that comes back may be one that leaves nothing to commit. Meanwhile the call keeps its
    /// place in the order, and holds no room.
    Asked(Answer<R>),
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    Ended(Verdict),
    /// What the run read was overwritten: the call is run again.
    Stale(By),
    /// The commit itself failed and was rolled back. The job has decided the call's outcome; its batch
    /// stops.
    Broken,
}

/// Who has overwritten what a run read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Another call of this host, of whatever batch. It has got done by that, so that only so many can come first.
    Host,
    Others,
}

/// Whether a call that ended has a result for others to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Failed,
}

/// Why a call has no end of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// The call of this index, whose result it needs, has failed: the earliest, if several have.
    Input(usize),
    Cancelled,
    Panicked(String),
    /// What it read was changed again and again, or changed after an irrevocable effect.
    Conflict,
    /// The commit of this call failed, and with it the batch.
    Broken(usize),
}

/// What a call waits for before it starts: indexes of earlier calls.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Their results are used: the call cannot run if one fails.
    pub inputs: Vec<usize>,
    /// Only their end is waited for.
    pub after: Vec<usize>,
    /// A guess that a start before these have ended would be in vain. Never decides whether a result is
    /// right.
    pub hints: Vec<usize>,
    /// Whether the call might write at all.
    pub writes: bool,
    /// Calls of one class behave alike: what a conflict teaches is kept by class.
    pub class: usize,
}

/// What one run knows of its turn. Clones are of the same run.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Counts the runs of the call, from 1.
    pub attempt: u32,
    /// The third try of a call that only others than its own batch can have invalidated. If its commit is stale too,
    /// the call ends as [`NotRun::Conflict`].
    pub last: bool,
    pub(super) call: usize,
    pub(super) asks: mpsc::UnboundedSender<Ask>,
}

/// A run wants to go past an effect that cannot be staged.
#[derive(Debug)]
pub(super) struct Ask {
    pub call: usize,
    pub attempt: u32,
    /// Answered with yes, or not at all.
    pub granted: oneshot::Sender<()>,
    pub wants: Wants,
}

/// What a run wants to know of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// To go past the effect, and never be run again.
    Effect,
    /// Only that it might, if it wanted to now.
    Turn,
}

impl Turn {
    /// To be awaited before an effect that cannot be staged. When it resolves, what the run has read
    /// holds, and the call is not run again. Otherwise it never does: the run is stopped, gives its room
    /// back, and starts anew when no earlier call is in the way.
    pub async fn irrevocable(&self) {
        self.ask(Wants::Effect).await;
    }

    /// As [`Turn::irrevocable`], and decides nothing: the run may still be stopped, and the call run again. For a question
    /// about an effect, which is asked when the effect might happen.
    pub async fn come(&self) {
        self.ask(Wants::Turn).await;
    }

    /// Whether whoever started this run waits for it no more: what it does is in vain.
    pub fn is_given_up(&self) -> bool {
        self.asks.is_closed()
    }

    async fn ask(&self, wants: Wants) {
        let (granted, answer) = oneshot::channel();
        let ask = Ask { call: self.call, attempt: self.attempt, granted, wants };
        if self.asks.send(ask).is_err() || answer.await.is_err() {
            // Refused: whoever refused stops this run.
            pending::<()>().await;
        }
    }
}
