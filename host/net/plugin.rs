//! What one plugin may request, and which secrets go with it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use wasmtime_wasi_http::Error;

use crate::policy::{Grants, GraphqlEndpoint, Host, NetGrant, SecretError};

use super::address::special;
use super::client::Client;
use super::log::NetDeniedBy;
use super::scrub::Patterns;
use super::secret::Secret;
use super::target::Target;

/// The network as a plugin that imports `wasi:http` finds it. Without grants, every request is refused.
pub struct PluginNet {
    pub(super) name: Arc<str>,
    pub(super) client: Arc<Client>,
    pub(super) patterns: Arc<Patterns>,
    grants: Vec<NetGrant>,
    graphql: Vec<GraphqlEndpoint>,
    secrets: Vec<Arc<Secret>>,
    lookups: Arc<Semaphore>,
}

/// Names that are looked up at once for one plugin, of those for all (`resolve.rs`): a server that does not answer holds
/// them for long.
const MOST_LOOKUPS: usize = 8;

/// Why a request is not sent.
pub(super) enum Stop {
    Denied(NetDeniedBy),
    Failed(Error),
}

impl PluginNet {
    /// # Errors
    /// The secrets are too long to be found in answers.
    pub fn new(
        name: &str,
        grants: &Grants,
        secrets: Vec<Arc<Secret>>,
        client: Arc<Client>,
    ) -> Result<PluginNet, SecretError> {
        let patterns = Patterns::new(secrets.iter().map(|secret| &**secret));
        let patterns = Arc::new(patterns.map_err(|error| SecretError::Large(error.to_string()))?);
        let (grants, graphql) = (grants.net.clone(), grants.graphql.clone());
        let lookups = Arc::new(Semaphore::new(MOST_LOOKUPS));
        Ok(PluginNet { name: name.into(), client, patterns, grants, graphql, secrets, lookups })
    }

    /// As the grants name them.
    pub fn hosts(&self) -> Vec<String> {
        self.grants.iter().map(NetGrant::pattern).collect()
    }

    /// The names of its secrets.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.iter().map(|secret| secret.name.clone()).collect()
    }

    /// Takes them out of what is told of a call.
    pub fn hide_secrets(&self, text: &mut String) {
        self.patterns.text(text);
    }

    /// Whether anything at all may be requested.
    pub fn reaches(&self) -> bool {
        !self.grants.is_empty()
    }

    pub(super) fn allows(&self, target: &Target) -> Result<(), Stop> {
        match self.grants.iter().any(|grant| grant.matches(&target.host, target.door())) {
            true => Ok(()),
            false => Err(Stop::Denied(NetDeniedBy::Policy { grant: target.authority() })),
        }
    }

    /// Whether the user says that GraphQL is spoken there.
    pub(super) fn speaks_graphql(&self, target: &Target, path_and_query: &str) -> bool {
        self.graphql.iter().any(|it| it.matches(&target.host, target.door(), path_and_query))
    }

    /// Where a granted target is. Every one of its addresses is checked: of several, which one is used is up to whoever
    /// answers for the name.
    pub(super) async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, Stop> {
        let name = match &target.host {
            // By that name it is granted as what it is.
            host if host.is_localhost() => {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            Host::Address(address) => {
                self.admits(target, *address)?;
                return Ok(vec![*address]);
            }
            Host::Name(name) => name,
        };
        let found = self.look_up(name).await.map_err(|error| {
            tracing::debug!(name, %error, "a name cannot be looked up");
            Stop::Failed(Error::DnsError { rcode: Some(error.kind().to_string()), info_code: None })
        })?;
        for address in &found {
            self.admits(target, *address)?;
        }
        match found.is_empty() {
            true => Err(Stop::Failed(Error::DestinationNotFound)),
            false => Ok(found),
        }
    }

    /// It goes on when nobody waits for it any more, since most cannot be stopped, and counts until it has ended.
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = self.lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (resolver, name) = (self.client.options.resolver.clone(), name.to_owned());
        let (answer, answered) = oneshot::channel();
        self.client.tend(async move {
            // Who asked may have gone.
            let _ = answer.send(resolver.resolve(&name).await);
            drop(permit);
        });
        answered.await.map_err(io::Error::other)?
    }

    fn admits(&self, target: &Target, address: IpAddr) -> Result<(), Stop> {
        let Some(special) = special(address) else { return Ok(()) };
        if self.grants.iter().any(|grant| grant.lends(address, special.length, target.door())) {
            return Ok(());
        }
        let there = Target { host: Host::Address(address), ..target.clone() };
        let (what, grant) = (special.what, there.authority());
        Err(Stop::Denied(NetDeniedBy::Address { address, what, grant }))
    }

    /// The secrets that go with a request.
    pub(super) fn secrets_for(&self, target: &Target) -> Result<Vec<Arc<Secret>>, Stop> {
        let secrets = self.secrets.iter().filter(|secret| secret.is_for(target));
        let secrets: Vec<Arc<Secret>> = secrets.cloned().collect();
        let here = match target.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(_) => target.host.is_localhost(),
        };
        for secret in &secrets {
            let name = secret.name.clone();
            if !target.tls && !here {
                return Err(Stop::Denied(NetDeniedBy::Plaintext { secret: name }));
            }
            if let Err(error) = secret.value() {
                let why = error.to_string();
                return Err(Stop::Denied(NetDeniedBy::Missing { secret: name, why }));
            }
        }
        Ok(secrets)
    }
}
