//! [`HostBuilder`]: roots, plugins, grants and limits wired into a [`Host`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::files::{Durability, Files, Roots, Scope};
use crate::host::Host;
use crate::loader::Loader;
use crate::plugin::{Cache, LoadLimits, Registry};
use crate::policy::{Config, EnvGrant, Grants, Limits, LimitsConfig, PathGrant};
use crate::sandbox::{Engine, Sandbox};

/// Settings of a [`Host`]. Defaults are closed:
///
/// - no plugins, not even built-in ones; no roots;
/// - a plugin reads, writes and sees nothing but what its [`Grants`] name;
/// - [`Limits::default`] for every call, [`LoadLimits::default`] for every component;
/// - four calls at once for each core;
/// - what a batch commits outlives a kill of the host, not a loss of power;
/// - nothing is kept on disk but that: see [`HostBuilder::cache`].
#[derive(Clone, Debug)]
pub struct HostBuilder {
    roots: Vec<PathBuf>,
    plugins: Vec<PluginSpec>,
    limits: Limits,
    jobs: usize,
    cache: Option<PathBuf>,
    loading: LoadLimits,
    compiler: Option<(PathBuf, Vec<String>)>,
    config: Option<PathBuf>,
    durability: Durability,
}

/// A plugin to load.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    pub name: String,
    pub source: Source,
    /// Put before each of its tool names, so that two plugins may have tools of one name.
    pub prefix: String,
    pub grants: Grants,
    /// Wins over the host's limits.
    pub limits: LimitsConfig,
}

/// Where a component comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The built-in of the plugin's name.
    Builtin,
    /// A file. The WIT that is packed in it, or that in a `.wit` of the same name beside it, if there is one,
    /// gives its tools their descriptions and says what they touch.
    File(PathBuf),
    /// A component; likewise, with the WIT that is packed in it.
    Bytes(Vec<u8>),
}

impl Default for HostBuilder {
    fn default() -> HostBuilder {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        HostBuilder {
            roots: vec![],
            plugins: vec![],
            limits: Limits::default(),
            jobs: 4 * cores,
            cache: None,
            loading: LoadLimits::default(),
            compiler: None,
            config: None,
            durability: Durability::Kill,
        }
    }
}

impl PluginSpec {
    /// The plugin of a file, named like it.
    pub fn file(path: impl Into<PathBuf>, grants: Grants) -> PluginSpec {
        let path = path.into();
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        PluginSpec::new(name, Source::File(path), grants)
    }

    pub fn builtin(name: &str, grants: Grants) -> PluginSpec {
        PluginSpec::new(name, Source::Builtin, grants)
    }

    pub fn new(name: impl Into<String>, source: Source, grants: Grants) -> PluginSpec {
        let (prefix, limits) = (String::new(), LimitsConfig::default());
        PluginSpec { name: name.into(), source, prefix, grants, limits }
    }
}

impl HostBuilder {
    /// Adds a directory that calls may see. The first one is the guests' `.`.
    #[must_use]
    pub fn root(mut self, path: impl Into<PathBuf>) -> HostBuilder {
        self.roots.push(path.into());
        self
    }

    #[must_use]
    pub fn plugin(mut self, plugin: PluginSpec) -> HostBuilder {
        self.plugins.push(plugin);
        self
    }

