//! Which of the user's own files plugins could see or change: the config, the audit log, secrets.
//!
//! By grants alone, before anything is opened.

use std::path::{Path, PathBuf};

use crate::builder::{HostBuilder, PluginSpec};
use crate::error::Error;
use crate::places::{places, real};
use crate::policy::{EnvGrant, PathGrant};

impl HostBuilder {
    /// A tool that could write the config could widen its own grants.
    pub(crate) fn no_plugin_writes_the_config(&self) -> Result<(), Error> {
        let Some(config) = self.config.clone() else { return Ok(()) };
        match self.who_may_write(&config) {
            Some((plugin, grant)) => Err(Error::WritableConfig { config, plugin, grant }),
            None => Ok(()),
        }
    }

    /// A tool that could write the audit log could remove its own traces.
    pub(crate) fn no_plugin_writes_the_audit_log(&self) -> Result<(), Error> {
        let files = self.audit.as_ref().map(|audit| audit.files()).unwrap_or_default();
        for log in files {
            if let Some((plugin, grant)) = self.who_may_write(&log) {
                return Err(Error::WritableAudit { log, plugin, grant });
            }
        }
        Ok(())
    }

    /// Whether [`Host::reload`](crate::Host::reload) may load this: a tool that could write a plugin's file could have what it
    /// wrote run with that plugin's grants.
    ///
    /// # Errors
    /// A plugin may write the component of one, or the WIT beside it.
    pub fn may_reload(&self) -> Result<(), Error> {
        for file in self.files() {
            if let Some((plugin, grant)) = self.who_may_write(&file) {
                return Err(Error::WritablePlugin { file, plugin, grant });
            }
        }
        Ok(())
    }

    /// The plugin, and its grant, that may write or replace a file, if there is one, or a symlink on the way to it: who may
    /// move that away may put something else in its place.
    pub fn who_may_write(&self, file: &Path) -> Option<(String, String)> {
        let roots = self.real_roots();
        let (roots, places): (Vec<&Path>, _) =
            (roots.iter().map(|root| &**root).collect(), places(file));
        self.plugins.iter().find_map(|spec| {
            let mut write = spec.grants.write.iter();
            let grant = write
                .find(|it| places.iter().any(|place| reaches(it, &roots, place, Aim::ItOrAbove)))?;
            Some((spec.name.clone(), grant.pattern()))
        })
    }

    /// The plugin that is passed a variable of the host's, if there is one.
    pub fn who_is_passed(&self, variable: &str) -> Option<String> {
        let passed = |grant: &EnvGrant| matches!(grant, EnvGrant::Pass(name) if name == variable);
        let spec = self.plugins.iter().find(|spec| spec.grants.env.iter().any(passed))?;
        Some(spec.name.clone())
    }

    /// The plugin that may read or write a file, if there is one. As [`HostBuilder::who_may_write`].
    pub fn who_may_see(&self, file: &Path) -> Option<String> {
        let roots = self.real_roots();
        let (roots, real): (Vec<&Path>, _) =
            (roots.iter().map(|root| &**root).collect(), real(file));
        let reads = |spec: &&PluginSpec| {
            spec.grants.read.iter().any(|it| reaches(it, &roots, &real, Aim::It))
        };
        let reader = self.plugins.iter().find(reads).map(|spec| spec.name.clone());
        reader.or_else(|| self.who_may_write(file).map(|(plugin, _)| plugin))
    }

    fn real_roots(&self) -> Vec<PathBuf> {
        self.roots.iter().filter_map(|root| root.canonicalize().ok()).collect()
    }
}

/// What a grant has to match.
#[derive(Clone, Copy)]
enum Aim {
    It,
    /// What may be written may be moved away, and something else put in its place.
    ItOrAbove,
}

/// Whether a grant matches `file`, an absolute path without symlinks.
fn reaches(grant: &PathGrant, roots: &[&Path], file: &Path, aim: Aim) -> bool {
    // Relative grants are in the first root.
    let roots = if grant.is_absolute() { roots } else { &roots[..roots.len().min(1)] };
    roots.iter().any(|root| {
        let Some(pattern) = grant.beneath(root) else { return false };
        let matches = |path: &Path| path.to_str().is_some_and(|path| pattern.matches(path));
        let base = root.join(pattern.base());
        let above = |path: &Path| match aim {
            Aim::It => matches(path),
            Aim::ItOrAbove => path.ancestors().any(matches),
        };
        file.strip_prefix(root).is_ok_and(above)
            // The base may be reached by a symlink.
            || base.canonicalize().is_ok_and(|real| {
                let inside = file.strip_prefix(real).map(|it| Path::new(pattern.base()).join(it));
                inside.is_ok_and(|path| above(&path))
            })
    })
}
