//! WHAT was asked and what came of it: pure data and the rules of its shape.
//!
//! Knows nothing of wasm, files, policy or time; every other folder may import this one.

mod args;
mod dialect;
mod json;
mod limits;
mod media;
mod plan;
mod references;
mod report;
mod request;
mod size;
mod step;
mod tape;
mod text;

pub use args::Args;
pub use dialect::{Dialect, Reply, read as read_message};
pub use json::Json;
pub use limits::{
    LimitError, LimitsConfig, bytes, duration, limit_of, parse_bytes, parse_duration, parse_memory,
};
pub use media::Media;
pub use plan::{Callable, Link, Plan, PlanError, Planned, Problem, Step, Tools};
pub(crate) use references::describe;
pub use references::{CallRef, Pointer, Reference};
pub(crate) use report::Held;
pub use report::{CallError, Change, Committed, ErrorKind, Outcome, Report, Status, Usage};
pub use request::{Batch, Binary, Call, RequestError};
pub(crate) use size::{length, length_of_fields};
pub use step::{argument_error, too_large_arguments, too_many_values};
