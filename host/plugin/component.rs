//! A plugin: one compiled component and the tools that it exports.
//!
//! Compiles and reads types; whether the host can satisfy its imports is `sandbox/`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use super::binary::BinaryError;
use super::cache::{Cache, hex};
use super::docs::Docs;
use super::shape::Budget;
use super::tool::{Tool, ToolName};

/// A component of so many bytes is compiled before anybody wonders.
const SOON: u64 = 1 << 20;

/// Exported functions that one plugin may have: each is listed, described and looked for.
const MOST_FUNCTIONS: usize = 1000;

/// One loaded component.
pub struct Plugin {
    pub name: String,
    pub component: Component,
    pub tools: Vec<Tool>,
    pub not_tools: Vec<NotATool>,
    /// Interfaces and functions that it imports, by their full names.
    pub imports: Vec<String>,
    /// SHA-256 of the component file, in hexadecimal.
    pub digest: String,
}

/// An exported function that cannot be called as a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotATool {
    /// With its interface: `test:types/things#[constructor]thing`.
    pub function: String,
    pub because: String,
}

/// What a component's imports ask for, in a user's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    Files,
    Network,
    Environment,
    StandardStreams,
    Clocks,
    Random,
}

#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    #[error(
        "it begins with a memory of {needs}, and no call may have more than {most}; if you trust it, raise `memory` in the limits of its \
         plugin, `--memory`, or `Limits::memory`"
    )]
    FirstMemory { needs: ByteSize, most: ByteSize },
    #[error(
        "compiling it takes longer than {}; if you trust it, raise `--compile-timeout` (`compile-timeout` in a config), or \
         `LoadLimits::timeout`",
        humantime::format_duration(*.0)
    )]
    Slow(Duration),
    #[error(
        "compiling it takes more than {0} of memory; if you trust it, raise `--compile-memory` (`compile-memory` in a config), or \
         `LoadLimits::memory`"
    )]
    Large(ByteSize),
    #[error("too many components are being compiled; try again when one is done")]
    Busy,
    #[error("the process that compiles it failed: {0}")]
    Helper(String),
    #[error(
        "it exports more than {MOST_FUNCTIONS} functions; leave out those that are not to be tools, or make two \
         components of it"
    )]
    ManyFunctions,
}

impl Plugin {
    /// Has a component compiled (about a second per megabyte and core), unless `cache` has it compiled
    /// already, and finds its tools. Whoever has locked `compiling` compiles.
    ///
    /// # Errors
    /// The engine refuses the component. What `check_binary` refuses is not told as well here.
    pub fn compile(
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        cache: Option<&Cache>,
        compiling: &Mutex<()>,
        compile: impl FnOnce() -> Result<Component, PluginError>,
    ) -> Result<Plugin, PluginError> {
        let digest = hex(&Sha256::digest(bytes));
        let kept = || cache.and_then(|cache| cache.load(engine, &digest));
        let make = || -> Result<Component, PluginError> {
            let _one = compiling.lock().unwrap_or_else(PoisonError::into_inner);
            // The same component may be loaded under another name meanwhile.
            if let Some(component) = kept() {
                return Ok(component);
            }
            let size = ByteSize(bytes.len() as u64);
            if size.0 > SOON {
                tracing::info!(target: "inorder::loading", "compiling {name} ({size}), which is kept");
            }
            let component = compile()?;
            if let Some(cache) = cache {
                cache.store(engine, &digest, &component);
            }
            Ok(component)
        };
        let component = kept().map_or_else(make, Ok)?;
        Plugin::of(engine, name, component, digest)
    }

    /// The plugin that is compiled already, and the tools that it has.
    ///
    /// # Errors
    /// It exports too much.
    pub fn of(
        engine: &Engine,
        name: &str,
        component: Component,
        digest: String,
    ) -> Result<Plugin, PluginError> {
        let mut found = Found {
            component: &component,
            budget: Budget::default(),
            functions: 0,
            tools: Vec::new(),
            not_tools: Vec::new(),
        };
        let ty = component.component_type();
        for (name, item) in ty.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => found.function(None, name, &function),
                ComponentItem::ComponentInstance(instance) => {
                    if let Some((_, index)) = component.get_export(None, name) {
                        found.interface(name, &index, &instance);
                    }
                }
                _ => {}
            }
        }
        if found.functions > MOST_FUNCTIONS {
            return Err(PluginError::ManyFunctions);
        }
        let Found { mut tools, mut not_tools, .. } = found;
        tell_apart(&mut tools, &mut not_tools);
        let imports = ty.imports(engine).filter(|(_, item)| !only_types(engine, &item.ty));
        let imports = imports.map(|(name, _)| name.to_owned()).collect();
        Ok(Plugin { name: name.to_owned(), component, tools, not_tools, imports, digest })
    }

    /// Takes over what `docs` say of the tools that they know, in place of what was known before.
    ///
    /// # Errors
    /// A tag that is wrong: of which function, and why.
    pub fn describe(&mut self, docs: &Docs) -> Result<(), String> {
        for tool in &mut self.tools {
            if let Some(docs) = docs.of(&tool.name) {
                tool.describe(docs)
                    .map_err(|message| format!("{}: {message}", tool.name.function))?;
            }
        }
        Ok(())
    }

    /// Whether it sends requests, if it may.
    pub fn imports_http(&self) -> bool {
        self.imports.iter().any(|import| import.starts_with("wasi:http/"))
    }

    /// What the imports ask for. Asking is not getting: grants decide.
    pub fn asks(&self) -> BTreeSet<Asks> {
        let ask = |import: &String| {
            let (package, interface) = import.split_once('/')?;
            Some(match package {
                "wasi:filesystem" => Asks::Files,
                "wasi:sockets" | "wasi:http" => Asks::Network,
                "wasi:cli" if interface.starts_with("environment") => Asks::Environment,
                "wasi:cli" if interface.starts_with("std") => Asks::StandardStreams,
                "wasi:clocks" => Asks::Clocks,
                "wasi:random" => Asks::Random,
                _ => return None,
            })
        };
        self.imports.iter().filter_map(ask).collect()
    }
}

