//! Secrets: what the host adds to requests of plugins that never see it.
//!
//! Says where a secret comes from and where it goes; reading and adding it is `net/`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::grants::GrantError;
use super::hosts::NetGrant;

/// A header for the requests to one host.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretConfig {
    /// One host, by name or address, with a port where it is not the usual one.
    pub host: NetGrant,
    /// In lower case.
    pub header: String,
    /// Put before the secret in the header: `Bearer `, say.
    pub prefix: String,
    pub source: SecretSource,
}

/// Where a secret is read from, once, when the host is built.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the host's.
    Env(String),
    /// A file; one that a config names is relative to that. Line ends at its end are not part of the secret.
    File(PathBuf),
    /// The item of the user's keyring with the attributes `service` = `inorder` and `name` = this: no other item of it
    /// is within the reach of a config that a stranger has written.
    Keyring(String),
    /// Itself, from an embedder who keeps it elsewhere.
    Value(String),
}

/// Not a secret that somebody holds in memory.
impl fmt::Debug for SecretSource {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Env(name) => to.debug_tuple("Env").field(name).finish(),
            SecretSource::File(path) => to.debug_tuple("File").field(path).finish(),
            SecretSource::Keyring(name) => to.debug_tuple("Keyring").field(name).finish(),
            SecretSource::Value(_) => to.write_str("Value(..)"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{0:?} is not a name for a secret: letters, digits, `-` and `_` are")]
    Name(String),
    #[error("`from-env`, `from-file` or `from-keyring` says where it comes from, one of them")]
    Source,
    #[error("it goes to one host, and `{0}` is not one: write its name, or its address")]
    Host(String),
    #[error("the header {0:?} is not one that can be added to a request")]
    Header(String),
    #[error("the prefix {0:?} holds what no header can")]
    Prefix(String),
    #[error(transparent)]
    Grant(#[from] GrantError),
    #[error("the variable {0} is not set")]
    Unset(String),
    #[error("{} cannot be read: {message}", path.display())]
    Unreadable { path: PathBuf, message: String },
    #[error(
        "the keyring has it not, or is locked{message}. To put it there: \
         secret-tool store --label {name} service inorder name {name}"
    )]
    NotInKeyring { name: String, message: String },
    #[error("the keyring is asked by `secret-tool` (of libsecret), which cannot be started: {0}")]
    NoKeyring(String),
    #[error(
        "it is shorter than {0} characters, which would be found everywhere when it is taken out of answers"
    )]
    Short(usize),
    #[error("it is longer than {0} characters, which no server takes in a header")]
    Long(usize),
    #[error("it and the plugin's others are too long to be found in answers: {0}")]
    Large(String),
    #[error("it holds what no header can: visible ASCII alone can be sent")]
    Value,
    #[error(
        "the plugin {plugin:?} may read {}, where it is kept: keep it elsewhere, or grant less", path.display()
    )]
    Readable { plugin: String, path: PathBuf },
    #[error("the plugin {plugin:?} is granted the variable {variable}, which holds it")]
    Passed { plugin: String, variable: String },
    #[error(
        "the plugin {plugin:?} lists {other:?} too, which goes to the same header of the same host"
    )]
    Twice { plugin: String, other: String },
    #[error("the plugin {plugin:?} lists it, and there is no secret of that name")]
    Unknown { plugin: String },
    #[error(
        "the plugin {plugin:?} lists it, and may not send requests to {host}: add that to its `net`"
    )]
    Unreachable { plugin: String, host: String },
}

/// A secret as it stands in a config.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretTable {
    host: String,
    header: String,
    #[serde(default)]
    prefix: String,
    #[serde(rename = "from-env")]
    from_env: Option<String>,
    #[serde(rename = "from-file")]
    from_file: Option<PathBuf>,
    #[serde(rename = "from-keyring")]
    from_keyring: Option<String>,
}

/// Headers that say how a request is sent, which is the host's business.
const NOT_SECRETS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "if-range",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SecretConfig {
    /// # Errors
    /// What is wrong with the host, the header or the prefix.
    pub fn new(
        host: &str,
        header: &str,
        prefix: &str,
        source: SecretSource,
    ) -> Result<SecretConfig, SecretError> {
        let host = NetGrant::parse(host)?;
        if host.host().is_none() || host.any_port() {
            return Err(SecretError::Host(host.pattern()));
        }
        let header = header.to_ascii_lowercase();
        let known = http::HeaderName::from_bytes(header.as_bytes()).is_ok();
        if !known || NOT_SECRETS.contains(&&*header) {
            return Err(SecretError::Header(header));
        }
        if !prefix.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(SecretError::Prefix(prefix.to_owned()));
        }
        Ok(SecretConfig { host, header, prefix: prefix.to_owned(), source })
    }
}

impl SecretTable {
    pub(super) fn check(self, name: &str) -> Result<SecretConfig, SecretError> {
        secret_name(name)?;
        let source = match (self.from_env, self.from_file, self.from_keyring) {
            (Some(variable), None, None) => SecretSource::Env(variable),
            (None, Some(path), None) => SecretSource::File(path),
            (None, None, Some(item)) => {
                secret_name(&item)?;
                if item.starts_with('-') {
                    // To the program that is asked it would be an option.
                    return Err(SecretError::Name(item));
                }
                SecretSource::Keyring(item)
            }
            _ => return Err(SecretError::Source),
        };
        SecretConfig::new(&self.host, &self.header, &self.prefix, source)
    }
}

/// # Errors
/// The name cannot be one of a secret.
pub fn secret_name(name: &str) -> Result<(), SecretError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !name.is_empty() && name.len() <= 64 && name.bytes().all(good) {
        true => Ok(()),
        false => Err(SecretError::Name(name.to_owned())),
    }
}
