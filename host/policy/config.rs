//! The config file, `inorder.toml`: text to checked values.
//!
//! An unknown field, a wrong type or a grant that cannot be enforced is an error that names the place.
//!
//! A config that was merely *found* in the working directory may have come with a stranger's
//! repository. It can grant what lies beneath its own directory and nothing else; for more it must be
//! named on the command line, by the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::grants::{EnvGrant, GrantError, Grants, PathGrant};
use super::limits::LimitsConfig;

/// A checked config. Paths in it are relative to `base`, the directory that the file is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub base: PathBuf,
    /// Host directories that calls see; the first is the guests' `.`. Empty: `base` alone.
    pub roots: Vec<PathBuf>,
    pub jobs: Option<usize>,
    pub limits: LimitsConfig,
    /// By name. When a config is used, no plugin is loaded that it does not name.
    pub plugins: BTreeMap<String, PluginConfig>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginConfig {
    /// A component file; absent for the built-in of that name.
    pub path: Option<PathBuf>,
    /// Put before each of the plugin's tool names.
    pub prefix: String,
    pub grants: Grants,
    pub limits: LimitsConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the config {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("the config {} is wrong: {message}", path.display())]
    Wrong { path: PathBuf, message: String },
    #[error("the config {}: plugin {plugin:?}: {error}", path.display())]
    Grant { path: PathBuf, plugin: String, error: GrantError },
    #[error(
        "the config {} was found, not named, and wants {wants}, which is outside its own directory; if \
         you trust it, name it: --config {}", path.display(), path.display()
    )]
    Reaches { path: PathBuf, wants: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    roots: Vec<PathBuf>,
    jobs: Option<std::num::NonZeroUsize>,
    #[serde(default)]
    limits: LimitsConfig,
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
    limits: LimitsConfig,
}

impl Config {
    /// Reads a config that the user named: it may grant anything.
    pub fn named(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Config::parse(&text, path)
    }

    /// Reads `inorder.toml` in `dir`, if there is one: it may grant what lies beneath `dir`.
    pub fn found(dir: &Path) -> Result<Option<Config>, ConfigError> {
        let path = dir.join("inorder.toml");
        if !path.is_file() {
            return Ok(None);
        }
        let config = Config::named(&path)?;
        config.stays_inside(&path)?;
        Ok(Some(config))
    }

    /// Checks `text`; `path` is where it came from, for messages and relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let wrong = |message: String| ConfigError::Wrong { path: path.to_owned(), message };
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let base = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut plugins = BTreeMap::new();
        for (name, table) in file.plugins {
            let grants = table.grants().map_err(|error| ConfigError::Grant {
                path: path.to_owned(),
                plugin: name.clone(),
                error,
            })?;
            if !table.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                let prefix = &table.prefix;
                return Err(wrong(format!(
                    "plugin {name:?}: the prefix {prefix:?} may hold letters, digits and `_` alone"
                )));
            }
            let PluginTable { path, prefix, limits, .. } = table;
            plugins.insert(name, PluginConfig { path, prefix, grants, limits });
        }
        let jobs = file.jobs.map(usize::from);
        Ok(Config { base, roots: file.roots, jobs, limits: file.limits, plugins })
    }

    fn stays_inside(&self, path: &Path) -> Result<(), ConfigError> {
        let reaches = |wants: String| ConfigError::Reaches { path: path.to_owned(), wants };
        // Symlinks count: a repository can carry one that points anywhere.
        let inside = |target: &Path| {
            let (base, target) = (self.base.canonicalize(), self.base.join(target).canonicalize());
            // What does not exist grants nothing, and is reported where it is opened.
            target.is_err() || base.is_ok_and(|base| target.is_ok_and(|it| it.starts_with(base)))
        };
        if let Some(root) = self.roots.iter().find(|root| !inside(root)) {
            return Err(reaches(format!("the root {}", root.display())));
        }
        for (name, plugin) in &self.plugins {
            if let Some(file) = plugin.path.iter().find(|file| !inside(file)) {
                return Err(reaches(format!("plugin {name:?} to be {}", file.display())));
            }
            for grant in &plugin.grants.env {
                if let EnvGrant::Pass(variable) = grant {
                    return Err(reaches(format!("the variable {variable} for plugin {name:?}")));
                }
            }
        }
        Ok(())
    }
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
            [limits]
            timeout = "5s"
            [plugins.filesystem]
            read = ["**"]
            write = ["docs/**"]
            [plugins.mine]
            path = "mine.wasm"
            prefix = "my_"
            env = ["LANG", "MODE=fast"]
            limits = { memory = "64MiB" }
            "#,
        )
        .unwrap();
        assert_eq!(config.base, Path::new("dir"));
        assert_eq!(config.plugins["filesystem"].grants.write[0].dir(), Path::new("docs"));
        assert_eq!(config.plugins["mine"].limits.memory, Some(64 << 20));
        assert_eq!(config.plugins["mine"].grants.env.len(), 2);
    }

    #[test]
    fn nothing_in_a_config_is_ignored() {
        for (text, names) in [
            ("rots = []", "rots"),
            ("[limits]\ntimeouts = \"1s\"", "timeouts"),
            ("[limits]\ntimeout = \"1\"", "is not a time"),
            ("[limits]\nmemory = \"0\"", "is zero"),
            ("jobs = 0", "nonzero"),
            ("[plugins.a]\nwirte = []", "wirte"),
            ("[plugins.a]\nread = [\"src/*.rs\"]", "src/*.rs"),
            ("[plugins.a]\nprefix = \"a-\"", "a-"),
            ("[plugins.a]\nlimits = { fuel = 1 }", "fuel"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(names), "{text}: {error}");
        }
    }

    #[test]
    fn a_config_that_was_only_found_reaches_nothing_outside_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let found = |text: &str| {
            std::fs::write(dir.path().join("inorder.toml"), text).unwrap();
            Config::found(dir.path()).map(|_| ()).map_err(|error| error.to_string())
        };
        std::fs::create_dir(dir.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        assert_eq!(found("roots = [\".\", \"inside\"]"), Ok(()));
        assert_eq!(found("[plugins.a]\nenv = [\"A=b\"]"), Ok(()));
        for outside in [
            "roots = [\"/\"]",
            "roots = [\"..\"]",
            "roots = [\"link\"]",
            "[plugins.a]\npath = \"/bin/sh\"",
            "[plugins.a]\nenv = [\"HOME\"]",
        ] {
            let error = found(outside).unwrap_err();
            assert!(error.contains("was found, not named"), "{outside}: {error}");
            assert!(Config::named(&dir.path().join("inorder.toml")).is_ok(), "{outside}");
        }
    }
}
