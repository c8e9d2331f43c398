//! One run of one call: a view, a sandbox on it, and what is left to commit.
//!
//! The same for calls of a batch and for loose ones. When it runs, and when it commits, is `schedule/`'s to say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::approval::Approver;
use crate::aside::aside;
use crate::asking::{Asking, Asks, Said};
use crate::batch::{Args, CallError, Change, ErrorKind, Held, Outcome, Planned, Step, Usage};
use crate::ceiling::Part;
use crate::files::{Bounds, Changed, Effect, Failed, Staged, Touched, View, Work};
use crate::host::Shared;
use crate::net::{CallNet, NetLog};
use crate::plugin::{Known, ToolRef, Values};
use crate::reach::declared;
use crate::refusals::{cannot_commit, no_room_for_results, refused};
use crate::requests;
use crate::runs::Runs;
use crate::sandbox::{self, Ended, Listener, World};
use crate::schedule::{Approval, By, Committed, Turn, Verdict, last_words};

/// What a run has left.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// None for a call that has touched nothing.
    pub(crate) left: Option<(Arc<View>, Staged)>,
    /// The rules that have somebody asked before it is committed.
    pub(crate) rules: Vec<usize>,
    /// Somebody has agreed to just what is left.
    agreed: bool,
}

/// Arguments with every reference replaced by its value.
pub(crate) struct Filled {
    pub(crate) args: Args,
    pub(crate) values: Values,
}

impl Filled {
    /// Of those in which nothing was to be replaced.
    pub(crate) fn already(args: &Args, values: Option<&Values>) -> Result<Filled, CallError> {
        let message = "the arguments do not fit the tool's parameters";
        let unfit = || CallError::new(ErrorKind::Arguments, message);
        Ok(Filled { args: args.clone(), values: values.cloned().ok_or_else(unfit)? })
    }
}

/// A call whose turn it is to run.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) work: &'a Work,
    /// The batch, or the session.
    pub(crate) began: Instant,
    pub(crate) call: &'a Planned<ToolRef>,
    pub(crate) runs: &'a Runs,
    pub(crate) cancel: &'a CancellationToken,
    /// Its place in the batch, and who is asked about it.
    pub(crate) index: usize,
    pub(crate) approver: Option<&'a Arc<dyn Approver>>,
    /// Who is told how far the tool says it is.
    pub(crate) listener: Option<Listener>,
}

