//! The same server over HTTP: connections, and who answers what comes on them.
//!
//! `/mcp` is the protocol, and the SDK's: sessions up to 2025-11-25 (`visits`, with `kept`), none from 2026-07-28 on. `/v1/batch` is `batches`,
//! and described by `openapi`. `door` says who may come in
//! (with `token`), `bodies` reads what they send, `answers` is what is said without a stream. There is no TLS
//! here: that is for a proxy in front.

mod answers;
mod batches;
mod bodies;
mod door;
mod kept;
mod mcp;
mod openapi;
mod token;
mod visits;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use inorder::CancellationToken;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmtime_wasi_http::io::TokioIo;

use super::life::Life;
use super::server::Server;
use crate::print;
use answers::{Answer, Form};
use batches::Batches;
use bodies::Bodies;
use door::{AllowedHost, AllowedOrigin, Door};
use mcp::Mcp;
use openapi::Access;
pub use token::Source as TokenSource;

const MCP: &str = "/mcp";
const PATHS: &str = "/mcp, /v1/batch, /openapi.json, /health and /ready";

/// More wait until one of them ends.
const MOST_CONNECTIONS: usize = 1000;

/// Descriptors of connections, and of the calls on them.
const DESCRIPTORS: u64 = 16 * 1024;

/// For the head of the first request of a connection: whoever connects has something to ask.
const FIRST: Duration = Duration::from_secs(10);

/// For that of a later one, and until a client that is silent is no longer kept.
const HEAD: Duration = Duration::from_secs(60);

/// For a client that does not read what it is sent; its connection is closed then, and lets go of what it holds.
const UNREAD: Duration = Duration::from_secs(60);

/// For calls that are under way when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// For answers that are on their way then.
const LAST: Duration = Duration::from_millis(300);

/// For what was cancelled, and for connections.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Serve HTTP there instead, as in localhost:8080: streamable HTTP at /mcp, batches at /v1/batch. Other addresses than those of this machine
    /// alone need a token
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http: Option<SocketAddr>,
    /// A file with the token that clients have to send (`Authorization: Bearer TOKEN`); at least 16 bytes
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,
    /// A variable with that token
    #[arg(long, value_name = "NAME", requires = "http")]
    token_env: Option<String>,
    /// A name, or name:port, by which clients know the server, as in tools.example.org; besides localhost and the
    /// address that they connect to
    #[arg(long, value_name = "NAME", requires = "http")]
    allow_host: Vec<AllowedHost>,
    /// Whose web pages may use it, as in https://app.example.org; besides those of this machine
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<AllowedOrigin>,
}

/// `localhost` is not looked up: a name of the network's is nothing to listen at.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        "expected an address and a port, as in localhost:8080, 127.0.0.1:8080 or [::1]:8080"
            .to_owned()
    })
}

/// Where to listen, and who may come.
pub struct Settings {
    address: SocketAddr,
    door: Door,
}

impl HttpArgs {
    pub fn token(&self) -> Option<TokenSource> {
        let file = self.token_file.clone().map(TokenSource::File);
        file.or_else(|| self.token_env.clone().map(TokenSource::Env))
    }

    /// Nothing, if it is not HTTP that is served.
    ///
    /// # Errors
    /// The token cannot be had, or others may come to the address without one.
    pub fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let Some(address) = self.http else { return Ok(None) };
        let token = self.token().map(|token| token.read()).transpose()?;
        if token.is_none() && !address.ip().to_canonical().is_loopback() {
            bail!(
                "{address} can be reached from other machines, and whoever reaches the server may use the tools: give a \
                 token that clients have to send (--token-file FILE or --token-env NAME), or an address of this machine, \
                 as in 127.0.0.1:{}",
                address.port()
            );
        }
        let (hosts, origins) = (self.allow_host.clone(), self.allow_origin.clone());
        Ok(Some(Settings { address, door: Door { token, hosts, origins } }))
    }
}

/// What all connections share.
struct Site {
    server: Server,
    door: Door,
    mcp: Mcp,
    batches: Batches,
    stop: CancellationToken,
}

