//! Limits as they are written: some of them, by name, in a config or for one call.
//!
//! What they are where nothing is said, and who may raise them, is `policy/`.

use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;

/// Some of the limits: the `[limits]` table of a config, a plugin's own, or what one call asks for.
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
    #[serde(default, deserialize_with = "count")]
    pub handles: Option<u32>,
    #[serde(default, deserialize_with = "bytes")]
    pub staged: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub net: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub random: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub copies: Option<u64>,
}

impl LimitsConfig {
    pub fn is_empty(&self) -> bool {
        *self == LimitsConfig::default()
    }

    /// Sets one limit from its text: `NAME=VALUE`, as in `memory=64MiB`.
    ///
    /// # Errors
    /// No limit is of that name, or it cannot have that value.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| LimitError::Unknown(text.to_owned()))?;
        match name {
            "timeout" => self.timeout = Some(parse_duration(value)?),
            "memory" => self.memory = Some(parse_memory(value)?),
            "args" => self.args = Some(parse_bytes(value)?),
            "result" => self.result = Some(parse_bytes(value)?),
            "output" => self.output = Some(parse_bytes(value)?),
            "handles" => self.handles = Some(parse_count(value)?),
            "staged" => self.staged = Some(parse_bytes(value)?),
            "net" => self.net = Some(parse_bytes(value)?),
            "random" => self.random = Some(parse_bytes(value)?),
            "copies" => self.copies = Some(parse_bytes(value)?),
            _ => return Err(LimitError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// What is set here, and where nothing is, what is set in `base`.
    #[must_use]
    pub fn or(&self, base: &LimitsConfig) -> LimitsConfig {
        LimitsConfig {
            timeout: self.timeout.or(base.timeout),
            memory: self.memory.or(base.memory),
            args: self.args.or(base.args),
            result: self.result.or(base.result),
            output: self.output.or(base.output),
            handles: self.handles.or(base.handles),
            staged: self.staged.or(base.staged),
            net: self.net.or(base.net),
            random: self.random.or(base.random),
            copies: self.copies.or(base.copies),
        }
    }
}

/// A limit as messages name it: by its setting, with what it is.
pub fn limit_of(name: &str, value: impl Display) -> String {
    format!("`limits.{name}`, {value}")
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("{0:?} is not a time: write a number and a unit, as in \"500ms\", \"30s\" or \"2m\"")]
    Duration(String),
    #[error("{0:?} is not a size: write a number and a unit, as in \"64KiB\" or \"256MiB\"")]
    Bytes(String),
    #[error("{0:?} is not a number of handles: write one from 1 to 4294967295")]
    Count(String),
    #[error(
        "no limit is named {0:?}: write NAME=VALUE, with timeout, memory, args, result, output, handles, \
         staged, net, random or copies"
    )]
    Unknown(String),
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

fn parse_count(text: &str) -> Result<u32, LimitError> {
    match text.parse().map_err(|_| LimitError::Count(text.to_owned()))? {
        0 => Err(LimitError::Zero(text.to_owned())),
        count => Ok(count),
    }
}

/// Reads a time that may be absent.
pub fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Reads a size that may be absent.
pub fn bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    parse_bytes(&size(from)?).map(Some).map_err(serde::de::Error::custom)
}

fn memory<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    parse_memory(&size(from)?).map(Some).map_err(serde::de::Error::custom)
}

fn count<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    parse_count(&u32::deserialize(from)?.to_string()).map(Some).map_err(serde::de::Error::custom)
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
        assert_eq!(parse_count("0"), Err(LimitError::Zero("0".to_owned())));
        assert_eq!(parse_bytes("much"), Err(LimitError::Bytes("much".to_owned())));
    }

    #[test]
    fn every_limit_is_set_by_its_name() {
        let mut set = LimitsConfig::default();
        for text in [
            "timeout=1s",
            "memory=2",
            "args=3",
            "result=4",
            "output=5",
            "handles=6",
            "staged=7",
            "random=8",
            "copies=9",
            "net=10",
        ] {
            set.set(text).unwrap();
        }
        let json = r#"{"timeout": "1s", "memory": 2, "args": 3, "result": 4, "output": 5, "handles": 6,
                       "staged": 7, "random": 8, "copies": 9, "net": 10}"#;
        assert_eq!(serde_json::from_str::<LimitsConfig>(json).unwrap(), set);
        assert_eq!(set.set("fuel=1"), Err(LimitError::Unknown("fuel".to_owned())));
        assert_eq!(set.set("memory"), Err(LimitError::Unknown("memory".to_owned())));
        assert!(serde_json::from_str::<LimitsConfig>(r#"{"handles": 0}"#).is_err());
    }
}
