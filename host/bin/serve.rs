//! `inorder serve`: the loaded tools as a server of the Model Context Protocol.
//!
//! What is where: `stdio` is the connection, made of `lines` (input), `gate` (what may come when, with `ids`, and `places`, their order) and `output`;
//! `http` are connections of the other kind; `server` answers requests by means of the host, until its `life` ends; `catalogue` (`loaded` with its host) is what it lists,
//! with `names` and `schema`; `batch` is the tool of its own; `answer` and `progress` are what it says of a call, `elicit` what it asks about one.
//! Only here, and in no other folder, is the SDK known.

mod answer;
mod batch;
mod catalogue;
mod difference;
mod elicit;
mod gate;
mod http;
mod ids;
mod life;
mod lines;
#[cfg(test)]
mod lines_fuzz;
mod loaded;
mod message;
mod names;
mod output;
mod places;
mod progress;
mod reloading;
mod scan;
mod schema;
mod server;
mod sessions;
mod split;
mod stdio;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inorder::CancellationToken;
use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use tokio::runtime::{Handle, Runtime};

use self::http::HttpArgs;
use crate::interrupts::Interrupts;
use crate::load::{AuditArgs, HostArgs};
use crate::print;
use crate::standard;
use crate::watch::Watch;
use crate::{Ending, HostFault};
pub use batch::with_real_names;
pub use catalogue::Catalogue;
use life::Life;
pub use names::Names;
pub use schema::with_references;
use server::Server;
use stdio::Stdio;

/// Serve the tools to an MCP client, over standard input and output or HTTP
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder serve --root ~/notes --allow-write '**'
  inorder serve --config inorder.toml
  inorder serve --root ~/notes --allow-write '**' --ask write      the client asks its user before files change
  inorder serve --http 127.0.0.1:8080      streamable HTTP at /mcp, for clients of this machine
  inorder serve --http 0.0.0.0:8080 --token-file token --allow-host tools.example.org      for others, behind TLS
  claude mcp add notes -- inorder serve --root ~/notes --allow-write '**'

Each tool is a tool of the server; run_batch runs several of them in one go, where one may use the results
of others. What tools may do is granted here: a client and its model cannot widen it.
When the input ends, calls get a second to end, are then cancelled, and the exit code is 0. Ctrl-C and SIGTERM
end it at once; over HTTP, calls get five seconds first.")]
pub struct Args {
    #[command(flatten)]
    http: HttpArgs,
    /// Go on with what was loaded at the start, when the config or a plugin's file changes
    #[arg(long, help_heading = "Options")]
    no_reload: bool,
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
    let settings = args.http.settings()?;
    // One client is answered by one thread, on which no guest computes: to wake another for a message takes as long as a short
    // call. Many clients are answered by all.
    let workers = runtime(None)?;
    let answering = if settings.is_some() { None } else { Some(runtime(Some(1))?) };
    let load = loading(args, answering.as_ref().map(|_| workers.handle().clone()));
    let builder = load()?;
    // From before anything of them is read.
    let watch = match builder.may_reload() {
        _ if args.no_reload => None,
        Ok(()) => Some(Watch::files(builder.files())),
        Err(error) => {
            print::say(print::dim(format!(
                "note: nothing is loaded anew while this runs: {error}"
            )));
            None
        }
    };
    let host = builder.build().map_err(standard::explain)?;
    let stop = CancellationToken::new();
    // Over standard input, to be stopped is to end.
    let stopping = if settings.is_some() { stop.clone() } else { CancellationToken::new() };
    let life = Life { stopping, ..Life::default() };
    let server = Server::new(host, life.clone())?;
    let interrupts = Interrupts::watch(stop.clone());
    let served = answering.as_ref().unwrap_or(&workers).block_on(async {
        let reloading = async {
            match watch {
                Some(watch) => reloading::run(&server, watch, load).await,
                None => std::future::pending().await,
            }
        };
        let serving = async {
            match settings {
                Some(settings) => http::serve(server.clone(), settings, &life).await,
                None => over_stdio(server.clone(), &stop, life.over.clone()).await,
            }
        };
        let served = tokio::select! {
            served = serving => served,
            () = reloading => Ok(()),
        };
        stop.cancel();
        life.over.cancel();
        // What was committed is whole whenever this ends; only the log of it is not yet written.
        let _ = tokio::time::timeout(PATIENCE, server.ended()).await;
        served
    });
    interrupts.end_at_once();
    // A lookup of a name that nobody waits for is not waited for here either.
    answering.into_iter().chain([workers]).for_each(Runtime::shutdown_background);
    served.map(|()| Ending::AllOk)
}

/// As many threads as there are processors, or so many.
fn runtime(threads: Option<usize>) -> Result<Runtime, HostFault> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let failed = |error| HostFault(format!("the async runtime cannot be started: {error}"));
    builder.enable_all().event_interval(EVENTS).build().map_err(failed)
}

/// After so many steps of tasks a worker looks whether somebody has said something. Of a guest that computes, a step takes 5 ms.
const EVENTS: u32 = 3;

/// What is loaded, at the start and whenever it has changed.
fn loading(args: &Args, workers: Option<Handle>) -> reloading::Load {
    let (audit, token) = (args.audit.clone(), args.http.token());
    let hosts = [args.host.clone(), args.host.again()];
    let begun = AtomicBool::new(false);
    Arc::new(move || {
        let [first, again] = &hosts;
        let host = if begun.swap(true, Ordering::Relaxed) { again } else { first };
        let mut builder = host.audited_builder(&audit)?;
        if let Some(workers) = &workers {
            builder = builder.workers(workers.clone());
        }
        if let Some(token) = &token {
            token.unseen(&builder)?;
        }
        Ok(builder)
    })
}

async fn over_stdio(
    server: Server,
    stop: &CancellationToken,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        let tools = server.host().tools().count();
        print::say(print::dim(format!(
            "serving {tools} tools by MCP over standard input, where a client is to write; Ctrl-C ends it, --help tells more"
        )));
    }
    let connection = Stdio::open(ended.clone())?;
    let serving = async {
        match serve_server_with_ct(server, connection, stop.clone()).await {
            Ok(running) => running.waiting().await.map(drop).map_err(anyhow::Error::from),
            // The client has gone, or we were stopped, before anything began.
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = ended.cancelled() => {}
    }
    let served = tokio::time::timeout(GRACE, &mut serving).await;
    if let Ok(served) = served {
        return served;
    }
    // The SDK takes the answers of cancelled calls too.
    stop.cancel();
    serving.await
}
