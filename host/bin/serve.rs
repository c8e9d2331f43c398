//! `inorder serve`: the loaded tools as a server of the Model Context Protocol.
//!
//! What is where: `stdio` is the connection, made of `lines` (input), `gate` (what may come when) and `output`;
//! `server` answers requests by means of the host; `catalogue` is what it lists, with `names` and `schema`; `batch` is
//! the tool of its own; `answer` and `progress` are what it says of a call. Only here, and in no other folder, is the
//! SDK known.

mod answer;
mod batch;
mod catalogue;
mod gate;
mod lines;
mod names;
mod output;
mod progress;
mod scan;
mod schema;
mod server;
mod sessions;
mod stdio;

use std::time::Duration;

use inorder::CancellationToken;
use rmcp::service::{ServerInitializeError, serve_server_with_ct};

use crate::interrupts::{Interrupts, Until};
use crate::load::{AuditArgs, HostArgs};
use crate::{Ending, HostFault};
use server::Server;
use stdio::Stdio;

/// Serve the tools to an MCP client, over standard input and output
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder serve --root ~/notes --allow-write '**'
  inorder serve --config inorder.toml
  claude mcp add notes -- inorder serve --root ~/notes --allow-write '**'

Each tool is a tool of the server; run_batch runs several of them in one go, where one may use the results
of others. What tools may do is granted here: a client and its model cannot widen it.
When the input ends, calls get a second to end, are then cancelled, and the exit code is 0.")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

/// For calls that are under way when the client closes its end: it has gone, or it is a pipe whose end is only read
/// now.
const GRACE: Duration = Duration::from_secs(1);

/// For cancelled calls; a guest stops within two epoch ticks.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let host = args.host.audited_host(&args.audit)?;
    let ended = CancellationToken::new();
    let server = Server::new(host, ended.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| HostFault(format!("the async runtime cannot be started: {error}")))?;
    let stop = CancellationToken::new();
    let interrupts = Interrupts::watch(stop.clone(), Until::Terminated);
    let served = runtime.block_on(serve(server, stop, ended));
    interrupts.end_at_once();
    // A lookup of a name that nobody waits for is not waited for here either.
    runtime.shutdown_background();
    served.map(|()| Ending::AllOk)
}

async fn serve(
    server: Server,
    stop: CancellationToken,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    let connection = Stdio::open(ended.clone())?;
    let serving = async {
        match serve_server_with_ct(server.clone(), connection, stop.clone()).await {
            Ok(running) => running.waiting().await.map(drop).map_err(anyhow::Error::from),
            // The client has gone, or we were stopped, before anything began.
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    };
    let ending = async {
        ended.cancelled().await;
        tokio::time::sleep(GRACE).await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = ending => Ok(()),
    };
    // What was committed is whole whenever this ends; only the log of it is not yet written.
    stop.cancel();
    let _ = tokio::time::timeout(PATIENCE, server.ended()).await;
    served
}
