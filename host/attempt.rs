//! One run of one call: a view, a sandbox on it, and what is left to commit.
//!
//! The same for calls of a batch and for loose ones. When it runs, and when it commits, is `schedule/`'s to say.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::audit::Arguments;
use crate::batch::{CallError, Change, ErrorKind, Outcome, Planned, Step, Usage, limit_of};
use crate::files::{
    Access, Bounds, Changed, Denial, DeniedBy, Failed, INORDER, Staged, Unfit, View, Work,
};
use crate::host::Shared;
use crate::net::{CallNet, NetLog};
use crate::plugin::ToolRef;
use crate::policy::Limits;
use crate::reach::declared;
use crate::requests;
use crate::sandbox::{self, Ended, Listener, World};
use crate::schedule::{By, Committed, Turn, Verdict, last_words};

/// What a run has left.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// None for a call that has touched nothing.
    pub(crate) left: Option<(Arc<View>, Staged)>,
}

/// Arguments with every reference replaced by its value, or why they cannot be had.
pub(crate) type Filled<'a> = Result<Cow<'a, Map<String, Value>>, CallError>;

/// The runs of one call, for those who ask while it has not ended.
#[derive(Default)]
pub(crate) struct Runs {
    /// When the first one began.
    started: OnceLock<Instant>,
    count: AtomicU32,
    /// Of the one in progress.
    view: Mutex<Option<Arc<View>>>,
    /// For the audit log.
    arguments: OnceLock<Arguments>,
    /// Of a plugin that may send requests.
    net: OnceLock<Arc<NetLog>>,
}

impl Runs {
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the call was given, if an audit log is kept and it came to run.
    pub(crate) fn arguments(&self) -> Option<Arguments> {
        self.arguments.get().cloned()
    }

    /// What was requested, in all of them.
    pub(crate) fn net(&self) -> Option<&NetLog> {
        self.net.get().map(|log| &**log)
    }

    /// There will be no further one.
    pub(crate) fn ended(&self) {
        self.set_view(None);
    }

