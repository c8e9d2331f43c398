//! Whom to believe: TLS with the system's root certificates.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use crate::policy::Host;

/// A config that believes `extra` roots, in DER, and the system's, if `system` says so. Blocks while it reads them.
///
/// # Errors
/// There are no roots at all, or one of `extra` is none.
pub fn config(extra: &[Vec<u8>], system: bool) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in extra {
        let certificate = CertificateDer::from(certificate.clone());
        roots.add(certificate).map_err(|error| format!("a root certificate is wrong: {error}"))?;
    }
    if system {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a certificate of the system's cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        return Err(
            "this system has no root certificates (`ca-certificates`, SSL_CERT_FILE)".to_owned()
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Speaks TLS with whoever proves to be `host`.
pub async fn connect(
    config: Arc<ClientConfig>,
    host: &Host,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
        }
    };
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            tracing::debug!(?reason, "a certificate is not believed");
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}
