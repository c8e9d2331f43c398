//! Loose calls: each a request of its own, ordered by when they finish instead of by a batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, Filled, Ran, asking, changed, conflict, failed};
use crate::audited::Audited;
use crate::batch::{Batch, Call, CallError, ErrorKind, Outcome, Planned, Report, Step, Usage};
use crate::error::Error;
use crate::files::{Effect, Work};
use crate::host::{Host, Shared, busy};
use crate::job::{Progress, listener};
use crate::options::CallOptions;
use crate::plugin::{Known, ToolRef};
use crate::reach::{CallReach, Places};
use crate::runs::Runs;
use crate::sandbox::cancelled_call;
use crate::schedule::{
    Approval, Busy, By, Calls, Committed, Job, Loose, NotRun, Share, Tenant, Ticket, Turn,
};

/// Calls that come one by one, from whoever shares it. Each is a transaction: it sees all that was committed before it
/// looked, and commits when it finishes. A call that was sent after another one which declares a write to what it
/// reads, or has staged one, waits for that; nothing else holds a call back.
///
/// To the log and to an undo, a session is one batch. Clones share everything.
#[derive(Clone)]
pub struct Session {
    host: Host,
    loose: Loose<LooseJob>,
    room: Share,
    job: Arc<LooseJob>,
}

/// A loose call that has its place in the order, and runs when [`Issued::ended`] is awaited. Dropping it stops the
/// call, which then leaves no trace.
#[must_use = "a call that is dropped is not run"]
pub struct Issued(State);

enum State {
    /// It was turned away.
    Ended(Box<Outcome>),
    Waits(Box<Waiting>),
}

struct Waiting {
    session: Session,
    ticket: Ticket<LooseJob>,
    hints: Vec<usize>,
    call: Arc<LooseCall>,
    listed: Listed,
    counted: Calls,
}

pub(crate) struct LooseJob {
    work: Work,
    workers: Option<Handle>,
    audited: Option<Audited>,
    calls: Mutex<Unended>,
    /// Those that have changed files, for the log.
    changed: Mutex<Vec<Outcome>>,
}

/// Those that have not ended.
#[derive(Default)]
struct Unended {
    all: HashMap<usize, Arc<LooseCall>>,
    /// Each would be compared with each otherwise.
    places: Places,
}

struct LooseCall {
    /// Of the host that it was issued for.
    shared: Arc<Shared>,
    call: Planned<ToolRef>,
    reach: CallReach,
    runs: Runs,
    outcome: OnceLock<Outcome>,
    issued: Instant,
    options: CallOptions,
}

/// Calls that the log of a session tells of.
const MOST_LOGGED: usize = 1000;

impl Host {
    /// Begins a session of loose calls. They share the host's room with its batches.
    pub fn session(&self) -> Session {
        self.session_of(&Tenant::default())
    }

    /// [`Host::session`], for a tenant: while there is more to run than room, tenants share it by their weights.
    pub fn session_of(&self, tenant: &Tenant) -> Session {
        let shared = self.shared().clone();
        let room = shared.room.share(tenant);
        let work = shared.files.work(Effect::Commit);
        let (calls, changed) = (Mutex::default(), Mutex::default());
        let audited = Audited::of(&shared, tenant, Effect::Commit);
        let workers = shared.workers.clone();
        let job = Arc::new(LooseJob { work, workers, audited, calls, changed });
        Session { host: self.clone(), loose: Loose::new(job.clone(), room.clone()), room, job }
    }
}

impl Session {
    /// The same session for a host that was reloaded from its own ([`Host::reload`]): calls that are issued there have the
    /// new host's tools and grants, and their place after those that were issued here. Nothing, for a host that shares no
    /// files with it, or if one of them keeps an audit log and the other does not.
    pub fn with(&self, host: &Host) -> Option<Session> {
        let shared = host.shared();
        let same = Arc::ptr_eq(&shared.files, &self.host.shared().files)
            && shared.trail.is_some() == self.job.audited.is_some();
        same.then(|| Session { host: host.clone(), ..self.clone() })
    }

    /// Whether its calls are issued for this host.
    pub fn is_of(&self, host: &Host) -> bool {
        Arc::ptr_eq(self.host.shared(), host.shared())
    }

    /// [`Session::issue`], and runs the call to its end. Its place in the order is that of the first poll.
    ///
    /// # Errors
    /// As those of [`Session::issue`].
    pub async fn call(&self, call: Call, cancel: CancellationToken) -> Result<Outcome, Error> {
        self.issue(call, CallOptions { cancel, ..CallOptions::default() })?.ended().await
    }