    fn set_view(&self, view: Option<Arc<View>>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// What they have used so far, of a batch or session that began then.
    pub(crate) fn usage(&self, began: Instant) -> Usage {
        let Some(started) = self.started.get() else { return Usage::default() };
        Usage {
            queued: *started - began,
            run: started.elapsed(),
            attempts: self.count.load(Ordering::Relaxed),
            ..Usage::default()
        }
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
    /// Who is told how far the tool says it is.
    pub(crate) listener: Option<Listener>,
}

impl<'a> Attempt<'a> {
    /// Runs it once, with what `fill` makes of its arguments.
    pub(crate) async fn run(
        self,
        turn: &Turn,
        fill: impl FnOnce(ToolRef, &'a Map<String, Value>) -> Filled<'a>,
    ) -> Ran {
        let Attempt { shared, work, began, call, runs, cancel, listener } = self;
        runs.started.get_or_init(Instant::now);
        runs.count.store(turn.attempt, Ordering::Relaxed);
        let ready = match &call.step {
            Step::Run { tool, args } => fill(*tool, args).map(|args| (*tool, args)),
            Step::Refused(error) => Err(error.clone()),
        };
        let (tool, args) = match ready {
            Ok(ready) => ready,
            Err(error) => return Ran::without_running(&call.id, &call.tool, error),
        };
        let (queued, started) = (began.elapsed(), Instant::now());
        let sandbox = &shared.sandboxes[tool.plugin];
        let limits = shared.limits(tool, call);
        if let Some(trail) = &shared.trail {
            runs.arguments.get_or_init(|| trail.arguments(&call.binary.beside(&args)));
        }
        let bounds = Bounds { staged: limits.staged, kept: limits.memory };
        let view = work.view(sandbox.scope().clone(), bounds);
        if let Some(declared) = declared(work.roots(), shared.registry.tool(tool), &args) {
            view.declare(declared);
        }
        runs.set_view(Some(view.clone()));
        let net = sandbox.net().map(|plugin| {
            let log = runs.net.get_or_init(Arc::default).clone();
            let effects = requests::effects(work.effect(), turn);
            CallNet::new(plugin.clone(), effects, limits.net, log)
        });
        let world = World { view: view.clone(), net, listener };
        let Ended { mut result, bytes, peak_memory, stdout, stderr } = sandbox::run(
            &shared.engine,
            sandbox,
            &limits,
            tool.tool,
            (&args, &call.binary),
            world,
            cancel,
        )
        .await;
        let plugin = &shared.registry.plugin(tool).name;
        if let Some(log) = runs.net() {
            result = requests::refused(result, log, plugin, &limits);
        }
        result = refused(result, &view, plugin, &limits);
        shared.burden.weigh(&view, result.as_ref().err());
        let staged = match &result {
            Ok(_) => view.stage().unwrap_or_else(|unfit| {
                result = Err(cannot_commit(&unfit));
                Staged::Nothing
            }),
            // A call that failed leaves no trace.
            Err(_) => Staged::Nothing,
        };
        let (bytes_read, bytes_written) = view.bytes();
        let usage = Usage {
            queued,
            run: started.elapsed(),
            commit: Duration::ZERO,
            attempts: turn.attempt,
            peak_memory,
            bytes_read,
            bytes_written,
        };
        let (id, tool) = (call.id.clone(), call.tool.clone());
        let outcome = Outcome { id, tool, result, bytes, usage, changes: vec![], stdout, stderr };
        if matches!(staged, Staged::Nothing) && view.is_unused() {
            // It goes here, on the thread that made it, rather than in the loop that commits.
            runs.set_view(None);
            return Ran { outcome, left: None };
        }
        Ran { outcome, left: Some((view, staged)) }
    }
}

impl Ran {
    pub(crate) fn wrote(&self) -> bool {
        self.left.as_ref().is_some_and(|(_, staged)| !staged.writes().is_empty())
    }

    /// Makes real what was staged. Without an outcome, the call has to run again.
    pub(crate) fn commit(self, work: &Work) -> (Committed, Option<Outcome>) {
        let Ran { mut outcome, left } = self;
        if let Some((view, staged)) = left {
            let began = Instant::now();
            let committed = caught(|| work.commit(&view, staged)).unwrap_or_else(|message| {
                tracing::error!(call = %outcome.id, tool = %outcome.tool, %message, "the host panicked");
                Err(Failed::Broken(format!("the host panicked: {message}")))
            });
            match committed {
                Ok(changes) => outcome.changes = changes,
                Err(Failed::Stale { what, by }) => {
                    tracing::debug!(call = %outcome.id, what, "to run again: what it read has changed");
                    let by = match by {
                        Changed::ByUs => By::Host,
                        Changed::ByOthers => By::Others,
                    };
                    return (Committed::Stale(by), None);
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
        Ran { outcome: failed(id, tool, error, Usage::default()), left: None }
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
    }
}

/// What a refusal by policy makes of a result. A tool that was refused something may know what to do without, and
/// then is as good as its word; one that does what it has declared not to do is not believed.
fn refused(
    result: Result<Value, CallError>,
    view: &View,
    plugin: &str,
    limits: &Limits,
) -> Result<Value, CallError> {
    let denials = view.denials();
    if let Some(lie) = denials.iter().find(|denial| denial.by == DeniedBy::Declaration) {
        let doing = doing(lie.access);
        let message = format!(
            "the tool declares in its documentation (`@reads`, `@writes`, `@pure`) which paths it touches, and tried {doing} {:?}, \
             which is none of them: its declaration is wrong",
            lie.path
        );
        return Err(CallError::new(ErrorKind::Denied, message));
    }
    let Err(error) = result else { return result };
    if !matches!(error.kind, ErrorKind::Tool | ErrorKind::Trap) {
        return Err(error);
    }
    if view.full() {
        let limit = limit_of("staged", bytesize::ByteSize(limits.staged));
        let message = format!(
            "{}; what it changes of files is more than may wait for its commit ({limit})",
            error.message
        );
        return Err(CallError { kind: ErrorKind::Staged, message, ..error });
    }
    if view.crowded() {
        let limit = limit_of("memory", bytesize::ByteSize(limits.memory));
        let message = format!(
            "{}; the host keeps so much at most of the names that a call looks at ({limit})",
            error.message
        );
        return Err(CallError { kind: ErrorKind::Memory, message, ..error });
    }
    if let Some(path) = view.crossed() {
        let message = format!(
            "{}; {path:?} is on another file system than its root, which cannot be changed in one step with it: \
             make its mount point a root of its own",
            error.message
        );
        return Err(CallError { message, ..error });
    }
    let Some(denial) = denials.first() else {
        if !view.bare() {
            return Err(error);
        }
        // It may have failed for another reason, and so keeps its kind.
        let message = format!("{}; {}", error.message, nothing_granted(plugin));
        return Err(CallError { message, ..error });
    };
    let message = format!("{}; {}", error.message, explain(denial, plugin));
    Err(CallError { kind: ErrorKind::Denied, message, ..error })
}

/// What was denied, and the line of policy that would allow it.
fn explain(denial: &Denial, plugin: &str) -> String {
    let Denial { path, access, by } = denial;
    let doing = doing(*access);
    if *by == DeniedBy::OtherNames {
        return format!(
            "{path:?} is one file with other names (hard links) that may not be written, so it may not be either"
        );
    }
    let (field, flag) = match access {
        Access::Look | Access::Pass | Access::Read => ("read", "--allow-read"),
        Access::Write | Access::MakeDir | Access::WriteTree => ("write", "--allow-write"),
    };
    if path.split('/').any(|part| part == INORDER) {
        return format!(
            "{doing} {path:?} is nobody's: the host keeps its own files in `{INORDER}`"
        );
    }
    let beneath = |path: &str| format!("{}/**", literal(path));
    let patterns = match (access, path.as_str()) {
        (_, ".") => vec!["**".to_owned()],
        // Whoever writes in a repository makes files of random names there, and needs all of it.
        (_, path) if field == "write" && git_folder(path).is_some() => {
            git_folder(path).map(beneath).into_iter().collect()
        }
        // Whether what was looked for is a folder, whose content is wanted next, is not for the message to tell.
        (Access::Look | Access::WriteTree, path) => vec![literal(path), beneath(path)],
        // It is made, or passed, for what is in it.
        (Access::MakeDir | Access::Pass, path) => vec![beneath(path)],
        (_, path) => vec![literal(path)],
    };
    let flags: Vec<String> = patterns.iter().map(|pattern| format!("{flag} '{pattern}'")).collect();
    let (patterns, flags) = (toml::Value::from(patterns), flags.join(" "));
    format!(
        "{doing} {path:?} is not granted: `{field} = {patterns}` under [plugins.{plugin}] in the config, or {flags}, \
         would allow it"
    )
}

/// The `.git` that a path leads through.
fn git_folder(path: &str) -> Option<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let mut folders = ends.map(|end| &path[..end]);
    folders.find(|folder| *folder == ".git" || folder.ends_with("/.git"))
}

/// Why there are no files for a plugin, and the line of policy that would give it some. Which it looked for is not known:
/// without a directory to begin at, a path never reaches the host.
fn nothing_granted(plugin: &str) -> String {
    format!(
        "no file is granted to the plugin, so there are none for it: `read = [\"**\"]` under [plugins.{plugin}] in the \
         config, or --allow-read '**', would let it read all that is in the root, and a narrower pattern less; `write` \
         likewise"
    )
}

/// The pattern that matches a path alone.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for (at, one) in path.char_indices() {
        if matches!(one, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\') || (at == 0 && one == '!')
        {
            pattern.push('\\');
        }
        pattern.push(one);
    }
    pattern
}

fn doing(access: Access) -> &'static str {
    match access {
        Access::Look | Access::Pass | Access::Read => "reading",
        Access::Write | Access::MakeDir => "writing",
        Access::WriteTree => "moving",
    }
}

fn cannot_commit(unfit: &Unfit) -> CallError {
    let message = match unfit {
        Unfit::TwoRoots => {
            "the call changed files in two roots, which cannot be committed in one step; none \
             was changed: let it write in one of them"
                .to_owned()
        }
        Unfit::Refused(errno) => {
            let error = std::io::Error::from(*errno);
            format!("the changed files cannot be written, and none was: {error}")
        }
    };
    CallError::new(ErrorKind::Host, message)
}

pub(crate) fn conflict(runs: &Runs) -> CallError {
    if runs.net().is_some_and(NetLog::has_effects) {
        return requests::conflict_after_effects();
    }
    let message = "what it read was changed from outside each time it ran; nothing of it was committed. Try again \
                   when nobody else changes these files";
    CallError::new(ErrorKind::Conflict, message)
}
