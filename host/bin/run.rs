//! `inorder run`: a batch from a file or standard input, its report to standard output.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use inorder::{Batch, CancellationToken, Host, Plan, Report, RunOptions, ToolRef};

use crate::Ending;
use crate::live::Live;
use crate::load::HostArgs;
use crate::{print, waterfall};

/// Run a batch of tool calls
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder run batch.json                      built-in plugins, reading the current directory
  inorder run - --json < batch.json           a batch from standard input, one JSON document out
  inorder run batch.json --allow-write '**'   calls may also write in the root
  inorder run batch.json --plugin my.wasm --allow-read 'data/**' --timeout 5s

A batch:
  {\"calls\": [
    {\"id\": \"find\", \"tool\": \"search_files\", \"args\": {\"path\": \".\", \"pattern\": \"*.md\"}},
    {\"tool\": \"read_text_file\", \"args\": {\"path\": {\"$from\": \"find\", \"at\": \"/0/path\"}}}
  ]}

Exit codes: 0 all calls ok, 1 a call failed, 2 the batch or the config is wrong, 3 the host failed.
Ctrl-C stops the running calls and prints the report; a second one ends at once.")]
pub struct Args {
    /// The batch: a JSON file, or `-` for standard input
    batch: PathBuf,
    #[command(flatten)]
    host: HostArgs,
    /// Print the report as one JSON document and nothing else
    #[arg(long)]
    json: bool,
}

pub fn main(args: Args) -> anyhow::Result<Ending> {
    let batch = Batch::from_json(&read(&args.batch)?).map_err(inorder::Error::from)?;
    let host = args.host.host()?;
    let plan = host.plan(batch)?;
    let live = !args.json && std::io::stderr().is_terminal();
    let report = execute(&host, plan, live)?;
    if args.json {
        print_json(&report)?;
    } else {
        waterfall::print(&report)?;
    }
    Ok(if report.all_ok() { Ending::AllOk } else { Ending::CallFailed })
}

/// Runs a plan on a runtime of its own, with Ctrl-C as cancellation.
pub fn execute(host: &Host, plan: Plan<ToolRef>, live: bool) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime cannot be started")?;
    Ok(runtime.block_on(async {
        let cancel = CancellationToken::new();
        let live = live.then(|| Live::start(&plan));
        let progress = live.as_ref().map(Live::sender);
        let options = RunOptions { cancel: cancel.clone(), progress };
        let running = host.execute(plan, options);
        tokio::pin!(running);
        let report = tokio::select! {
            report = &mut running => report,
            () = interrupted(&cancel) => running.await,
        };
        if let Some(live) = live {
            live.clear().await;
        }
        report
    }))
}

/// Returns after the first Ctrl-C, which cancels; the next one ends the process.
async fn interrupted(cancel: &CancellationToken) {
    if tokio::signal::ctrl_c().await.is_err() {
        // No signal can come: leave the batch to end by itself.
        return std::future::pending().await;
    }
    cancel.cancel();
    print::say(print::dim("stopping the running calls; Ctrl-C again ends at once"));
    // SIGINT by default ends a process, but tokio has taken it over for good.
    std::thread::spawn(|| {
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = waiting
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            std::process::exit(130);
        }
    });
}

pub fn print_json(report: &Report) -> anyhow::Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    serde_json::to_writer(&mut stdout, report).map_err(std::io::Error::from)?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(())
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if path == std::path::Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read(path).with_context(|| format!("cannot read the batch {}", path.display()))
}
