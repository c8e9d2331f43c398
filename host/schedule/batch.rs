//! The loop that runs a batch: starts calls while there is room, joins their runs, commits each at its
//! turn, tells [`Order`].
//!
//! Driven by events alone. A run is a task of its own, but for one that is alone: that one the loop does itself, until
//! another starts or it turns out to compute. It owns every run that it starts, and returns only when all are gone; when it is dropped, they are
//! aborted. Nothing else commits, so that what a run has read is overwritten only
//! here, or by others than this batch.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::admission::{Permit, Share};
use super::job::{Approval, Ask, By, Committed, Job, Needs, NotRun, Turn, Wants};
use super::order::{Due, Order, Stopped};
use super::questions::Questions;
use super::tasks::{Here, Left, Lost, Tasks, TokioTasks};

/// Runs all calls of `job`, each when its needs are met and it has got of `room`, which it holds while it
/// runs. Every call ends exactly once: by [`Job::commit`] giving [`Committed::Ended`] or
/// [`Committed::Broken`], or by [`Job::not_run`]. But for calls that were cancelled or conflict, that is
/// as if they had run one at a time, in order.
pub async fn run<J: Job>(job: Arc<J>, needs: &[Needs], room: Share, cancel: CancellationToken) {
    run_on::<J, TokioTasks<Ended<J::Run>>>(job, needs, room, cancel).await;
}

pub(super) async fn run_on<J: Job, T: Tasks<Ended<J::Run>>>(
    job: Arc<J>,
    needs: &[Needs],
    room: Share,
    cancel: CancellationToken,
) {
    let (asks, mut asked) = mpsc::unbounded_channel();
    let tasks = T::on(job.workers());
    let mut batch = Batch {
        job,
        order: Order::new(needs),
        tasks,
        here: Here::default(),
        runs: BTreeMap::new(),
        questions: Questions::default(),
        stopped: None,
        asks,
    };
    let mut room = room.place();
    let mut cancelled = pin!(cancel.cancelled());
    while batch.order.left() > 0 {
        let ready = batch.order.has_ready();
        if !ready {
            // A place in the queue for room that nobody uses would keep it from other batches.
            room.give_up();
        }
        tokio::select! {
            biased;
            () = &mut cancelled, if batch.stopped.is_none() => batch.stop(NotRun::Cancelled),
            (call, end) = batch.tasks.join() => batch.joined(call, end),
            Some(ask) = asked.recv() => batch.asked(ask),
            (call, run) = batch.questions.answered(), if !batch.questions.is_empty() => {
                batch.answered(call, run);
            }
            permit = poll_fn(|context| room.poll_acquire(context)), if ready => batch.start(permit),
            // Last: whatever else there is to do, it does not wait for a run.
            left = batch.here.join() => batch.left(left),
        }
        if batch.here.has_spent_long() {
            // One short run after the other is a long one, for whoever else is on this thread.
            yield_now().await;
        }
    }
}

/// What a task leaves.
pub(super) type Ended<R> = (R, Permit);

struct Batch<J: Job, T> {
    job: Arc<J>,
    order: Order,
    tasks: T,
    here: Here<Ended<J::Run>>,
    /// Of the calls that wait for their turn.
    runs: BTreeMap<usize, J::Run>,
    /// About calls at their turn.
    questions: Questions<J::Run>,
    /// Why the calls that have not ended will not.
    stopped: Option<NotRun>,
    asks: mpsc::UnboundedSender<Ask>,
}

impl<J: Job, T: Tasks<Ended<J::Run>>> Batch<J, T> {
    fn start(&mut self, permit: Permit) {
        let Some(started) = self.order.start() else { return };
        let (call, attempt, last) = (started.call, started.attempt, started.last);
        let turn = Turn { attempt, last, call, asks: self.asks.clone() };
        let run = one(self.job.clone(), turn, permit);
        if self.tasks.is_empty() && self.here.is_empty() {
            self.here.put(call, run);
            return;
        }
        if let Some((call, run)) = self.here.take() {
            self.tasks.spawn(call, run);
        }
        self.tasks.spawn(call, run);
    }

    /// The run here has come to an end, or would take this loop's time.
    fn left(&mut self, left: Left<Ended<J::Run>>) {
        match left {
            Left::Ended(call, end) => self.joined(call, end),
            Left::Computes => {
                if let Some((call, run)) = self.here.take() {
                    self.tasks.spawn(call, run);
                }
            }
        }
    }

    /// Ends the run of a call at its next await.
    fn abort(&mut self, call: usize) {
        self.tasks.abort(call);
        self.here.abort(call);
    }