impl<'a> Attempt<'a> {
    /// Runs it once, with what `fill` makes of its arguments.
    pub(crate) async fn run(
        self,
        turn: &Turn,
        fill: impl FnOnce(ToolRef, &Args, Option<&Values>) -> Result<Filled, CallError>,
    ) -> Ran {
        let Attempt { shared, work, began, call, runs, cancel, index, approver, listener } = self;
        runs.begin(turn.attempt);
        let ready = match &call.step {
            Step::Run { tool, args, values } => {
                fill(*tool, args, values.as_ref()).map(|filled| (*tool, filled))
            }
            Step::Refused(error) => Err(error.clone()),
        };
        let (tool, Filled { args, values }) = match ready {
            Ok(ready) => ready,
            Err(error) => return Ran::without_running(&call.id, &call.tool, error),
        };
        let (queued, started, paused) = (began.elapsed(), Instant::now(), runs.paused());
        let asks = shared.asks.get(tool.plugin).filter(|_| work.effect() != Effect::DryRun);
        let sandbox = &shared.sandboxes[tool.plugin];
        let limits = shared.limits(tool, call);
        if let Some(trail) = &shared.trail {
            let args = call.binary.beside(&args);
            runs.note_arguments(|| trail.arguments(&*args, || args.as_map().clone()));
        }
        let bounds = Bounds { staged: limits.staged, kept: limits.memory };
        let view = work.view(sandbox.scope().clone(), bounds);
        view.count_in(Part::new(shared.engine.ceiling()));
        if let Some(declared) =
            declared(work.roots(), shared.registry.tool(tool), Known::Values(values.wires()))
        {
            view.declare(declared);
        }
        runs.set_view(Some(view.clone()));
        let net = sandbox.net().map(|plugin| {
            let log = runs.net_log().clone();
            let asks = asks.filter(|asks| asks.of_requests());
            let asking = asks.map(|asks| asking(asks, runs, approver, index, call, &args));
            let effects = requests::effects(work.effect(), turn, asking);
            let mut part = Part::new(shared.engine.ceiling());
            CallNet::new(plugin.clone(), effects, &limits, log, move |bytes| part.hold(bytes))
        });
        let pauses = asks.filter(|asks| asks.of_requests()).map(|_| runs.asked().pauses.clone());
        let wanted = turn.clone();
        let given_up = Arc::new(move || wanted.is_given_up());
        let world = World { view: view.clone(), net, listener, pauses, given_up };
        let Ended { mut result, mut bytes, peak_memory, mut stdout, mut stderr } = sandbox::run(
            &shared.engine,
            sandbox,
            &limits,
            tool.tool,
            (values.wires(), &call.binary),
            world,
            cancel,
        )
        .await;
        let plugin = &shared.registry.plugin(tool).name;
        if let Some(log) = runs.net() {
            result = requests::refused(result, log, plugin, &limits);
        }
        result = refused(result, &view, plugin, &limits);
        if let (Err(error), Some(net)) = (&mut result, sandbox.net()) {
            // What was refused is told in the guest's own words: names of hosts and files.
            net.hide_secrets(&mut error.message);
        }
        let size = [
            result.as_ref().map_or(0, |json| json.text().len()),
            bytes.as_ref().map_or(0, Bytes::len),
            stdout.len(),
            stderr.len(),
        ];
        let size: usize = size.iter().sum();
        let mut part = Part::new(shared.engine.ceiling());
        if !part.hold(size as u64) {
            (result, bytes) = (Err(no_room_for_results()), None);
            (stdout, stderr) = (String::new(), String::new());
        }
        let _held: Option<Held> = Some(Arc::new(part));
        shared.burden.weigh(&view, result.as_ref().err());
        let mut rules = vec![];
        let about_files = asks.filter(|asks| asks.of_files());
        let mut look = about_files.map(|asks| {
            |touched: &[Touched]| {
                rules = asks.about_files(touched);
                !rules.is_empty()
            }
        });
        let look = look.as_mut().map(|look| look as &mut dyn FnMut(&[Touched]) -> bool);
        let staged = match &result {
            Ok(_) => view.stage_to_tell(look).unwrap_or_else(|unfit| {
                result = Err(cannot_commit(&unfit));
                Staged::Nothing
            }),
            // A call that failed leaves no trace.
            Err(_) => Staged::Nothing,
        };
        let (bytes_read, bytes_written) = view.bytes();
        let run = started.elapsed().saturating_sub(runs.paused().saturating_sub(paused));
        runs.over(run);
        let usage = Usage {
            queued,
            run,
            commit: Duration::ZERO,
            attempts: turn.attempt,
            peak_memory,
            bytes_read,
            bytes_written,
        };
        let (id, tool) = (call.id.clone(), call.tool.clone());
        let outcome =
            Outcome { id, tool, result, bytes, usage, changes: vec![], stdout, stderr, _held };
        if matches!(staged, Staged::Nothing) && view.is_unused() {
            // It goes here, on the thread that made it, rather than in the loop that commits.
            runs.set_view(None);
            return Ran { outcome, left: None, rules: vec![], agreed: false };
        }
        Ran { outcome, left: Some((view, staged)), rules, agreed: false }
    }
}

impl Ran {
    pub(crate) fn wrote(&self) -> bool {
        self.left.as_ref().is_some_and(|(_, staged)| !staged.writes().is_empty())
    }

    /// Whether it may be committed, or somebody is to be asked, as `asking` has it. A no drops what was staged, and is the
    /// end of the call as of the moment in which it was asked about.
    pub(crate) fn approval(
        self,
        work: &Work,
        asking: impl FnOnce() -> Option<Asking>,
    ) -> Approval<Ran> {
        // An atomic batch is asked about as a whole, before it is made real.
        if self.rules.is_empty() || self.agreed || work.effect() != Effect::Commit {
            return Approval::Given(self);
        }
        let Some((view, staged)) = &self.left else { return Approval::Given(self) };
        if let Err(failed) = work.check(view, staged) {
            return Approval::Stale(by(&failed));
        }
        let changes = staged.changes(work.roots());
        match asking() {
            Some(asking) => Approval::Asked(Box::pin(self.ask(asking, changes))),
            None => Approval::Given(self.refused(CallError::new(
                ErrorKind::Host,
                "the host does not know who is to be asked",
            ))),
        }
    }

    async fn ask(mut self, asking: Asking, changes: Vec<Change>) -> Ran {
        let _pause = asking.asked.pauses.begin();
        let refuse = |ran: Ran, said: &Said| {
            let error = asking.refusal(&ran.rules, &changes, said);
            ran.refused(error)
        };
        if asking.approver.is_none() {
            let said = asking.files(&self.rules, changes.clone(), String::new()).await;
            return refuse(self, &said);
        }
        let Some((view, staged)) = self.left.take() else { return self };
        // It reads and compares files, which the loop that commits does not wait for.
        let mut telling = JoinSet::new();
        telling.spawn_blocking(move || (view.tell(&staged), view, staged));
        let (told, view, staged) = match telling.join_next().await {
            Some(Ok(told)) => told,
            Some(Err(error)) if error.is_panic() => {
                std::panic::resume_unwind(error.into_panic());
            }
            _ => return self.refused(CallError::new(ErrorKind::Host, "the host is shutting down")),
        };
        self.left = Some((view.clone(), staged));
        if asking.asked.is_agreed(told.digest) {
            view.rely_on(told);
            self.agreed = true;
            return self;
        }
        match asking.files(&self.rules, changes.clone(), told.text.clone()).await {
            Said::Yes => {
                asking.asked.agree(told.digest);
                // What cannot be compared is not told again; else it is, when what it read has been looked at.
                if told.digest.is_none() {
                    view.rely_on(told);
                    self.agreed = true;
                }
                self
            }
            said => refuse(self, &said),
        }
    }

