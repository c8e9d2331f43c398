//! WHAT IS ALLOWED: the user's policy as pure data.
//!
//! Reads no environment and opens nothing but the one config file it is told to: what grants mean for
//! real directories is `files/`, what limits mean for a store is `sandbox/`.

mod config;
mod glob;
mod grants;
mod limits;
mod pattern;

pub use config::{AuditConfig, Config, ConfigError, PluginConfig};
pub use grants::{EnvGrant, GrantError, Grants, PathGrant};
pub use limits::Limits;
pub use pattern::PathPattern;
