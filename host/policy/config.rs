//! The config file, `inorder.toml`: text to checked values.
//!
//! An unknown field, a wrong type or a grant that cannot be enforced is an error that names the place.
//!
//! A config is used only when it is named. One that merely lies in the working directory may have come
//! with a stranger's repository, and a policy is the user's to give.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::batch::{LimitsConfig, bytes, duration};

use super::ask::AskRule;
use super::grants::{EnvGrant, GrantError, Grants, PathGrant};
use super::graphql::GraphqlEndpoint;
use super::hosts::NetGrant;
use super::secrets::{SecretConfig, SecretError, SecretTable};

/// A checked config. Paths in it are relative to `base`, the directory that the file is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where it was read from, if it was: no plugin may write there.
    pub path: Option<PathBuf>,
    pub base: PathBuf,
    /// Host directories that calls see; the first is the guests' `.`. Empty: `base` alone.
    pub roots: Vec<PathBuf>,
    pub jobs: Option<usize>,
    /// Bytes of memory that all calls hold together.
    pub max_memory: Option<u64>,
    /// Calls that may be here without having ended.
    pub max_waiting: Option<usize>,
    /// Bytes of a component file.
    pub component_size: Option<u64>,
    /// Wall clock of compiling a component.
    pub compile_timeout: Option<Duration>,
    /// Bytes of memory of compiling a component.
    pub compile_memory: Option<u64>,
    /// Commits wait for the disk.
    pub durable: bool,
    /// Where the audit log is kept, if it says so.
    pub audit: Option<AuditConfig>,
    /// What is asked about before it becomes real, whichever plugin does it.
    pub ask: Vec<AskRule>,
    pub limits: LimitsConfig,
    /// By name, for plugins that list them.
    pub secrets: BTreeMap<String, SecretConfig>,
    /// By name. When a config is used, no plugin is loaded that it does not name.
    pub plugins: BTreeMap<String, PluginConfig>,
}