/// Serves until it is stopped; then calls have some time to end, are cancelled, and answered. Cancels `over` when nobody is answered
/// any more.
///
/// # Errors
/// The address cannot be had.
pub async fn serve(server: Server, settings: Settings, life: &Life) -> anyhow::Result<()> {
    let address = settings.address;
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    enough_descriptors();
    print::say(print::dim(format!("serving http://{address}{MCP}")));
    let bodies = Bodies::new();
    let site = Arc::new(Site {
        mcp: Mcp::new(server.clone(), bodies.clone(), life),
        batches: Batches::new(server.clone(), bodies, life.ending.clone()),
        server: server.clone(),
        door: settings.door,
        stop: life.stopping.clone(),
    });
    let (room, closing) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), CancellationToken::new());
    let mut connections = JoinSet::new();
    let drained = async {
        life.stopping.cancelled().await;
        // It still listens: whoever asks is told that no more calls are taken.
        let _ = tokio::time::timeout(GRACE, server.ended()).await;
    };
    let mut drained = std::pin::pin!(drained);
    loop {
        let accepted = async {
            let room = room.clone().acquire_owned().await;
            (room, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut drained => break,
            Some(_) = connections.join_next() => {}
            (room, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, site.clone(), closing.clone());
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
    // Sessions and their streams go on for as long as what their calls have come to is told.
    life.ending.cancel();
    closing.cancel();
    let ended = async { while connections.join_next().await.is_some() {} };
    let mut ended = std::pin::pin!(ended);
    // Streams that nothing comes on go on until they are ended, and are not waited for.
    let last = tokio::time::timeout(LAST, &mut ended).await;
    life.over.cancel();
    if last.is_err() {
        let _ = tokio::time::timeout(PATIENCE, ended).await;
    }
    Ok(())
}

async fn connection(stream: TcpStream, site: Arc<Site>, closing: CancellationToken) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let unread = u32::try_from(UNREAD.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, unread);
    let local = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
    let asked = CancellationToken::new();
    let silent = tokio::time::timeout(FIRST, asked.clone().cancelled_owned());
    let service = service_fn(move |request| {
        asked.cancel();
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request, local).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        Err(_) = silent => return,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

impl Site {
    async fn answer(&self, request: Request<Incoming>, local: IpAddr) -> Answer {
        let path = request.uri().path().to_owned();
        // Asked by those who watch over the process, by whatever name; they learn nothing else.
        match path.as_str() {
            "/health" => {
                return of_get(&request, || {
                    answers::json(StatusCode::OK, &json!({ "status": "ok" }))
                });
            }
            "/ready" => return of_get(&request, || self.ready()),
            _ => {}
        }
        let form = if path == MCP { Form::Rpc } else { Form::Plain };
        if let Err(turned) = self.door.admit(request.headers(), local) {
            tracing::debug!(?turned, path, "a request is turned away");
            return answers::turned_away(&turned, form);
        }
        match path.as_str() {
            MCP => self.mcp.answer(request).await,
            "/v1/batch" => self.batches.answer(request).await,
            "/openapi.json" => of_get(&request, || self.openapi()),
            path => answers::not_found(path),
        }
    }

    fn openapi(&self) -> Answer {
        let host = self.server.host();
        let tools = host.tools().map(|(name, _, tool)| (name, tool.input_schema()));
        let access = if self.door.token.is_some() { Access::Token } else { Access::Open };
        answers::json(StatusCode::OK, &openapi::document(tools, access))
    }

    fn ready(&self) -> Answer {
        match self.stop.is_cancelled() {
            false => answers::json(StatusCode::OK, &json!({ "status": "ready" })),
            true => {
                answers::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }))
            }
        }
    }
}

fn of_get(request: &Request<Incoming>, answer: impl FnOnce() -> Answer) -> Answer {
    match *request.method() {
        Method::GET | Method::HEAD => answer(),
        _ => answers::wrong_method("GET"),
    }
}

/// Many systems give a process 1,024 to begin with, and more for the asking.
fn enough_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let given = getrlimit(Resource::Nofile);
    let wanted = given.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if given.current.is_some_and(|current| current < wanted) {
        let more = Rlimit { current: Some(wanted), maximum: given.maximum };
        // Without them, connections wait.
        let _ = setrlimit(Resource::Nofile, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_no_name_but_localhost() {
        assert_eq!(address("localhost:80"), Ok(([127, 0, 0, 1], 80).into()));
        assert_eq!(address("[::1]:0").unwrap().port(), 0);
        for wrong in ["8080", ":8080", "127.0.0.1", "localhost", "localhost:x", "example.org:80"] {
            assert!(address(wrong).unwrap_err().contains("localhost:8080"), "{wrong}");
        }
    }
}
