//! A plugin made ready to run: linked once, with its grants opened and its limits set.

use std::sync::Arc;

use wasmtime::component::InstancePre;

use crate::files::Scope;
use crate::net::PluginNet;
use crate::plugin::Plugin;
use crate::policy::Limits;

use super::engine::{Flavor, MEMORIES};
use super::linker::{Http, linker};
use super::state::State;

pub struct Sandbox {
    pub(super) pre: InstancePre<State>,
    pub(super) flavor: Flavor,
    pub(super) plugin: Arc<Plugin>,
    pub(super) scope: Arc<Scope>,
    pub(super) env: Vec<(String, String)>,
    pub(super) limits: Limits,
    net: Option<Arc<PluginNet>>,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(
        "it imports {import}, which this host does not offer; it offers WASI 0.2: wasi:cli, \
         wasi:clocks, wasi:filesystem, wasi:http (outgoing), wasi:io, wasi:random and (closed) wasi:sockets, and inorder:tool 0.1"
    )]
    UnknownImport { import: String },
    #[error("its imports do not fit: {0}")]
    Mismatch(String),
    #[error("it has {0} linear memories; at most {MEMORIES} are supported")]
    Memories(u32),
}

impl Sandbox {
    /// Links `plugin`. Without `net` it finds no `wasi:http`.
    ///
    /// # Errors
    /// An import that the host does not offer, or a component that could never be instantiated.
    pub fn new(
        plugin: Arc<Plugin>,
        flavor: Flavor,
        scope: Arc<Scope>,
        env: Vec<(String, String)>,
        limits: Limits,
        net: Option<Arc<PluginNet>>,
    ) -> Result<Sandbox, LinkError> {
        let mismatch = |error: wasmtime::Error| LinkError::Mismatch(format!("{error:#}"));
        let http = if net.is_some() { Http::Offered } else { Http::Left };
        let linker = linker(plugin.component.engine(), http).map_err(mismatch)?;
        if let Some(import) = plugin.imports.iter().find(|import| !offered(import)) {
            return Err(LinkError::UnknownImport { import: import.clone() });
        }
        let pre = linker.instantiate_pre(&plugin.component).map_err(mismatch)?;
        if let Some(needs) = plugin.component.resources_required()
            && needs.num_memories > MEMORIES
        {
            return Err(LinkError::Memories(needs.num_memories));
        }
        Ok(Sandbox { pre, flavor, plugin, scope, env, limits, net })
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it may request, if it asks for that at all.
    pub fn net(&self) -> Option<&Arc<PluginNet>> {
        self.net.as_ref()
    }

    /// What its calls may reach.
    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }
}

/// Whether an import is of a package that the linker holds.
fn offered(import: &str) -> bool {
    const WASI: [&str; 7] = [
        "wasi:cli",
        "wasi:clocks",
        "wasi:filesystem",
        "wasi:http",
        "wasi:io",
        "wasi:random",
        "wasi:sockets",
    ];
    let Some((package, interface)) = import.split_once('/') else { return false };
    let version = interface.split_once('@').map(|(_, version)| version);
    if package == "inorder:tool" {
        return version.is_some_and(|version| version.starts_with("0.1."));
    }
    WASI.contains(&package) && version.unwrap_or("0.2").starts_with("0.2")
}