/// `audit = false`, or `audit = "a file"`, relative to the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditConfig {
    Off,
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AuditConfig {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<AuditConfig, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected `false`, or the path of a file")]
        enum Written {
            Kept(bool),
            File(PathBuf),
        }
        match Written::deserialize(from)? {
            Written::Kept(false) => Ok(AuditConfig::Off),
            Written::Kept(true) => Err(serde::de::Error::custom(
                "`audit = true` says nothing, as a log is kept unless it is `false`; write the path of a file to keep it \
                 there",
            )),
            Written::File(path) => Ok(AuditConfig::File(path)),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginConfig {
    /// A component file; absent for the built-in of that name.
    pub path: Option<PathBuf>,
    /// Put before each of the plugin's tool names.
    pub prefix: String,
    pub grants: Grants,
    /// What is asked about of this plugin's doings, besides what is of every plugin's.
    pub ask: Vec<AskRule>,
    pub limits: LimitsConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the config {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("the config {} is wrong: {message}", path.display())]
    Wrong { path: PathBuf, message: String },
    #[error("the config {}: `ask`: {error}", path.display())]
    Ask { path: PathBuf, error: GrantError },
    #[error("the config {}: plugin {plugin:?}: {error}", path.display())]
    Grant { path: PathBuf, plugin: String, error: GrantError },
    #[error("the config {}: secret {secret:?}: {error}", path.display())]
    Secret { path: PathBuf, secret: String, error: SecretError },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    roots: Vec<PathBuf>,
    jobs: Option<std::num::NonZeroUsize>,
    #[serde(default, rename = "max-memory", deserialize_with = "bytes")]
    max_memory: Option<u64>,
    #[serde(rename = "max-waiting")]
    max_waiting: Option<std::num::NonZeroUsize>,
    #[serde(default, rename = "component-size", deserialize_with = "bytes")]
    component_size: Option<u64>,
    #[serde(default, rename = "compile-timeout", deserialize_with = "duration")]
    compile_timeout: Option<Duration>,
    #[serde(default, rename = "compile-memory", deserialize_with = "bytes")]
    compile_memory: Option<u64>,
    #[serde(default)]
    durable: bool,
    audit: Option<AuditConfig>,
    #[serde(default)]
    ask: Vec<String>,
    #[serde(default)]
    limits: LimitsConfig,
    #[serde(default)]
    secrets: BTreeMap<String, SecretTable>,
    #[serde(default)]
    plugins: BTreeMap<String, PluginTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginTable {
    path: Option<PathBuf>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    net: Vec<String>,
    #[serde(default)]
    graphql: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    ask: Vec<String>,
    #[serde(default)]
    limits: LimitsConfig,
}

impl Config {
    /// Reads the config that the user named.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Config::parse(&text, path)
    }

    /// Checks `text`; `path` is where it came from, for messages and relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let wrong = |message: String| ConfigError::Wrong { path: path.to_owned(), message };
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let base = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let ask =
            rules(&file.ask).map_err(|error| ConfigError::Ask { path: path.to_owned(), error })?;
        let mut secrets = BTreeMap::new();
        for (name, table) in file.secrets {
            let secret = table.check(&name).map_err(|error| ConfigError::Secret {
                path: path.to_owned(),
                secret: name.clone(),
                error,
            })?;
            secrets.insert(name, secret);
        }
        let mut plugins = BTreeMap::new();
        for (name, table) in file.plugins {
            let wrong_grant =
                |error| ConfigError::Grant { path: path.to_owned(), plugin: name.clone(), error };
            let grants = table.grants().map_err(wrong_grant)?;
            let ask = rules(&table.ask).map_err(wrong_grant)?;
            if !table.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                let prefix = &table.prefix;
                return Err(wrong(format!(
                    "plugin {name:?}: the prefix {prefix:?} may hold letters, digits and `_` alone"
                )));
            }
            let PluginTable { path, prefix, limits, .. } = table;
            plugins.insert(name, PluginConfig { path, prefix, grants, ask, limits });
        }
        let jobs = file.jobs.map(usize::from);
        let path = Some(path.to_owned());
        Ok(Config {
            path,
            base,
            roots: file.roots,
            jobs,
            max_memory: file.max_memory,
            max_waiting: file.max_waiting.map(usize::from),
            component_size: file.component_size,
            compile_timeout: file.compile_timeout,
            compile_memory: file.compile_memory,
            durable: file.durable,
            audit: file.audit,
            ask,
            limits: file.limits,
            secrets,
            plugins,
        })
    }
}

fn rules(texts: &[String]) -> Result<Vec<AskRule>, GrantError> {
    texts.iter().map(|text| AskRule::parse(text)).collect()
}

