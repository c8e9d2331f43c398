//! The network in a user's words: what a call was refused and what would allow it; and whether its effects may happen.
//!
//! Joins `net/`, which knows requests, with `schedule/`, which knows turns.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::asking::Asking;
use crate::batch::{CallError, ErrorKind, Json, limit_of};
use crate::files::Effect;
use crate::net::{Consent, Effects, NetDenial, NetDeniedBy, NetLog, Requested, Sending};
use crate::policy::{Door, Host, Limits};
use crate::schedule::Turn;

/// When requests that change something are sent. `asking` is how somebody is asked about them, if any rule has it so.
pub(crate) fn effects(effect: Effect, turn: &Turn, asking: Option<Asking>) -> Effects {
    match effect {
        Effect::Commit => {
            let consent = asking.map(|asking| {
                let (turn, count) = (turn.clone(), AtomicUsize::new(0));
                Arc::new(Asker { turn, asking, count }) as _
            });
            let turn = turn.clone();
            let gate = Arc::new(move || {
                let turn = turn.clone();
                Box::pin(async move { turn.irrevocable().await }) as _
            });
            Effects::When { consent, gate }
        }
        Effect::DryRun => Effects::Refused("a dry run"),
        Effect::Atomic => Effects::Refused("an atomic batch"),
    }
}

/// Asks when the effect might happen. The call may still be stopped then, and run again.
struct Asker {
    turn: Turn,
    asking: Asking,
    /// Requests of this run that were asked about.
    count: AtomicUsize,
}

impl Consent for Asker {
    fn is_needed(&self, host: &Host, door: Door) -> bool {
        !self.asking.asks.about_request(host, door).is_empty()
    }

    fn to(
        &self,
        sending: Sending,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Box::pin(self.asking.request(number, sending, self.turn.come()))
    }
}

/// What refused requests make of a result. As with files, a tool that knows what to do without is as good as its word.
pub(crate) fn refused(
    result: Result<Json, CallError>,
    log: &NetLog,
    plugin: &str,
    limits: &Limits,
) -> Result<Json, CallError> {
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
        NetDeniedBy::Missing { secret, why } => format!(
            "{method} {origin} was not sent: the secret {secret:?} goes with it, and cannot be had: {why}"
        ),
        NetDeniedBy::Effect { run } => format!(
            "{method} {origin} was not sent: what it does there cannot be taken back, so it is not done in {run}"
        ),
        NetDeniedBy::Refused { why } => format!("{method} {origin} was not sent: {why}"),
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
