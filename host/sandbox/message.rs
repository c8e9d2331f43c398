//! How a failed call is told: a wasmtime error to a kind and a message that helps.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::batch::{CallError, ErrorKind, limit_of};
use crate::plugin::{GUARD, MOST_HANDED};
use crate::policy::Limits;

use super::capture::OutputLimit;
use super::limiter::Refused;
use super::state::State;

/// What ended a guest that did not answer.
pub fn guest_failed(error: &wasmtime::Error, state: &State, limits: &Limits) -> CallError {
    let size = |name, bytes| limit_of(name, bytesize::ByteSize(bytes));
    if let Some(OutputLimit { limit }) = error.downcast_ref() {
        let limit = size("output", *limit);
        let message = format!("stopped: the plugin wrote more than is captured ({limit})");
        return CallError::new(ErrorKind::Output, message);
    }
    // Some errors have types of wasmtime's own, which only their texts tell (tests see to that).
    let root = error.root_cause().to_string();
    if root.starts_with("too much data is being copied") {
        let limit = size("copies", limits.copies);
        let message = format!(
            "the plugin handed over more in one call of the host than is copied ({limit}): ask for less of it"
        );
        return CallError::new(ErrorKind::Output, message);
    }
    let trace = error.downcast_ref::<WasmBacktrace>();
    if trace.and_then(|it| it.frames().first()?.func_name()) == Some(GUARD) {
        let most = bytesize::ByteSize(MOST_HANDED.into());
        let message = format!(
            "a part of the plugin was to take more text or bytes in one go than one of several parts may ({most}): \
             hand them over piece by piece"
        );
        return CallError::new(ErrorKind::Output, message);
    }
    // A guest that was refused memory mostly gives up; any other trap has a cause of its own.
    let gave_up = matches!(error.downcast_ref(), None | Some(Trap::UnreachableCodeReached));
    if let Some(refused) = state.limiter.refused()
        && gave_up
    {
        let message = match refused {
            Refused::Limit => {
                let limit = size("memory", limits.memory);
                format!("out of memory: the plugin needed more than it may have ({limit})")
            }
            Refused::Ceiling => {
                let most = bytesize::ByteSize(state.limiter.ceiling());
                format!(
                    "out of memory: all calls of the host together would hold more than they may (`max-memory`, \
                     {most}): try again when fewer run"
                )
            }
        };
        return CallError::new(ErrorKind::Memory, message);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::new(ErrorKind::Host, format!("no room for one more sandbox: {error:#}"));
    }
    if error.chain().any(<dyn std::error::Error>::is::<std::io::Error>) {
        return CallError::new(ErrorKind::Host, format!("the host failed: {error:#}"));
    }
    let (kind, cause) = if let Some(I32Exit(code)) = error.downcast_ref() {
        (ErrorKind::Trap, format!("the plugin exited with code {code} instead of answering"))
    } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || root.ends_with("store handle limit exceeded")
    {
        let limit = limit_of("handles", limits.handles);
        let cause = format!("the plugin held more handles at once than it may ({limit})");
        (ErrorKind::Handles, cause)
    } else if root.starts_with("requested len") {
        let limit = size("random", limits.random);
        let cause =
            format!("the plugin asked for more random bytes in one request than it may ({limit})");
        (ErrorKind::Random, cause)
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        (ErrorKind::Trap, format!("the plugin trapped: {}", describe(*trap)))
    } else {
        (ErrorKind::Trap, format!("the call ended without an answer: {}", error.root_cause()))
    };
    let message = match last_words(&state.said(&state.stderr)) {
        Some(words) => format!("{cause}; its last words: {words}"),
        None => cause,
    };
    CallError::new(kind, message)
}

pub fn cancelled_call() -> CallError {
    CallError::new(ErrorKind::Cancelled, "the batch was cancelled before this call ended")
}

pub fn timed_out(limit: Duration) -> CallError {
    let limit = limit_of("timeout", humantime::format_duration(limit));
    let message = format!("stopped: its time is up ({limit})");
    CallError::new(ErrorKind::Timeout, message)
}

pub fn result_too_large(limit: u64) -> CallError {
    let limit = limit_of("result", bytesize::ByteSize(limit));
    let message = format!("the result is larger than it may be ({limit}): ask for less of it");
    CallError::new(ErrorKind::Output, message)
}

fn describe(trap: Trap) -> String {
    match trap {
        Trap::StackOverflow => "its stack overflowed".to_owned(),
        Trap::UnreachableCodeReached => {
            "it gave up (`unreachable`: a panic or a failed assertion)".to_owned()
        }
        Trap::MemoryOutOfBounds => "it touched memory that is not its own".to_owned(),
        other => other.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}

/// The end of standard error, where languages print why they give up.
fn last_words(stderr: &str) -> Option<String> {
    const MOST: usize = 500;
    let text = stderr.trim_end();
    if text.is_empty() {
        return None;
    }
    // A Rust panic ends with a note about backtraces that a sandbox cannot have.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("RUST_BACKTRACE")).collect();
    let text = lines[lines.len().saturating_sub(3)..].join(" ");
    let start = text.char_indices().rev().map(|(index, _)| index).take(MOST).last().unwrap_or(0);
    Some(text[start..].to_owned())
}
