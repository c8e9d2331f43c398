//! Secrets as requests carry them: read once, added by the host, never shown.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::policy::{NetGrant, SecretConfig, SecretError, SecretSource};

use super::{keyring, target::Target};

/// Shorter ones could not be taken out of answers without tearing these apart.
const SHORTEST: usize = 8;
/// Servers take headers of 8 KiB, and few twice as much.
const LONGEST: usize = 16 << 10;

pub struct Secret {
    pub name: String,
    pub header: HeaderName,
    /// With its prefix.
    pub value: HeaderValue,
    host: NetGrant,
    raw: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Secret {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is none that could be sent and taken out of answers.
    pub fn open(name: &str, config: &SecretConfig) -> Result<Secret, SecretError> {
        let raw = match &config.source {
            SecretSource::Value(value) => value.clone(),
            SecretSource::Env(variable) => {
                std::env::var(variable).map_err(|_| SecretError::Unset(variable.clone()))?
            }
            SecretSource::File(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|error| SecretError::Unreadable {
                    path: path.clone(),
                    message: error.to_string(),
                })?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            SecretSource::Keyring(item) => keyring::lookup(item)?,
        };
        if raw.len() < SHORTEST {
            return Err(SecretError::Short(SHORTEST));
        }
        if raw.len() > LONGEST {
            return Err(SecretError::Long(LONGEST));
        }
        if !raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(SecretError::Value);
        }
        let header = HeaderName::from_bytes(config.header.as_bytes());
        let header = header.map_err(|_| SecretError::Header(config.header.clone()))?;
        let value = HeaderValue::from_str(&format!("{}{raw}", config.prefix));
        let mut value = value.map_err(|_| SecretError::Value)?;
        value.set_sensitive(true);
        Ok(Secret { name: name.to_owned(), header, value, host: config.host.clone(), raw })
    }

    /// Whether it goes to where a request goes.
    pub fn is_for(&self, target: &Target) -> bool {
        self.host.matches(&target.host, target.door())
    }

    pub(super) fn raw(&self) -> &str {
        &self.raw
    }
}
