//! The loop that runs a batch: starts ready calls while there is room, joins them, tells [`Order`].
//!
//! Driven by events alone. It owns every task that it starts, and returns only when all are gone; when
//! it is dropped, they are aborted.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::order::{Needs, Order, Verdict};

/// What is scheduled: calls by their index.
pub trait Job: Send + Sync + 'static {
    /// Runs a call to its end. The future is dropped when the batch is cancelled.
    fn run(&self, call: usize) -> impl Future<Output = Verdict> + Send;

    /// Decides the outcome of a call that will not end by itself.
    fn not_run(&self, call: usize, why: NotRun);
}

/// Why a call has no end of its own.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRun {
    /// The call of this index, whose result it needs, has failed.
    Input(usize),
    Cancelled,
    Panicked(String),
}

/// Runs all calls of `job`, each when its needs are met and `room` has a permit. Every call ends exactly
/// once: by [`Job::run`] returning, or by [`Job::not_run`].
pub async fn run<J: Job>(
    job: Arc<J>,
    needs: &[Needs],
    room: Arc<Semaphore>,
    cancel: CancellationToken,
) {
    let mut order = Order::new(needs);
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Id, usize> = HashMap::new();
    let mut cancelled = false;
    while order.left() > 0 {
        tokio::select! {
            biased;
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                tasks.abort_all();
                for call in order.cancel() {
                    job.not_run(call, NotRun::Cancelled);
                }
            }
            Some(joined) = tasks.join_next_with_id() => {
                let (id, end) = match joined {
                    Ok((id, verdict)) => (id, Ok(verdict)),
                    Err(error) => (error.id(), Err(error)),
                };
                let Some(call) = running.remove(&id) else { continue };
                let verdict = end.unwrap_or_else(|error| {
                    job.not_run(call, lost(error));
                    Verdict::Failed
                });
                for (skipped, input) in order.end(call, verdict) {
                    job.not_run(skipped, NotRun::Input(input));
                }
            }
            permit = room.clone().acquire_owned(), if order.has_ready() => {
                let Some(call) = order.start() else { continue };
                let task = tasks.spawn(one(job.clone(), call, permit.ok()));
                running.insert(task.id(), call);
            }
        }
    }
}

/// One call with its permit, which is given back when the call has ended.
async fn one<J: Job>(job: Arc<J>, call: usize, _permit: Option<OwnedSemaphorePermit>) -> Verdict {
    job.run(call).await
}

fn lost(error: JoinError) -> NotRun {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            NotRun::Panicked(text.unwrap_or_else(|| "without a message".to_owned()))
        }
        Err(_) => NotRun::Cancelled,
    }
}
