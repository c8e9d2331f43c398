//! One connection: to a checked address, TLS if asked for, HTTP/1.1 on it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use hyper::client::conn::http1::{self, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

use super::client::Client;
use super::target::Target;
use super::tls;

/// Headers of an answer.
const MOST_HEADERS: usize = 128;
/// The head of an answer, and what is read of it at a time, in bytes.
const MOST_HEAD: usize = 64 << 10;

/// A connection that nobody else uses. It is closed with this, and with it whatever was under way.
pub struct Connection {
    pub sender: SendRequest<WasiBody>,
    pub born: Instant,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Connects to the first of `addresses` that takes the connection; all of them are checked.
    pub(super) async fn connect(
        &self,
        target: &Target,
        addresses: &[IpAddr],
    ) -> Result<Connection, Error> {
        let mut failed = Error::DestinationNotFound;
        for address in addresses {
            match TcpStream::connect(SocketAddr::new(*address, target.port)).await {
                Ok(stream) => {
                    // Without it a small request waits for the answer to an earlier packet.
                    let _ = stream.set_nodelay(true);
                    return match target.tls {
                        true => {
                            let config = self.tls().await?;
                            self.speak(tls::connect(config, &target.host, stream).await?).await
                        }
                        false => self.speak(stream).await,
                    };
                }
                Err(error) => failed = unreachable(&error),
            }
        }
        Err(failed)
    }

    async fn speak<S>(&self, stream: S) -> Result<Connection, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut http = http1::Builder::new();
        http.max_headers(MOST_HEADERS).max_buf_size(MOST_HEAD);
        let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let task = self.tend(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection has ended");
            }
        });
        Ok(Connection { sender, born: Instant::now(), task })
    }
}

fn unreachable(error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            Error::DestinationIpUnroutable
        }
        ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::DestinationUnavailable,
    }
}

/// What a guest is told of an error on a connection.
#[expect(clippy::needless_pass_by_value, reason = "so that it maps errors")]
pub fn broken(error: hyper::Error) -> Error {
    use std::error::Error as _;
    tracing::debug!(%error, "a request has failed");
    // What a guest sends ends by an error of ours, which comes back inside of hyper's.
    if let Some(Error::HttpRequestBodySize(size)) = error.source().and_then(|it| it.downcast_ref())
    {
        Error::HttpRequestBodySize(*size)
    } else if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(Some(MOST_HEAD as u32))
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Error::HttpResponseIncomplete
    } else if error.is_parse() || error.is_parse_status() {
        Error::HttpProtocolError
    } else {
        Error::ConnectionTerminated
    }
}
