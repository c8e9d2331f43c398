//! One call by itself, before anything runs: what it is called with, or why it cannot be.
//!
//! Two ways to the same end: a short one for arguments that fit as they are, and one that looks through them. What a call's
//! references lead to is `plan.rs`.

use super::args::Args;
use super::limits::{LimitsConfig, limit_of};
use super::plan::{Callable, Problem, Step, Tools};
use super::report::{CallError, ErrorKind};
use super::request::{Binary, Call};
use super::size::length_of_fields;

/// The short way, which most calls go: arguments that are within their limit, and fit. Nobody looks at them otherwise.
pub(super) fn straight<T: Callable>(
    tools: &impl Tools<Tool = T>,
    tool: T,
    call: &Call,
) -> Option<T::Values> {
    let (_, left) = limit(tools, tool, &call.limits, &call.binary);
    let may = call.refused.is_none() && tools.may_have(tool, &call.limits).is_ok();
    if !may || !call.args.within(left?) {
        return None;
    }
    tools.decode(tool, &call.args, &call.binary)
}

/// The long way: there are references (`refers`), or a name twice, or something is wrong.
pub(super) fn looked_through<T: Callable>(
    tools: &impl Tools<Tool = T>,
    tool: T,
    (args, binary): (Args, &Binary),
    limits: &LimitsConfig,
    refers: bool,
) -> Step<T> {
    if let Err(error) = tools.may_have(tool, limits) {
        return Step::Refused(error);
    }
    let args = args.into_map();
    let (limit, left) = limit(tools, tool, limits, binary);
    if left.and_then(|left| length_of_fields(&args, left)).is_none() {
        return Step::Refused(too_large_arguments(limit));
    }
    let problems = tools.check(tool, &args, binary);
    if let Some(error) = argument_error(&problems) {
        return Step::Refused(error);
    }
    // As a map they have no name twice.
    let args = Args::from(args);
    if refers {
        return Step::Run { tool, args, values: None };
    }
    match tools.decode(tool, &args, binary) {
        Some(values) => Step::Run { tool, args, values: Some(values) },
        None => Step::Refused(too_many_values()),
    }
}

/// The limit of a call's arguments, and what is left of it beside those that are bytes.
fn limit<T: Callable>(
    tools: &impl Tools<Tool = T>,
    tool: T,
    limits: &LimitsConfig,
    binary: &Binary,
) -> (u64, Option<u64>) {
    let limit = limits.args.unwrap_or_else(|| tools.max_args(tool));
    let bytes: usize = binary.args.iter().map(|(_, bytes)| bytes.len()).sum();
    (limit, limit.checked_sub(bytes as u64))
}

/// Why a call of that name cannot be.
pub(super) fn unknown(tools: &impl Tools, name: &str) -> CallError {
    let hint = match tools.similar(name) {
        Some(similar) => format!("; did you mean {similar:?}?"),
        None => "; `inorder tools` lists what is loaded".to_owned(),
    };
    let message = format!("no tool is named {}{hint}", quoted(name));
    CallError::new(ErrorKind::UnknownTool, message)
}

/// A name as a message quotes it: whatever a caller sent, not more than a line of it.
fn quoted(name: &str) -> String {
    match name.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}..", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// All problems of one call's arguments in one message; `None` when there are none.
pub fn argument_error(problems: &[Problem]) -> Option<CallError> {
    const SHOWN: usize = 8;
    // A key that was sent, or the names of a type, can be as long as anything.
    const LONG: usize = 1000;
    let mut lines: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(|problem| match problem.at.as_str() {
            "" => problem.message.clone(),
            at => format!("{at}: {}", problem.message),
        })
        .map(|line| match line.char_indices().nth(LONG) {
            Some((end, _)) => format!("{}..", &line[..end]),
            None => line,
        })
        .collect();
    if problems.len() > SHOWN {
        lines.push(format!("and {} more", problems.len() - SHOWN));
    }
    (!lines.is_empty()).then(|| CallError::new(ErrorKind::Arguments, lines.join("; ")))
}

/// Of arguments that fit, and are too much all the same.
pub fn too_many_values() -> CallError {
    let message = "the arguments leave out more than a million optional fields: pass fewer items, or name the fields";
    CallError::new(ErrorKind::Arguments, message)
}

pub fn too_large_arguments(limit: u64) -> CallError {
    let limit = limit_of("args", bytesize::ByteSize(limit));
    let message = format!(
        "the arguments are larger than their limit ({limit}); pass a path instead of its contents"
    );
    CallError::new(ErrorKind::Arguments, message)
}
