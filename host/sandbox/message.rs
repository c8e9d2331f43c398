//! How a failed call is told: a wasmtime error to a kind and a message that helps.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::batch::{CallError, ErrorKind};
use crate::policy::Limits;

use super::capture::OutputLimit;
use super::state::State;

/// What ended a guest that did not answer.
pub fn guest_failed(error: &wasmtime::Error, state: &State, limits: &Limits) -> CallError {
    if let Some(limit) = error.downcast_ref::<OutputLimit>() {
        let message = format!("stopped: the plugin wrote {limit}; raise `output` in the limits");
        return CallError::new(ErrorKind::Output, message);
    }
    // The error has a type of wasmtime's own, which only its text tells (a test sees to that).
    if error.root_cause().to_string().starts_with("too much data is being copied") {
        return result_too_large(limits.result);
    }
    // A guest that was refused memory mostly gives up; any other trap has a cause of its own.
    let gave_up = matches!(error.downcast_ref(), None | Some(Trap::UnreachableCodeReached));
    if state.limiter.refused() && gave_up {
        let limit = bytesize::ByteSize(limits.memory);
        let message = format!(
            "out of memory: the plugin needed more than {limit}; raise it with --memory or `memory` in \
             the limits"
        );
        return CallError::new(ErrorKind::Memory, message);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::new(ErrorKind::Host, format!("no room for one more sandbox: {error:#}"));
    }
    if error.chain().any(<dyn std::error::Error>::is::<std::io::Error>) {
        return CallError::new(ErrorKind::Host, format!("the host failed: {error:#}"));
    }
    let cause = if let Some(I32Exit(code)) = error.downcast_ref() {
        format!("the plugin exited with code {code} instead of answering")
    } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
        let most = limits.handles;
        format!("the plugin held more than {most} handles at once; raise `handles` in the limits")
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        format!("the plugin trapped: {}", describe(*trap))
    } else {
        format!("the call ended without an answer: {}", error.root_cause())
    };
    let message = match last_words(&state.stderr.text()) {
        Some(words) => format!("{cause}; its last words: {words}"),
        None => cause,
    };
    CallError::new(ErrorKind::Trap, message)
}

pub fn cancelled_call() -> CallError {
    CallError::new(ErrorKind::Cancelled, "the batch was cancelled before this call ended")
}

pub fn timed_out(limit: Duration) -> CallError {
    let limit = humantime::format_duration(limit);
    let message =
        format!("stopped after {limit}; raise it with --timeout or `timeout` in the limits");
    CallError::new(ErrorKind::Timeout, message)
}

pub fn result_too_large(limit: u64) -> CallError {
    let limit = bytesize::ByteSize(limit);
    let message = format!(
        "the result is larger than {limit}; ask for less of it, or raise `result` in the limits"
    );
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
