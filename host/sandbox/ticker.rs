//! The epoch ticker: a thread that interrupts guests every [`TICK`] while any run.
//!
//! A guest that computes yields at each tick, which is what lets timeouts, cancellation and the other
//! calls of its thread in. With nothing running the thread sleeps: an idle host costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

/// The longest that a guest computes before it yields.
pub const TICK: Duration = Duration::from_millis(5);

/// How long the thread goes on ticking when the last call has ended: waking it costs more than a few
/// idle ticks, and calls come in flocks.
const IDLE_TICKS: u32 = 20;

pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

/// Guests are interrupted for as long as one of these lives.
pub struct Ticking<'t>(&'t Shared);

impl Ticker {
    /// The thread holds the engine weakly and ends with it, or with the ticker.
    pub fn start(engine: EngineWeak) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("inorder-epoch".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.tick(&engine)
        })?;
        Ok(Ticker { shared, thread: Some(thread) })
    }

    pub fn ticking(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Ticking(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
            } else {
                idle += 1;
            }
            if idle > IDLE_TICKS {
                // Announce first, look again after: a call that starts in between sees `asleep`, or is
                // seen here.
                self.asleep.store(true, Ordering::SeqCst);
                while self.running.load(Ordering::SeqCst) == 0
                    && !self.stopped.load(Ordering::SeqCst)
                {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
            } else {
                thread::sleep(TICK);
            }
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the ticker has nothing to add while the host goes away.
            let _ = thread.join();
        }
    }
}