    /// It has failed after all, and leaves no trace.
    fn refused(self, error: CallError) -> Ran {
        let outcome = Outcome { result: Err(error), bytes: None, ..self.outcome };
        Ran { outcome, left: None, rules: vec![], agreed: false }
    }

    /// Makes real what was staged. Without an outcome, the call has to run again.
    pub(crate) fn commit(self, work: &Work) -> (Committed, Option<Outcome>) {
        let Ran { mut outcome, left, .. } = self;
        if let Some((view, staged)) = left {
            let began = Instant::now();
            let much = staged.is_much();
            let commit = || caught(|| work.commit(&view, staged));
            let committed = if much { aside(commit) } else { commit() };
            let committed = committed.unwrap_or_else(|message| {
                tracing::error!(call = %outcome.id, tool = %outcome.tool, %message, "the host panicked");
                Err(Failed::Broken(format!("the host panicked: {message}")))
            });
            match committed {
                Ok(changes) => outcome.changes = changes,
                Err(failed @ Failed::Stale { .. }) => {
                    tracing::debug!(call = %outcome.id, ?failed, "to run again: what it read has changed");
                    return (Committed::Stale(by(&failed)), None);
                }
                Err(Failed::Broken(message)) => {
                    let message = format!("the files cannot be changed, and none was: {message}");
                    outcome.result = Err(CallError::new(ErrorKind::Host, message));
                    return (Committed::Broken, Some(outcome));
                }
            }
            outcome.usage.commit = began.elapsed();
        }
        let verdict = if outcome.result.is_ok() { Verdict::Ok } else { Verdict::Failed };
        (Committed::Ended(verdict), Some(outcome))
    }

    /// A call that ended before it could run.
    pub(crate) fn without_running(id: &str, tool: &str, error: CallError) -> Ran {
        let outcome = failed(id, tool, error, Usage::default());
        Ran { outcome, left: None, rules: vec![], agreed: false }
    }
}

/// How somebody is asked about a call.
pub(crate) fn asking(
    asks: &Arc<Asks>,
    runs: &Runs,
    approver: Option<&Arc<dyn Approver>>,
    index: usize,
    call: &Planned<ToolRef>,
    args: &Args,
) -> Asking {
    let args = call.binary.written(args, |bytes| format!("{} bytes", bytes.len()));
    Asking {
        asks: asks.clone(),
        asked: runs.asked().clone(),
        approver: approver.cloned(),
        index,
        id: call.id.clone(),
        tool: call.tool.clone(),
        arguments: serde_json::to_string(&*args).unwrap_or_default(),
    }
}

/// Who has changed something that the run in progress has read so far, if anybody has.
pub(crate) fn changed(work: &Work, runs: &Runs) -> Option<By> {
    work.still_holds(&*runs.view()?).err().map(|failed| by(&failed))
}

/// Who has changed what a run had read. That of which nothing is known was nobody of ours.
fn by(failed: &Failed) -> By {
    match failed {
        Failed::Stale { by: Changed::ByUs, .. } => By::Host,
        Failed::Stale { .. } | Failed::Broken(_) => By::Others,
    }
}

/// What `work` gives, or what it said when it panicked: a commit runs in the loop of its whole batch, which goes on.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| last_words(&*panic))
}

/// The outcome of a call that has no value.
pub(crate) fn failed(id: &str, tool: &str, error: CallError, usage: Usage) -> Outcome {
    let (id, tool) = (id.to_owned(), tool.to_owned());
    let changes: Vec<Change> = vec![];
    Outcome {
        id,
        tool,
        result: Err(error),
        usage,
        changes,
        bytes: None,
        stdout: String::new(),
        stderr: String::new(),
        _held: None,
    }
}

pub(crate) fn conflict(runs: &Runs) -> CallError {
    if runs.net().is_some_and(NetLog::has_effects) {
        return requests::conflict_after_effects();
    }
    let message = "what it read was changed from outside each time it ran; nothing of it was committed. Try again \
                   when nobody else changes these files";
    CallError::new(ErrorKind::Conflict, message)
}
