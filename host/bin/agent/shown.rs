//! What is seen of the agent's work: the model's text on standard output, everything else beside it; or, for machines,
//! the records of the transcript instead.
//!
//! Whoever has something to ask at the terminal does it where a batch is run (`Runner::executed`): nothing of this is
//! drawn then, and standard output is at the start of a line.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use inorder::Report;

use super::transcript::Record;
use crate::print::{self, bad, dim, line, plain, say};
use crate::waterfall;

/// Failed calls of one batch that are told each.
const MOST_FAILED: usize = 12;
/// Characters of what is told of one.
const MOST_COLUMNS: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    People,
    Machines,
}

pub struct Shown {
    whom: For,
    in_line: bool,
    /// What went wrong with standard output: told once the work is done, which does not depend on it.
    broken: Option<anyhow::Error>,
}

/// A sign of life until an answer begins.
pub struct Waiting(Option<ProgressBar>);

impl Waiting {
    pub fn end(&self) {
        if let Some(bar) = self.0.as_ref().filter(|bar| !bar.is_finished()) {
            bar.finish_and_clear();
        }
    }
}

impl Shown {
    pub fn new(whom: For) -> Shown {
        Shown { whom, in_line: false, broken: None }
    }

    /// Whether something may be drawn and taken away again.
    pub fn is_live(&self) -> bool {
        self.whom == For::People && std::io::stderr().is_terminal()
    }

    pub fn waiting(&self, model: &str) -> Waiting {
        let style = ProgressStyle::with_template("{spinner} {msg:.dim} {elapsed:.dim}");
        let (true, Ok(style)) = (self.is_live(), style) else { return Waiting(None) };
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.set_message(line(model, 40));
        bar.enable_steady_tick(Duration::from_millis(100));
        Waiting(Some(bar))
    }

    /// A piece of what the model says.
    pub fn text(&mut self, text: &str) {
        if self.whom == For::People && !text.is_empty() {
            self.in_line = !text.ends_with('\n');
            let written = print::out_piece(text);
            self.keep(written);
        }
    }

    pub fn end_line(&mut self) {
        if std::mem::take(&mut self.in_line) {
            let written = print::out_piece("\n");
            self.keep(written);
        }
    }

    pub fn record(&mut self, record: &Record) -> anyhow::Result<()> {
        if self.whom == For::Machines {
            let written = print::out(&(serde_json::to_string(record)? + "\n"));
            self.keep(written);
        }
        Ok(())
    }

    pub fn note(&mut self, text: &str) {
        self.end_line();
        say(dim(plain(text)));
    }

    /// The calls of a batch in time, and why some failed.
    pub fn batch(&mut self, report: &Report) {
        if self.whom == For::Machines {
            return;
        }
        let mut out = Vec::new();
        // Into memory, which takes it.
        let _ = waterfall::waterfall(&mut out, report);
        say(String::from_utf8_lossy(&out).trim_end());
        let failed = report.results.iter().filter_map(|it| Some((it, it.result.as_ref().err()?)));
        for (outcome, error) in failed.take(MOST_FAILED) {
            let text = format!("{} {}: {}", outcome.tool, error.kind.as_str(), error.message);
            say(format_args!("{} {}", bad("✗"), dim(line(&text, MOST_COLUMNS))));
        }
    }

    /// # Errors
    /// Something could not be written to standard output.
    pub fn ended(&mut self) -> anyhow::Result<()> {
        self.end_line();
        self.broken.take().map_or(Ok(()), Err)
    }

    fn keep(&mut self, written: anyhow::Result<()>) {
        if let Err(error) = written {
            self.broken.get_or_insert(error);
        }
    }
}
