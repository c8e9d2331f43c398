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
    host: NetGrant,
    /// Or why it cannot be had: then nothing is sent that it goes with.
    had: Result<Had, SecretError>,
}

struct Had {
    /// With its prefix.
    value: HeaderValue,
    raw: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Secret {
    /// Reads it, if it is there.
    ///
    /// # Errors
    /// It is none that could be sent and taken out of answers.
    pub fn open(name: &str, config: &SecretConfig) -> Result<Secret, SecretError> {
        let header = HeaderName::from_bytes(config.header.as_bytes());
        let header = header.map_err(|_| SecretError::Header(config.header.clone()))?;
        let had = match read(&config.source) {
            Ok(raw) => Ok(Had::new(&config.prefix, raw)?),
            Err(error) => Err(error),
        };
        Ok(Secret { name: name.to_owned(), header, host: config.host.clone(), had })
    }

    /// Whether it goes to where a request goes.
    pub fn is_for(&self, target: &Target) -> bool {
        self.host.matches(&target.host, target.door())
    }

    /// With its prefix.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn value(&self) -> Result<&HeaderValue, &SecretError> {
        self.had.as_ref().map(|had| &had.value)
    }

    pub(super) fn raw(&self) -> Option<&str> {
        self.had.as_ref().ok().map(|had| &*had.raw)
    }
}

fn read(source: &SecretSource) -> Result<String, SecretError> {
    match source {
        SecretSource::Value(value) => Ok(value.clone()),
        SecretSource::Env(variable) => {
            std::env::var(variable).map_err(|_| SecretError::Unset(variable.clone()))
        }
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable {
                path: path.clone(),
                message: error.to_string(),
            })?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        SecretSource::Keyring(item) => keyring::lookup(item),
    }
}

impl Had {
    fn new(prefix: &str, raw: String) -> Result<Had, SecretError> {
        if raw.len() < SHORTEST {
            return Err(SecretError::Short(SHORTEST));
        }
        if raw.len() > LONGEST {
            return Err(SecretError::Long(LONGEST));
        }
        if !raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(SecretError::Value);
        }
        let value = HeaderValue::from_str(&format!("{prefix}{raw}"));
        let mut value = value.map_err(|_| SecretError::Value)?;
        value.set_sensitive(true);
        Ok(Had { value, raw })
    }
}
