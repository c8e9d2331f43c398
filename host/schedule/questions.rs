//! Calls at their turn that somebody has to agree with: what waits for an answer, in the loop of its batch.
//!
//! Knows neither who is asked nor what; an answer gives the run back, as it is to be committed.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::tasks::last_words;

/// Gives the run back when the question is answered. Dropping it ends the question.
pub type Answer<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// The open questions of a batch.
pub struct Questions<R>(Vec<(usize, Answer<R>)>);

impl<R> Default for Questions<R> {
    fn default() -> Questions<R> {
        Questions(Vec::new())
    }
}

impl<R> Questions<R> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn put(&mut self, call: usize, answer: Answer<R>) {
        self.0.push((call, answer));
    }

    /// Ends all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The call whose question is answered next, and its run, or what a panic said. Never resolves while there are none;
    /// can be dropped and asked again.
    pub async fn answered(&mut self) -> (usize, Result<R, String>) {
        poll_fn(|context| {
            for at in 0..self.0.len() {
                if let Poll::Ready(run) = poll(&mut self.0[at].1, context) {
                    return Poll::Ready((self.0.remove(at).0, run));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The run that one question gives back, or what a panic said.
pub async fn answered<R>(mut answer: Answer<R>) -> Result<R, String> {
    poll_fn(|context| poll(&mut answer, context)).await
}

fn poll<R>(answer: &mut Answer<R>, context: &mut Context<'_>) -> Poll<Result<R, String>> {
    match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(last_words(&*panic))),
    }
}
