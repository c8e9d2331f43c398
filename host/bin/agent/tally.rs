//! What a run of the agent took: turns, calls, time and tokens. Only adds up.

use std::time::Duration;

use inorder::Report;
use serde::{Deserialize, Serialize};

use super::api::Tokens;
use crate::print::time;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers of the model.
    pub turns: u32,
    pub calls: usize,
    pub failed: usize,
    /// Wall clock of all batches, in milliseconds.
    pub elapsed_ms: f64,
    /// Of each call by itself, added up.
    pub run_ms: f64,
    pub tokens: Tokens,
}

/// Milliseconds to a whole microsecond, as in reports.
pub fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The time that the calls of a batch ran, added up.
pub fn run(report: &Report) -> Duration {
    report.results.iter().map(|outcome| outcome.usage.run).sum()
}

pub fn failed(report: &Report) -> usize {
    report.results.iter().filter(|outcome| outcome.result.is_err()).count()
}

impl Tally {
    pub fn answer(&mut self, tokens: Tokens) {
        self.turns += 1;
        let sum = &mut self.tokens;
        sum.input = sum.input.saturating_add(tokens.input);
        sum.cached = sum.cached.saturating_add(tokens.cached);
        sum.output = sum.output.saturating_add(tokens.output);
    }

    pub fn batch(&mut self, report: &Report) {
        self.calls += report.results.len();
        self.failed += failed(report);
        self.elapsed_ms += millis(report.elapsed);
        self.run_ms += millis(run(report));
    }

    /// `2 turns; 3 calls in 12 ms, 30 ms one at a time: 18 ms saved; 1,204 tokens in (1,000 cached), 56 out`
    pub fn text(&self) -> String {
        let mut text = count(u64::from(self.turns), "turn");
        if self.calls > 0 {
            let duration = |millis: f64| Duration::from_secs_f64(millis.max(0.0) / 1000.0);
            let elapsed = time(duration(self.elapsed_ms));
            text.push_str(&format!("; {} in {elapsed}", count(self.calls as u64, "call")));
            let saved = self.run_ms - self.elapsed_ms;
            if saved > 0.0 {
                let (run, saved) = (time(duration(self.run_ms)), time(duration(saved)));
                text.push_str(&format!(", {run} one at a time: {saved} saved"));
            }
            if self.failed > 0 {
                text.push_str(&format!(", {} failed", self.failed));
            }
        }
        let Tokens { input, cached, output } = self.tokens;
        if (input, output) != (0, 0) {
            text.push_str(&format!("; {} in", count(input, "token")));
            if cached > 0 {
                text.push_str(&format!(" ({} cached)", thousands(cached)));
            }
            text.push_str(&format!(", {} out", thousands(output)));
        }
        text
    }
}

fn count(number: u64, of: &str) -> String {
    format!("{} {of}{}", thousands(number), if number == 1 { "" } else { "s" })
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_reads_as_a_line() {
        let mut tally = Tally { calls: 3, elapsed_ms: 12.0, run_ms: 30.0, ..Tally::default() };
        tally.answer(Tokens { input: 1204, cached: 1000, output: 50 });
        tally.answer(Tokens { input: 0, cached: 0, output: 6 });
        assert_eq!(
            tally.text(),
            "2 turns; 3 calls in 12 ms, 30 ms one at a time: 18 ms saved; 1,204 tokens in (1,000 cached), 56 out"
        );
        assert_eq!(Tally::default().text(), "0 turns");
        assert_eq!(thousands(1_000_000), "1,000,000");
    }
}