    fn joined(&mut self, call: usize, end: Result<Ended<J::Run>, Lost>) {
        if self.order.is_stopping(call) {
            // Whatever it left is stale or unwanted, even if it ended before it was stopped.
            match self.order.stopped(call) {
                Stopped::Again => {}
                Stopped::Conflict => self.not_run(call, NotRun::Conflict),
                Stopped::Batch => {
                    let why = self.stopped.clone().unwrap_or(NotRun::Cancelled);
                    self.not_run(call, why);
                }
            }
        } else {
            match end {
                Ok((run, _permit)) => {
                    self.order.ran(call, J::wrote(&run));
                    self.turn(call, run);
                }
                Err(Lost::Panicked(message)) => self.not_run(call, NotRun::Panicked(message)),
                Err(Lost::Aborted) => self.not_run(call, NotRun::Cancelled),
            }
        }
        self.settle();
    }

    /// A run wants to go past an irrevocable effect. It may have given up, or been stopped, since.
    fn asked(&mut self, ask: Ask) {
        let call = ask.call;
        if !self.order.is_running(call, ask.attempt) || ask.granted.is_closed() {
            return;
        }
        let job = &self.job;
        if self.order.refuse(call, |earlier| job.may_conflict_running(call, earlier)) {
            self.abort(call);
            return;
        }
        let invalid = if self.order.is_granted(call) { None } else { self.job.invalid(call) };
        if let Some(by) = invalid {
            self.order.overtaken(call, by);
            self.abort(call);
        } else if ask.granted.send(()).is_ok() && ask.wants == Wants::Effect {
            self.order.grant(call);
        }
    }

    /// Commits whatever waited and now has its turn, earliest first.
    fn settle(&mut self) {
        while let Some(due) = self.order.due() {
            let job = &self.job;
            match due {
                Due::Refused(call) => {
                    self.order.blocked(call, |earlier| job.may_conflict_running(call, earlier));
                }
                Due::Ran(call) => {
                    if let Some(run) = self.runs.remove(&call) {
                        self.turn(call, run);
                    }
                }
            }
        }
    }

    /// Commits a run if its turn has come.
    fn turn(&mut self, call: usize, run: J::Run) {
        let job = &self.job;
        if self.order.blocked(call, |earlier| job.may_conflict(&run, earlier)) {
            self.runs.insert(call, run);
            return;
        }
        match job.approval(call, run) {
            Approval::Given(run) => self.commit(call, run),
            Approval::Stale(by) => self.stale(call, by),
            Approval::Asked(answer) => {
                self.order.asked(call);
                self.questions.put(call, answer);
            }
        }
    }

    /// A question is answered.
    fn answered(&mut self, call: usize, run: Result<J::Run, String>) {
        match run {
            Ok(run) => {
                self.order.answered(call, J::wrote(&run));
                self.turn(call, run);
            }
            Err(message) => self.not_run(call, NotRun::Panicked(message)),
        }
        self.settle();
    }

    fn commit(&mut self, call: usize, run: J::Run) {
        let wrote = J::wrote(&run);
        match self.job.commit(call, run) {
            Committed::Ended(verdict) => {
                let skipped = self.order.commit(call, verdict);
                self.skip(skipped);
                if wrote {
                    self.stop_overtaken(call);
                }
            }
            Committed::Stale(by) => self.stale(call, by),
            Committed::Broken => self.stop(NotRun::Broken(call)),
        }
    }

    fn stale(&mut self, call: usize, by: By) {
        if !self.order.stale(call, by) {
            self.not_run(call, NotRun::Conflict);
        }
    }

    /// What a call committed may have been read by later ones that run: all they do from here on is in
    /// vain, and may never end.
    fn stop_overtaken(&mut self, committed: usize) {
        for call in self.tasks.calls() {
            if call > committed && self.order.is_stoppable(call) && self.job.overtaken(call) {
                self.order.overtaken(call, By::Host);
                self.tasks.abort(call);
            }
        }
    }

    fn stop(&mut self, why: NotRun) {
        self.tasks.abort_all();
        self.here.abort_all();
        self.runs.clear();
        self.questions.clear();
        for call in self.order.stop() {
            // The job has decided the outcome of the one that broke.
            if why != NotRun::Broken(call) {
                self.job.not_run(call, why.clone());
            }
        }
        self.stopped = Some(why);
    }

    fn not_run(&mut self, call: usize, why: NotRun) {
        self.job.not_run(call, why);
        let skipped = self.order.fail(call);
        self.skip(skipped);
    }

    fn skip(&self, skipped: Vec<(usize, usize)>) {
        for (call, input) in skipped {
            self.job.not_run(call, NotRun::Input(input));
        }
    }
}

/// One run with its permit, which is given back when the run has been joined: before, another call would start
/// that does not see yet what this one commits.
async fn one<J: Job>(job: Arc<J>, turn: Turn, permit: Permit) -> Ended<J::Run> {
    (job.run(turn.call, &turn).await, permit)
}