impl PluginTable {
    fn grants(&self) -> Result<Grants, GrantError> {
        let paths = |patterns: &[String]| {
            patterns.iter().map(|it| PathGrant::parse(it)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Grants {
            read: paths(&self.read)?,
            write: paths(&self.write)?,
            env: self.env.iter().map(|it| EnvGrant::parse(it)).collect::<Result<_, _>>()?,
            net: self.net.iter().map(|it| NetGrant::parse(it)).collect::<Result<_, _>>()?,
            graphql: self
                .graphql
                .iter()
                .map(|it| GraphqlEndpoint::parse(it))
                .collect::<Result<_, _>>()?,
            secrets: self.secrets.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("dir/inorder.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_config_is_read() {
        let config = parse(
            r#"
            roots = ["."]
            jobs = 4
            max-memory = "1GiB"
            max-waiting = 50
            component-size = "10MiB"
            compile-timeout = "1m"
            compile-memory = "1GiB"
            audit = "log/audit.jsonl"
            ask = ["write:docs/**"]
            [limits]
            timeout = "5s"
            [secrets]
            linear = { host = "api.linear.app", header = "Authorization", prefix = "Bearer ", from-env = "KEY" }
            [plugins.filesystem]
            read = ["**"]
            write = ["docs/**"]
            [plugins.mine]
            path = "mine.wasm"
            prefix = "my_"
            env = ["LANG", "MODE=fast"]
            net = ["api.linear.app", "*.example.org:8443"]
            graphql = ["api.linear.app/graphql"]
            secrets = ["linear"]
            ask = ["net", "write"]
            limits = { memory = "64MiB" }
            "#,
        )
        .unwrap();
        assert_eq!(config.base, Path::new("dir"));
        assert_eq!(config.audit, Some(AuditConfig::File("log/audit.jsonl".into())));
        assert_eq!(parse("audit = false").unwrap().audit, Some(AuditConfig::Off));
        assert_eq!((config.max_memory, config.max_waiting), (Some(1 << 30), Some(50)));
        assert_eq!((config.component_size, config.compile_memory), (Some(10 << 20), Some(1 << 30)));
        assert_eq!(config.compile_timeout, Some(Duration::from_secs(60)));
        assert_eq!(config.plugins["filesystem"].grants.write[0].pattern(), "docs/**");
        assert_eq!(config.plugins["mine"].limits.memory, Some(64 << 20));
        assert_eq!(config.plugins["mine"].grants.env.len(), 2);
        assert_eq!(config.plugins["mine"].grants.net[1].pattern(), "*.example.org:8443");
        let texts =
            |rules: &[AskRule]| rules.iter().map(|it| it.text().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(&config.ask), ["write:docs/**"]);
        assert_eq!(texts(&config.plugins["mine"].ask), ["net", "write"]);
        let graphql = &config.plugins["mine"].grants.graphql;
        assert_eq!(graphql[0].pattern(), "api.linear.app/graphql");
        assert_eq!(config.plugins["mine"].grants.secrets, ["linear"]);
        assert_eq!(config.secrets["linear"].header, "authorization");
    }

    #[test]
    fn nothing_in_a_config_is_ignored() {
        for (text, names) in [
            ("rots = []", "rots"),
            ("[limits]\ntimeouts = \"1s\"", "timeouts"),
            ("[limits]\ntimeout = \"1\"", "is not a time"),
            ("[limits]\nmemory = \"0\"", "is zero"),
            ("jobs = 0", "nonzero"),
            ("max-memory = 0", "is zero"),
            ("max-waiting = 0", "nonzero"),
            ("audit = true", "says nothing"),
            ("audit = 1", "path of a file"),
            ("max_waiting = 1", "max_waiting"),
            ("component-size = 0", "is zero"),
            ("compile-timeout = \"1\"", "is not a time"),
            ("compile-memory = \"much\"", "is not a size"),
            ("[plugins.a]\nwirte = []", "wirte"),
            ("[plugins.a]\nread = [\"src/**.rs\"]", "src/**.rs"),
            ("[plugins.a]\nwrite = [\"../x\"]", "../x"),
            ("[plugins.a]\nnet = [\"https://a.org\"]", "https://a.org"),
            ("ask = [\"read\"]", "reads are never asked about"),
            ("ask = \"write\"", "ask"),
            ("[plugins.a]\nask = [\"net:a/b\"]", "net:a/b"),
            ("[plugins.a]\nask = [\"write:**.md\"]", "whole components"),
            ("[plugins.a]\ngraphql = [\"a.org\"]", "a path is missing"),
            (
                "[secrets]\nx = { host = \"a.org\", header = \"A\" }",
                "`from-env`, `from-file` or `from-keyring`",
            ),
            ("[secrets]\nx = { host = \"*.a.org\", header = \"A\", from-env = \"E\" }", "one host"),
            (
                "[secrets]\nx = { host = \"a.org\", header = \"Host\", from-env = \"E\" }",
                "the header",
            ),
            ("[secrets]\nx = { host = \"a.org\", header = \"A\", value = \"E\" }", "value"),
            (
                "[secrets]\n\"x y\" = { host = \"a.org\", header = \"A\", from-env = \"E\" }",
                "not a name",
            ),
            ("[plugins.a]\nprefix = \"a-\"", "a-"),
            ("[plugins.a]\nlimits = { fuel = 1 }", "fuel"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(names), "{text}: {error}");
        }
    }
}
