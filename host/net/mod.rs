//! Outgoing HTTP: `wasi:http` for the hosts that a plugin was granted.
//!
//! ```text
//! call          one run's requests: its grants, its budget, its hooks in wasi:http
//!   send        the path of a request, from what the guest wrote to the answer's head
//!   target      who is asked: scheme, host and port of a request
//!   plugin      what a plugin may request, and its secrets
//!   address     which addresses are nobody's to reach unless they are granted as such
//!   begun       bodies that are looked at before they are sent
//!   body        bodies, in bounds of size and time
//!   safe        which requests change nothing
//!   graphql     which requests to a GraphQL endpoint change nothing
//!   secret, scrub   secrets put in, and taken out of what comes back
//!   log         what was requested and refused, for messages and the audit log
//! client        what all plugins of a host share
//!   resolve, tls    names to addresses; whom to believe
//!   connect, pool   connections to checked addresses, and those kept warm
//! ```
//!
//! Knows requests, not calls: whether an effect may happen now is asked of a gate that it is given.

mod address;
mod begun;
mod body;
mod call;
mod client;
mod connect;
mod fields;
mod graphql;
mod keyring;
mod log;
mod plugin;
mod pool;
mod resolve;
mod safe;
mod scrub;
mod secret;
mod send;
mod target;
mod tls;

pub use begun::LOOKED_AT;
pub use call::{CallNet, Consent, Effects, Face, Sending, add_to_linker};
pub use client::{Client, NetOptions};
#[cfg(any(test, feature = "fuzzing"))]
pub use graphql::is_query;
pub use log::{NetDenial, NetDeniedBy, NetLog, Requested};
pub use plugin::PluginNet;
pub use resolve::{Resolver, SystemResolver};
pub use scrub::Patterns;
pub use secret::Secret;
