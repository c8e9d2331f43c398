//! The batch as the scheduler sees it: runs a call by its index and keeps every outcome.
//!
//! This is where earlier results become arguments, and where the sandbox's answer becomes an outcome.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::batch::{
    CallError, ErrorKind, Link, Outcome, Plan, Planned, Report, Status, Step, Usage,
    argument_error, length, too_large_arguments,
};
use crate::host::{RunOptions, Shared};
use crate::plugin::{References, ToolRef, check};
use crate::sandbox::{self, Ended, cancelled_call};
use crate::schedule::{Job, NotRun, Verdict};

/// What happens while a batch runs. Calls are named by their index in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Started(usize),
    Ended(usize, Status),
}

/// Invariant: an outcome is set once, by whoever ends the call.
pub(crate) struct BatchJob {
    shared: Arc<Shared>,
    plan: Plan<ToolRef>,
    began: Instant,
    started: Vec<OnceLock<Instant>>,
    outcomes: Vec<OnceLock<Outcome>>,
    cancel: CancellationToken,
    progress: Option<mpsc::UnboundedSender<Progress>>,
}

impl BatchJob {
    pub(crate) fn new(shared: Arc<Shared>, plan: Plan<ToolRef>, options: RunOptions) -> BatchJob {
        let calls = plan.calls.len();
        BatchJob {
            shared,
            plan,
            began: Instant::now(),
            started: (0..calls).map(|_| OnceLock::new()).collect(),
            outcomes: (0..calls).map(|_| OnceLock::new()).collect(),
            cancel: options.cancel,
            progress: options.progress,
        }
    }

    /// All outcomes, once the scheduler is done.
    pub(crate) fn report(self: Arc<BatchJob>) -> Report {
        let elapsed = self.began.elapsed();
        let lost = |call: &Planned<ToolRef>| {
            let error = CallError::new(ErrorKind::Host, "the host lost track of this call");
            outcome(call, Err(error), Usage::default())
        };
        let results = match Arc::try_unwrap(self) {
            Ok(job) => {
                let outcomes = job.outcomes.into_iter().zip(&job.plan.calls);
                outcomes.map(|(it, call)| it.into_inner().unwrap_or_else(|| lost(call))).collect()
            }
            // A task that has ended may not have dropped its share yet.
            Err(job) => {
                let outcomes = job.outcomes.iter().zip(&job.plan.calls);
                outcomes.map(|(it, call)| it.get().cloned().unwrap_or_else(|| lost(call))).collect()
            }
        };
        Report { results, elapsed }
    }

    fn end(&self, call: usize, outcome: Outcome) {
        let status = outcome.status();
        tracing::debug!(call = %outcome.id, tool = %outcome.tool, ?status, "call ended");
        if self.outcomes[call].set(outcome).is_ok() {
            self.tell(Progress::Ended(call, status));
        }
    }

    fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.progress {
            // A listener that has gone wants to hear no more.
            let _ = listener.send(progress);
        }
    }

    /// The arguments with every reference replaced by its value.
    fn filled<'a>(
        &self,
        call: &Planned<ToolRef>,
        tool: ToolRef,
        args: &'a Map<String, Value>,
    ) -> Result<Cow<'a, Map<String, Value>>, CallError> {
        if call.links.is_empty() {
            return Ok(Cow::Borrowed(args));
        }
        let limit = self.shared.sandboxes[tool.plugin].limits().args;
        // Before anything is copied: a few bytes of references can name a result many times.
        let mut left = limit;
        for link in &call.links {
            match length(self.value(link)?, left) {
                Some(length) => left -= length,
                None => return Err(too_large_arguments(limit)),
            }
        }
        let mut filled = Value::Object(args.clone());
        for link in &call.links {
            let value = self.value(link)?;
            if let Some(place) = filled.pointer_mut(link.place.as_str()) {
                *place = value.clone();
            }
        }
        let Value::Object(filled) = filled else { return Ok(Cow::Borrowed(args)) };
        if length(&filled, limit).is_none() {
            return Err(too_large_arguments(limit));
        }
        let params = &self.shared.registry.tool(tool).params;
        match argument_error(&check(params, &filled, References::Gone)) {
            Some(error) => Err(error),
            None => Ok(Cow::Owned(filled)),
        }
    }

    fn value(&self, link: &Link) -> Result<&Value, CallError> {
        let from = &self.plan.calls[link.from].id;
        let outcome = self.outcomes[link.from].get();
        let Some(value) = outcome.and_then(|outcome| outcome.result.as_ref().ok()) else {
            return Err(CallError::skipped(from));
        };
        link.at.follow(value).map_err(|missing| {
            let message = format!("{}: in the result of {from:?}, {missing}", link.place);
            CallError::new(ErrorKind::Arguments, message)
        })
    }
}

impl Job for BatchJob {
    async fn run(&self, index: usize) -> Verdict {
        let call = &self.plan.calls[index];
        let now = *self.started[index].get_or_init(Instant::now);
        tracing::debug!(call = %call.id, tool = %call.tool, "call starts");
        self.tell(Progress::Started(index));
        let (tool, args) = match &call.step {
            Step::Run { tool, args } => (*tool, self.filled(call, *tool, args)),
            Step::Refused(error) => {
                self.end(index, outcome(call, Err(error.clone()), Usage::default()));
                return Verdict::Failed;
            }
        };
        let ended = match args {
            Ok(args) => {
                let sandbox = &self.shared.sandboxes[tool.plugin];
                sandbox::run(&self.shared.engine, sandbox, tool.tool, &args, &self.cancel).await
            }
            Err(error) => Ended {
                result: Err(error),
                peak_memory: 0,
                stdout: String::new(),
                stderr: String::new(),
            },
        };
        let usage =
            Usage { queued: now - self.began, run: now.elapsed(), peak_memory: ended.peak_memory };
        let (stdout, stderr) = (ended.stdout, ended.stderr);
        let verdict = if ended.result.is_ok() { Verdict::Ok } else { Verdict::Failed };
        self.end(index, Outcome { stdout, stderr, ..outcome(call, ended.result, usage) });
        verdict
    }

    fn not_run(&self, index: usize, why: NotRun) {
        let call = &self.plan.calls[index];
        let error = match why {
            NotRun::Input(input) => CallError::skipped(&self.plan.calls[input].id),
            NotRun::Cancelled => cancelled_call(),
            NotRun::Panicked(message) => {
                tracing::error!(call = %call.id, tool = %call.tool, %message, "the host panicked");
                CallError::new(ErrorKind::Host, format!("the host panicked: {message}"))
            }
        };
        let usage = self.started[index].get().map(|started| Usage {
            queued: *started - self.began,
            run: started.elapsed(),
            peak_memory: 0,
        });
        self.end(index, outcome(call, Err(error), usage.unwrap_or_default()));
    }
}

fn outcome(call: &Planned<ToolRef>, result: Result<Value, CallError>, usage: Usage) -> Outcome {
    let (id, tool) = (call.id.clone(), call.tool.clone());
    Outcome { id, tool, result, usage, stdout: String::new(), stderr: String::new() }
}
