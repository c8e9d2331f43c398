//! What is known of the runs of one call while it has not ended: when, how often, on which view, with what.
//!
//! Written by the run in progress (`attempt.rs`); read by whoever asks meanwhile: the scheduler's questions, the audit log,
//! and what is told of a call that is cancelled.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::asking::Asked;
use crate::audit::{Arguments, AskedRule};
use crate::batch::Usage;
use crate::files::View;
use crate::net::NetLog;

/// The runs of one call, for those who ask while it has not ended.
#[derive(Default)]
pub(crate) struct Runs {
    /// When the first one began.
    started: OnceLock<Instant>,
    count: AtomicU32,
    /// How long the last one took, once it is over: from then on the call waits for its turn to commit.
    took: Mutex<Option<Duration>>,
    /// Of the one in progress.
    view: Mutex<Option<Arc<View>>>,
    /// For the audit log.
    arguments: OnceLock<Arguments>,
    /// Of a plugin that may send requests.
    net: OnceLock<Arc<NetLog>>,
    /// Of a plugin of which something is asked about.
    asked: OnceLock<Arc<Asked>>,
}

impl Runs {
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the call was given, if an audit log is kept and it came to run.
    pub(crate) fn arguments(&self) -> Option<Arguments> {
        self.arguments.get().cloned()
    }

    /// Those of the first run, which are those of all.
    pub(crate) fn note_arguments(&self, arguments: impl FnOnce() -> Arguments) {
        self.arguments.get_or_init(arguments);
    }

    /// Where requests of all of them are written down.
    pub(crate) fn net_log(&self) -> &Arc<NetLog> {
        self.net.get_or_init(Arc::default)
    }

    /// What was requested, in all of them.
    pub(crate) fn net(&self) -> Option<&NetLog> {
        self.net.get().map(|log| &**log)
    }

    pub(crate) fn asked(&self) -> &Arc<Asked> {
        self.asked.get_or_init(Arc::default)
    }

    /// What somebody was asked, in all of them.
    pub(crate) fn said(&self) -> Vec<AskedRule> {
        self.asked.get().map_or_else(Vec::new, |asked| asked.said())
    }

    /// How long somebody has been asked, which is no time of theirs.
    pub(crate) fn paused(&self) -> Duration {
        self.asked.get().map_or(Duration::ZERO, |asked| asked.pauses.total())
    }

    /// One more begins.
    pub(crate) fn begin(&self, attempt: u32) {
        self.started.get_or_init(Instant::now);
        self.count.store(attempt, Ordering::Relaxed);
        *self.lock_took() = None;
    }

    /// It is over, after so long.
    pub(crate) fn over(&self, took: Duration) {
        *self.lock_took() = Some(took);
    }

    fn lock_took(&self) -> MutexGuard<'_, Option<Duration>> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There will be no further one.
    pub(crate) fn ended(&self) {
        self.set_view(None);
    }

    pub(crate) fn set_view(&self, view: Option<Arc<View>>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// What they have used so far, of a batch or session that began then.
    pub(crate) fn usage(&self, began: Instant) -> Usage {
        let Some(started) = self.started.get() else { return Usage::default() };
        Usage {
            queued: *started - began,
            run: self
                .lock_took()
                .unwrap_or_else(|| started.elapsed().saturating_sub(self.paused())),
            attempts: self.count.load(Ordering::Relaxed),
            ..Usage::default()
        }
    }
}
