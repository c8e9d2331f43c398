//! The command line: parses, hands over to one file per subcommand, maps errors to exit codes.
//!
//! 0: every call was ok. 1: a call failed. 2: the batch, the config or the command line is wrong.
//! 3: the host failed. Results go to stdout, everything else to stderr.

mod agent;
mod ask;
mod bench;
mod call;
mod check;
mod compile;
mod definitions;
mod dev;
mod format;
mod history;
mod inspect;
mod interrupts;
mod live;
mod load;
mod new;
mod pack;
mod print;
mod run;
mod serve;
mod standard;
mod tools;
mod warnings;
mod watch;
mod waterfall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inorder::{CallError, ErrorKind, Report};
use tracing_subscriber::EnvFilter;

/// Runs the tool calls of AI agents in parallel, each in a WebAssembly sandbox, with the result of
/// running them one at a time, in order.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Call(call::Args),
    Serve(serve::Args),
    Agent(agent::Args),
    Tools(tools::Args),
    Inspect(inspect::Args),
    Check(check::Args),
    New(new::Args),
    Dev(dev::Args),
    Pack(pack::Args),
    Log(history::LogArgs),
    Undo(history::UndoArgs),
    Bench(bench::Args),
    #[command(name = compile::NAME, hide = true)]
    Compile(compile::Args),
}

/// How the process ends when nothing was wrong with what it was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    AllOk,
    CallFailed,
    /// Of a call it was the host that failed.
    HostFailed,
}

impl Ending {
    fn of(report: &Report) -> Ending {
        let of_host = |error: &CallError| error.kind == ErrorKind::Host;
        let host = report.results.iter().any(|it| it.result.as_ref().is_err_and(of_host));
        match report.all_ok() {
            true => Ending::AllOk,
            false if host => Ending::HostFailed,
            false => Ending::CallFailed,
        }
    }
}

/// Nothing that we were given is wrong, and still we cannot go on.
#[derive(Debug)]
struct HostFault(String);

impl std::fmt::Display for HostFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostFault {}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // The SDK of the protocol warns of every error that it answers a client with.
    let asked = EnvFilter::try_from_env("INORDER_LOG").ok();
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Whoever waits at a terminal is told for what.
    let usual = if ansi { "warn,rmcp=error,inorder::loading=info" } else { "warn,rmcp=error" };
    let log = tracing_subscriber::fmt().with_ansi(ansi).with_writer(std::io::stderr);
    match asked {
        // What a helper says on standard error is its answer.
        _ if matches!(command, Command::Compile(_)) => {}
        Some(filter) => log.with_env_filter(filter).init(),
        None => log.with_env_filter(usual).event_format(warnings::Lines).init(),
    }
    let ended = match command {
        Command::Run(args) => run::main(&args),
        Command::Call(args) => call::main(args),
        Command::Serve(args) => serve::main(&args),
        Command::Agent(args) => agent::main(&args),
        Command::Tools(args) => tools::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Log(args) => history::log(&args),
        Command::Undo(args) => history::undo(&args),
        Command::New(args) => new::main(&args),
        Command::Dev(args) => dev::main(&args),
        Command::Pack(args) => pack::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::Compile(args) => return compile::main(&args),
    };
    match ended {
        Ok(Ending::AllOk) => ExitCode::SUCCESS,
        Ok(Ending::CallFailed) => ExitCode::from(1),
        Ok(Ending::HostFailed) => ExitCode::from(3),
        Err(error) => {
            let host = error.is::<HostFault>()
                || error
                    .downcast_ref::<inorder::Error>()
                    .is_some_and(inorder::Error::is_host_fault);
            print::say(format_args!(
                "{}: {}",
                print::bad("error"),
                print::plain(&format!("{error:#}"))
            ));
            ExitCode::from(if host { 3 } else { 2 })
        }
    }
}
