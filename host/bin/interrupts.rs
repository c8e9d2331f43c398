//! Ctrl-C, or SIGTERM: the first cancels what runs; the next one, or any when that has ended, ends the process.
//!
//! On a thread of its own, since guests may keep the runtime's threads busy; it lives as long as the process, which
//! tokio has taken the signal from for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inorder::CancellationToken;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::print;

/// For standard error to be written to.
const PATIENCE: Duration = Duration::from_millis(50);

pub struct Interrupts {
    ended: Arc<AtomicBool>,
}

impl Interrupts {
    /// When this returns, signals are caught. Where they cannot be, they keep their default: they end the process.
    pub fn watch(cancel: CancellationToken) -> Interrupts {
        let ended = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && let Some(signals) = Signals::catch(&runtime)
        {
            let ended = ended.clone();
            std::thread::spawn(move || runtime.block_on(watched(signals, &cancel, &ended)));
        }
        Interrupts { ended }
    }

    /// From here on, a signal ends the process.
    pub fn end_at_once(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

struct Signals {
    interrupts: Signal,
    /// From a supervisor, or `timeout`.
    terminations: Option<Signal>,
    /// Caught for a file that may not grow (`ulimit -f`) to be an error, where it would be the end of the process.
    _too_large: Option<Signal>,
}

impl Signals {
    fn catch(runtime: &Runtime) -> Option<Signals> {
        let _entered = runtime.enter();
        let interrupts = signal(SignalKind::interrupt()).ok()?;
        let terminations = signal(SignalKind::terminate()).ok();
        let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).ok();
        Some(Signals { interrupts, terminations, _too_large })
    }
}

async fn watched(mut signals: Signals, cancel: &CancellationToken, ended: &AtomicBool) {
    loop {
        let terminated = async {
            match &mut signals.terminations {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let signalled = tokio::select! {
            signalled = signals.interrupts.recv() => signalled,
            signalled = terminated => signalled,
        };
        if signalled.is_none() {
            return;
        }
        if cancel.is_cancelled() || ended.load(Ordering::SeqCst) {
            std::process::exit(130);
        }
        // Said first, or the process may have ended before. Who does not read it is not waited for.
        let say = || print::say(print::dim("stopping; Ctrl-C again ends at once"));
        let _ = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(say)).await;
        cancel.cancel();
    }
}
