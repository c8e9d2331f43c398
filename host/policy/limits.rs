//! Limits of one call, and how they are written.

use std::time::Duration;

use serde::Deserialize;

/// Bounds of one call. All are on by default; no value means "unlimited".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock from making the sandbox until its result is read. Default 30 s.
    pub timeout: Duration,
    /// Linear memories and tables of the sandbox together, in bytes. Default 256 MiB.
    pub memory: u64,
    /// Arguments as JSON text, in bytes. Default 4 MiB.
    pub args: u64,
    /// The result as JSON text, in bytes. Default 4 MiB.
    pub result: u64,
    /// Captured standard output and, counted by itself, standard error, in bytes. Default 1 MiB.
    pub output: u64,
    /// Resources (handles, streams, pollables) held at once. Default 1,000.
    pub handles: u32,
    /// Bytes of files that are staged at once, in memory or on disk. Default 64 MiB.
    pub staged: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: Duration::from_secs(30),
            memory: 256 << 20,
            args: 4 << 20,
            result: 4 << 20,
            output: 1 << 20,
            handles: 1000,
            staged: 64 << 20,
        }
    }
}

/// The `[limits]` table, and the same fields in a plugin's own table: what it sets, wins.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    #[serde(default, deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    #[serde(default, deserialize_with = "memory")]
    pub memory: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub args: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub result: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub output: Option<u64>,
    pub handles: Option<u32>,
    #[serde(default, deserialize_with = "bytes")]
    pub staged: Option<u64>,
}

impl LimitsConfig {
    /// `base` with what is set here in its place.
    pub fn over(&self, base: &Limits) -> Limits {
        Limits {
            timeout: self.timeout.unwrap_or(base.timeout),
            memory: self.memory.unwrap_or(base.memory),
            args: self.args.unwrap_or(base.args),
            result: self.result.unwrap_or(base.result),
            output: self.output.unwrap_or(base.output),
            handles: self.handles.unwrap_or(base.handles),
            staged: self.staged.unwrap_or(base.staged),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("{0:?} is not a time: write a number and a unit, as in \"500ms\", \"30s\" or \"2m\"")]
    Duration(String),
    #[error("{0:?} is not a size: write a number and a unit, as in \"64KiB\" or \"256MiB\"")]
    Bytes(String),
    #[error("{0:?} is zero, which would refuse every call")]
    Zero(String),
    #[error("{0:?} is more than a 32-bit guest can have: at most 4GiB")]
    Memory(String),
}

/// `"500ms"`, `"30s"`, `"2m"`, `"1h 30m"`. Not zero.
pub fn parse_duration(text: &str) -> Result<Duration, LimitError> {
    let parsed = humantime::parse_duration(text);
    match parsed.map_err(|_| LimitError::Duration(text.to_owned()))? {
        Duration::ZERO => Err(LimitError::Zero(text.to_owned())),
        duration => Ok(duration),
    }
}

/// `"64KiB"`, `"256MiB"`, `"1GB"`, or a plain number of bytes. Not zero.
pub fn parse_bytes(text: &str) -> Result<u64, LimitError> {
    let parsed = text.parse::<bytesize::ByteSize>();
    match parsed.map_err(|_| LimitError::Bytes(text.to_owned()))?.as_u64() {
        0 => Err(LimitError::Zero(text.to_owned())),
        bytes => Ok(bytes),
    }
}

/// [`parse_bytes`] for `memory`: at most 4 GiB.
pub fn parse_memory(text: &str) -> Result<u64, LimitError> {
    match parse_bytes(text)? {
        bytes if bytes > 4 << 30 => Err(LimitError::Memory(text.to_owned())),
        bytes => Ok(bytes),
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

fn bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    parse_bytes(&size(from)?).map(Some).map_err(serde::de::Error::custom)
}

fn memory<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    parse_memory(&size(from)?).map(Some).map_err(serde::de::Error::custom)
}

fn size<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a size: \"256MiB\" or a number of bytes")]
    enum Size {
        Number(u64),
        Text(String),
    }
    Ok(match Size::deserialize(from)? {
        Size::Number(bytes) => bytes.to_string(),
        Size::Text(text) => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_need_a_unit_and_are_never_zero() {
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("30"), Err(LimitError::Duration("30".to_owned())));
        assert_eq!(parse_duration("0s"), Err(LimitError::Zero("0s".to_owned())));
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("0"), Err(LimitError::Zero("0".to_owned())));
        assert_eq!(parse_memory("5GiB"), Err(LimitError::Memory("5GiB".to_owned())));
        assert_eq!(parse_bytes("much"), Err(LimitError::Bytes("much".to_owned())));
    }
}