    /// Gives a call its place in the order, which is that of the calls of this function: from here on, later ones wait for
    /// it where they must. When too many calls of the host have not ended, it will have ended as `busy`.
    ///
    /// # Errors
    /// The call refers to others: in a session there are none to refer to. A call that fails is an outcome.
    pub fn issue(&self, call: Call, options: CallOptions) -> Result<Issued, Error> {
        let mut plan = self.host.plan(Batch { calls: vec![call] })?;
        let Some(call) = plan.calls.pop() else { return Err(Error::Lost) };
        let at_once = |error| {
            let outcome = failed(&call.id, &call.tool, error, Usage::default());
            self.job.audit(self.host.shared(), &call, &outcome, None);
            Ok(Issued(State::Ended(Box::new(outcome))))
        };
        // What cannot run waits for nothing.
        if let Step::Refused(error) = &call.step {
            return at_once(error.clone());
        }
        let counted = match self.room.enter(1) {
            Ok(counted) => counted,
            Err(Busy { most }) => return at_once(busy(1, most)),
        };
        let ticket = self.loose.issue();
        let id = ticket.id();
        let call = Arc::new(LooseCall::new(self.host.shared().clone(), &self.job, call, options));
        let hints = {
            let mut calls = self.job.calls();
            let hints = calls.places.meeting(&call.reach);
            calls.places.insert(id, &call.reach);
            calls.all.insert(id, call.clone());
            hints
        };
        let listed = Listed { job: self.job.clone(), id };
        let session = self.clone();
        let waiting = Waiting { session, ticket, hints, call, listed, counted };
        Ok(Issued(State::Waits(Box::new(waiting))))
    }
}

impl Issued {
    /// Runs it to its end.
    ///
    /// # Errors
    /// The host lost track of it.
    pub async fn ended(self) -> Result<Outcome, Error> {
        let waiting = match self.0 {
            State::Ended(outcome) => return Ok(*outcome),
            State::Waits(waiting) => *waiting,
        };
        let Waiting { session, ticket, hints, call, listed, counted } = waiting;
        session.loose.call(ticket, hints, call.options.cancel.clone()).await;
        let job = &session.job;
        call.shared.burden.give_back();
        let outcome = call.outcome.get().cloned().ok_or(Error::Lost)?.handed_over();
        job.keep_for_the_log(&outcome);
        drop((listed, counted));
        Ok(outcome)
    }
}

/// Takes a call off the list, however it ends.
struct Listed {
    job: Arc<LooseJob>,
    id: usize,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let call = self.job.calls().remove(self.id);
        if let Some(call) = call.filter(|call| call.outcome.get().is_none()) {
            // Whoever dropped it has cancelled it.
            call.end(&self.job, call.without_value(cancelled_call()));
        }
    }
}

impl LooseCall {
    fn new(
        shared: Arc<Shared>,
        job: &LooseJob,
        call: Planned<ToolRef>,
        options: CallOptions,
    ) -> LooseCall {
        let reach = match &call.step {
            Step::Refused(_) => CallReach::nothing(),
            Step::Run { tool, args, values } => {
                let args = Known::new(args, values.as_ref());
                let scope = shared.sandboxes[tool.plugin].scope().clone();
                CallReach::new(job.work.roots(), scope, shared.registry.tool(*tool), args)
            }
        };
        let (runs, outcome) = (Runs::default(), OnceLock::new());
        LooseCall { shared, call, reach, runs, outcome, issued: Instant::now(), options }
    }

    fn without_value(&self, error: CallError) -> Outcome {
        failed(&self.call.id, &self.call.tool, error, self.runs.usage(self.issued))
    }

    fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.options.progress {
            // A listener that has gone wants to hear no more.
            let _ = listener.send(progress);
        }
    }

    fn end(&self, job: &LooseJob, outcome: Outcome) {
        job.audit(&self.shared, &self.call, &outcome, Some(&self.runs));
        self.runs.ended();
        let status = outcome.status();
        // It ends once; the scheduler sees to that.
        if self.outcome.set(outcome).is_ok() {
            self.tell(Progress::Ended(0, status));
        }
    }
}

impl LooseJob {
    fn audit(
        &self,
        shared: &Shared,
        call: &Planned<ToolRef>,
        outcome: &Outcome,
        runs: Option<&Runs>,
    ) {
        if let Some(audited) = &self.audited {
            shared.record(&audited.record(shared, call, outcome, runs));
        }
    }

