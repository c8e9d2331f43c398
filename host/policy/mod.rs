//! WHAT IS ALLOWED: the user's policy as pure data.
//!
//! Reads no environment and opens nothing but the one config file it is told to: what grants mean for
//! real directories is `files/`, for real addresses `net/`, what limits mean for a store is `sandbox/`.

mod ask;
mod config;
mod glob;
mod grants;
mod graphql;
mod host;
mod hosts;
mod limits;
mod pattern;
mod secrets;

pub use ask::AskRule;
pub use config::{AuditConfig, Config, ConfigError, PluginConfig};
pub use grants::{EnvGrant, GrantError, Grants, PathGrant};
pub use graphql::GraphqlEndpoint;
pub use host::Host;
pub use hosts::{Door, NetGrant};
pub use limits::Limits;
pub use pattern::PathPattern;
pub use secrets::{SecretConfig, SecretError, SecretSource, secret_name};
