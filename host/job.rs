//! The batch as the scheduler sees it: runs a call by its index and keeps every outcome.
//!
//! This is where earlier results become arguments, and where the scheduler's questions about conflicts find their
//! answers.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::approval::{Approver, AskedCall};
use crate::asking::Asking;
use crate::attempt::{Attempt, Filled, Ran, asking, changed, conflict, failed};
use crate::audit::{AskedRule, AuditRecord, Listed};
use crate::audited::Audited;
use crate::batch::{
    Args, CallError, ErrorKind, Link, Outcome, Plan, Planned, Report, Status, Step, Usage,
    argument_error, length, length_of_fields, too_large_arguments, too_many_values,
};
use crate::files::{Effect, Work};
use crate::host::Shared;
use crate::options::RunOptions;
use crate::plugin::{Known, References, ToolRef, Values, check, decode};
use crate::reach::{CallReach, Certainty, Hints};
use crate::runs::Runs;
use crate::sandbox::{Listener, Said, cancelled_call};
use crate::schedule::{Approval, By, Calls, Committed, Job, Needs, NotRun, Turn};

/// What happens while a batch runs. Calls are named by their index in the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Once for each run of the call.
    Started(usize),
    /// Its tool says how far it is, at most twenty times a second.
    Said(usize, Said),
    Ended(usize, Status),
}

/// Passes on what the tool of a call says.
pub(crate) fn listener(progress: &mpsc::UnboundedSender<Progress>, call: usize) -> Listener {
    let progress = progress.clone();
    Box::new(move |said| drop(progress.send(Progress::Said(call, said))))
}

/// Invariant: an outcome is set once, by whoever ends the call.
pub(crate) struct BatchJob {
    shared: Arc<Shared>,
    plan: Arc<Plan<ToolRef>>,
    work: Work,
    began: Instant,
    /// Those that have not ended, as the whole host counts them.
    counted: Calls,
    calls: Vec<CallState>,
    reaches: Vec<CallReach>,
    certainty: Certainty,
    cancel: CancellationToken,
    progress: Option<mpsc::UnboundedSender<Progress>>,
    approver: Option<Arc<dyn Approver>>,
    audited: Option<Audited>,
    /// Of an atomic batch: records that wait for what becomes of it, by call.
    records: Mutex<Vec<(usize, AuditRecord)>>,
    to_ask: Mutex<ToAsk>,
}

/// What is asked about before an atomic batch is made real.
#[derive(Default)]
struct ToAsk {
    calls: Vec<AskedCall>,
    /// The first line of policy that asks.
    line: Option<String>,
    /// What came of it.
    answer: Option<&'static str>,
}

#[derive(Default)]
struct CallState {
    runs: Runs,
    outcome: OnceLock<Outcome>,
}

impl BatchJob {
    pub(crate) fn new(
        shared: Arc<Shared>,
        plan: Arc<Plan<ToolRef>>,
        work: Work,
        counted: Calls,
        options: &RunOptions,
    ) -> BatchJob {
        let reach = |call: &Planned<ToolRef>| match &call.step {
            Step::Refused(_) => CallReach::nothing(),
            Step::Run { tool, args, values } => {
                let args = Known::new(args, values.as_ref());
                let sandbox = &shared.sandboxes[tool.plugin];
                let (roots, scope) = (work.roots(), sandbox.scope().clone());
                CallReach::new(roots, scope, shared.registry.tool(*tool), args)
                    .sending(sandbox.net().is_some_and(|net| net.reaches()))
            }
        };
        let reaches = plan.calls.iter().map(reach).collect();
        let calls = plan.calls.iter().map(|_| CallState::default()).collect();
        BatchJob {
            audited: Audited::of(&shared, &options.tenant, options.effect),
            began: Instant::now(),
            certainty: Certainty::default(),
            cancel: options.cancel.clone(),
            progress: options.progress.clone(),
            approver: options.approver.clone(),
            records: Mutex::default(),
            to_ask: Mutex::default(),
            shared,
            plan,
            work,
            counted,
            calls,
            reaches,
        }
    }