    fn keep_for_the_log(&self, outcome: &Outcome) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.changes.is_empty() || changed.len() >= MOST_LOGGED {
            return;
        }
        let (id, tool) = (outcome.id.as_str(), outcome.tool.as_str());
        let logged = failed(id, tool, CallError::new(ErrorKind::Host, ""), Usage::default());
        changed.push(Outcome {
            result: Ok(serde_json::Value::Null.into()),
            changes: outcome.changes.clone(),
            ..logged
        });
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Unended> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, call: usize) -> Option<Arc<LooseCall>> {
        self.calls().all.get(&call).cloned()
    }
}

impl Unended {
    fn remove(&mut self, id: usize) -> Option<Arc<LooseCall>> {
        let call = self.all.remove(&id)?;
        self.places.remove(id, &call.reach);
        Some(call)
    }
}

impl Drop for LooseJob {
    fn drop(&mut self) {
        let results =
            std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        self.work.log(&Report { results, ..Report::default() });
    }
}

impl Job for LooseJob {
    type Run = Ran;

    fn workers(&self) -> Option<&Handle> {
        self.workers.as_ref()
    }

    async fn run(&self, call: usize, turn: &Turn) -> Ran {
        let Some(loose) = self.get(call) else {
            return Ran::without_running(
                "",
                "",
                CallError::new(ErrorKind::Host, "the call is gone"),
            );
        };
        let LooseCall { shared, call, runs, issued, options, .. } = &*loose;
        options.wait().await;
        tracing::debug!(call = %call.id, tool = %call.tool, attempt = turn.attempt, last = turn.last, "loose call starts");
        loose.tell(Progress::Started(0));
        let (work, cancel) = (&self.work, &options.cancel);
        let listener = options.progress.as_ref().map(|progress| listener(progress, 0));
        let (began, index, approver) = (*issued, 0, options.approver.as_ref());
        let attempt =
            Attempt { shared, work, began, call, runs, cancel, index, approver, listener };
        attempt.run(turn, |_, args, values| Filled::already(args, values)).await
    }

    fn wrote(run: &Ran) -> bool {
        run.wrote()
    }

    fn may_conflict(&self, run: &Ran, earlier: usize) -> bool {
        let Some((view, _)) = &run.left else { return false };
        let Some(earlier) = self.get(earlier) else { return false };
        let staged = || earlier.runs.view().is_some_and(|other| other.has_staged_what(view));
        earlier.reach.declares_a_write_to_what(view) || staged()
    }

    fn overtaken(&self, call: usize) -> bool {
        let view = self.get(call).and_then(|call| call.runs.view());
        view.is_some_and(|view| view.overtaken())
    }

    fn approval(&self, call: usize, run: Ran) -> Approval<Ran> {
        let asking = || {
            let loose = self.get(call)?;
            let Step::Run { tool, args, .. } = &loose.call.step else { return None };
            let asks = loose.shared.asks.get(tool.plugin)?;
            let approver = loose.options.approver.as_ref();
            Some(asking(asks, &loose.runs, approver, 0, &loose.call, args))
        };
        run.approval(&self.work, asking)
    }

    fn commit(&self, call: usize, run: Ran) -> Committed {
        let (committed, outcome) = run.commit(&self.work);
        if let (Some(call), Some(outcome)) = (self.get(call), outcome) {
            call.end(self, outcome);
        }
        committed
    }

    fn invalid(&self, call: usize) -> Option<By> {
        self.get(call).and_then(|call| changed(&self.work, &call.runs))
    }

    fn may_conflict_running(&self, _call: usize, other: usize) -> bool {
        // What it may yet read is not known.
        self.get(other).is_some_and(|other| other.reach.writes())
    }

    fn not_run(&self, call: usize, why: NotRun) {
        let Some(call) = self.get(call) else { return };
        let error = match why {
            NotRun::Conflict => conflict(&call.runs),
            NotRun::Panicked(message) => {
                let (id, tool) = (&call.call.id, &call.call.tool);
                tracing::error!(call = %id, %tool, %message, "the host panicked");
                CallError::new(ErrorKind::Host, format!("the host panicked: {message}"))
            }
            NotRun::Cancelled | NotRun::Input(_) | NotRun::Broken(_) => cancelled_call(),
        };
        call.end(self, call.without_value(error));
    }
}
