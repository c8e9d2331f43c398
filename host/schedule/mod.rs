//! WHEN each call runs, and when what it did becomes real: out-of-order execution, commit in order.
//!
//! Generic over what it runs: knows neither wasm nor files nor JSON. Calls run ahead, each against the
//! state as it is; what a run leaves is committed at its call's turn if what it read still holds, else
//! dropped, and the call is run again.
//!
//! - `job` is what is scheduled, as a trait, and what a run knows of its turn;
//! - `order` is the state of every call of a batch and the only place that changes it, `queue` says which
//!   call starts next, and learns from conflicts;
//! - `batch` is the loop that starts, joins, commits, and tells `order`; `tasks` owns what runs;
//! - `questions` are calls at their turn that somebody has to agree with;
//! - `admission` is the room that all of them share, `shares` whose turn it is for it;
//! - `loose` is for calls that are each a request of their own, ordered by when they finish, `running` the run of one.

mod admission;
mod batch;
mod job;
mod loose;
mod order;
mod questions;
mod queue;
mod running;
mod shares;
mod tasks;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Busy, Calls, Share};
pub use batch::run;
pub use job::{Approval, By, Committed, Job, Needs, NotRun, Turn, Verdict};
pub use loose::{Loose, Ticket};
pub use shares::Tenant;
pub use tasks::last_words;