    /// What each call waits for before it starts.
    pub(crate) fn needs(&self) -> Vec<Needs> {
        let mut hints = Hints::new(self.work.roots());
        let calls = self.plan.calls.iter().zip(&self.reaches).enumerate();
        let needs = calls.map(|(index, (call, reach))| {
            let inputs = call.links.iter().map(|link| link.from).collect();
            let (hints, class) = match &call.step {
                Step::Refused(_) => (vec![], 0),
                Step::Run { tool, args, values } => {
                    let args = Known::new(args, values.as_ref());
                    let class = 1 + self.shared.registry.number(*tool);
                    (hints.of(index, reach, self.shared.registry.tool(*tool), args), class)
                }
            };
            let writes = reach.writes() || reach.sends();
            Needs { inputs, after: call.after.clone(), hints, writes, class }
        });
        needs.collect()
    }

    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// All outcomes, once the scheduler is done. To be asked once.
    pub(crate) fn report(job: &mut Arc<BatchJob>) -> Report {
        let outcomes: Vec<Option<Outcome>> = match Arc::get_mut(job) {
            Some(job) => {
                let calls = std::mem::take(&mut job.calls);
                calls.into_iter().map(|it| it.outcome.into_inner()).collect()
            }
            // Not as long as the scheduler lets nobody keep a run.
            None => job.calls.iter().map(|it| it.outcome.get().cloned()).collect(),
        };
        let lost = |call: &Planned<ToolRef>| {
            let error = CallError::new(ErrorKind::Host, "the host lost track of this call");
            failed(&call.id, &call.tool, error, Usage::default())
        };
        let results = outcomes.into_iter().zip(&job.plan.calls);
        let results =
            results.map(|(outcome, call)| outcome.unwrap_or_else(|| lost(call)).handed_over());
        Report {
            results: results.collect(),
            elapsed: job.began.elapsed(),
            committed: None,
            diff: None,
        }
    }

    fn end(&self, call: usize, outcome: Outcome) {
        let status = outcome.status();
        tracing::debug!(call = %outcome.id, tool = %outcome.tool, ?status, "call ended");
        self.audit(call, &outcome);
        let state = &self.calls[call];
        state.runs.ended();
        if state.outcome.set(outcome).is_ok() {
            self.counted.end_one();
            self.tell(Progress::Ended(call, status));
        }
    }

    fn audit(&self, call: usize, outcome: &Outcome) {
        let Some(audited) = &self.audited else { return };
        let (state, planned) = (&self.calls[call], &self.plan.calls[call]);
        let record = audited.record(&self.shared, planned, outcome, Some(&state.runs));
        if audited.is_atomic() {
            self.records.lock().unwrap_or_else(PoisonError::into_inner).push((call, record));
        } else {
            self.shared.record(&record);
        }
    }

    /// Tells the audit log what has become of an atomic batch.
    pub(crate) fn audit_as(&self, committed: bool) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for (call, mut record) in records.drain(..) {
            record.committed = Some(committed);
            record.asked = Listed::in_order(self.answers_about(call));
            self.shared.record(&record);
        }
    }

    /// The calls that are asked about before an atomic batch is made real, and the first line of policy that asks.
    pub(crate) fn to_ask(&self) -> Option<(Vec<AskedCall>, String)> {
        let to_ask = self.lock_to_ask();
        Some((to_ask.calls.clone(), to_ask.line.clone()?))
    }

    /// Takes note of what was answered about an atomic batch.
    pub(crate) fn answered(&self, answer: &'static str) {
        self.lock_to_ask().answer = Some(answer);
    }

    fn answers_about(&self, call: usize) -> Vec<AskedRule> {
        let to_ask = self.lock_to_ask();
        let Some(answer) = to_ask.answer else { return vec![] };
        let asked = to_ask.calls.iter().find(|asked| asked.index == call);
        let rules = asked.into_iter().flat_map(|asked| &asked.rules);
        rules.map(|rule| AskedRule { rule: rule.clone(), answer }).collect()
    }

    fn lock_to_ask(&self) -> MutexGuard<'_, ToAsk> {
        self.to_ask.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How somebody is asked about a call, if it is one that can run.
    fn asking(&self, index: usize) -> Option<Asking> {
        let call = &self.plan.calls[index];
        let Step::Run { tool, args, values } = &call.step else { return None };
        let Filled { args, .. } = self.filled(call, *tool, args, values.as_ref()).ok()?;
        let asks = self.shared.asks.get(tool.plugin)?;
        let runs = &self.calls[index].runs;
        Some(asking(asks, runs, self.approver.as_ref(), index, call, &args))
    }

    fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.progress {
            // A listener that has gone wants to hear no more.
            let _ = listener.send(progress);
        }
    }

    /// The arguments with every reference replaced by its value.
    fn filled(
        &self,
        call: &Planned<ToolRef>,
        tool: ToolRef,
        args: &Args,
        values: Option<&Values>,
    ) -> Result<Filled, CallError> {
        if call.links.is_empty() {
            return Filled::already(args, values);
        }
        let limit = self.shared.limits(tool, call).args;
        // Before anything is copied: a few bytes of references can name a result many times.
        let mut left = limit;
        for link in &call.links {
            match length(self.value(link)?, left) {
                Some(length) => left -= length,
                None => return Err(too_large_arguments(limit)),
            }
        }
        let mut filled = Value::Object(args.as_map().clone());
        for link in &call.links {
            let value = self.value(link)?;
            if let Some(place) = filled.pointer_mut(link.place.as_str()) {
                *place = value.clone();
            }
        }
        let Value::Object(filled) = filled else { return Filled::already(args, values) };
        if length_of_fields(&filled, limit).is_none() {
            return Err(too_large_arguments(limit));
        }
        let args = Args::from(filled);
        let params = &self.shared.registry.tool(tool).params;
        match decode(params, &args, &call.binary.args) {
            Some(values) => Ok(Filled { args, values: values.into() }),
            None => {
                let problems = check(params, args.as_map(), &call.binary.args, References::Gone);
                Err(argument_error(&problems).unwrap_or_else(too_many_values))
            }
        }
    }

    fn value(&self, link: &Link) -> Result<&Value, CallError> {
        let from = &self.plan.calls[link.from].id;
        let outcome = self.calls[link.from].outcome.get();
        let Some(value) = outcome.and_then(|outcome| outcome.result.as_ref().ok()) else {
            return Err(CallError::skipped(from));
        };
        link.at.follow(value.value()).map_err(|missing| {
            let message = format!("{}: in the result of {from:?}, {missing}", link.place);
            CallError::new(ErrorKind::Arguments, message)
        })
    }

    fn unfinished(&self, call: usize) -> bool {
        self.calls[call].outcome.get().is_none()
    }
}

