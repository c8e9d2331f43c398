//! What a call has requested and what it was refused, for its outcome's message and for the audit log.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::scrub::Patterns;

/// Of one call, over all of its runs.
#[derive(Debug, Default)]
pub struct NetLog {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requested: Vec<Requested>,
    denials: Vec<NetDenial>,
    full: bool,
    effects: bool,
}

/// A request that was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requested {
    pub method: String,
    /// As in `https://api.example.org`.
    pub origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDenial {
    pub request: Requested,
    pub by: NetDeniedBy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetDeniedBy {
    /// The plugin's grants do not cover it. `grant` would.
    Policy { grant: String },
    /// The host is granted, and leads to an address that is not. `grant` would allow that.
    Address { address: IpAddr, what: &'static str, grant: String },
    /// A secret goes to that host, and would go there for all to read.
    Plaintext { secret: String },
    /// A secret goes to that host, and cannot be had.
    Missing { secret: String, why: String },
    /// Its effect cannot be taken back, and this is a run of which nothing is to stay, or not for certain.
    Effect { run: &'static str },
    /// Somebody was to be asked about it, and has not agreed.
    Refused { why: String },
    /// `CONNECT` and `TRACE` hand over more than an answer.
    Method,
}

/// Of each kind, from one call: a guest chooses how many there are.
const MOST: usize = 1000;
const MOST_METHOD: usize = 20;

impl Requested {
    pub fn new(method: &http::Method, mut origin: String, secrets: &Patterns) -> Requested {
        let mut method = method.as_str().to_owned();
        secrets.text(&mut method);
        secrets.text(&mut origin);
        method.truncate(MOST_METHOD);
        Requested { method, origin }
    }
}

impl NetLog {
    /// A run begins: what an earlier one was refused is of no interest any more. What it has sent is.
    pub fn begin(&self) {
        let mut seen = self.seen();
        seen.denials.clear();
        seen.full = false;
    }

    pub(super) fn requested(&self, request: Requested, effect: bool) {
        let mut seen = self.seen();
        seen.effects |= effect;
        if seen.requested.len() < MOST {
            seen.requested.push(request);
        }
    }

    pub(super) fn denied(&self, denial: NetDenial) {
        tracing::debug!(?denial, "a request is refused");
        let mut seen = self.seen();
        if seen.denials.len() < MOST {
            seen.denials.push(denial);
        }
    }

    /// Bodies were larger than they may be.
    pub(super) fn filled(&self) {
        self.seen().full = true;
    }

    /// All that was sent, in its order.
    pub fn requests(&self) -> Vec<Requested> {
        self.seen().requested.clone()
    }

    /// Of the last run.
    pub fn denials(&self) -> Vec<NetDenial> {
        self.seen().denials.clone()
    }

    /// Whether the last run came to the end of what it may transfer.
    pub fn is_full(&self) -> bool {
        self.seen().full
    }

    /// Whether anything was sent that cannot be taken back.
    pub fn has_effects(&self) -> bool {
        self.seen().effects
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