    /// Limits of every call, where its plugin has none of its own.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> HostBuilder {
        self.limits = limits;
        self
    }

    /// How many calls run at once, over all batches of the host; at least 1.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> HostBuilder {
        self.jobs = jobs.max(1);
        self
    }

    /// Commits wait for the disk, so that they outlive a loss of power; without it, they outlive a kill.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> HostBuilder {
        self.durability = if durable { Durability::PowerLoss } else { Durability::Kill };
        self
    }

    /// A folder, closed to other users, that keeps compiled plugins between starts.
    #[must_use]
    pub fn cache(mut self, dir: impl Into<PathBuf>) -> HostBuilder {
        self.cache = Some(dir.into());
        self
    }

    /// What a component may cost before anything of it runs.
    #[must_use]
    pub fn load_limits(mut self, limits: LoadLimits) -> HostBuilder {
        self.loading = limits;
        self
    }

    /// A program that compiles components in a process of its own, whose memory is limited and which is killed when
    /// its time is up. With `args` and some more it does what [`crate::compile_as_helper`] does; it must be built
    /// with this very crate. Without one, a component that takes too long is given up, but its thread goes on,
    /// and its memory is not bounded.
    #[must_use]
    pub fn compiler(mut self, program: impl Into<PathBuf>, args: &[&str]) -> HostBuilder {
        self.compiler = Some((program.into(), args.iter().map(|&it| it.to_owned()).collect()));
        self
    }

    /// Takes over roots, plugins, limits and jobs of a config.
    #[must_use]
    pub fn config(mut self, config: &Config) -> HostBuilder {
        let roots: &[PathBuf] = match config.roots.as_slice() {
            [] => &[PathBuf::from(".")],
            roots => roots,
        };
        self.roots.extend(roots.iter().map(|root| config.base.join(root)));
        self.config.clone_from(&config.path);
        self.limits = config.limits.over(&self.limits);
        self.jobs = config.jobs.unwrap_or(self.jobs);
        if config.durable {
            self = self.durable(true);
        }
        for (name, plugin) in &config.plugins {
            let source = match &plugin.path {
                Some(path) => Source::File(config.base.join(path)),
                None => Source::Builtin,
            };
            let mut spec = PluginSpec::new(name, source, plugin.grants.clone());
            spec.prefix.clone_from(&plugin.prefix);
            spec.limits.clone_from(&plugin.limits);
            self.plugins.push(spec);
        }
        self
    }

    /// Opens the roots, compiles and links the plugins. Blocks for the compilation: about a second per
    /// megabyte of component and core, where no cache has it.
    ///
    /// # Errors
    /// The first root, plugin or grant that cannot be used; the message names it.
    pub fn build(self) -> Result<Host, Error> {
        let files = Files::open(&self.roots, self.durability)?;
        let limits = |spec: &PluginSpec| spec.limits.over(&self.limits);
        let memory = self.plugins.iter().map(|spec| limits(spec).memory).max();
        let memory = memory.unwrap_or(self.limits.memory);
        let engine = Engine::new(self.jobs, memory)?;
        self.no_plugin_writes_the_config(files.roots())?;
        let loader = Loader {
            engine: &engine,
            cache: self.cache.as_deref().and_then(open_cache),
            limits: &self.loading,
            compiler: self.compiler.as_ref(),
            jobs: self.jobs,
            memory,
        };
        let mut registry = Registry::default();
        let mut sandboxes = Vec::with_capacity(self.plugins.len());
        for spec in &self.plugins {
            let (plugin, flavor) = loader.load(spec)?;
            let plugin = Arc::new(plugin);
            let scope = Scope::new(files.roots(), &spec.grants)?;
            let env = variables(&spec.grants.env);
            let sandbox = Sandbox::new(plugin.clone(), flavor, Arc::new(scope), env, limits(spec))
                .map_err(|error| Error::Link { plugin: spec.source.describe(&spec.name), error })?;
            registry.add(plugin, &spec.prefix)?;
            sandboxes.push(sandbox);
        }
        Ok(Host::new(engine, registry, sandboxes, files, self.jobs))
    }
}

impl HostBuilder {
    /// A tool that could write the config could widen its own grants.
    fn no_plugin_writes_the_config(&self, roots: &Roots) -> Result<(), Error> {
        let Some(config) = self.config.as_ref().and_then(|path| path.canonicalize().ok()) else {
            return Ok(());
        };
        let roots: Vec<&Path> = roots.paths().collect();
        for spec in &self.plugins {
            let mut write = spec.grants.write.iter();
            if let Some(grant) = write.find(|it| could_replace(it, &roots, &config)) {
                let (plugin, grant) = (spec.name.clone(), grant.pattern());
                return Err(Error::WritableConfig { config, plugin, grant });
            }
        }
        Ok(())
    }
}

/// Whether a grant to write matches `file`, an absolute path without symlinks, or a directory above it:
/// what may be written may be moved away, and something else put in its place.
fn could_replace(grant: &PathGrant, roots: &[&Path], file: &Path) -> bool {
    // Relative grants are in the first root.
    let roots = if grant.is_absolute() { roots } else { &roots[..roots.len().min(1)] };
    roots.iter().any(|root| {
        let Some(pattern) = grant.beneath(root) else { return false };
        let matches = |path: &Path| path.to_str().is_some_and(|path| pattern.matches(path));
        let base = root.join(pattern.base());
        let above = |path: &Path| path.ancestors().any(matches);
        file.strip_prefix(root).is_ok_and(above)
            // The base may be reached by a symlink.
            || base.canonicalize().is_ok_and(|real| {
                let inside = file.strip_prefix(real).map(|it| Path::new(pattern.base()).join(it));
                inside.is_ok_and(|path| above(&path))
            })
    })
}

impl Source {
    pub(crate) fn describe(&self, name: &str) -> String {
        match self {
            Source::Builtin => format!("the built-in plugin {name:?}"),
            Source::File(path) => path.display().to_string(),
            Source::Bytes(_) => format!("the plugin {name:?}"),
        }
    }
}

/// A cache that cannot be used costs time, not results.
fn open_cache(dir: &Path) -> Option<Cache> {
    Cache::open(dir)
        .inspect_err(|error| tracing::warn!(%error, "compiled plugins cannot be kept"))
        .ok()
}

/// The variables of a plugin. One to pass on that the host does not have stays unset.
fn variables(grants: &[EnvGrant]) -> Vec<(String, String)> {
    let variable = |grant: &EnvGrant| match grant {
        EnvGrant::Set(name, value) => Some((name.clone(), value.clone())),
        EnvGrant::Pass(name) => Some((name.clone(), std::env::var(name).ok()?)),
    };
    grants.iter().filter_map(variable).collect()
}