impl Drop for BatchJob {
    fn drop(&mut self) {
        // Whoever dropped the batch has cancelled what had not ended.
        for index in (0..self.calls.len()).filter(|index| self.unfinished(*index)) {
            let call = &self.plan.calls[index];
            let usage = self.calls[index].runs.usage(self.began);
            self.audit(index, &failed(&call.id, &call.tool, cancelled_call(), usage));
        }
        self.audit_as(false);
    }
}

impl Job for BatchJob {
    type Run = Ran;

    fn workers(&self) -> Option<&Handle> {
        self.shared.workers.as_ref()
    }

    async fn run(&self, index: usize, turn: &Turn) -> Ran {
        let (call, state) = (&self.plan.calls[index], &self.calls[index]);
        tracing::debug!(call = %call.id, tool = %call.tool, attempt = turn.attempt, last = turn.last, "call starts");
        self.tell(Progress::Started(index));
        let (shared, work, began) = (&self.shared, &self.work, self.began);
        let listener = self.progress.as_ref().map(|progress| listener(progress, index));
        let (runs, cancel) = (&state.runs, &self.cancel);
        let approver = self.approver.as_ref();
        let attempt =
            Attempt { shared, work, began, call, runs, cancel, index, approver, listener };
        attempt.run(turn, |tool, args, values| self.filled(call, tool, args, values)).await
    }

    fn wrote(run: &Ran) -> bool {
        run.wrote()
    }

    fn may_conflict(&self, run: &Ran, earlier: usize) -> bool {
        let Some((view, staged)) = &run.left else { return false };
        // A host that is killed between the two must not leave the later one's files alone.
        if run.wrote() && self.reaches[earlier].writes() {
            return true;
        }
        let unfinished = |call| self.unfinished(call);
        self.certainty.may_conflict(&self.work, &self.reaches, (view, staged), earlier, unfinished)
    }

    fn overtaken(&self, call: usize) -> bool {
        self.calls[call].runs.view().is_some_and(|view| view.overtaken())
    }

    fn approval(&self, call: usize, run: Ran) -> Approval<Ran> {
        run.approval(&self.work, || self.asking(call))
    }

    fn commit(&self, call: usize, run: Ran) -> Committed {
        let rules = run.rules.clone();
        let (committed, outcome) = run.commit(&self.work);
        if self.work.effect() == Effect::Atomic
            && !rules.is_empty()
            && matches!(committed, Committed::Ended(_))
            && let Some(asking) = self.asking(call)
        {
            let mut to_ask = self.lock_to_ask();
            to_ask.line.get_or_insert_with(|| asking.asks.line(&rules).to_owned());
            to_ask.calls.push(asking.call(&rules));
        }
        if let Some(outcome) = outcome {
            self.end(call, outcome);
        }
        committed
    }

    fn invalid(&self, call: usize) -> Option<By> {
        changed(&self.work, &self.calls[call].runs)
    }

    fn may_conflict_running(&self, _call: usize, other: usize) -> bool {
        // What it may yet read is not known; and effects elsewhere are to happen in the order of the batch.
        self.reaches[other].writes() || self.reaches[other].sends()
    }

    fn not_run(&self, index: usize, why: NotRun) {
        let call = &self.plan.calls[index];
        let id = |index: usize| &self.plan.calls[index].id;
        let error = match why {
            NotRun::Input(input) => CallError::skipped(id(input)),
            NotRun::Cancelled => cancelled_call(),
            NotRun::Panicked(message) => {
                tracing::error!(call = %call.id, tool = %call.tool, %message, "the host panicked");
                CallError::new(ErrorKind::Host, format!("the host panicked: {message}"))
            }
            NotRun::Conflict => conflict(&self.calls[index].runs),
            NotRun::Broken(broken) => {
                let message = format!(
                    "not run: the changes of the call {:?} could not be made, and the batch stopped there",
                    id(broken)
                );
                CallError::new(ErrorKind::Cancelled, message)
            }
        };
        let usage = self.calls[index].runs.usage(self.began);
        self.end(index, failed(&call.id, &call.tool, error, usage));
    }
}
