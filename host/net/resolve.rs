//! Names to addresses. Asked once for each new connection, whose address is then a checked one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;

use tokio::sync::Semaphore;

/// Looks up hosts' names. What it answers is checked, so that it need not be trusted.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `name`, which is in lower case, without a dot at its end, and never `localhost`.
    ///
    /// # Errors
    /// They cannot be looked up, or there are none.
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// Lookups of the process that may be under way: each is a thread of the runtime's for blocking work until the system has
/// answered, also when nobody waits for it any more.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

/// As the system does it (`getaddrinfo`), at most 32 at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
            let name = name.to_owned();
            let lookup = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
