//! `inorder run`: a batch from a file or standard input, its report to standard output.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::Once;

use anyhow::Context as _;
use inorder::{
    Batch, CancellationToken, Dialect, Effect, Host, Plan, Report, RunOptions, ToolRef,
    read_message,
};
use tokio::task::JoinSet;

use crate::ask::{self, Person};
use crate::format::Format;
use crate::interrupts::Interrupts;
use crate::live::Live;
use crate::load::{AuditArgs, HostArgs};
use crate::serve::{Names, with_real_names};
use crate::{Ending, HostFault};
use crate::{print, waterfall};

/// Run a batch of tool calls
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder run batch.json                      built-in plugins, reading the current directory
  inorder run - --json < batch.json           a batch from standard input, one JSON document out
  inorder run batch.json --allow-write '**'   calls may also write in the root
  inorder run batch.json --allow-write '**' --dry-run      what would change, and nothing does
  inorder run batch.json --allow-write '**' --ask write    each change is shown first, and asked about
  inorder run batch.json --plugin my.wasm --allow-read 'data/**' --timeout 5s
  inorder run response.json > answer.json     the calls of a model's response, and what to send back

A batch:
  {\"calls\": [
    {\"id\": \"find\", \"tool\": \"search_files\", \"args\": {\"path\": \".\", \"pattern\": \"*.md\"}},
    {\"tool\": \"read_text_file\", \"args\": {\"path\": {\"$from\": \"find\", \"at\": \"/0/path\"}}}
  ]}

Exit codes: 0 all calls ok, 1 a call failed, 2 the batch or the config is wrong, 3 the host failed.
Ctrl-C stops the running calls and prints the report; a second one ends at once.")]
pub struct Args {
    /// The batch: a JSON file, or `-` for standard input. Also a message of a model's API, answered by the message to
    /// send back
    batch: PathBuf,
    /// What the batch is written in, where it does not tell by itself
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Options")]
    format: Option<Format>,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    effect: EffectArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// Print the report as one JSON document and nothing else, also for a message
    #[arg(long, help_heading = "Options")]
    json: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "What becomes of the changes")]
pub struct EffectArgs {
    /// Change nothing, and print what would be changed as a unified diff
    #[arg(long, conflicts_with = "atomic")]
    dry_run: bool,
    /// Change files only if every call is ok, and then all at once
    #[arg(long)]
    atomic: bool,
}

impl EffectArgs {
    pub fn effect(&self) -> Effect {
        match (self.dry_run, self.atomic) {
            (true, _) => Effect::DryRun,
            (_, true) => Effect::Atomic,
            _ => Effect::Commit,
        }
    }
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let format = args.format.map(Dialect::from);
    let (mut batch, reply) =
        read_message(&read(&args.batch)?, format).map_err(inorder::Error::from)?;
    let host = args.host.audited_host(&args.audit)?;
    if reply.dialect() != Dialect::Native {
        with_names_of(&host, &mut batch);
        for kind in reply.unanswered() {
            print::say(print::dim(format!(
                "note: the response has a {kind}, which is not answered here, and which its API wants an answer to"
            )));
        }
        if batch.calls.is_empty() {
            print::say(print::dim(
                "note: the message has no calls, so that there is nothing to send back",
            ));
        }
    }
    let plan = match host.plan(batch) {
        Ok(plan) => plan,
        // Whoever sends the answer on has the model told what is wrong with its calls.
        Err(error) if reply.dialect() != Dialect::Native => {
            print_message(&reply.refused(&error.to_string()))?;
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    let live = !args.json && std::io::stderr().is_terminal();
    let report = execute(&host, plan, args.effect.effect(), live)?;
    if args.json {
        print_json(&report)?;
    } else if reply.dialect() == Dialect::Native {
        waterfall::print(&report)?;
    } else {
        print_message(&reply.message(&report))?;
        if let Some(diff) = report.diff.as_deref().filter(|diff| !diff.is_empty()) {
            print::say(print::exact(diff).trim_end());
        }
    }
    Ok(Ending::of(&report))
}

/// Runs a plan on a runtime of its own, with Ctrl-C as cancellation.
pub fn execute(
    host: &Host,
    plan: Plan<ToolRef>,
    effect: Effect,
    live: bool,
) -> anyhow::Result<Report> {
    let runner = Runner::start()?;
    let report = runner.run(host, plan, effect, live);
    runner.end();
    Ok(report)
}

/// A runtime of its own, with Ctrl-C as cancellation of what it runs.
pub struct Runner {
    runtime: tokio::runtime::Runtime,
    cancel: CancellationToken,
    interrupts: Interrupts,
    person: Option<Person>,
    /// That there is none is said once, however many batches are run.
    nobody: Once,
}

impl Runner {
    pub fn start() -> anyhow::Result<Runner> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| HostFault(format!("the async runtime cannot be started: {error}")))?;
        let cancel = CancellationToken::new();
        let interrupts = Interrupts::watch(cancel.clone());
        let (person, nobody) = (Person::at_terminal(), Once::new());
        Ok(Runner { runtime, cancel, interrupts, person, nobody })
    }

