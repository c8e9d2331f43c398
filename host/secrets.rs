//! Secrets and grants of hosts, as a host is built: read once, and checked against what plugins may see.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::builder::{HostBuilder, PluginSpec};
use crate::error::Error;
use crate::net::{Client, PluginNet, Secret};
use crate::plugin::Plugin;
use crate::policy::{Door, SecretConfig, SecretError, SecretSource, secret_name};

/// Those that some plugin lists, by name.
pub(crate) type Secrets = BTreeMap<String, Arc<Secret>>;

/// Reads the secrets that plugins list.
///
/// # Errors
/// One of them could be seen by a plugin, or could never be used. One that is not there is missed when it is to be sent:
/// other tools do without it.
pub(crate) fn open(builder: &HostBuilder) -> Result<Secrets, Error> {
    let mut opened = Secrets::new();
    for spec in &builder.plugins {
        for name in &spec.grants.secrets {
            let wrong = |error| Error::Secret { secret: name.clone(), error };
            let unknown = || SecretError::Unknown { plugin: spec.name.clone() };
            let config = builder.secrets.get(name).ok_or_else(unknown).map_err(wrong)?;
            reachable(spec, config).map_err(wrong)?;
            alone(builder, spec, name, config).map_err(wrong)?;
            if !opened.contains_key(name) {
                secret_name(name).map_err(wrong)?;
                unseen(builder, config).map_err(wrong)?;
                let secret = Secret::open(name, config).map_err(wrong)?;
                if let Err(error) = secret.value() {
                    tracing::warn!(
                        "the secret {name:?} cannot be had: {error}; what it goes with is not sent"
                    );
                }
                opened.insert(name.clone(), Arc::new(secret));
            }
        }
    }
    Ok(opened)
}

/// The network of a plugin that asks for it.
///
/// # Errors
/// Its secrets are too long.
pub(crate) fn plugin_net(
    spec: &PluginSpec,
    plugin: &Plugin,
    secrets: &Secrets,
    client: &Arc<Client>,
) -> Result<Option<Arc<PluginNet>>, Error> {
    let own = spec.grants.secrets.iter().filter_map(|name| secrets.get(name).cloned());
    let own: Vec<Arc<Secret>> = own.collect();
    if !plugin.imports_http() {
        return Ok(None);
    }
    let secret = own.first().map_or_else(String::new, |secret| secret.name.clone());
    let net = PluginNet::new(&spec.name, &spec.grants, own, client.clone());
    net.map(|net| Some(Arc::new(net))).map_err(|error| Error::Secret { secret, error })
}

/// A secret for a host that the plugin may not ask is a mistake that nobody would notice.
fn reachable(spec: &PluginSpec, config: &SecretConfig) -> Result<(), SecretError> {
    let Some(host) = config.host.host() else {
        return Err(SecretError::Host(config.host.pattern()));
    };
    let granted = [true, false].into_iter().any(|tls| {
        let usual = Door::usual(tls);
        let door = Door { port: config.host.port().unwrap_or(usual.port), tls };
        spec.grants.net.iter().any(|grant| grant.matches(host, door))
    });
    match granted {
        true => Ok(()),
        false => {
            let (plugin, host) = (spec.name.clone(), config.host.pattern());
            Err(SecretError::Unreachable { plugin, host })
        }
    }
}

/// Of two secrets for one header, one would never be sent.
fn alone(
    builder: &HostBuilder,
    spec: &PluginSpec,
    name: &str,
    config: &SecretConfig,
) -> Result<(), SecretError> {
    let same = |other: &&String| {
        let other = builder.secrets.get(*other).filter(|_| **other != name);
        other.is_some_and(|it| (&it.host, &it.header) == (&config.host, &config.header))
    };
    match spec.grants.secrets.iter().find(same) {
        Some(other) => {
            let (plugin, other) = (spec.name.clone(), other.clone());
            Err(SecretError::Twice { plugin, other })
        }
        None => Ok(()),
    }
}

/// A secret that some plugin may read is none.
fn unseen(builder: &HostBuilder, config: &SecretConfig) -> Result<(), SecretError> {
    match &config.source {
        SecretSource::Value(_) | SecretSource::Keyring(_) => Ok(()),
        SecretSource::Env(variable) => {
            if let Some(plugin) = builder.who_is_passed(variable) {
                return Err(SecretError::Passed { plugin, variable: variable.clone() });
            }
            // All of the host's variables are in a file, for whoever was granted the whole machine.
            hidden(builder, Path::new("/proc/self/environ"))
        }
        SecretSource::File(path) => hidden(builder, path),
    }
}

fn hidden(builder: &HostBuilder, path: &Path) -> Result<(), SecretError> {
    match builder.who_may_see(path) {
        Some(plugin) => Err(SecretError::Readable { plugin, path: path.to_owned() }),
        None => Ok(()),
    }
}
