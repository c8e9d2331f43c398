//! The network in a user's words: what a call was refused and what would allow it; and whether its effects may happen.
//!
//! Joins `net/`, which knows requests, with `schedule/`, which knows turns.

use std::sync::Arc;

use serde_json::Value;

use crate::batch::{CallError, ErrorKind, limit_of};
use crate::files::Effect;
use crate::net::{Effects, NetDenial, NetDeniedBy, NetLog, Requested};
use crate::policy::Limits;
use crate::schedule::Turn;

/// When requests that change something are sent.
pub(crate) fn effects(effect: Effect, turn: &Turn) -> Effects {
    match effect {
        Effect::Commit => {
            let turn = turn.clone();
            Effects::When(Arc::new(move || {
                let turn = turn.clone();
                Box::pin(async move { turn.irrevocable().await })
            }))
        }
        Effect::DryRun => Effects::Refused("a dry run"),
        Effect::Atomic => Effects::Refused("an atomic batch"),
    }
}

/// What refused requests make of a result. As with files, a tool that knows what to do without is as good as its word.
pub(crate) fn refused(
    result: Result<Value, CallError>,
    log: &NetLog,
    plugin: &str,
    limits: &Limits,
) -> Result<Value, CallError> {
    let Err(error) = result else { return result };
    if !matches!(error.kind, ErrorKind::Tool | ErrorKind::Trap) {
        return Err(error);
    }
    if log.is_full() {
        let limit = limit_of("net", bytesize::ByteSize(limits.net));
        let message = format!(
            "{}; the bodies of its requests and their answers are more than a call may transfer ({limit})",
            error.message
        );
        return Err(CallError { kind: ErrorKind::Net, message, ..error });
    }
    let denials = log.denials();
    let Some(denial) = denials.first() else { return Err(error) };
    let message = format!("{}; {}", error.message, explain(denial, plugin));
    Err(CallError { kind: ErrorKind::Denied, message, ..error })
}

/// What was denied, and the line of policy that would allow it, if one would.
fn explain(denial: &NetDenial, plugin: &str) -> String {
    let NetDenial { request: Requested { method, origin }, by } = denial;
    let allow = |grant: &str| {
        let list = toml::Value::from(vec![grant.to_owned()]);
        format!(
            "`net = {list}` under [plugins.{plugin}] in the config, or --allow-net '{grant}', would allow it"
        )
    };
    match by {
        NetDeniedBy::Policy { grant } => {
            format!("requesting {origin} is not granted: {}", allow(grant))
        }
        NetDeniedBy::Address { address, what, grant } => format!(
            "{origin} is at {address}, which is {what}, and such addresses are reached only where they are granted as \
             such: {}",
            allow(grant)
        ),
        NetDeniedBy::Plaintext { secret } => format!(
            "the secret {secret:?} goes with requests to {origin}, and would be there for all to read: use https"
        ),
        NetDeniedBy::Effect { run } => format!(
            "{method} {origin} was not sent: what it does there cannot be taken back, so it is not done in {run}"
        ),
        NetDeniedBy::Method => {
            format!("{method} {origin} was not sent: plugins may not use {method}")
        }
    }
}

/// What the requests of a call that is not run again have done.
pub(crate) fn conflict_after_effects() -> CallError {
    let message = "what it read was changed from outside after it had sent requests that cannot be taken back; none of \
                   its changes to files was committed, and it was not run again. Look at what it did there before you try again";
    CallError::new(ErrorKind::Conflict, message)
}
