//! `inorder log` and `inorder undo`: what the last batches changed in a root, and taking the last one back.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use inorder::{Change, Entry, UndoError};

use crate::Ending;
use crate::print::{bad, bold, dim, good, line, out, out_styled};

/// List the last batches that changed files in a root
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder log                  the batches of the current directory, newest last
  inorder log --root ../site   those of another root
  inorder log --json           one JSON document")]
pub struct LogArgs {
    /// The root [default: the current directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    root: PathBuf,
    /// At most so many batches
    #[arg(long, short = 'n', value_name = "N", default_value = "10")]
    count: NonZeroUsize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Take back what the last batch changed in a root
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder undo                 in the current directory
  inorder undo --root ../site  in another root

Files that were changed after the batch are named, and then nothing is undone. Only the last batch can be undone, and
that once.")]
pub struct UndoArgs {
    /// The root [default: the current directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    root: PathBuf,
}

/// Characters of one path, or name.
const MOST: usize = 400;

/// Of those that can be written as a date, in seconds since 1970.
const LAST_TIME: u64 = 253_402_300_799;

pub fn log(args: &LogArgs) -> anyhow::Result<Ending> {
    let mut entries = inorder::log(&args.root).map_err(inorder::Error::from)?;
    entries.drain(..entries.len().saturating_sub(args.count.get()));
    if args.json {
        out(&(serde_json::to_string_pretty(&serde_json::json!({ "batches": entries }))? + "\n"))?;
        return Ok(Ending::AllOk);
    }
    let mut text = String::new();
    for entry in &entries {
        describe(&mut text, entry)?;
    }
    if entries.is_empty() {
        text.push_str("no batch has changed files here\n");
    }
    out_styled(&text)?;
    Ok(Ending::AllOk)
}

fn describe(text: &mut String, entry: &Entry) -> std::fmt::Result {
    let number = |batch: &str| line(batch.trim_start_matches('0'), MOST);
    // Whoever gave away the folder may have written its log.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.time.min(LAST_TIME));
    let time = dim(humantime::format_rfc3339_seconds(time));
    if let Some(undone) = &entry.undoes {
        return writeln!(text, "{} {time}", bold(format!("undo of {}", number(undone))));
    }
    writeln!(text, "{} {time}", bold(format!("batch {}", number(&entry.batch))))?;
    for call in &entry.calls {
        let [id, tool, outcome] =
            [&call.id, &call.tool, &call.outcome].map(|text| line(text, MOST));
        if outcome == "ok" {
            writeln!(text, "  {} {id} {tool}", good("✓"))?;
        } else {
            writeln!(text, "  {} {id} {tool} {}", bad("✗"), dim(outcome))?;
        }
        for change in &call.changes {
            match change {
                Change::Created(path) => writeln!(text, "      created  {}", line(path, MOST))?,
                Change::Modified(path) => writeln!(text, "      modified {}", line(path, MOST))?,
                Change::Removed(path) => writeln!(text, "      removed  {}", line(path, MOST))?,
                Change::Renamed { from, to } => {
                    writeln!(text, "      renamed  {} to {}", line(from, MOST), line(to, MOST))?;
                }
            }
        }
    }
    Ok(())
}

pub fn undo(args: &UndoArgs) -> anyhow::Result<Ending> {
    let paths = inorder::undo(&args.root).map_err(in_a_line)?;
    let mut text = String::new();
    for path in &paths {
        let there = args.root.join(path).symlink_metadata().is_ok();
        let what = if there { "restored" } else { "removed " };
        writeln!(text, "{what} {}", line(path, MOST))?;
    }
    out_styled(&text)?;
    Ok(Ending::AllOk)
}

/// A path with line breaks would end the message, and go on as one of ours.
fn in_a_line(error: UndoError) -> UndoError {
    match error {
        UndoError::Changed { paths, kept } => {
            let paths = paths.iter().map(|path| line(path, MOST)).collect();
            UndoError::Changed { paths, kept }
        }
        other => other,
    }
}
