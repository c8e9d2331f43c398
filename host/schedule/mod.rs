//! WHEN each call runs. Generic over what it runs: knows neither wasm nor files nor JSON.
//!
//! `order` is the state of every call and the only place that changes it; `run` is the loop that starts
//! calls, joins them and tells `order`.

mod order;
mod run;

pub use order::{Needs, Verdict};
pub use run::{Job, NotRun, run};
