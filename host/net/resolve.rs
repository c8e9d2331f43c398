//! Names to addresses. Asked once for each new connection, whose address is then a checked one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

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

/// As the system does it (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
