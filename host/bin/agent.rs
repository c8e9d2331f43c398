//! `inorder agent`: a model that works with the tools, from a terminal.
//!
//! What is where: `endpoint` is whom to ask and with which key; `client` sends one request, by HTTP, and `scrub` keeps the key
//! out of what comes; `ask` asks again; `api` is what the APIs have in common, `anthropic` and `openai` how they write it,
//! `parts` the calls of the latter; `conversation` is what was said, `transcript` the file of it; `turns` is the loop, `tally`
//! what it took, `shown` what is seen of it.

mod anthropic;
mod api;
mod ask;
mod client;
mod conversation;
mod endpoint;
mod openai;
mod parts;
mod scrub;
mod shown;
mod tally;
mod transcript;
mod turns;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use inorder::HostBuilder;

use crate::Ending;
use crate::definitions::{self, References};
use crate::load::{AuditArgs, HostArgs, state_dir};
use crate::print::{self, bold, dim, say};
use crate::run::Runner;
use client::Client;
use conversation::Conversation;
use endpoint::{Before, Endpoint, EndpointArgs};
use shown::{For, Shown};
use tally::Tally;
use transcript::{Record, Start, Transcript};
use turns::Agent;

/// Let a model work on a task with the tools
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder agent 'what is in this directory?' --model claude-sonnet-4-5       with ANTHROPIC_API_KEY
  inorder agent 'fix the typos in docs' --model gpt-5 --allow-write 'docs/**'    with OPENAI_API_KEY
  inorder agent 'summarise notes.md' --model qwen3 --base-url http://localhost:11434/v1    Ollama, no key
  inorder agent 'hello' --model NAME --base-url https://api.example.org/v1 --key-env EXAMPLE_KEY
  inorder agent 'and now the README' --resume      goes on with the newest transcript of this directory

The calls of each answer are run as one batch, and what they come to is sent back, until the model calls
nothing more. What it says goes to standard output, everything else to standard error.

