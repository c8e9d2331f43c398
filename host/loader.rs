//! From a plugin's source to a compiled plugin with descriptions: what is read, in which order, within which limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytesize::ByteSize;

use crate::builder::{PluginSpec, Source};
use crate::error::Error;
use crate::plugin::{
    BinaryError, Cache, Docs, LoadLimits, Plugin, PluginError, Wit, builtins, check_binary, compile,
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

impl Loader<'_> {
    /// A loaded plugin and the engine that it needs.
    pub(crate) fn load(&self, spec: &PluginSpec) -> Result<(Plugin, Flavor), Error> {
        match &spec.source {
            Source::Bytes(bytes) => {
                let (mut plugin, flavor) = self.compile(spec, bytes)?;
                describe_from_within(&mut plugin, bytes, Path::new(&spec.name))?;
                Ok((plugin, flavor))
            }
            Source::File(path) => {
                let bytes = self.read(spec, path)?;
                let (mut plugin, flavor) = self.compile(spec, &bytes)?;
                let wit = path.with_extension("wit");
                if wit.is_file() {
                    let failed = |error| Error::Read { path: wit.clone(), error };
                    let text = std::fs::read_to_string(&wit).map_err(failed)?;
                    describe(&mut plugin, &wit, &text)?;
                } else {
                    describe_from_within(&mut plugin, &bytes, path)?;
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

    fn read(&self, spec: &PluginSpec, path: &Path) -> Result<Vec<u8>, Error> {
        let failed = |error| Error::Read { path: path.to_owned(), error };
        // Whatever else it is, it might never end.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        let most = self.limits.size.saturating_add(1);
        File::open(path).and_then(|it| it.take(most).read_to_end(&mut bytes)).map_err(failed)?;
        self.check_size(spec, &bytes)?;
        Ok(bytes)
    }

    fn check_size(&self, spec: &PluginSpec, bytes: &[u8]) -> Result<(), Error> {
        // What is built in is trusted already.
        if matches!(spec.source, Source::Builtin) || bytes.len() as u64 <= self.limits.size {
            return Ok(());
        }
        let error = BinaryError::TooLarge { most: ByteSize(self.limits.size) };
        Err(cannot_load(spec, error.into()))
    }

    /// Compiles for the plain engine, or for the other one what only that can run.
    fn compile(&self, spec: &PluginSpec, bytes: &[u8]) -> Result<(Plugin, Flavor), Error> {
        self.check_size(spec, bytes)?;
        check_binary(bytes).map_err(|error| cannot_load(spec, error.into()))?;
        match self.compile_for(Flavor::Plain, spec, bytes) {
            // That it is invalid is said best by the engine that most components are for.
            Err(error @ Error::Plugin { error: PluginError::Compile(_), .. }) => {
                self.compile_for(Flavor::Concurrent, spec, bytes).map_err(|_| error)
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
fn describe_from_within(plugin: &mut Plugin, bytes: &[u8], path: &Path) -> Result<(), Error> {
    match Wit::packed_in(bytes) {
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
