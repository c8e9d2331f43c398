//! Owns the runs in progress: each ends by being joined, and dropping the owner aborts them all.
//!
//! [`Tasks`] is a seam, so that tests can run the loops on an executor that explores interleavings; [`Here`] is for the
//! one run that needs no task. Knows nothing of order.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// At most one task per call.
pub trait Tasks<T>: Send {
    /// None yet. They will run on `workers`, or else where they are spawned.
    fn on(workers: Option<&Handle>) -> Self;

    fn spawn(&mut self, call: usize, task: impl Future<Output = T> + Send + 'static);

    /// The call whose task has ended next, and what it left. Never resolves while there are none. Can be
    /// dropped and asked again.
    fn join(&mut self) -> impl Future<Output = (usize, Result<T, Lost>)> + Send;

    fn is_empty(&self) -> bool;

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
    workers: Option<Handle>,
}

impl<T: Send + 'static> Tasks<T> for TokioTasks<T> {
    fn on(workers: Option<&Handle>) -> TokioTasks<T> {
        TokioTasks { set: JoinSet::new(), handles: Vec::new(), workers: workers.cloned() }
    }

    fn spawn(&mut self, call: usize, task: impl Future<Output = T> + Send + 'static) {
        let handle = match &self.workers {
            Some(workers) => self.set.spawn_on(task, workers),
            None => self.set.spawn(task),
        };
        self.handles.push((call, handle));
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

    fn is_empty(&self) -> bool {
        self.handles.is_empty()
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

/// At most one run, done by whoever joins it. What it costs to hand a run to another thread and to be woken by it is more
/// than a short one takes.
pub struct Here<T> {
    run: Option<(usize, Unended<T>)>,
    /// What runs that have ended here took, since it was last asked.
    spent: Duration,
}

/// What has become of a run here.
pub enum Left<T> {
    Ended(usize, Result<T, Lost>),
    /// It is no short one: to be taken, and to go on elsewhere.
    Computes,
}

/// For so long whoever joins may do nothing else.
pub const SHORT: Duration = Duration::from_millis(1);

pub type BoxedRun<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Unended<T> {
    Runs(BoxedRun<T>),
    Aborted,
}

impl<T> Default for Here<T> {
    fn default() -> Here<T> {
        Here { run: None, spent: Duration::ZERO }
    }
}

impl<T> Here<T> {
    pub fn is_empty(&self) -> bool {
        self.run.is_none()
    }

    /// In the place of the one that was there, if any.
    pub fn put(&mut self, call: usize, run: impl Future<Output = T> + Send + 'static) {
        self.run = Some((call, Unended::Runs(Box::pin(run))));
    }

    /// The run, to go on elsewhere. One that was aborted stays, to be joined.
    pub fn take(&mut self) -> Option<(usize, BoxedRun<T>)> {
        match self.run.take()? {
            (call, Unended::Runs(run)) => Some((call, run)),
            aborted => {
                self.run = Some(aborted);
                None
            }
        }
    }

    /// As [`Tasks::join`].
    pub async fn join(&mut self) -> Left<T> {
        poll_fn(|context| {
            let Some((call, run)) = &mut self.run else { return Poll::Pending };
            let call = *call;
            let end = match run {
                Unended::Aborted => Err(Lost::Aborted),
                Unended::Runs(run) => {
                    let began = Instant::now();
                    let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context)));
                    let took = began.elapsed();
                    self.spent += took;
                    match polled {
                        Ok(Poll::Pending) if took > SHORT => return Poll::Ready(Left::Computes),
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(end)) => Ok(end),
                        Err(panic) => Err(Lost::Panicked(last_words(&*panic))),
                    }
                }
            };
            self.let_go(None);
            Poll::Ready(Left::Ended(call, end))
        })
        .await
    }

    /// Whether it is time to let others run.
    pub fn has_spent_long(&mut self) -> bool {
        let long = self.spent > SHORT;
        if long {
            self.spent = Duration::ZERO;
        }
        long
    }

    pub fn abort(&mut self, call: usize) {
        if self.run.as_ref().is_some_and(|(running, _)| *running == call) {
            self.abort_all();
        }
    }

    pub fn abort_all(&mut self) {
        if let Some((call, _)) = self.run {
            self.let_go(Some((call, Unended::Aborted)));
        }
    }

    /// Drops what is left of a run. A panic of that is its own.
    fn let_go(&mut self, next: Option<(usize, Unended<T>)>) {
        let run = std::mem::replace(&mut self.run, next);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(run))) {
            let message = last_words(&*panic);
            tracing::error!(%message, "the host panicked when a run was dropped");
        }
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

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// What a future has after one poll.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    fn ended<T>(left: Option<Left<T>>) -> Option<(usize, Result<T, Lost>)> {
        match left {
            Some(Left::Ended(call, end)) => Some((call, end)),
            _ => None,
        }
    }

    #[test]
    fn a_task_runs_on_the_workers_and_is_joined_elsewhere() {
        let name = || std::thread::current().name().map(str::to_owned);
        let workers = tokio::runtime::Builder::new_multi_thread().thread_name("worker").build();
        let (workers, own) = (workers.unwrap(), tokio::runtime::Builder::new_current_thread());
        let own = { own }.build().unwrap();
        for (on, expected) in [(Some(workers.handle()), Some("worker".to_owned())), (None, name())]
        {
            let (call, end) = own.block_on(async {
                let mut tasks = TokioTasks::on(on);
                tasks.spawn(3, async move { name() });
                tasks.join().await
            });
            assert_eq!((call, end.unwrap()), (3, expected));
        }
    }

    #[test]
    fn a_run_here_is_joined_once() {
        let mut here = Here::default();
        here.put(3, ready("done"));
        assert!(matches!(ended(now(here.join())), Some((3, Ok("done")))));
        assert!(here.is_empty());
        assert!(now(here.join()).is_none());
    }

    #[test]
    fn a_run_here_that_panics_is_lost_with_its_words() {
        let mut here: Here<()> = Here::default();
        here.put(0, async { panic!("no more") });
        let end = ended(now(here.join()));
        assert!(matches!(end, Some((0, Err(Lost::Panicked(words)))) if words == "no more"));
    }

    #[test]
    fn a_run_here_that_panics_when_it_is_dropped_is_lost_alone() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("not even that");
            }
        }
        let mut here: Here<()> = Here::default();
        let bad = Bad;
        here.put(5, async move {
            std::future::pending::<()>().await;
            drop(bad);
        });
        assert!(now(here.join()).is_none());
        here.abort(5);
        assert!(matches!(ended(now(here.join())), Some((5, Err(Lost::Aborted)))));
    }

    #[test]
    fn a_run_here_goes_on_elsewhere_where_it_was() {
        let (told, hears) = tokio::sync::oneshot::channel();
        let mut here = Here::default();
        here.put(1, hears);
        assert!(now(here.join()).is_none());
        let (call, run) = here.take().expect("it has not ended");
        told.send("heard").expect("it listens");
        assert_eq!((call, now(run)), (1, Some(Ok("heard"))));
        assert!(here.take().is_none());
    }

    #[test]
    fn a_run_here_that_computes_is_to_go_on_elsewhere() {
        let mut here = Here::default();
        here.put(2, async {
            std::thread::sleep(SHORT * 2);
            tokio::task::yield_now().await;
        });
        assert!(matches!(now(here.join()), Some(Left::Computes)));
        assert!(here.has_spent_long() && !here.has_spent_long());
        assert!(here.take().is_some());
    }

    #[test]
    fn an_aborted_run_here_is_dropped_at_once_and_joined_all_the_same() {
        let (told, hears) = tokio::sync::oneshot::channel::<()>();
        let mut here = Here::default();
        here.put(7, hears);
        here.abort(6);
        assert!(!told.is_closed());
        here.abort(7);
        assert!(told.is_closed());
        assert!(here.take().is_none(), "there is nothing to go on with");
        assert!(matches!(ended(now(here.join())), Some((7, Err(Lost::Aborted)))));
    }
}
