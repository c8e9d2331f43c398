//! All tools by the names that calls use. Frozen once made.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::similar;
use super::component::Plugin;
use super::tool::Tool;

/// The loaded plugins and an index of their tools.
#[derive(Default)]
pub struct Registry {
    plugins: Vec<Arc<Plugin>>,
    by_name: HashMap<String, ToolRef>,
    /// In order of loading, for listings.
    names: Vec<String>,
}

/// A tool of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolRef {
    pub plugin: usize,
    pub tool: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error(
        "the plugins {first:?} and {second:?} both have a tool named {tool:?}; give one of them a prefix: \
         `--plugin other=FILE`, or `prefix` in the config"
    )]
    SameTool { tool: String, first: String, second: String },
    #[error("two plugins are named {0:?}; name them apart in the config")]
    SamePlugin(String),
}

impl Registry {
    /// Adds a plugin whose tools are called `prefix` + their name.
    ///
    /// # Errors
    /// A name that another plugin has taken.
    pub fn add(&mut self, plugin: Arc<Plugin>, prefix: &str) -> Result<(), RegistryError> {
        if self.plugins.iter().any(|other| other.name == plugin.name) {
            return Err(RegistryError::SamePlugin(plugin.name.clone()));
        }
        for (tool, name) in plugin.tools.iter().map(|tool| &tool.name.call).enumerate() {
            let name = format!("{prefix}{name}");
            if let Some(other) = self.by_name.get(&name) {
                let first = self.plugins[other.plugin].name.clone();
                let second = plugin.name.clone();
                return Err(RegistryError::SameTool { tool: name, first, second });
            }
            self.by_name.insert(name.clone(), ToolRef { plugin: self.plugins.len(), tool });
            self.names.push(name);
        }
        self.plugins.push(plugin);
        Ok(())
    }

    pub fn find(&self, name: &str) -> Option<ToolRef> {
        self.by_name.get(name).copied()
    }

    pub fn similar(&self, name: &str) -> Option<&str> {
        similar(name, self.names.iter().map(String::as_str))
    }

    pub fn tool(&self, at: ToolRef) -> &Tool {
        &self.plugins[at.plugin].tools[at.tool]
    }

    /// A number that no other tool of the registry has.
    pub fn number(&self, at: ToolRef) -> usize {
        self.plugins[..at.plugin].iter().map(|plugin| plugin.tools.len()).sum::<usize>() + at.tool
    }

    pub fn plugin(&self, at: ToolRef) -> &Arc<Plugin> {
        &self.plugins[at.plugin]
    }

    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().map(|plugin| &**plugin)
    }

    /// Every tool with the name that calls use, in order of loading.
    pub fn tools(&self) -> impl Iterator<Item = (&str, ToolRef)> {
        self.names.iter().filter_map(|name| Some((name.as_str(), self.find(name)?)))
    }
}