Exit codes: 0 the model came to its end (calls that failed on the way were told to it); 1 it did not:
--max-turns, a refusal, an answer cut off, Ctrl-C; 2 the command line, the config, the key or the request is
wrong; 3 the host or the server failed.
Ctrl-C stops the running calls and keeps the transcript; a second one ends at once.")]
pub struct Args {
    /// What to do, or `-` for standard input
    #[arg(required_unless_present = "resume")]
    task: Option<String>,
    #[command(flatten)]
    endpoint: EndpointArgs,
    /// Stop after so many answers with calls
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Which model")]
    max_turns: u32,
    /// Tokens of one answer [default: 16384 for Anthropic, the server's own for others]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Which model")]
    max_tokens: Option<u32>,
    /// A file in place of the system prompt; an empty one for none
    #[arg(long, value_name = "FILE", help_heading = "Which model")]
    system: Option<PathBuf>,
    #[command(flatten)]
    kept: KeptArgs,
    /// Print the lines of the transcript as they are written, and nothing else
    #[arg(long, help_heading = "Options")]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Transcript")]
struct KeptArgs {
    /// A new file for the conversation, as JSON lines [default: one in inorder/agent/ in the user's state folder]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_transcript", "resume"])]
    transcript: Option<PathBuf>,
    /// Keep none
    #[arg(long, conflicts_with = "resume")]
    no_transcript: bool,
    /// Go on with a transcript, and in it [without FILE: the newest that was begun in this directory]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
}

const SYSTEM: &str = "\
You work by tools, in a sandbox: what it denies is not allowed, and another way will be denied too, so say what you \
would need instead. Make all calls that you can in one answer: they run at the same time, with the result of running them \
one after another in your order. Any argument may be {\"$from\": N, \"at\": \"/json/pointer\"}: the result of the Nth call of \
the same answer, counted from 1, or the part of it at that JSON Pointer. Paths are relative to the root, which is `.`. When \
the task is done, say in a few words what you did.";

/// Of a task or a system prompt.
const MOST_BYTES: u64 = 16 << 20;

/// What is gone on with.
struct Past {
    path: PathBuf,
    transcript: Transcript,
    start: Start,
    records: Vec<Record>,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let here = std::env::current_dir().context("the current directory cannot be found")?;
    let past = args.kept.past(&here)?;
    let start = past.as_ref().map(|past| &past.start);
    let before = start.map(|start| Before { api: start.api, base_url: &start.base_url });
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let endpoint = Endpoint::resolve(&args.endpoint, before.as_ref(), set)?;
    let model = args.endpoint.model.clone().or_else(|| Some(start?.model.clone()));
    let model =
        model.context("which model? --model NAME, by the name that its server has for it")?;
    let system = match (&args.system, start) {
        (Some(path), _) => std::fs::File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(read)
            .with_context(|| format!("cannot read the system prompt {}", path.display()))?,
        (None, Some(start)) => start.system.clone(),
        (None, None) => SYSTEM.to_owned(),
    };
    let start = Start::new(endpoint.api, &endpoint.base_url, &model, &system, &here);
    let task = args.task.as_deref().map(task).transpose()?;
    let mut conversation = Conversation::new(endpoint.api);
    for record in past.iter().flat_map(|past| &past.records) {
        conversation.take(record);
    }
    let mending = conversation.mending();
    if task.is_none() && mending.is_empty() && conversation.is_answered() {
        bail!(
            "there is nothing to go on with, as the model had the last word: inorder agent 'what to do next' --resume"
        );
    }
    let api = endpoint.api;
    let client = Client::new(endpoint)?;
    let builder = args.host.audited_builder(&args.audit)?;
    let (transcript, is_new) = match past {
        Some(past) => {
            if let Some((plugin, grant)) = builder.who_may_write(&past.path) {
                bail!(
                    "the plugin {plugin:?} may write the transcript {} (by {grant:?}), and so what the model has seen and \
                     said: keep it elsewhere, or grant less",
                    past.path.display()
                );
            }
            (Some(past.transcript), false)
        }
        None => (args.kept.create(&here, &builder)?, true),
    };
    let host = builder.build()?;
    let tools = definitions::of(&host, api.definitions(), References::Allowed)?;
    let runner = Runner::start()?;
    let mut agent = Agent {
        host: &host,
        runner: &runner,
        client: &client,
        model: &model,
        system: &system,
        tools,
        max_turns: args.max_turns,
        max_tokens: args.max_tokens,
        conversation,
        transcript,
        shown: Shown::new(if args.json { For::Machines } else { For::People }),
        tally: Tally::default(),
    };
    if is_new {
        agent.keep(&Record::Start(start))?;
    }
    if !mending.is_empty() {
        agent.shown.note(
            "the last calls have no results: the model is told so, and they are not run again",
        );
        let (calls, failed, elapsed_ms, run_ms) = (0, 0, 0.0, 0.0);
        agent.keep(&Record::Results { messages: mending, calls, failed, elapsed_ms, run_ms })?;
    }
    if let Some(task) = task {
        agent.keep(&Record::User(api.user(&task)))?;
    }
    let ended = runner.wait(agent.work());
    let ending = finish(agent, ended, args);
    runner.end();
    ending
}

/// Says what came of it, whatever that is.
fn finish(
    mut agent: Agent,
    ended: anyhow::Result<turns::End>,
    args: &Args,
) -> anyhow::Result<Ending> {
    let reason = ended.as_ref().map_or("failed", turns::End::reason).to_owned();
    let tally = agent.tally;
    let kept = agent.keep(&Record::End { reason, tally });
    let written = agent.shown.ended();
    if !args.json {
        if let Some(note) = ended.as_ref().ok().and_then(turns::End::note) {
            say(print::plain(&note));
        }
        if tally.turns > 0 {
            say(bold(tally.text()));
        }
        if let Some(transcript) = &agent.transcript {
            let path = print::plain(&transcript.path().display().to_string());
            say(dim(format!(
                "to go on: the same command with what to do next, and --resume {path}"
            )));
        }
    }
    let ending = ended?.ending();
    kept?;
    written?;
    Ok(ending)
}

impl KeptArgs {
    fn past(&self, here: &Path) -> anyhow::Result<Option<Past>> {
        let path = match &self.resume {
            None => return Ok(None),
            Some(Some(path)) if !path.exists() => bail!(
                "there is no transcript {}; to go on with the newest one, put what to do before the flag: inorder agent \
                 '..' --resume",
                path.display()
            ),
            Some(Some(path)) => path.clone(),
            Some(None) => {
                let dir =
                    transcripts().context("there is no state folder: --resume FILE names one")?;
                transcript::newest(&dir, here)?
            }
        };
        let (transcript, start, records) = Transcript::reopen(&path)?;
        Ok(Some(Past { path, transcript, start, records }))
    }

    /// A file that no plugin may write, if one is to be kept.
    fn create(&self, here: &Path, builder: &HostBuilder) -> anyhow::Result<Option<Transcript>> {
        if self.no_transcript {
            return Ok(None);
        }
        let path = match &self.transcript {
            Some(path) => here.join(path),
            None => match transcripts() {
                Some(dir) => transcript::new_place(&dir),
                None => {
                    say(dim("note: no transcript is kept, as there is no state folder (HOME)"));
                    return Ok(None);
                }
            },
        };
        let transcript = Transcript::create(&path)?;
        let Some((plugin, grant)) = builder.who_may_write(&path) else {
            return Ok(Some(transcript));
        };
        drop(transcript);
        let _ = std::fs::remove_file(&path);
        let why = format!(
            "the plugin {plugin:?} may write where the transcript is ({}, by {grant:?}), and so what the model has \
             seen and said",
            path.display()
        );
        if self.transcript.is_some() {
            bail!("{why}: name another place, or --no-transcript");
        }
        say(dim(format!("note: none is kept: {why}; --transcript names another place")));
        Ok(None)
    }
}

/// Where transcripts are that nobody named a place for.
fn transcripts() -> Option<PathBuf> {
    Some(state_dir()?.join("agent"))
}

fn task(given: &str) -> anyhow::Result<String> {
    let text = match given {
        "-" => read(std::io::stdin().lock()).context("cannot read the task")?,
        text => text.to_owned(),
    };
    if text.trim().is_empty() {
        bail!("the task is empty");
    }
    Ok(text)
}

fn read(source: impl std::io::Read) -> anyhow::Result<String> {
    let mut text = String::new();
    source.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        bail!("it has more than {}", bytesize::ByteSize(MOST_BYTES));
    }
    Ok(text)
}
