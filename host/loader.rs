//! From a plugin's source to a compiled plugin with descriptions: what is read, in which order, within which limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytesize::ByteSize;

use crate::builder::{PluginSpec, Source};
use crate::error::Error;
use crate::plugin::{
    BinaryError, Cache, Docs, LoadLimits, Plugin, PluginError, Seen, Stamp, Wit, builtins,
    check_binary, compile, first_memory,
};
use crate::sandbox::{Engine, Flavor};
use crate::worker::Order;

pub(crate) struct Loader<'h> {
    pub(crate) engine: &'h Engine,
    pub(crate) cache: Option<Cache>,
    pub(crate) limits: &'h LoadLimits,
    pub(crate) compiler: Option<&'h (PathBuf, Vec<String>)>,
    /// What `engine` was made with.
    pub(crate) jobs: usize,
    pub(crate) memory: u64,
    /// Compilations take all processors, and memory up to their limit: one at a time, when several plugins are loaded at once.
    pub(crate) compiling: Mutex<()>,
}

/// A component file as a plugin.
struct Opened {
    plugin: Plugin,
    flavor: Flavor,
    /// The section of it that has its WIT.
    packed: Option<Vec<u8>>,
}

impl Loader<'_> {
    /// A loaded plugin and the engine that it needs.
    pub(crate) fn load(&self, spec: &PluginSpec) -> Result<(Plugin, Flavor), Error> {
        match &spec.source {
            Source::Bytes(bytes) => {
                let (mut plugin, flavor) = self.compile(spec, bytes)?;
                describe_from_within(&mut plugin, Wit::section_of(bytes), Path::new(&spec.name))?;
                Ok((plugin, flavor))
            }
            Source::File(path) => {
                let Opened { mut plugin, flavor, packed } = self.open(spec, path)?;
                let wit = path.with_extension("wit");
                if wit.is_file() {
                    let failed = |error| Error::Read { path: wit.clone(), error };
                    let text = std::fs::read_to_string(&wit).map_err(failed)?;
                    describe(&mut plugin, &wit, &text)?;
                } else {
                    describe_from_within(&mut plugin, packed.as_deref(), path)?;
                }
                Ok((plugin, flavor))
            }
            Source::Builtin => {
                let Some(builtin) = builtins().iter().find(|builtin| builtin.name == spec.name)
                else {
                    let known: Vec<&str> = builtins().iter().map(|builtin| builtin.name).collect();
                    let (name, known) = (spec.name.clone(), known.join(", "));
                    return Err(Error::UnknownBuiltin { name, known });
                };
                let (mut plugin, flavor) = self.compile(spec, builtin.component)?;
                let wit = PathBuf::from(format!("wit/{}.wit", builtin.name));
                describe(&mut plugin, &wit, builtin.wit)?;
                Ok((plugin, flavor))
            }
        }
    }

    /// A component file, which is not read if it is known what it holds.
    fn open(&self, spec: &PluginSpec, path: &Path) -> Result<Opened, Error> {
        let failed = |error| Error::Read { path: path.to_owned(), error };
        // Whatever else it is, it might never end.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let began = SystemTime::now();
        let mut file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        self.check_size(spec, found.len())?;
        let stamp = Stamp::of(&found);
        if let Some(opened) = self.recall(spec, &stamp)? {
            return Ok(opened);
        }
        let mut bytes = Vec::with_capacity(found.len().try_into().unwrap_or(0));
        file.by_ref()
            .take(self.limits.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let (plugin, flavor) = self.compile(spec, &bytes)?;
        let packed = Wit::section_of(&bytes).map(<[u8]>::to_vec);
        let after = file.metadata().map_err(failed)?;
        if let Some(cache) = self.cache.as_ref().filter(|_| Stamp::of(&after) == stamp) {
            // One that is not text is told of at each start.
            if let Ok(wit) = packed.clone().map(String::from_utf8).transpose() {
                let concurrent = flavor == Flavor::Concurrent;
                let seen = Seen { digest: plugin.digest.clone(), concurrent, wit };
                cache.remember(&stamp, began, &seen);
            }
        }
        Ok(Opened { plugin, flavor, packed })
    }

    /// What a file holds that was loaded before and has not changed, if it is kept compiled.
    fn recall(&self, spec: &PluginSpec, stamp: &Stamp) -> Result<Option<Opened>, Error> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let Some(Seen { digest, concurrent, wit }) = cache.seen(stamp) else { return Ok(None) };
        let flavor = if concurrent { Flavor::Concurrent } else { Flavor::Plain };
        let engine = self.engine.flavor(flavor)?;
        let Some(component) = cache.load(engine, &digest) else { return Ok(None) };
        let plugin = Plugin::of(engine, &spec.name, component, digest)
            .map_err(|error| cannot_load(spec, error))?;
        Ok(Some(Opened { plugin, flavor, packed: wit.map(String::into_bytes) }))
    }

    fn check_size(&self, spec: &PluginSpec, size: u64) -> Result<(), Error> {
        // What is built in is trusted already.
        if matches!(spec.source, Source::Builtin) || size <= self.limits.size {
            return Ok(());
        }
        let error = BinaryError::TooLarge { most: ByteSize(self.limits.size) };
        Err(cannot_load(spec, error.into()))
    }

    /// Compiles for the plain engine, or for the other one what only that can run.
    fn compile(&self, spec: &PluginSpec, bytes: &[u8]) -> Result<(Plugin, Flavor), Error> {
        self.check_size(spec, bytes.len() as u64)?;
        check_binary(bytes).map_err(|error| cannot_load(spec, error.into()))?;
        match self.compile_for(Flavor::Plain, spec, bytes) {
            Err(Error::Plugin { error: PluginError::Compile(_), .. }) => {
                let compiled = self.compile_for(Flavor::Concurrent, spec, bytes);
                compiled.map_err(|error| match (first_memory(bytes), self.engine.first_memory()) {
                    (needs, most) if needs > most => {
                        let (needs, most) = (ByteSize(needs), ByteSize(most));
                        cannot_load(spec, PluginError::FirstMemory { needs, most })
                    }
                    _ => error,
                })
            }
            compiled => compiled,
        }
    }

    fn compile_for(
        &self,
        flavor: Flavor,
        spec: &PluginSpec,
        bytes: &[u8],
    ) -> Result<(Plugin, Flavor), Error> {
        let engine = self.engine.flavor(flavor)?;
        // Our own components are known to be harmless.
        let compiler = self.compiler.filter(|_| !matches!(spec.source, Source::Builtin));
        let helper = compiler.map(|(program, args)| {
            let order = Order { flavor, jobs: self.jobs, memory: self.memory };
            order.helper(program.clone(), args, self.limits)
        });
        let compile = || compile(engine, bytes, self.limits, helper.as_ref());
        Plugin::compile(engine, &spec.name, bytes, self.cache.as_ref(), &self.compiling, compile)
            .map(|plugin| (plugin, flavor))
            .map_err(|error| cannot_load(spec, error))
    }
}

