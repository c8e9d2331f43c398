//! The same server over streamable HTTP, at `/mcp` of an address of this machine.
//!
//! The protocol of it is the SDK's: sessions up to 2025-11-25, none from 2026-07-28 on. Here are connections, and who
//! may make them: nobody is asked for a password, so that only this machine can be listened on, and a web page in a
//! browser here is turned away by the `Host` and `Origin` that it sends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use inorder::CancellationToken;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmtime_wasi_http::io::TokioIo;

use super::lines::MOST_BYTES;
use super::server::Server;
use crate::print;

const PATH: &str = "/mcp";

/// More wait until one of them ends.
const MOST_CONNECTIONS: usize = 1000;

/// Of a session that nobody uses. Clients make another one.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// For answers that are on their way when the server is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

type Service = StreamableHttpService<Server, LocalSessionManager>;

/// Serves until it is stopped.
///
/// # Errors
/// The address is not one of this machine alone, or cannot be had.
pub async fn serve(
    server: Server,
    address: SocketAddr,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if !address.ip().is_loopback() {
        bail!(
            "{address} can be reached from other machines, and whoever reaches the server may use the tools: give an \
             address of this machine, as in 127.0.0.1:{}, and put a proxy before it that asks who comes",
            address.port()
        );
    }
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    print::say(print::dim(format!("serving http://{address}{PATH}")));
    let service = service(server, stop);
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let room = room.clone().acquire_owned().await;
            (room, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (room, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, service.clone(), stop.clone());
                    connections.spawn(async move {
                        let _room = room;
                        connection.await;
                    });
                }
                // As a rule too many open files: some will be closed.
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What takes longer is broken off.
    let _ = tokio::time::timeout(PATIENCE, ended).await;
    Ok(())
}

fn service(server: Server, stop: &CancellationToken) -> Service {
    let config = StreamableHttpServerConfig::default()
        .with_max_request_body_bytes(MOST_BYTES)
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .with_cancellation_token(stop.child_token());
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(KEPT);
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions), config)
}

async fn connection(stream: TcpStream, service: Service, stop: CancellationToken) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, service.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(
    request: Request<Incoming>,
    service: Service,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.uri().path() == PATH {
        let ends_session = request.method() == Method::DELETE;
        let mut response = service.handle(request).await;
        // It has ended: some clients take 202, which the SDK says, for a failure.
        if ends_session && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        return Ok(response);
    }
    let text = format!("there is nothing here but {PATH}\n");
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}
