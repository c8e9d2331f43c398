//! Flags and config to a [`Host`]: which plugins are loaded, and what each of them may do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use inorder::{Config, Host, PathGrant, PluginConfig, builtins, parse_bytes, parse_duration};

#[derive(clap::Args)]
#[command(next_help_heading = "What calls may do")]
pub struct HostArgs {
    /// A config file. Without it, `inorder.toml` in the current directory is used if there is one, and
    /// may grant what lies beneath that directory
    #[arg(long, value_name = "FILE", env = "INORDER_CONFIG")]
    config: Option<PathBuf>,
    /// A directory that calls see [default: the current one]. The first is `.` to them
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// A WASI component to load. It may do nothing that is not granted below
    #[arg(long, value_name = "FILE")]
    plugin: Vec<PathBuf>,
    /// What plugins may read: `**` (the whole root) or `dir/**`. Without it and without a config,
    /// built-in plugins may read the root
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_read: Vec<PathGrant>,
    /// What plugins may write (and read): `**` or `dir/**`
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_write: Vec<PathGrant>,
    /// Calls at once [default: four for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Wall clock of one call, as in 500ms, 30s, 2m [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Memory of one call, as in 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    memory: Option<u64>,
}

impl HostArgs {
    /// Reads the config, applies the flags on top, loads the plugins.
    pub fn host(&self) -> anyhow::Result<Host> {
        let mut builder = Host::builder().config(&self.policy()?);
        if let Some(dir) = cache_dir() {
            builder = builder.cache(dir);
        }
        Ok(builder.build()?)
    }

    fn policy(&self) -> anyhow::Result<Config> {
        let here = std::env::current_dir().context("the current directory cannot be found")?;
        let mut config = match &self.config {
            Some(path) => Config::named(path).map_err(inorder::Error::from)?,
            None => match Config::found(&here).map_err(inorder::Error::from)? {
                Some(config) => config,
                None => self.default_policy(&here),
            },
        };
        if !self.root.is_empty() {
            config.roots = self.root.iter().map(|root| here.join(root)).collect();
        }
        for path in &self.plugin {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let taken = config.plugins.contains_key(&name);
            let name = if taken { path.display().to_string() } else { name };
            let plugin = PluginConfig { path: Some(here.join(path)), ..Default::default() };
            config.plugins.insert(name, plugin);
        }
        for plugin in config.plugins.values_mut() {
            plugin.grants.read.extend(self.allow_read.iter().cloned());
            plugin.grants.write.extend(self.allow_write.iter().cloned());
            // What is said on the command line wins over every table of the config.
            plugin.limits.timeout = self.timeout.or(plugin.limits.timeout);
            plugin.limits.memory = self.memory.or(plugin.limits.memory);
        }
        config.jobs = self.jobs.map(usize::from).or(config.jobs);
        Ok(config)
    }

    /// Without a config: the built-in plugins, which may read the root unless the flags say what may be
    /// read.
    fn default_policy(&self, here: &Path) -> Config {
        let mut config = Config { base: here.to_owned(), ..Default::default() };
        for builtin in builtins() {
            let mut plugin = PluginConfig::default();
            if self.allow_read.is_empty() {
                plugin.grants.read.push(PathGrant::whole_root());
            }
            config.plugins.insert(builtin.name.to_owned(), plugin);
        }
        config
    }
}

/// Where compiled plugins are kept: `inorder` in the user's cache folder, if there is one.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(caches.join("inorder"))
}
