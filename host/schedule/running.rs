//! The one run of a loose call that is in progress: where it is done, and how it is stopped.
//!
//! Knows nothing of when it starts, nor of what becomes of what it leaves.

use std::future::Future;

use tokio::runtime::Handle;

use super::tasks::{Here, Left, Lost, Tasks};

/// The run in progress of a call, if there is one. That of a call that is alone is done by its own future, until it turns out to
/// compute: to hand it to a task takes as long as a short one.
pub(super) struct Running<T, R> {
    id: usize,
    here: Here<R>,
    tasks: T,
    alive: bool,
}

impl<R: 'static, T: Tasks<R>> Running<T, R> {
    pub fn new(id: usize, workers: Option<&Handle>) -> Running<T, R> {
        Running { id, here: Here::default(), tasks: T::on(workers), alive: false }
    }

    pub fn start(&mut self, alone: bool, run: impl Future<Output = R> + Send + 'static) {
        match alone {
            true => self.here.put(self.id, run),
            // Others wait for this future's thread.
            false => self.tasks.spawn(self.id, run),
        }
        self.alive = true;
    }

    pub async fn join(&mut self) -> Result<R, Lost> {
        while !self.here.is_empty() {
            match self.here.join().await {
                Left::Ended(_, end) => {
                    self.alive = false;
                    return end;
                }
                Left::Computes => {
                    if let Some((call, run)) = self.here.take() {
                        self.tasks.spawn(call, run);
                    }
                }
            }
        }
        let (_, end) = self.tasks.join().await;
        self.alive = false;
        end
    }

    pub async fn stop(&mut self) {
        if self.alive {
            self.here.abort(self.id);
            self.tasks.abort(self.id);
            // Whatever it left is not wanted.
            let _ = self.join().await;
        }
    }
}
