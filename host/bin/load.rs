//! Flags and config to a [`Host`]: which plugins are loaded, and what each of them may do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::print::{dim, say};
use anyhow::{Context as _, bail};
use inorder::{
    Config, Host, HostBuilder, LoadLimits, PathGrant, PluginConfig, builtins, parse_bytes,
    parse_duration, parse_memory,
};

#[derive(clap::Args)]
#[command(next_help_heading = "What calls may do")]
pub struct HostArgs {
    /// A config file; see the README. With it, only the plugins that it names are loaded
    #[arg(long, value_name = "FILE", env = "INORDER_CONFIG")]
    config: Option<PathBuf>,
    /// A directory that calls see [default: the current one]. The first is `.` to them
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// A WASI component to load. With a name, `db=FILE`, its tools are called `db_..`. It may do nothing
    /// that is not granted below
    #[arg(long, value_name = "[NAME=]FILE", value_parser = PluginFlag::parse)]
    plugin: Vec<PluginFlag>,
    /// What plugins may read: `**` (all of the root), `dir/**` (what is in it), `*.md`, `src/**/*.rs`, or one
    /// path. Without it and without a config, built-in plugins may read the root
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_read: Vec<PathGrant>,
    /// What plugins may write (and read), written likewise
    #[arg(long, value_name = "GLOB", value_parser = PathGrant::parse)]
    allow_write: Vec<PathGrant>,
    /// Calls at once [default: four for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Wall clock of one call, as in 500ms, 30s, 2m [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Memory of one call, as in 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    #[command(flatten)]
    load: LoadArgs,
}

/// What a component may cost before it is trusted with anything.
#[derive(clap::Args)]
#[command(next_help_heading = "What loading a plugin may cost")]
pub struct LoadArgs {
    /// Size of a component file [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    component_size: Option<u64>,
    /// Wall clock of compiling it [default: 120s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    compile_timeout: Option<Duration>,
    /// Memory of compiling it [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    compile_memory: Option<u64>,
}

impl LoadArgs {
    /// A builder that keeps what it compiles, and has it compiled by a process of its own.
    pub fn builder(&self) -> HostBuilder {
        let default = LoadLimits::default();
        let limits = LoadLimits {
            size: self.component_size.unwrap_or(default.size),
            timeout: self.compile_timeout.unwrap_or(default.timeout),
            memory: self.compile_memory.unwrap_or(default.memory),
        };
        // This very program, even if another was installed in its place meanwhile.
        let builder = Host::builder().load_limits(limits).compiler("/proc/self/exe", &["compile"]);
        match cache_dir() {
            Some(dir) => builder.cache(dir),
            None => builder,
        }
    }
}

/// `FILE`, named like it; or `NAME=FILE`, with the name before those of its tools.
#[derive(Clone)]
struct PluginFlag {
    name: String,
    prefix: String,
    path: PathBuf,
}

impl PluginFlag {
    fn parse(text: &str) -> Result<PluginFlag, std::convert::Infallible> {
        let word = |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        Ok(match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && word(name) => {
                PluginFlag { name: name.to_owned(), prefix: format!("{name}_"), path: path.into() }
            }
            _ => {
                let path = PathBuf::from(text);
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                PluginFlag { name, prefix: String::new(), path }
            }
        })
    }
}

impl HostArgs {
    /// Reads the config, applies the flags on top, loads the plugins.
    pub fn host(&self) -> anyhow::Result<Host> {
        Ok(self.load.builder().config(&self.policy()?).build()?)
    }

    fn policy(&self) -> anyhow::Result<Config> {
        let here = std::env::current_dir().context("the current directory cannot be found")?;
        let mut config = match &self.config {
            Some(path) => Config::read(path).map_err(inorder::Error::from)?,
            None => {
                // It may have come with a stranger's repository: using it is the user's to say.
                if here.join("inorder.toml").exists() {
                    say(dim("note: inorder.toml is not used unless named: --config inorder.toml"));
                }
                self.default_policy(&here)
            }
        };
        if !self.root.is_empty() {
            config.roots = self.root.iter().map(|root| here.join(root)).collect();
        }
        for PluginFlag { name, prefix, path } in &self.plugin {
            let path = Some(here.join(path));
            let plugin = PluginConfig { path, prefix: prefix.clone(), ..Default::default() };
            let same = |other: &PluginConfig| {
                (&other.path, &other.prefix) == (&plugin.path, &plugin.prefix)
            };
            match config.plugins.get(name) {
                Some(other) if same(other) => {}
                Some(_) => bail!(
                    "two plugins are named {name:?}; give one of them another name, which is also put \
                     before its tools' names: --plugin other={}",
                    plugin.path.unwrap_or_default().display()
                ),
                None => drop(config.plugins.insert(name.clone(), plugin)),
            }
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
fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(caches.join("inorder"))
}
