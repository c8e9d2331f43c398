//! Connections kept warm between requests, for as long as servers are likely to keep them too.
//!
//! By plugin as well as by who is asked: what a server makes of a connection (some tie a login to it) stays with the
//! plugin that it was made for, and so does the check of its address against that plugin's grants.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connect::Connection;
use super::target::Target;

/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// How long one is used at all: servers move, and a name is looked up only for a new connection.
const LIFE: Duration = Duration::from_secs(300);
const MOST_PER_TARGET: usize = 16;
const MOST: usize = 256;

/// Whose connection it is: a plugin's, by name, to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub plugin: std::sync::Arc<str>,
    pub target: Target,
}

#[derive(Default)]
pub struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_good(&self, now: Instant) -> bool {
        !self.connection.sender.is_closed()
            && now.duration_since(self.since) < IDLE
            && now.duration_since(self.connection.born) < LIFE
    }
}

impl Pool {
    /// The connection that was used last, if one is kept.
    pub fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_target = idle.get_mut(key)?;
        let now = Instant::now();
        of_target.retain(|idle| idle.is_good(now));
        of_target.pop().map(|idle| idle.connection)
    }

    /// Keeps a connection whose last answer was read to its end.
    pub fn put(&self, key: Key, connection: Connection) {
        let now = Instant::now();
        let idle = Idle { connection, since: now };
        if !idle.is_good(now) {
            return;
        }
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, of_target| {
            of_target.retain(|idle| idle.is_good(now));
            !of_target.is_empty()
        });
        if all.values().map(Vec::len).sum::<usize>() >= MOST {
            return;
        }
        let of_target = all.entry(key).or_default();
        if of_target.len() < MOST_PER_TARGET {
            of_target.push(idle);
        }
    }
}
