//! One run of one call: a view, a sandbox on it, and what is left to commit.
//!
//! The same for calls of a batch and for loose ones. When it runs, and when it commits, is `schedule/`'s to say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::batch::{CallError, Change, ErrorKind, Outcome, Usage};
use crate::files::{Access, Bounds, Declared, Denial, DeniedBy, Failed, Staged, Unfit, View, Work};
use crate::host::Shared;
use crate::plugin::ToolRef;
use crate::policy::Limits;
use crate::sandbox::{self, Ended};
use crate::schedule::Committed;
use crate::schedule::Verdict;

/// What a run has left.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// None for a call that never came to touch anything.
    pub(crate) left: Option<(Arc<View>, Staged)>,
}

/// The view of the run in progress of a call, for those who ask whether it still holds.
#[derive(Default)]
pub(crate) struct Current(Mutex<Option<Arc<View>>>);

impl Current {
    pub(crate) fn get(&self) -> Option<Arc<View>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, view: Option<Arc<View>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }
}

/// A call that is to run.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) work: &'a Work,
    pub(crate) tool: ToolRef,
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) declared: Option<Declared>,
    pub(crate) current: &'a Current,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) attempt: u32,
    /// From the start of the batch.
    pub(crate) queued: Duration,
}

impl Attempt<'_> {
    pub(crate) async fn run(self, id: &str, name: &str) -> Ran {
        let began = Instant::now();
        let sandbox = &self.shared.sandboxes[self.tool.plugin];
        let limits = sandbox.limits();
        let bounds = Bounds { staged: limits.staged, kept: limits.memory };
        let view = self.work.view(sandbox.scope().clone(), bounds);
        if let Some(declared) = self.declared {
            view.declare(declared);
        }
        self.current.set(Some(view.clone()));
        let (engine, args) = (&self.shared.engine, self.args);
        let Ended { mut result, peak_memory, stdout, stderr } =
            sandbox::run(engine, sandbox, self.tool.tool, args, &view, self.cancel).await;
        let plugin = &self.shared.registry.plugin(self.tool).name;
        result = refused(result, &view, plugin, limits);
        self.shared.burden.weigh(&view, result.as_ref().err());
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
            queued: self.queued,
            run: began.elapsed(),
            commit: Duration::ZERO,
            attempts: self.attempt,
            peak_memory,
            bytes_read,
            bytes_written,
        };
        let (id, tool) = (id.to_owned(), name.to_owned());
        let outcome = Outcome { id, tool, result, usage, changes: vec![], stdout, stderr };
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
                Err(Failed::Stale(what)) => {
                    tracing::debug!(call = %outcome.id, what, "to run again: what it read has changed");
                    return (Committed::Stale, None);
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
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "without a message".to_owned())
    })
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
        let limit = bytesize::ByteSize(limits.staged);
        let message = format!(
            "{}; the call may stage {limit} of changed files at most: raise `staged` in the limits",
            error.message
        );
        return Err(CallError { message, ..error });
    }
    if view.crowded() {
        let limit = bytesize::ByteSize(limits.memory);
        let message = format!(
            "{}; the host keeps {limit} at most of the names that a call looks at: raise `memory` in the limits",
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
    let Some(denial) = denials.first() else { return Err(error) };
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
        Access::Look | Access::Read => ("read", "--allow-read"),
        Access::Write | Access::MakeDir | Access::WriteTree => ("write", "--allow-write"),
    };
    let patterns = match (access, path.as_str()) {
        (_, ".") => vec!["**".to_owned()],
        (Access::WriteTree, path) => vec![literal(path), format!("{}/**", literal(path))],
        // It is made for what is to be in it.
        (Access::MakeDir, path) => vec![format!("{}/**", literal(path))],
        (_, path) => vec![literal(path)],
    };
    let flags: Vec<String> = patterns.iter().map(|pattern| format!("{flag} '{pattern}'")).collect();
    let (patterns, flags) = (toml::Value::from(patterns), flags.join(" "));
    format!(
        "{doing} {path:?} is not granted: `{field} = {patterns}` under [plugins.{plugin}] in the config, or {flags}, \
         would allow it"
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
        Access::Look | Access::Read => "reading",
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

pub(crate) fn conflict() -> CallError {
    let message = "what it read was changed from outside each time it ran; nothing of it was committed. Try again \
                   when nobody else changes these files";
    CallError::new(ErrorKind::Conflict, message)
}
