//! `inorder bench`: a user's own batch, many times: how long it takes, and how long it would have to take at the least.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use inorder::{Batch, Effect, Outcome, Plan, Report, ToolRef};
use serde::Serialize;
use serde_json::json;

use crate::load::HostArgs;
use crate::print::{bold, dim, line, out, out_styled, say, time};
use crate::{Ending, run};

/// Run a batch many times and tell where its time goes
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder bench batch.json                    20 times, as dry runs: no file is changed
  inorder bench batch.json -n 200 --json      the figures as one JSON document
  inorder bench batch.json --commit --allow-write '**'     the changes are made, each time

The lower bound is what the batch would take if nothing were lost between its calls: the longest chain of calls
that use each other's results, or all of them shared out evenly to the jobs, whichever is more. Calls that change the
same files wait for each other too, and there may be fewer cores than jobs: neither is in it.")]
pub struct Args {
    /// The batch: a JSON file, or `-` for standard input
    batch: PathBuf,
    /// How often, after one run that is not counted
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Make the changes, instead of dry runs
    #[arg(long)]
    commit: bool,
    #[command(flatten)]
    host: HostArgs,
    /// Print the figures as one JSON document and nothing else
    #[arg(long, help_heading = "Options")]
    json: bool,
}

/// What all runs together say.
#[derive(Serialize)]
struct Figures {
    runs: u32,
    jobs: usize,
    /// From the start of the batch to its last outcome.
    elapsed_ms: Spread,
    /// The medians of all calls together.
    work_ms: f64,
    /// The ids of the longest chain of calls, each of which waits for the one before.
    critical_path: Vec<String>,
    critical_path_ms: f64,
    lower_bound_ms: f64,
    /// The median over the lower bound.
    over_lower_bound: f64,
    calls: Vec<CallFigures>,
}

#[derive(Serialize)]
struct CallFigures {
    id: String,
    tool: String,
    /// Its last run and its commit.
    took_ms: Spread,
    /// How often it ran, on average.
    attempts: f64,
}

#[derive(Serialize)]
struct Spread {
    median: f64,
    p10: f64,
    p90: f64,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let batch = Batch::from_json(&run::read(&args.batch)?).map_err(inorder::Error::from)?;
    if batch.calls.is_empty() {
        bail!("the batch has no calls: there is nothing to measure");
    }
    let host = args.host.host()?;
    let waits = waits(&host.plan(batch.clone())?);
    let effect = if args.commit { Effect::Commit } else { Effect::DryRun };
    let runner = run::Runner::start()?;
    let mut reports = Vec::new();
    for turn in 0..=args.runs {
        let report = runner.run(&host, host.plan(batch.clone())?, effect, false);
        if runner.is_cancelled() {
            break;
        }
        if turn == 0 {
            failures(&report);
        } else {
            reports.push(report);
        }
    }
    runner.end();
    if reports.is_empty() {
        bail!("stopped before the first run had ended");
    }
    let figures = figures(&reports, &waits, host.jobs());
    if args.json {
        out(&(json!(figures).to_string() + "\n"))?;
    } else {
        print(&figures, args.commit)?;
    }
    let all_ok = reports.iter().all(Report::all_ok);
    Ok(if all_ok { Ending::AllOk } else { Ending::CallFailed })
}

fn failures(report: &Report) {
    let failed: Vec<&str> = report
        .results
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.id.as_str())
        .collect();
    if !failed.is_empty() {
        let ids = line(&failed.join(", "), 200);
        say(dim(format!("note: not all calls are ok, which `inorder run` explains: {ids}")));
    }
}

/// For each call, the earlier ones that it waits for.
fn waits(plan: &Plan<ToolRef>) -> Vec<Vec<usize>> {
    let of = |call: &inorder::Planned<ToolRef>| {
        let inputs = call.links.iter().map(|link| link.from);
        inputs.chain(call.after.iter().copied()).collect()
    };
    plan.calls().iter().map(of).collect()
}

fn figures(reports: &[Report], waits: &[Vec<usize>], jobs: usize) -> Figures {
    let took = |outcome: &Outcome| millis(outcome.usage.run + outcome.usage.commit);
    let calls: Vec<CallFigures> = (0..waits.len())
        .map(|index| {
            let outcomes = reports.iter().map(|report| &report.results[index]);
            let attempts: u32 = outcomes.clone().map(|it| it.usage.attempts).sum();
            let first = &reports[0].results[index];
            CallFigures {
                id: first.id.clone(),
                tool: first.tool.clone(),
                took_ms: Spread::of(outcomes.map(took)),
                attempts: f64::from(attempts) / reports.len() as f64,
            }
        })
        .collect();
    let elapsed_ms = Spread::of(reports.iter().map(|report| millis(report.elapsed)));
    let work_ms = calls.iter().map(|call| call.took_ms.median).sum::<f64>();
    let (path, critical_path_ms) = critical_path(&calls, waits);
    let lower_bound_ms = critical_path_ms.max(work_ms / jobs.min(calls.len()).max(1) as f64);
    Figures {
        runs: reports.len() as u32,
        jobs,
        over_lower_bound: elapsed_ms.median / lower_bound_ms.max(1e-6),
        elapsed_ms,
        work_ms,
        critical_path: path.into_iter().map(|index| calls[index].id.clone()).collect(),
        critical_path_ms,
        lower_bound_ms,
        calls,
    }
}

