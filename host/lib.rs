//! `inorder` runs the tool calls of an AI agent in parallel, each in a WebAssembly sandbox of its own,
//! with the result of running them one at a time, in order.
//!
//! The path of a call:
//!
//! ```text
//! bytes                 bin/ or the embedder
//! -> Batch              batch/request.rs      the shape is valid
//! -> Plan               batch/plan.rs         the meaning is valid: references point backward, arguments fit
//! -> ready calls        schedule/             earliest first; a reference waits for its call's commit
//! -> Store + World      sandbox/, files/, net/  grants -> view and requests -> limits
//! -> instance, invoke   plugin/               values -> memory -> JSON
//! -> Outcome + sets     attempt.rs            value | error | trap | timeout | ...; what was read and staged
//! -> ask, if policy says asking.rs            what would become real, of whoever is there to decide
//! -> validate, commit   schedule/ + files/    in order; else run again
//! -> Report             batch/report.rs       one outcome per call, always, in request order
//! ```
//!
//! Nothing expensive happens before a [`Plan`] exists. After it a call's failure is data
//! ([`CallError`]); an `Err` means that the request, the policy or the host itself is at fault.
//!
//! [`Host`] is `Send + Sync` and cheap to clone. It brings no runtime (calls run on the tokio runtime that
//! [`Host::run`] is awaited on), no global state and no logging subscriber (it emits `tracing` events).

mod approval;
mod aside;
mod asking;
mod atomic;
mod attempt;
mod audit;
mod audited;
mod batch;
mod builder;
mod ceiling;
mod error;
mod exposed;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod job;
mod loader;
mod memory;
mod net;
mod options;
mod places;
mod plugin;
mod policy;
mod reach;
mod refusals;
mod reload;
mod requests;
mod runs;
mod sandbox;
mod schedule;
mod secrets;
mod session;
mod worker;

pub use approval::{About, Approver, AskedCall, Decision, Question};
pub use audit::{
    Arguments, AskedRule, AuditFile, AuditRecord, AuditSink, Denied, DeniedRequest, Listed,
    PluginId, Request,
};
pub use batch::{
    Args, Batch, Binary, Call, CallError, CallRef, Callable, Change, Committed, Dialect, ErrorKind,
    Json, LimitError, LimitsConfig, Media, Outcome, Plan, PlanError, Planned, Pointer, Problem,
    Reply, Report, RequestError, Status, Step, Usage, parse_bytes, parse_duration, parse_memory,
    read_message,
};
pub use builder::{HostBuilder, PluginSpec, Source};
pub use error::Error;
pub use files::{Effect, Entry, FilesError, LoggedCall, UndoError, log, undo};
pub use host::{Host, ToolEffects};
pub use job::Progress;
pub use net::{NetOptions, Resolver, SystemResolver};
pub use options::{CallOptions, RunOptions};
pub use plugin::{
    Answer, Asks, BinaryError, Case, Field, LoadLimits, Misfits, NotATool, Plugin, PluginError,
    RegistryError, Shape, Tool, ToolName, ToolRef, TouchedPaths, Touches, Values, Wit, WitError,
    builtins,
};
pub use policy::{
    AskRule, AuditConfig, Config, ConfigError, EnvGrant, GrantError, Grants, GraphqlEndpoint,
    Limits, NetGrant, PathGrant, PathPattern, PluginConfig, SecretConfig, SecretError,
    SecretSource,
};
pub use sandbox::{EngineError, LinkError, Said};
pub use schedule::Tenant;
pub use session::{Issued, Session};
pub use tokio_util::sync::CancellationToken;
pub use worker::compile_as_helper;
