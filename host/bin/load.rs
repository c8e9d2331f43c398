//! Flags and config to a [`Host`]: which plugins are loaded, and what each of them may do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::compile::NAME;
use crate::print::{dim, say};
use crate::standard;
use anyhow::{Context as _, bail};
use inorder::{
    AskRule, AuditConfig, AuditFile, AuditSink as _, Config, Host, HostBuilder, LimitError,
    LimitsConfig, LoadLimits, NetGrant, PathGrant, PluginConfig, SecretSource, builtins,
    parse_bytes, parse_duration, parse_memory,
};

#[derive(Clone, clap::Args)]
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
    /// Hosts that plugins may send requests to: `api.example.org`, `*.example.org:8443`, `10.0.0.0/8`, `localhost:3000`
    #[arg(long, value_name = "HOST", value_parser = NetGrant::parse)]
    allow_net: Vec<NetGrant>,
    /// What is asked about before it becomes real: `write` (changes of files, shown as a diff), `write:dir/**`, `net`
    /// (requests that may change something) or `net:HOST`. Where there is nobody to ask, it is refused
    #[arg(long, value_name = "RULE", value_parser = AskRule::parse)]
    ask: Vec<AskRule>,
    /// Calls at once [default: four for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Memory that all calls hold together, as in 2GiB [default: half of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_memory: Option<u64>,
    /// Calls that may be handed in without having ended; more are refused as `busy`, but never so few that `--jobs` do
    /// not run [default: 100000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_waiting: Option<u32>,
    /// A limit of each call, as in staged=1GiB: timeout, memory, args, result, output, handles, staged, net, random
    /// or copies; see the README
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit)]
    limit: Vec<LimitsConfig>,
    /// Wall clock of one call, as in 500ms, 30s, 2m [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Memory of one call, as in 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    #[command(flatten)]
    load: LoadArgs,
    /// Notes have been given.
    #[arg(skip)]
    quiet: bool,
}

/// What a component may cost before it is trusted with anything.
#[derive(Clone, clap::Args)]
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
        let builder = Host::builder().load_limits(limits).compiler("/proc/self/exe", &[NAME]);
        match cache_dir() {
            Some(dir) => builder.cache(dir),
            None => builder,
        }
    }
}

/// Where a record of every call is kept.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Audit log")]
pub struct AuditArgs {
    /// A file for the records of calls, one JSON line each [default: inorder/audit.jsonl in the user's state folder]
    #[arg(long, value_name = "FILE", conflicts_with = "no_audit")]
    audit: Option<PathBuf>,
    /// Keep no records
    #[arg(long)]
    no_audit: bool,
    /// Keep the arguments of calls too, not only their digest
    #[arg(long)]
    audit_arguments: bool,
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
    pub fn load(&self) -> &LoadArgs {
        &self.load
    }

    /// Calls see this directory, unless a flag or a config says which.
    pub fn root_unless_given(&mut self, root: &Path) {
        if self.root.is_empty() && self.config.is_none() {
            self.root.push(root.to_owned());
        }
    }

    /// The same, for another time: what was noted is not said again.
    pub fn again(&self) -> HostArgs {
        HostArgs { quiet: true, ..self.clone() }
    }

    /// The same, and a plugin of this file.
    pub fn with_plugin(&self, file: &Path) -> HostArgs {
        let mut args = self.clone();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        args.plugin.push(PluginFlag { name, prefix: String::new(), path: file.to_owned() });
        args
    }

    /// Reads the config, applies the flags on top, loads the plugins.
    pub fn host(&self) -> anyhow::Result<Host> {
        self.load.builder().config(&self.policy()?).build().map_err(standard::explain)
    }

    /// [`HostArgs::host`], to look at and not to run anything: no secret is read, which whoever looks may not have.
    pub fn host_to_look_at(&self) -> anyhow::Result<Host> {
        let mut config = self.policy()?;
        for secret in config.secrets.values_mut() {
            secret.source = SecretSource::Value("not read".to_owned());
        }
        self.load.builder().config(&config).build().map_err(standard::explain)
    }