impl Asks {
    pub fn as_str(self) -> &'static str {
        match self {
            Asks::Files => "files",
            Asks::Network => "network",
            Asks::Environment => "environment variables",
            Asks::StandardStreams => "standard input and output",
            Asks::Clocks => "clocks",
            Asks::Random => "random numbers",
        }
    }
}

struct Found<'c> {
    component: &'c Component,
    budget: Budget,
    functions: usize,
    tools: Vec<Tool>,
    not_tools: Vec<NotATool>,
}

impl Found<'_> {
    fn interface(
        &mut self,
        name: &str,
        index: &ComponentExportIndex,
        instance: &ComponentInstance,
    ) {
        let component = self.component;
        for (function, item) in instance.exports(component.engine()) {
            if self.functions > MOST_FUNCTIONS {
                return;
            }
            match item.ty {
                ComponentItem::ComponentFunc(ty) => {
                    self.function(Some((name, index)), function, &ty);
                }
                ComponentItem::ComponentInstance(_) => self.not_tools.push(NotATool {
                    function: format!("{name}#{function}"),
                    because: "it is an interface inside another one".to_owned(),
                }),
                _ => {}
            }
        }
    }

    fn function(
        &mut self,
        interface: Option<(&str, &ComponentExportIndex)>,
        function: &str,
        ty: &wasmtime::component::types::ComponentFunc,
    ) {
        self.functions += 1;
        if self.functions > MOST_FUNCTIONS {
            return;
        }
        let (instance, index) =
            (interface.map(|(name, _)| name), interface.map(|(_, index)| index));
        let tool = match self.component.get_export(index, function) {
            // `[method]thing.turn`, `[static]thing.count`: they belong to a resource.
            _ if function.starts_with('[') => {
                Err("it belongs to a resource, which cannot outlive a call".to_owned())
            }
            // Nothing that its author has made, or can do something about.
            _ if used_up(instance, function, ty) => return,
            Some((_, export)) => {
                Tool::new(ToolName::new(instance, function), ty, export, &mut self.budget)
            }
            None => Err("it cannot be found in the component".to_owned()),
        };
        match tool {
            Ok(tool) => self.tools.push(tool),
            Err(because) => {
                let function = match instance {
                    Some(instance) => format!("{instance}#{function}"),
                    None => function.to_owned(),
                };
                self.not_tools.push(NotATool { function, because });
            }
        }
    }
}

/// Whether it is the function that componentize-py or componentize-qjs has called to make its snapshot, and left there.
fn used_up(
    instance: Option<&str>,
    function: &str,
    ty: &wasmtime::component::types::ComponentFunc,
) -> bool {
    let takes = |names: &[&str]| ty.params().map(|(name, _)| name).eq(names.iter().copied());
    match (instance, function) {
        (Some("exports"), "init") => takes(&["app-name", "symbols", "stub-wasi"]),
        (None, "init") => takes(&["shim", "script", "entry-path", "disable-gc"]),
        _ => false,
    }
}

/// Whether an import is types alone, which nobody needs to offer.
fn only_types(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, item)| only_types(engine, &item.ty))
        }
        _ => false,
    }
}

/// Functions of one name from two interfaces get their interface's name in front.
fn tell_apart(tools: &mut Vec<Tool>, not_tools: &mut Vec<NotATool>) {
    let clashes = |tools: &[Tool]| -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let again = tools.iter().filter(|tool| !seen.insert(tool.name.call.as_str()));
        again.map(|tool| tool.name.call.clone()).collect()
    };
    let twice = clashes(tools);
    for tool in tools.iter_mut().filter(|tool| twice.contains(&tool.name.call)) {
        if let Some(interface) = tool.name.short_interface() {
            tool.name.call = format!("{}_{}", super::names::snake_case(interface), tool.name.call);
        }
    }
    let twice = clashes(tools);
    tools.retain(|tool| {
        let clash = twice.contains(&tool.name.call);
        if clash {
            let interface = tool.name.interface.as_deref().unwrap_or_default();
            not_tools.push(NotATool {
                function: format!("{interface}#{}", tool.name.function),
                because: format!("another function of this plugin is {:?} too", tool.name.call),
            });
        }
        !clash
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_component_that_is_loaded_under_two_names_at_once_is_compiled_once() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("made")).unwrap();
        let engine = Engine::default();
        let bytes = wat::parse_str("(component)").unwrap();
        let (compiling, both) = (Mutex::default(), Barrier::new(2));
        let compiled = AtomicUsize::new(0);
        let load = |name: &str| {
            both.wait();
            Plugin::compile(&engine, name, &bytes, Some(&cache), &compiling, || {
                compiled.fetch_add(1, Ordering::Relaxed);
                // Long enough for the other to have looked in the cache.
                std::thread::sleep(Duration::from_millis(200));
                Ok(Component::from_binary(&engine, &bytes).unwrap())
            })
            .unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(|| load("one"));
            load("two");
        });
        assert_eq!(compiled.into_inner(), 1);
    }
}
