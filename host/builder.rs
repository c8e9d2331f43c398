//! [`HostBuilder`]: roots, plugins, grants and limits wired into a [`Host`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use crate::asking::Asks;
use crate::audit::{AuditSink, Trail};
use crate::batch::LimitsConfig;
use crate::error::Error;
use crate::files::{Durability, Files, Scope};
use crate::host::Host;
use crate::loader::{Loader, at_once};
use crate::net::{Client, NetOptions};
use crate::plugin::{Cache, LoadLimits, Registry};
use crate::policy::{AskRule, Config, EnvGrant, Grants, Limits, SecretConfig, SecretSource};
use crate::reload::{Fixed, Ground};
use crate::sandbox::{Engine, Sandbox};
use crate::schedule::Admission;
use crate::secrets;

/// Settings of a [`Host`]. Defaults are closed:
///
/// - no plugins, not even built-in ones; no roots;
/// - a plugin reads, writes, requests and sees nothing but what its [`Grants`] name;
/// - [`Limits::default`] for every call, [`LoadLimits::default`] for every component;
/// - four calls at once for each core, 100,000 calls that have not ended, and together half of the machine's memory;
/// - what a batch commits outlives a kill of the host, not a loss of power;
/// - nothing is kept on disk but that: see [`HostBuilder::cache`] and [`HostBuilder::audit`].
#[derive(Clone, Debug)]
pub struct HostBuilder {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) plugins: Vec<PluginSpec>,
    ask: Vec<AskRule>,
    limits: Limits,
    jobs: usize,
    max_memory: Option<u64>,
    max_waiting: usize,
    workers: Option<Handle>,
    cache: Option<PathBuf>,
    loading: LoadLimits,
    compiler: Option<(PathBuf, Vec<String>)>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) audit: Option<Arc<dyn AuditSink>>,
    audit_arguments: bool,
    durability: Durability,
    net: NetOptions,
    pub(crate) secrets: BTreeMap<String, SecretConfig>,
}

