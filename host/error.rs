//! Everything that can be wrong before calls run. What goes wrong in a call is a [`crate::CallError`].

use std::path::PathBuf;

use crate::batch::{PlanError, RequestError};
use crate::files::FilesError;
use crate::plugin::{PluginError, RegistryError};
use crate::policy::{ConfigError, GrantError, SecretError};
use crate::sandbox::{EngineError, LinkError};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Grant(#[from] GrantError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error(
        "the config {} lies in what the plugin {plugin:?} may write ({grant:?}), so that a tool could widen \
         its own grants; keep it elsewhere, or grant less",
        config.display()
    )]
    WritableConfig { config: PathBuf, plugin: String, grant: String },
    #[error(
        "the audit log {} lies in what the plugin {plugin:?} may write ({grant:?}), so that a tool could remove its \
         own traces; keep it elsewhere (--audit FILE), or grant less",
        log.display()
    )]
    WritableAudit { log: PathBuf, plugin: String, grant: String },
    #[error(
        "the plugin file {} lies in what the plugin {plugin:?} may write ({grant:?}), so that a tool could put another in its \
         place, with its grants; keep it elsewhere, or grant less",
        file.display()
    )]
    WritablePlugin { file: PathBuf, plugin: String, grant: String },
    #[error("cannot use the secret {secret:?}: {error}")]
    Secret { secret: String, error: SecretError },
    #[error("cannot load {}: it is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// `plugin` is the file, or the name of a built-in.
    #[error("cannot load {plugin}: {error}")]
    Plugin { plugin: String, error: PluginError },
    #[error("cannot load {plugin}: {error}")]
    Link { plugin: String, error: LinkError },
    #[error("no built-in plugin is named {name:?} (there is {known}); for a file, give its `path`")]
    UnknownBuiltin { name: String, known: String },
    /// `path` is the file that it is in: one of its own, or the component.
    #[error("the WIT of a plugin is wrong, in {}: {message}", path.display())]
    Wit { path: PathBuf, message: String },
    /// Of [`crate::compile_as_helper`].
    #[error("cannot compile for another process: {0}")]
    Helper(String),
    #[error("{what} cannot change while the host runs: start it again for that")]
    Fixed { what: &'static str },
    #[error("the host lost track of a call")]
    Lost,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Error {
    /// Whether the host failed, rather than what it was given.
    pub fn is_host_fault(&self) -> bool {
        matches!(self, Error::Engine(_) | Error::Helper(_) | Error::Lost)
    }
}