    pub fn run(&self, host: &Host, plan: Plan<ToolRef>, effect: Effect, live: bool) -> Report {
        self.wait(self.executed(host, plan, effect, live))
    }

    /// [`Runner::run`], for what is on the runtime already.
    pub async fn executed(
        &self,
        host: &Host,
        plan: Plan<ToolRef>,
        effect: Effect,
        live: bool,
    ) -> Report {
        if self.person.is_none() && effect != Effect::DryRun {
            self.nobody.call_once(|| ask::say_that_nobody_is_there(host));
        }
        let live = live.then(|| Live::start(&plan));
        let progress = live.as_ref().map(Live::sender);
        let cancel = self.cancel.clone();
        let screen = live.as_ref().map(Live::screen);
        let approver = self.person.as_ref().map(|person| person.approver(screen));
        let options = RunOptions { cancel, progress, effect, approver, ..RunOptions::default() };
        // On one of the runtime's threads, rather than on this one, which would wake them for every call.
        let (host, mut run) = (host.clone(), JoinSet::new());
        run.spawn(async move { host.execute(plan, options).await });
        let report = match run.join_next().await {
            Some(Ok(report)) => report,
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => Report::default(),
        };
        if let Some(live) = live {
            live.clear().await;
        }
        report
    }

    /// Waits for something of the same runtime.
    pub fn wait<T>(&self, something: impl Future<Output = T>) -> T {
        self.runtime.block_on(something)
    }

    /// Cancelled by Ctrl-C.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// From here on, Ctrl-C ends the process.
    pub fn end(self) {
        self.interrupts.end_at_once();
        // A lookup of a name that nobody waits for is not waited for here either.
        self.runtime.shutdown_background();
    }
}

/// Models know tools by names that their APIs take.
pub fn with_names_of(host: &Host, batch: &mut Batch) {
    let mut names = Names::default();
    for (name, ..) in host.tools() {
        names.add(name);
    }
    with_real_names(&names, batch);
}

fn print_message(message: &serde_json::Value) -> anyhow::Result<()> {
    print::out(&format!("{message:#}\n"))
}

pub fn print_json(report: &Report) -> anyhow::Result<()> {
    let text = report.to_json()?;
    print::out(&(text + "\n"))
}

/// A batch's text: of a file, or `-` for standard input.
pub fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    // Enough to be refused as too large.
    let most = Batch::MOST_BYTES as u64 + 1;
    let mut text = Vec::new();
    if path == std::path::Path::new("-") {
        let read = std::io::stdin().lock().take(most).read_to_end(&mut text);
        read.context("cannot read standard input")?;
    } else {
        let read = std::fs::File::open(path).and_then(|it| it.take(most).read_to_end(&mut text));
        read.with_context(|| format!("cannot read the batch {}", path.display()))?;
    }
    Ok(text)
}
