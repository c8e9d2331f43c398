//! Guests that attack their host: each fails by itself, says why, and leaves nothing behind.
//!
//! `attacks` are data; what no compiler makes is `core.wat` and `parts`, the rest `tests/guests/hostile`. `beside` runs each with
//! honest calls, `soak` all of them for long in a process of its own, `cancelled` stops them, `panics` are the host's
//! own. What files do under abuse, without a guest, is `host/files/abuse_tests.rs`.

mod attacks;
mod beside;
mod cancelled;
mod panics;
mod parts;
mod process;
mod soak;

use std::time::Duration;

use inorder::{Host, PluginSpec};

use crate::support::{built_guest, calc, grants, repository};

/// A host of all attacks and of honest tools, and its root.
struct Arena {
    _dir: tempfile::TempDir,
    host: Host,
    guest: bool,
}

impl Arena {
    fn new(short: Duration) -> Arena {
        let dir = tempfile::tempdir().unwrap();
        let root = attacks::lay_out(dir.path()).unwrap();
        let guest = built_guest("hostile");
        let cache = repository().join("target/test-cache/plugins");
        let builder = Host::builder().root(&root).cache(cache);
        let builder = attacks::plugins(builder, guest.as_deref(), short).unwrap();
        let honest = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
        let host = builder.plugin(calc()).plugin(honest).build().unwrap();
        Arena { _dir: dir, host, guest: guest.is_some() }
    }

    fn attacks(&self) -> Vec<attacks::Attack> {
        let mut attacks = attacks::of_core();
        if self.guest {
            attacks.extend(attacks::of_guest());
        }
        attacks
    }
}