    /// [`HostArgs::host`], with a record kept of every call.
    pub fn audited_host(&self, audit: &AuditArgs) -> anyhow::Result<Host> {
        self.audited_builder(audit)?.build().map_err(standard::explain)
    }

    /// What [`HostArgs::audited_host`] builds.
    pub fn audited_builder(&self, audit: &AuditArgs) -> anyhow::Result<HostBuilder> {
        let config = self.policy()?;
        let mut builder = self.load.builder().config(&config);
        builder = builder.audit_arguments(audit.audit_arguments);
        if let Some(log) = audit.log(&config, &builder) {
            builder = builder.audit(log);
        }
        Ok(builder)
    }

    fn policy(&self) -> anyhow::Result<Config> {
        let here = std::env::current_dir().context("the current directory cannot be found")?;
        let mut config = match &self.config {
            Some(path) => {
                let config = Config::read(path).map_err(inorder::Error::from)?;
                if !self.quiet && config.plugins.is_empty() && self.plugin.is_empty() {
                    let path = path.display();
                    say(dim(format!(
                        "note: {path} names no plugin, so that there are no tools; [plugins.filesystem] adds those for files"
                    )));
                }
                config
            }
            None => {
                // It may have come with a stranger's repository: using it is the user's to say.
                if !self.quiet && here.join("inorder.toml").exists() {
                    say(dim("note: inorder.toml is not used unless named: --config inorder.toml"));
                }
                self.default_policy(&here)?
            }
        };
        if !self.root.is_empty() {
            config.roots = self.root.iter().map(|root| here.join(root)).collect();
        }
        for PluginFlag { name, prefix, path } in &self.plugin {
            let path = Some(here.join(path));
            let plugin = PluginConfig { path, prefix: prefix.clone(), ..Default::default() };
            let file = |plugin: &PluginConfig| {
                let path = config.base.join(plugin.path.as_ref()?);
                Some(path.canonicalize().unwrap_or(path))
            };
            let same = |other: &PluginConfig| {
                (file(other), &other.prefix) == (file(&plugin), &plugin.prefix)
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
        if let Some(twice) = self.given_twice() {
            bail!("{twice} is given twice: by --{twice} and by --limit {twice}=..");
        }
        if !self.quiet {
            self.hint_at_folders(&config);
            self.hint_at_roots(&config);
        }
        let limits =
            LimitsConfig { timeout: self.timeout, memory: self.memory, ..LimitsConfig::default() };
        let limits = self.limit.iter().rev().fold(limits, |limits, later| limits.or(later));
        for plugin in config.plugins.values_mut() {
            plugin.grants.read.extend(self.allow_read.iter().cloned());
            plugin.grants.write.extend(self.allow_write.iter().cloned());
            plugin.grants.net.extend(self.allow_net.iter().cloned());
            // What is said on the command line wins over every table of the config.
            plugin.limits = limits.or(&plugin.limits);
        }
        config.ask.extend(self.ask.iter().cloned());
        config.jobs = self.jobs.map(usize::from).or(config.jobs);
        config.max_memory = self.max_memory.or(config.max_memory);
        config.max_waiting = self.max_waiting.map(|it| it as usize).or(config.max_waiting);
        config.component_size = self.load.component_size.or(config.component_size);
        config.compile_timeout = self.load.compile_timeout.or(config.compile_timeout);
        config.compile_memory = self.load.compile_memory.or(config.compile_memory);
        Ok(config)
    }

    fn given_twice(&self) -> Option<&'static str> {
        let limited = |is: fn(&LimitsConfig) -> bool| self.limit.iter().any(is);
        if self.timeout.is_some() && limited(|it| it.timeout.is_some()) {
            return Some("timeout");
        }
        (self.memory.is_some() && limited(|it| it.memory.is_some())).then_some("memory")
    }

    /// Whoever grants a folder by its name mostly means what is in it.
    fn hint_at_folders(&self, config: &Config) {
        for grant in self.allow_read.iter().chain(&self.allow_write) {
            let pattern = grant.pattern();
            let mut roots = config.roots.iter().map(PathBuf::as_path).chain([Path::new("")]);
            let named = pattern != "." && !pattern.contains(['*', '?', '[', '{', '\\']);
            if named && roots.any(|root| root.join(&pattern).is_dir()) {
                say(dim(format!(
                    "note: {pattern:?} is a directory: that grants its name, and nothing in it; write '{pattern}/**'"
                )));
            }
        }
    }

    /// Whoever gives several directories mostly means that calls see all of them.
    fn hint_at_roots(&self, config: &Config) {
        let grants =
            config.plugins.values().flat_map(|it| it.grants.read.iter().chain(&it.grants.write));
        let grants = grants.chain(&self.allow_read).chain(&self.allow_write);
        let patterns: Vec<String> = grants.map(PathGrant::pattern).collect();
        for root in config.roots.iter().skip(1) {
            let root = config.base.join(root);
            let Ok(root) = root.canonicalize() else { continue };
            if !patterns.iter().any(|it| Path::new(it).starts_with(&root)) {
                let root = root.display();
                say(dim(format!(
                    "note: nothing is granted in the root {root}, since grants without a `/` in front are of the first one: \
                     --allow-read '{root}/**'"
                )));
            }
        }
    }

    /// Without a config: the built-in plugins, but for those in whose place the flags put another. They may
    /// read what each is for, unless the flags say what may be read.
    fn default_policy(&self, here: &Path) -> anyhow::Result<Config> {
        let mut config = Config { base: here.to_owned(), ..Default::default() };
        for builtin in builtins() {
            if self.plugin.iter().any(|flag| flag.name == builtin.name) {
                continue;
            }
            let mut plugin = PluginConfig::default();
            if self.allow_read.is_empty() {
                for pattern in builtin.reads {
                    plugin.grants.read.push(PathGrant::parse(pattern)?);
                }
            }
            config.plugins.insert(builtin.name.to_owned(), plugin);
        }
        Ok(config)
    }
}

/// One limit, from a flag.
fn limit(text: &str) -> Result<LimitsConfig, LimitError> {
    let mut limits = LimitsConfig::default();
    limits.set(text).map(|()| limits)
}

impl AuditArgs {
    fn log(&self, config: &Config, builder: &HostBuilder) -> Option<AuditFile> {
        match (&self.audit, &config.audit) {
            _ if self.no_audit => None,
            (Some(path), _) => Some(AuditFile::new(path)),
            (None, Some(AuditConfig::Off)) => None,
            (None, Some(AuditConfig::File(path))) => Some(AuditFile::new(config.base.join(path))),
            (None, None) => {
                let state = state_dir()?;
                let log = AuditFile::new(state.join("audit.jsonl"));
                // Nobody asked for this place, so it is no reason not to run.
                let writable = log.files().iter().find_map(|file| builder.who_may_write(file));
                let Some((plugin, grant)) = writable else { return Some(log) };
                tracing::warn!(
                    log = %log.path().display(), plugin, grant,
                    "no audit log is kept, since a plugin may write where it is: name another place with --audit"
                );
                None
            }
        }
    }
}

/// Where compiled plugins are kept: `inorder` in the user's cache folder, if there is one.
fn cache_dir() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// Where records are kept that nobody named a place for, if there is one.
pub fn state_dir() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

/// Our folder in one of the user's: that of the variable, or its usual place at home.
fn folder(variable: &str, at_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = set(variable).or_else(|| Some(set("HOME")?.join(at_home)))?;
    Some(folder.join("inorder"))
}
