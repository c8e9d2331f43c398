//! Who is asked before something becomes real, and what about: the embedder's side of it.
//!
//! What is asked about is policy ([`AskRule`](crate::AskRule)); when, is the schedule's to say.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::batch::Change;

/// Somebody who decides. Asked when a call is at its turn: what the question tells is what would become real now.
///
/// Given in [`RunOptions`](crate::RunOptions) and [`CallOptions`](crate::CallOptions). Where there is none, what a rule
/// asks about is refused.
pub trait Approver: fmt::Debug + Send + Sync {
    /// Decides, and takes as long as it takes: the call's time does not run, the calls after it run and are committed when
    /// they may, others go on. The future is dropped when nobody waits for the answer any more, as when the batch is
    /// cancelled. Several questions may be open at once, of different calls.
    ///
    /// One that panics has said no.
    fn decide<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;
}

/// What is about to become real. Everything in it but the rules may be a stranger's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Whose doing it is: one call, but for an atomic batch, of which all are named whose changes are asked about.
    pub calls: Vec<AskedCall>,
    pub about: About,
}

/// A call that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedCall {
    /// Its place in the batch, from 0.
    pub index: usize,
    pub id: String,
    /// As the call names it.
    pub tool: String,
    pub plugin: String,
    /// As JSON, references filled in; as long as the limit of arguments lets it be. Of bytes that were given beside it
    /// there is the length.
    pub arguments: String,
    /// The rules that ask, as they were written: at least one.
    pub rules: Vec<String>,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// Changes of files: all that the commit would make, not only those that a rule names.
    Files {
        changes: Vec<Change>,
        /// Text as a unified diff, everything else by name; at most 256 KiB, and a line that says so where that is not all.
        diff: String,
    },
    /// A request that may change something there.
    Request {
        method: String,
        /// As in `https://api.example.org`.
        origin: String,
        /// With its query.
        path: String,
        /// Those that the plugin has set, but for the length of the body.
        headers: Vec<(String, String)>,
        /// Names of the secrets that the host adds to it.
        secrets: Vec<String>,
        /// As text, if it is that, else its size; at most 64 KiB, and a line that says so where that is not all.
        body: String,
    },
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Yes,
    /// The changes are dropped, or the request is not sent; the call is told.
    No {
        /// For the message of the call.
        because: Option<String>,
    },
}
