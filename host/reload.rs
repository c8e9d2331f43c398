//! Loading anew: other plugins, grants and limits, on the files and in the room of a host whose calls go on.
//!
//! Two hosts of one process on one root would be strangers to each other: each other's commits would be changes from outside,
//! and each would have ceilings of its own. So what calls meet in is handed on: the ledger of commits, the lock, the
//! queue, the memory that all hold together.

use std::path::PathBuf;
use std::sync::Arc;

use crate::builder::{HostBuilder, Source};
use crate::error::Error;
use crate::files::{Durability, Files};
use crate::host::Host;
use crate::sandbox::Engine;
use crate::schedule::Admission;

/// What hosts that were reloaded from each other share.
pub(crate) struct Ground {
    pub(crate) engine: Arc<Engine>,
    pub(crate) files: Arc<Files>,
    pub(crate) room: Arc<Admission>,
}

/// Settings of what they share. `max_memory` is as it was asked for: the machine's may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) jobs: usize,
    pub(crate) max_memory: Option<u64>,
    pub(crate) max_waiting: usize,
    pub(crate) durability: Durability,
}

impl Host {
    /// A host as `builder` says, in place of this one: its plugins, grants, limits, secrets and audit log are those of the
    /// builder, loaded anew. Blocks as [`HostBuilder::build`] does.
    ///
    /// Calls that run on this host, or wait, go on as they were, and are to the new one's as any others of a host: no
    /// edit is lost, and `jobs`, `max_memory` and `max_waiting` hold over both together. Whoever lets go of this host when
    /// they have ended frees what it has loaded. A session goes over by [`Session::with`](crate::Session::with).
    ///
    /// # Errors
    /// As those of [`HostBuilder::build`] and [`HostBuilder::may_reload`]; and roots, jobs, memory and waiting calls of all, or durability, that are
    /// not those of this host. This host is as it was.
    pub fn reload(&self, builder: HostBuilder) -> Result<Host, Error> {
        let shared = self.shared();
        let (old, new) = (&shared.fixed, builder.fixed());
        let differs = [
            ("jobs", old.jobs != new.jobs),
            ("max-memory", old.max_memory != new.max_memory),
            ("max-waiting", old.max_waiting != new.max_waiting),
            ("durable", old.durability != new.durability),
            ("the roots", !shared.files.are_of(&builder.roots)?),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(Error::Fixed { what });
        }
        builder.may_reload()?;
        let memory = builder.most_memory();
        let engine = match memory <= shared.engine.memory() {
            true => shared.engine.clone(),
            false => Arc::new(shared.engine.beside(memory)?),
        };
        let (files, room) = (shared.files.clone(), shared.room.clone());
        builder.load(Ground { engine, files, room })
    }
}

impl HostBuilder {
    /// The files that it is built from: the config, and of each plugin the component and the WIT beside it, whether there is
    /// one or not. When one of them changes, [`Host::reload`] takes it over.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.config.iter().cloned().collect();
        for spec in &self.plugins {
            if let Source::File(path) = &spec.source {
                files.extend([path.clone(), path.with_extension("wit")]);
            }
        }
        files
    }
}
