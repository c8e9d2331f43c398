//! A plugin: one compiled component and the tools that it exports.
//!
//! Compiles and reads types; whether the host can satisfy its imports is `sandbox/`.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use super::binary::BinaryError;
use super::cache::Cache;
use super::docs::Docs;
use super::shape::Budget;
use super::tool::{Tool, ToolName};

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
}

impl Plugin {
    /// Compiles a component (about a second per megabyte and core), unless `cache` has it compiled
    /// already, and finds its tools.
    ///
    /// # Errors
    /// The engine refuses the component. What `check_binary` refuses is not told as well here.
    pub fn compile(
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        cache: Option<&Cache>,
    ) -> Result<Plugin, PluginError> {
        let component = match cache.and_then(|cache| cache.load(engine, bytes)) {
            Some(component) => component,
            None => {
                let component = translate(engine, bytes)?;
                if let Some(cache) = cache {
                    cache.store(engine, bytes, &component);
                }
                component
            }
        };
        let mut found = Found {
            component: &component,
            budget: Budget::default(),
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
        let Found { mut tools, mut not_tools, .. } = found;
        tell_apart(&mut tools, &mut not_tools);
        let imports = ty.imports(engine).filter(|(_, item)| !only_types(engine, &item.ty));
        let imports = imports.map(|(name, _)| name.to_owned()).collect();
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
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

/// A stranger's bytes must not end the process, not even by a fault of the compiler's.
fn translate(engine: &Engine, bytes: &[u8]) -> Result<Component, PluginError> {
    // What a panic may have left behind in the engine are parts of this component, which nobody uses.
    let compile = std::panic::AssertUnwindSafe(|| Component::from_binary(engine, bytes));
    std::panic::catch_unwind(compile)
        .map_err(|_| PluginError::Compile("the compiler panicked".to_owned()))?
        .map_err(|error| PluginError::Compile(error.root_cause().to_string()))
}

struct Found<'c> {
    component: &'c Component,
    budget: Budget,
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
        let (instance, index) =
            (interface.map(|(name, _)| name), interface.map(|(_, index)| index));
        let tool = match self.component.get_export(index, function) {
            // `[method]thing.turn`, `[static]thing.count`: they belong to a resource.
            _ if function.starts_with('[') => {
                Err("it belongs to a resource, which cannot outlive a call".to_owned())
            }
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
