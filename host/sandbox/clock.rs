//! `wasi:clocks/monotonic-clock` with sleeps as long as guests ask for.
//!
//! Tokio's timers count whole milliseconds, so that wasmtime's sleep of 1 ms takes 2.1 ms (`tests/bench`). Here
//! a thread keeps the deadlines that are near; the ones further off stay with tokio until they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Host};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// How long before a deadline the thread takes over: more than tokio's timers are ever early or late on an
/// idle machine.
const NEAR: Duration = Duration::from_millis(4);

/// Wakes tasks at instants. The thread starts with the first of them, and ends with the engine.
#[derive(Default)]
pub struct Alarms {
    shared: Arc<Shared>,
    thread: OnceLock<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Earliest first; the number tells alarms of one instant apart.
    set: BinaryHeap<Reverse<(Instant, u64)>>,
    wake: std::collections::HashMap<u64, oneshot::Sender<()>>,
    next: u64,
    stopped: bool,
}

impl Alarms {
    async fn sleep_until(&self, instant: Instant) {
        let now = Instant::now();
        if let Some(far) = instant.checked_sub(NEAR).filter(|far| *far > now) {
            tokio::time::sleep_until(far.into()).await;
        }
        let thread = self.thread.get_or_init(|| {
            let shared = self.shared.clone();
            let named = thread::Builder::new().name("inorder-alarms".to_owned());
            named.spawn(move || shared.ring()).ok()
        });
        match thread {
            // Only a thread that was stopped drops an alarm, and then nobody is left to wait for it.
            Some(_) => drop(self.shared.set(instant).await),
            None => tokio::time::sleep_until(instant.into()).await,
        }
    }
}

impl Shared {
    fn set(&self, instant: Instant) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = state.next;
        state.next += 1;
        let first = state.set.peek().is_none_or(|Reverse((earliest, _))| instant < *earliest);
        state.set.push(Reverse((instant, id)));
        state.wake.insert(id, wake);
        if first {
            self.changed.notify_one();
        }
        woken
    }

    fn ring(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.stopped {
            let now = Instant::now();
            match state.set.peek().copied() {
                Some(Reverse((instant, id))) if instant <= now => {
                    state.set.pop();
                    if let Some(wake) = state.wake.remove(&id) {
                        // Nobody waits for the alarm of a call that was stopped.
                        let _ = wake.send(());
                    }
                }
                Some(Reverse((instant, _))) => {
                    let waited = self.changed.wait_timeout(state, instant - now);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take().flatten() {
            // A panic of the thread has nothing to add while the host goes away.
            let _ = thread.join();
        }
    }
}

/// The part of a store's state that this needs.
pub struct Clock<'a> {
    pub stock: WasiClocksCtxView<'a>,
    pub alarms: &'a Arc<Alarms>,
}

impl Clock<'_> {
    fn after(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let at = Instant::now().checked_add(Duration::from_nanos(nanoseconds));
        let sleep = match (nanoseconds, at) {
            (0, _) => Sleep::Yield,
            (_, Some(at)) => Sleep::Until(at, self.alarms.clone()),
            (_, None) => Sleep::Forever,
        };
        let sleep = self.stock.table.push(sleep)?;
        subscribe(self.stock.table, sleep)
    }
}

impl Host for Clock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.stock.now()
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.stock.resolution()
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.stock.now()?;
        self.after(when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.after(duration)
    }
}

enum Sleep {
    /// No time at all, but a guest that asks in a loop must let others run: once it has, it is `Over`.
    Yield,
    Over,
    Until(Instant, Arc<Alarms>),
    Forever,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        match self {
            Sleep::Over => {}
            Sleep::Yield => {
                *self = Sleep::Over;
                tokio::task::yield_now().await;
            }
            Sleep::Until(at, alarms) => {
                if *at > Instant::now() {
                    alarms.sleep_until(*at).await;
                }
            }
            Sleep::Forever => std::future::pending().await,
        }
    }
}

struct HasClock;

impl HasData for HasClock {
    type Data<'a> = Clock<'a>;
}

/// Adds `wasi:clocks/monotonic-clock`.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> Clock<'_>,
) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<T, HasClock>(linker, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_ring_in_time_whatever_the_order_they_are_set_in() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let alarms = Arc::new(Alarms::default());
            let mut sleepers = tokio::task::JoinSet::new();
            for ms in [30u64, 1, 7, 2, 3, 15, 1] {
                let alarms = alarms.clone();
                sleepers.spawn(async move {
                    let at = Instant::now() + Duration::from_millis(ms);
                    alarms.sleep_until(at).await;
                    (ms, Instant::now().duration_since(at))
                });
            }
            while let Some(slept) = sleepers.join_next().await {
                // Not early (`duration_since` gives zero for that, so ask it to be some), not forever.
                let (ms, late) = slept.unwrap();
                assert!(!late.is_zero() && late < Duration::from_secs(5), "{ms} ms: {late:?}");
            }
            // Alarms that nobody waits for any more do no harm.
            let alarm = alarms.sleep_until(Instant::now() + Duration::from_millis(50));
            tokio::select! {
                biased;
                () = alarm => panic!("it rang at once"),
                () = std::future::ready(()) => {}
            }
            alarms.sleep_until(Instant::now() + Duration::from_millis(5)).await;
        });
    }
}
