//! Owns the runs in progress: each ends by being joined, and dropping the owner aborts them all.
//!
//! A seam, so that tests can run the loops on an executor that explores interleavings. Knows nothing of
//! order.

use std::future::{Future, pending};

use tokio::task::{AbortHandle, JoinError, JoinSet};

/// At most one task per call.
pub trait Tasks<T>: Default + Send {
    fn spawn(&mut self, call: usize, task: impl Future<Output = T> + Send + 'static);

    /// The call whose task has ended next, and what it left. Never resolves while there are none. Can be
    /// dropped and asked again.
    fn join(&mut self) -> impl Future<Output = (usize, Result<T, Lost>)> + Send;

    /// The calls that have a task, in no order.
    fn calls(&self) -> Vec<usize>;

    /// Ends the task of a call at its next await, if it has one. It is to be joined all the same.
    fn abort(&mut self, call: usize);

    fn abort_all(&mut self);
}

/// Why a task left nothing.
#[derive(Debug)]
pub enum Lost {
    Aborted,
    Panicked(String),
}

pub struct TokioTasks<T> {
    set: JoinSet<T>,
    /// As many as there is room for: searched, not mapped.
    handles: Vec<(usize, AbortHandle)>,
}

impl<T> Default for TokioTasks<T> {
    fn default() -> TokioTasks<T> {
        TokioTasks { set: JoinSet::new(), handles: Vec::new() }
    }
}

impl<T: Send + 'static> Tasks<T> for TokioTasks<T> {
    fn spawn(&mut self, call: usize, task: impl Future<Output = T> + Send + 'static) {
        self.handles.push((call, self.set.spawn(task)));
    }

    async fn join(&mut self) -> (usize, Result<T, Lost>) {
        loop {
            let (id, end) = match self.set.join_next_with_id().await {
                Some(Ok((id, end))) => (id, Ok(end)),
                Some(Err(error)) => (error.id(), Err(lost(error))),
                None => pending().await,
            };
            if let Some(at) = self.handles.iter().position(|(_, handle)| handle.id() == id) {
                let (call, _) = self.handles.swap_remove(at);
                return (call, end);
            }
        }
    }

    fn calls(&self) -> Vec<usize> {
        self.handles.iter().map(|(call, _)| *call).collect()
    }

    fn abort(&mut self, call: usize) {
        if let Some((_, handle)) = self.handles.iter().find(|(it, _)| *it == call) {
            handle.abort();
        }
    }

    fn abort_all(&mut self) {
        self.set.abort_all();
    }
}

fn lost(error: JoinError) -> Lost {
    match error.try_into_panic() {
        Ok(panic) => Lost::Panicked(last_words(&*panic)),
        Err(_) => Lost::Aborted,
    }
}

/// What a panic said.
pub fn last_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
