//! What all plugins of a host share: how it is set up to reach servers, and the connections that it keeps.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinSet};
use wasmtime_wasi_http::Error;

use super::pool::Pool;
use super::resolve::{Resolver, SystemResolver};
use super::tls;

/// How requests of plugins reach servers. What may be requested is the plugins' grants.
///
/// Neither proxies nor credentials are taken from the environment. The system's root certificates are read with the first
/// request by `https`; `SSL_CERT_FILE` and `SSL_CERT_DIR` of the host's own environment name others.
#[derive(Clone)]
pub struct NetOptions {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) system_roots: bool,
    pub(super) timeouts: Timeouts,
}

/// Longest waits, each within the call's own `timeout`. A guest may ask for shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub between_bytes: Duration,
}

impl Default for NetOptions {
    fn default() -> NetOptions {
        NetOptions {
            resolver: Arc::new(SystemResolver),
            roots: vec![],
            system_roots: true,
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                first_byte: Duration::from_secs(60),
                between_bytes: Duration::from_secs(20),
            },
        }
    }
}

impl fmt::Debug for NetOptions {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("NetOptions")
            .field("resolver", &self.resolver)
            .field("roots", &self.roots.len())
            .field("system_roots", &self.system_roots)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

impl NetOptions {
    /// Who looks up names; the system by default.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver + 'static) -> NetOptions {
        self.resolver = Arc::new(resolver);
        self
    }

    /// One more root certificate to believe, in DER: that of a company's own authority, say.
    #[must_use]
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> NetOptions {
        self.roots.push(der.into());
        self
    }

    /// Whether the system's root certificates are believed; yes by default.
    #[must_use]
    pub fn system_roots(mut self, believe: bool) -> NetOptions {
        self.system_roots = believe;
        self
    }

    /// Until a connection stands, with its name looked up and TLS spoken. 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> NetOptions {
        self.timeouts.connect = timeout;
        self
    }

    /// From sending a request to the whole head of its answer. 60 s by default.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> NetOptions {
        self.timeouts.first_byte = timeout;
        self
    }

    /// Until more of an answer comes. 20 s by default.
    #[must_use]
    pub fn between_bytes_timeout(mut self, timeout: Duration) -> NetOptions {
        self.timeouts.between_bytes = timeout;
        self
    }
}

pub struct Client {
    pub(super) options: NetOptions,
    pub(super) pool: Pool,
    tls: OnceCell<Arc<ClientConfig>>,
    /// One for each open connection; they end with the host.
    tasks: Mutex<JoinSet<()>>,
}

impl Client {
    pub fn new(options: NetOptions) -> Client {
        let (pool, tls, tasks) = (Pool::default(), OnceCell::new(), Mutex::default());
        Client { options, pool, tls, tasks }
    }

    /// Made with the first use: most hosts never need it.
    pub(super) async fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let config = self.tls.get_or_try_init(|| async {
            let (roots, system) = (self.options.roots.clone(), self.options.system_roots);
            let read = tokio::task::spawn_blocking(move || tls::config(&roots, system));
            read.await.map_err(|error| error.to_string())?
        });
        config.await.cloned().map_err(|error| {
            tracing::warn!(error, "TLS cannot be used");
            Error::InternalError(Some(error))
        })
    }

    /// Runs what drives a connection until that has ended, or the host has.
    pub(super) fn tend(
        &self,
        connection: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(connection)
    }
}