/// A plugin to load.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    pub name: String,
    pub source: Source,
    /// Put before each of its tool names, so that two plugins may have tools of one name.
    pub prefix: String,
    pub grants: Grants,
    /// What is asked about before it becomes real, besides what is asked about of every plugin.
    pub ask: Vec<AskRule>,
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
            ask: vec![],
            limits: Limits::default(),
            jobs: 4 * cores,
            max_memory: None,
            max_waiting: 100_000,
            workers: None,
            cache: None,
            loading: LoadLimits::default(),
            compiler: None,
            config: None,
            audit: None,
            audit_arguments: false,
            durability: Durability::Kill,
            net: NetOptions::default(),
            secrets: BTreeMap::new(),
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
        let (prefix, ask, limits) = (String::new(), vec![], LimitsConfig::default());
        PluginSpec { name: name.into(), source, prefix, grants, ask, limits }
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

    /// Has somebody asked before what the rule names becomes real, whichever plugin does it: the
    /// [`Approver`](crate::Approver) of a run. Nothing is asked about by default.
    #[must_use]
    pub fn ask(mut self, rule: AskRule) -> HostBuilder {
        self.ask.push(rule);
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

    /// Memory that all calls hold together, over all batches of the host, in bytes: a growth that would pass it is
    /// refused. Half of the machine's (or the container's) by default.
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> HostBuilder {
        self.max_memory = Some(bytes);
        self
    }

    /// Calls that may have been handed in and not ended, over all batches and sessions of the host: beyond it, a batch
    /// or a loose call ends as `busy` at once. A tenant may always have as many as there is room for. 100,000 by default.
    #[must_use]
    pub fn max_waiting(mut self, calls: usize) -> HostBuilder {
        self.max_waiting = calls;
        self
    }

    /// A runtime for calls that are not alone, or that compute: those that are short and alone run where they are awaited. By
    /// default all run on the runtime that awaits them. For a program whose own tasks are not to wait for guests, nor guests for
    /// them.
    #[must_use]
    pub fn workers(mut self, workers: Handle) -> HostBuilder {
        self.workers = Some(workers);
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

    /// Keeps a record of every call: an [`AuditFile`](crate::AuditFile), or a sink of one's own. None by default.
    #[must_use]
    pub fn audit(mut self, sink: impl AuditSink + 'static) -> HostBuilder {
        self.audit = Some(Arc::new(sink));
        self
    }

    /// Records hold the arguments of calls, not only their digest.
    #[must_use]
    pub fn audit_arguments(mut self, keep: bool) -> HostBuilder {
        self.audit_arguments = keep;
        self
    }

    /// How requests of plugins reach servers: who looks up names, which certificates are believed, how long is waited.
    #[must_use]
    pub fn net(mut self, options: NetOptions) -> HostBuilder {
        self.net = options;
        self
    }

    /// A secret that goes with the requests of plugins that list its name in their [`Grants`].
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, secret: SecretConfig) -> HostBuilder {
        self.secrets.insert(name.into(), secret);
        self
    }

    /// Takes over what a config says, but for its audit log.
    #[must_use]
    pub fn config(mut self, config: &Config) -> HostBuilder {
        let roots: &[PathBuf] = match config.roots.as_slice() {
            [] => &[PathBuf::from(".")],
            roots => roots,
        };
        self.roots.extend(roots.iter().map(|root| config.base.join(root)));
        self.config.clone_from(&config.path);
        self.ask.extend(config.ask.iter().cloned());
        self.limits = self.limits.with(&config.limits);
        self.jobs = config.jobs.unwrap_or(self.jobs);
        self.max_memory = config.max_memory.or(self.max_memory);
        self.max_waiting = config.max_waiting.unwrap_or(self.max_waiting);
        let loading = &mut self.loading;
        loading.size = config.component_size.unwrap_or(loading.size);
        loading.timeout = config.compile_timeout.unwrap_or(loading.timeout);
        loading.memory = config.compile_memory.unwrap_or(loading.memory);
        if config.durable {
            self = self.durable(true);
        }
        for (name, secret) in &config.secrets {
            let mut secret = secret.clone();
            if let SecretSource::File(path) = &mut secret.source {
                *path = config.base.join(&*path);
            }
            self.secrets.insert(name.clone(), secret);
        }
        for (name, plugin) in &config.plugins {
            let source = match &plugin.path {
                Some(path) => Source::File(config.base.join(path)),
                None => Source::Builtin,
            };
            let mut spec = PluginSpec::new(name, source, plugin.grants.clone());
            spec.prefix.clone_from(&plugin.prefix);
            spec.ask.clone_from(&plugin.ask);
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
        let most = self.max_memory.unwrap_or_else(default_memory);
        let engine = Arc::new(Engine::new(self.jobs, self.most_memory(), most)?);
        let room = Admission::new(self.jobs, self.max_waiting);
        self.load(Ground { engine, files, room })
    }

    /// What cannot change afterwards.
    pub(crate) fn fixed(&self) -> Fixed {
        let HostBuilder { jobs, max_memory, max_waiting, durability, .. } = *self;
        Fixed { jobs, max_memory, max_waiting, durability }
    }

    /// The most memory that a call may have.
    pub(crate) fn most_memory(&self) -> u64 {
        let memory = self.plugins.iter().map(|spec| self.limits.with(&spec.limits).memory).max();
        memory.unwrap_or(self.limits.memory)
    }

    /// Loads the plugins for an engine, and grants them what there is of the files.
    pub(crate) fn load(self, ground: Ground) -> Result<Host, Error> {
        let Ground { engine, files, room } = ground;
        let limits = |spec: &PluginSpec| self.limits.with(&spec.limits);
        self.no_plugin_writes_the_config()?;
        self.no_plugin_writes_the_audit_log()?;
        let loader = Loader {
            engine: &engine,
            cache: self.cache.as_deref().and_then(open_cache),
            limits: &self.loading,
            compiler: self.compiler.as_ref(),
            jobs: self.jobs,
            memory: engine.memory(),
            compiling: Mutex::default(),
        };
        let secrets = secrets::open(&self)?;
        let client = Arc::new(Client::new(self.net.clone()));
        let mut registry = Registry::default();
        let open = |spec: &PluginSpec| {
            let (plugin, flavor) = loader.load(spec)?;
            let plugin = Arc::new(plugin);
            let scope = Scope::new(files.roots(), &spec.grants)?;
            let rules = Asks::new(files.roots(), &spec.name, &self.ask, &spec.ask)?;
            let env = variables(&spec.grants.env);
            let net = secrets::plugin_net(spec, &plugin, &secrets, &client)?;
            let (scope, limits) = (Arc::new(scope), limits(spec));
            let sandbox = Sandbox::new(plugin.clone(), flavor, scope, env, limits, net)
                .map_err(|error| Error::Link { plugin: spec.source.describe(&spec.name), error })?;
            Ok((plugin, sandbox, rules))
        };
        let mut sandboxes = Vec::with_capacity(self.plugins.len());
        for (spec, opened) in self.plugins.iter().zip(at_once(&self.plugins, open)) {
            let (plugin, sandbox, rules) = opened?;
            registry.add(plugin, &spec.prefix)?;
            sandboxes.push((sandbox, Arc::new(rules)));
        }
        let fixed = self.fixed();
        let trail = self.audit.map(|sink| Trail::new(sink, self.audit_arguments));
        Ok(Host::new(engine, registry, sandboxes, files, room, trail, (fixed, self.workers)))
    }
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
        .inspect_err(
            |error| tracing::warn!(dir = %dir.display(), %error, "compiled plugins cannot be kept"),
        )
        .ok()
}

/// Half of the memory that there is for us: of the machine's, or of the container's where that is less.
fn default_memory() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = u64::from(machine.mem_unit).saturating_mul(machine.totalram);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|most| most.trim().parse().ok());
    container.map_or(machine, |most| machine.min(most)) / 2
}

/// The variables of a plugin. One to pass on that the host does not have stays unset.
fn variables(grants: &[EnvGrant]) -> Vec<(String, String)> {
    let variable = |grant: &EnvGrant| match grant {
        EnvGrant::Set(name, value) => Some((name.clone(), value.clone())),
        EnvGrant::Pass(name) => Some((name.clone(), std::env::var(name).ok()?)),
    };
    grants.iter().filter_map(variable).collect()
}