/// What `open` makes of each plugin, in their order and up to the first that fails, by as many threads as there are
/// processors: a start waits for it.
pub(crate) fn at_once<T: Send>(
    specs: &[PluginSpec],
    open: impl Fn(&PluginSpec) -> Result<T, Error> + Sync,
) -> Vec<Result<T, Error>> {
    let opened = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(spec) = specs.get(at) else { return };
            let result = open(spec);
            if result.is_err() {
                // Those before it are under way; those after it are not wanted any more.
                next.store(specs.len(), Ordering::Relaxed);
            }
            opened.lock().unwrap_or_else(PoisonError::into_inner).insert(at, result);
        }
    };
    let others = std::thread::available_parallelism().map_or(1, NonZero::get).min(specs.len());
    std::thread::scope(|scope| {
        for _ in 1..others {
            // Without another thread this one does it all.
            let _ = std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let opened = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    opened.into_values().collect()
}

fn cannot_load(spec: &PluginSpec, error: PluginError) -> Error {
    Error::Plugin { plugin: spec.source.describe(&spec.name), error }
}

fn describe(plugin: &mut Plugin, wit: &Path, text: &str) -> Result<(), Error> {
    let failed = |message| Error::Wit { path: wit.to_owned(), message };
    let name = wit.to_string_lossy();
    let docs = Docs::parse([(&*name, text)]).map_err(failed)?;
    plugin.describe(&docs).map_err(failed)
}

/// Descriptions that cannot be read are no reason not to run; tags that are wrong are.
fn describe_from_within(
    plugin: &mut Plugin,
    packed: Option<&[u8]>,
    path: &Path,
) -> Result<(), Error> {
    match packed.map(Wit::from_section) {
        None => Ok(()),
        Some(Ok(wit)) => plugin
            .describe(&wit.docs())
            .map_err(|message| Error::Wit { path: path.to_owned(), message }),
        Some(Err(error)) => {
            tracing::warn!(plugin = plugin.name, %error, "the WIT packed in a plugin cannot be read");
            Ok(())
        }
    }
}
