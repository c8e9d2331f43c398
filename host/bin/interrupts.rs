//! Ctrl-C, or SIGTERM: the first cancels what runs; the next one, or any when that has ended, ends the process.
//!
//! On a thread of its own, since guests may keep the runtime's threads busy; it lives as long as the process, which
//! tokio has taken the signal from for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inorder::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

use crate::print;

pub struct Interrupts {
    ended: Arc<AtomicBool>,
}

impl Interrupts {
    pub fn watch(cancel: CancellationToken) -> Interrupts {
        let ended = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        std::thread::spawn({
            let ended = ended.clone();
            move || {
                // Without a runtime signals keep their default: they end the process.
                let Ok(runtime) = runtime else { return };
                runtime.block_on(watched(&cancel, &ended));
            }
        });
        Interrupts { ended }
    }

    /// From here on, a signal ends the process.
    pub fn end_at_once(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

async fn watched(cancel: &CancellationToken, ended: &AtomicBool) {
    let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
    // From a supervisor, or `timeout`.
    let mut terminations = signal(SignalKind::terminate()).ok();
    loop {
        let terminated = async {
            match &mut terminations {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let signalled = tokio::select! {
            signalled = interrupts.recv() => signalled,
            signalled = terminated => signalled,
        };
        if signalled.is_none() {
            return;
        }
        if cancel.is_cancelled() || ended.load(Ordering::SeqCst) {
            std::process::exit(130);
        }
        cancel.cancel();
        print::say(print::dim("stopping; Ctrl-C again ends at once"));
    }
}
