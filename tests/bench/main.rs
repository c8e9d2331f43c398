//! The benchmark: what inorder costs above bare wasmtime, measured in one process on one component.
//!
//! Prints a table, and a second one of what one would do instead. A wanted bound stands beside its measured ratio and is never asserted: the exit code
//! is not zero only if a case could not be run. Knows nothing of single cases; those are `scheduling.rs`, `cost.rs`, `values.rs`,
//! `scale.rs`, `flight.rs`, `start.rs`, `serve.rs`, on files, `files.rs`, `writes.rs` and `conflicts.rs`, and, of memory, `hostile.rs`.

mod bare;
mod client;
mod conflicts;
mod cost;
mod files;
mod flight;
mod folder;
mod hostile;
mod measure;
mod scale;
mod scheduling;
mod serve;
mod setup;
mod start;
mod step;
mod stock;
mod table;
mod values;
mod writes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::measure::Effort;
use crate::setup::Bench;
use crate::table::Row;

/// Measures inorder against bare wasmtime, and against stock wasmtime-wasi, on the components in tests/guests.
///
/// Run it with nothing else at work: the load average is printed with the table.
#[derive(Parser)]
#[command(bin_name = "cargo bench --profile dist --bench bench --")]
struct Args {
    /// Runs only the cases whose name contains this.
    filter: Option<String>,
    /// Fewer runs: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Makes files in this folder, on whatever file system it is on; in `target/` by default.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Names the cases.
    #[arg(long)]
    list: bool,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

type Case = (&'static str, fn(&Arc<Bench>) -> anyhow::Result<Vec<Row>>);

/// In the order in which they always run.
const CASES: [Case; 25] = [
    ("timer", scheduling::timer),
    ("five-sleeps", scheduling::five_sleeps),
    ("chain", scheduling::chain),
    ("diamond", scheduling::diamond),
    ("computing", scheduling::computing),
    ("add", cost::add),
    ("echo", values::text),
    ("bytes", values::bytes),
    ("records", values::records),
    ("batch-1000", cost::batch),
    ("calls-in-a-batch", scale::calls),
    ("edits-in-a-batch", scale::edits),
    ("tools-loaded", scale::tools),
    ("in-flight", flight::sleeping),
    ("processes", start::processes),
    ("step", step::step),
    ("serve", serve::serve),
    ("files-read", files::reading),
    ("files-look", files::looking),
    ("files-write", writes::writes),
    ("files-batch-write", writes::in_one_batch),
    ("files-one", conflicts::one_file),
    ("files-many", conflicts::many_files),
    ("files-effects", conflicts::effects),
    ("hostile-memory", hostile::memory),
];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.list {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let filter = args.filter.unwrap_or_default();
    let chosen: Vec<&Case> = CASES.iter().filter(|(name, _)| name.contains(&filter)).collect();
    anyhow::ensure!(!chosen.is_empty(), "no case has {filter:?} in its name; --list names them");
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let bench = Arc::new(Bench::new(effort, args.folder)?);

    let before = setup::load();
    let (mut rows, mut failed) = (Vec::new(), false);
    for (name, case) in chosen {
        eprintln!("{name} ..");
        match case(&bench) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("{name} could not be run: {error:#}");
                failed = true;
            }
        }
    }
    println!("{}; load average {before} before, {} after\n", setup::machine(), setup::load());
    let (instead, ours): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.instead);
    print!("{}", table::markdown(&ours));
    if !instead.is_empty() {
        println!("\nWhat one would do instead:\n");
        print!("{}", table::markdown(&instead));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