/// The calls of the longest chain, and how long it is. A call waits for earlier ones alone.
fn critical_path(calls: &[CallFigures], waits: &[Vec<usize>]) -> (Vec<usize>, f64) {
    let mut chains: Vec<(f64, Option<usize>)> = Vec::new();
    for (call, before) in calls.iter().zip(waits) {
        let longest = before.iter().max_by(|one, two| chains[**one].0.total_cmp(&chains[**two].0));
        let ahead = longest.map_or(0.0, |before| chains[*before].0);
        chains.push((ahead + call.took_ms.median, longest.copied()));
    }
    let last = (0..chains.len()).max_by(|one, two| chains[*one].0.total_cmp(&chains[*two].0));
    let mut path: Vec<usize> = std::iter::successors(last, |call| chains[*call].1).collect();
    path.reverse();
    (path, last.map_or(0.0, |last| chains[last].0))
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let index = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
            values.get(index).copied().unwrap_or_default()
        };
        Spread { median: at(0.5), p10: at(0.1), p90: at(0.9) }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn print(figures: &Figures, commit: bool) -> anyhow::Result<()> {
    const MOST_CALLS: usize = 20;
    let ms = |ms: f64| time(Duration::from_secs_f64(ms / 1000.0));
    let spread =
        |it: &Spread| format!("{} (p10 {}, p90 {})", ms(it.median), ms(it.p10), ms(it.p90));
    let what = if commit { "runs" } else { "dry runs" };
    let mut text = format!(
        "{}\n",
        bold(format!(
            "{} {what} of {} calls, {} at once at the most: {}",
            figures.runs,
            figures.calls.len(),
            figures.jobs,
            spread(&figures.elapsed_ms)
        ))
    );
    let path = figures.critical_path.join(" → ");
    text += &format!("critical path   {}   {}\n", ms(figures.critical_path_ms), line(&path, 100));
    text += &format!("all calls       {}\n", ms(figures.work_ms));
    text += &format!(
        "lower bound     {}   the batch took {:.2} times that\n\n",
        ms(figures.lower_bound_ms),
        figures.over_lower_bound
    );
    let mut slowest: Vec<&CallFigures> = figures.calls.iter().collect();
    slowest.sort_by(|one, two| two.took_ms.median.total_cmp(&one.took_ms.median));
    let (ids, tools) = (12, 24);
    for call in slowest.iter().take(MOST_CALLS) {
        let again = if call.attempts > 1.0 {
            format!("   {:.2} attempts", call.attempts)
        } else {
            String::new()
        };
        text += &format!(
            "{:ids$}  {:tools$}  {}{again}\n",
            line(&call.id, ids),
            line(&call.tool, tools),
            spread(&call.took_ms)
        );
    }
    if let Some(more) = slowest.len().checked_sub(MOST_CALLS).filter(|more| *more > 0) {
        text += &format!("{}\n", dim(format!("and {more} quicker ones; --json has all of them")));
    }
    out_styled(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, median: f64) -> CallFigures {
        let took_ms = Spread { median, p10: median, p90: median };
        CallFigures { id: id.to_owned(), tool: String::new(), took_ms, attempts: 1.0 }
    }

    #[test]
    fn the_critical_path_is_the_longest_chain_of_calls_that_wait() {
        let calls =
            [call("a", 5.0), call("b", 1.0), call("c", 1.0), call("d", 9.0), call("e", 2.0)];
        let waits = [vec![], vec![], vec![0, 1], vec![1], vec![2]];
        assert_eq!(critical_path(&calls, &waits), (vec![1, 3], 10.0));
        assert_eq!(critical_path(&calls[..3], &waits[..3]), (vec![0, 2], 6.0));
        assert_eq!(critical_path(&[], &[]), (vec![], 0.0));
    }

    #[test]
    fn quantiles_are_samples() {
        let spread = Spread::of((1..=11).map(f64::from));
        assert_eq!((spread.p10, spread.median, spread.p90), (2.0, 6.0, 10.0));
    }
}
