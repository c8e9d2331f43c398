//! WHO did what: a line for each call, for people who ask afterwards.
//!
//! `record` is what is told of a call, `file` where it goes unless an embedder has a place of its own. Decides
//! nothing: a record that cannot be kept is a warning, and no call fails for it.

mod file;
mod record;

pub use file::AuditFile;
pub use record::{
    Arguments, AskedRule, AuditRecord, AuditSink, Denied, DeniedRequest, Listed, PluginId, Request,
    Trail, bounded,
};
