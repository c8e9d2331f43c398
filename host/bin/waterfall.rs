//! The report for people: the calls in time, then what each gave.

use std::io::{self, Write};

use inorder::{Change, Committed, Outcome, Report, Status};
use serde_json::Value;

use crate::print::{
    bad, bold, by_status, dim, exact, good, line, mark, out_styled, plain, say, time,
};

/// Rows of the waterfall, and results in full, before the rest is only counted.
const MOST_CALLS: usize = 60;
/// Lines of one result.
const MOST_LINES: usize = 12;
const MOST_COLUMNS: usize = 400;

pub fn print(report: &Report) -> anyhow::Result<()> {
    let mut out = Vec::new();
    waterfall(&mut out, report)?;
    for outcome in report.results.iter().take(MOST_CALLS) {
        result(&mut out, outcome)?;
    }
    if let Some(more) = report.results.len().checked_sub(MOST_CALLS).filter(|more| *more > 0) {
        writeln!(out, "\n{}", dim(format!("and {more} more results; --json prints all of them")))?;
    }
    out_styled(&String::from_utf8_lossy(&out))?;
    print_effect(report)
}

/// What became of the changes, where that is not as usual.
pub fn print_effect(report: &Report) -> anyhow::Result<()> {
    if let Some(Committed::No { because }) = &report.committed {
        say(format_args!("{}: nothing was changed: {}", bad("not committed"), plain(because)));
    }
    match report.diff.as_deref() {
        None => Ok(()),
        Some("") => {
            say(dim("dry run: nothing would change"));
            Ok(())
        }
        Some(diff) => {
            say(dim("dry run: nothing was changed; this would be:"));
            print_diff(diff)
        }
    }
}

fn print_diff(diff: &str) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in exact(diff).lines() {
        match line.as_bytes().first() {
            Some(b'+') => text.push_str(&good(line).to_string()),
            Some(b'-') => text.push_str(&by_status(Status::Error, line).to_string()),
            Some(b'@') => text.push_str(&dim(line).to_string()),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    out_styled(&text)
}

/// The calls in time, and how many there were.
pub fn waterfall(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let shown = &report.results[..report.results.len().min(MOST_CALLS)];
    let widest = |text: fn(&Outcome) -> &str, most: usize| {
        shown.iter().map(|it| text(it).chars().count()).max().unwrap_or(0).min(most)
    };
    let (ids, tools) = (widest(|it| &it.id, 12), widest(|it| &it.tool, 24));
    let bars = width().saturating_sub(ids + tools + 16).clamp(10, 80);
    for outcome in shown {
        let bar = bar(outcome, report.elapsed.as_secs_f64(), bars);
        let status = outcome.status();
        writeln!(
            out,
            "{} {:ids$}  {:tools$}  {}  {:>8}",
            by_status(status, mark(status)),
            line(&outcome.id, ids),
            line(&outcome.tool, tools),
            by_status(status, bar),
            time(outcome.usage.run),
        )?;
    }
    if report.results.len() > shown.len() {
        writeln!(
            out,
            "{}",
            dim(format!("… and {} more calls", report.results.len() - shown.len()))
        )?;
    }
    let count = |status| report.results.iter().filter(|it| it.status() == status).count();
    let run: std::time::Duration = report.results.iter().map(|outcome| outcome.usage.run).sum();
    let (failed, skipped) = (count(Status::Error), count(Status::Skipped));
    let calls = report.results.len();
    let calls = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
    let mut summary = format!("{calls} in {}", time(report.elapsed));
    if run > report.elapsed {
        summary.push_str(&format!(" ({} of calls)", time(run)));
    }
    if failed > 0 {
        summary.push_str(&format!(", {failed} failed"));
    }
    if skipped > 0 {
        summary.push_str(&format!(", {skipped} skipped"));
    }
    writeln!(out, "{}", bold(summary))
}

/// When the call ran, from the start of the batch at the left to its end at the right.
fn bar(outcome: &Outcome, elapsed: f64, width: usize) -> String {
    let ran = !outcome.usage.run.is_zero();
    let cell = |seconds: f64| ((seconds / elapsed.max(1e-9)) * width as f64) as usize;
    let start = cell(outcome.usage.queued.as_secs_f64()).min(width - 1);
    let end =
        cell((outcome.usage.queued + outcome.usage.run).as_secs_f64()).clamp(start + 1, width);
    let fill = if ran { "█" } else { " " };
    format!("{}{}{}", " ".repeat(start), fill.repeat(end - start), " ".repeat(width - end))
}

fn result(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let status = outcome.status();
    writeln!(
        out,
        "\n{} {} {}",
        by_status(status, mark(status)),
        bold(line(&outcome.id, 60)),
        dim(line(&outcome.tool, 60)),
    )?;
    match &outcome.result {
        Ok(json) => block(out, &text(json.value()))?,
        Err(error) => {
            let kind = error.kind.as_str();
            block(out, &format!("{kind}: {}", error.message))?;
            match error.value.as_deref() {
                None | Some(Value::String(_) | Value::Null) => {}
                Some(value) => block(out, &text(value))?,
            }
        }
    }
    for (name, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        if !text.is_empty() {
            writeln!(out, "  {}", dim(format!("{name}:")))?;
            block(out, text)?;
        }
    }
    Ok(())
}

/// A result as people read it: text as text, lists a line per item, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

fn block(out: &mut impl Write, text: &str) -> io::Result<()> {
    let text = plain(text);
    let lines: Vec<&str> = text.lines().collect();
    for shown in lines.iter().take(MOST_LINES) {
        writeln!(out, "  {}", line(shown, MOST_COLUMNS))?;
    }
    match lines.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        Some(more) => writeln!(out, "  {}", dim(format!("… {more} more lines"))),
        None => Ok(()),
    }
}

/// What a single call has changed, for standard error: as a rule it says nothing of that itself.
pub fn print_changes(outcome: &Outcome) {
    for change in &outcome.changes {
        let told = match change {
            Change::Created(path) => format!("created {path}"),
            Change::Modified(path) => format!("modified {path}"),
            Change::Removed(path) => format!("removed {path}"),
            Change::Renamed { from, to } => format!("renamed {from} to {to}"),
        };
        say(dim(line(&told, MOST_COLUMNS)));
    }
}

/// Why a single call failed, for standard error.
pub fn print_error(outcome: &Outcome) {
    if let Err(error) = &outcome.result {
        say(format_args!("{}: {}", bad(error.kind.as_str()), plain(&error.message)));
        if let Some(value @ (Value::Object(_) | Value::Array(_))) = error.value.as_deref() {
            say(plain(&value.to_string()));
        }
    }
}

fn width() -> usize {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns.into())
}
