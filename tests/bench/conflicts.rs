//! Batches whose calls all want one file, or none in common: what speculation costs, and what it gains.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inorder::{Effect, Host, RunOptions};
use serde_json::{Value, json};

use crate::folder::{Folder, call, run};
use crate::measure::{Samples, ratio};
use crate::setup::{Bench, Threads};
use crate::table::Row;

const CALLS: usize = 64;

/// Makespans, by way of running.
#[derive(Default)]
struct Ways {
    at_once: Samples,
    one_job: Samples,
    batches: Samples,
    /// Runs for each call, all at once and with one job.
    attempts: Vec<f64>,
    attempts_alone: Vec<f64>,
}

/// Never slower than one at a time, by more than a tenth.
pub fn one_file(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let named = call("edit", json!({"path": "shared"}));
    let unnamed = call("edit_shared", json!({"spin": 0}));
    let spinning = call("edit_shared", json!({"spin": 1_000_000}));
    let cases = [
        ("64 edits of one file, named by the arguments", named, 60),
        ("64 edits of one file, not named", unnamed, 60),
        ("64 edits of one file, not named, 1 ms each", spinning, 10),
    ];
    let mut rows = Vec::new();
    for (case, call, full) in cases {
        let ways = measured(bench, &vec![call; CALLS], bench.effort.runs(full), |folder| {
            folder.text("shared", &format!("0 {}", "x".repeat(1000))).map(drop)
        })?;
        let of = |other: &Samples| ratio(ways.at_once.median(), other.median());
        let alone = mean(&ways.attempts_alone);
        rows.push(Row::new(format!("{case}: jobs(1), {alone:.2} attempts"), &ways.one_job));
        rows.push(Row::new(format!("{case}: 64 batches of one"), &ways.batches));
        let together = format!("{case}: at once, {:.2} attempts", mean(&ways.attempts));
        rows.push(
            Row::new(&together, &ways.at_once).ratio("jobs(1)", of(&ways.one_job)).wanted(1.1),
        );
        rows.push(
            Row::new(&together, &ways.at_once).ratio("64 batches", of(&ways.batches)).wanted(1.1),
        );
    }
    Ok(rows)
}

/// Two cores should take little more than half of the time of one.
pub fn many_files(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let calls: Vec<Value> = (0..CALLS)
        .map(|at| call("burn", json!({"path": format!("file-{at}"), "spin": 3_000_000})))
        .collect();
    let ways = measured(bench, &calls, bench.effort.runs(10), files)?;
    let of = |other: &Samples| ratio(ways.at_once.median(), other.median());
    let case = "64 calls that compute, on 64 files";
    let together = format!("{case}: at once, {:.2} attempts", mean(&ways.attempts));
    Ok(vec![
        Row::new(format!("{case}: jobs(1)"), &ways.one_job),
        Row::new(format!("{case}: 64 batches of one"), &ways.batches),
        Row::new(&together, &ways.at_once).ratio("jobs(1)", of(&ways.one_job)).wanted(1.0 / 1.8),
        Row::new(&together, &ways.at_once).ratio("64 batches", of(&ways.batches)).wanted(1.0 / 1.8),
    ])
}

/// For information: a dry run and an atomic batch of 64 edits of 64 files.
pub fn effects(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let calls: Vec<Value> =
        (0..CALLS).map(|at| call("edit", json!({"path": format!("file-{at}")}))).collect();
    let folder = Folder::new(bench)?;
    files(&folder)?;
    let (host, runs) = (folder.host(None)?, bench.effort.runs(60));
    let times = Threads::Two.run(async move {
        let _folder = folder;
        let mut times: [Samples; 3] = Default::default();
        for turn in 0..=runs {
            let effects = [Effect::Commit, Effect::Atomic, Effect::DryRun];
            for (times, effect) in times.iter_mut().zip(effects) {
                let options = RunOptions { effect, ..RunOptions::default() };
                let began = Instant::now();
                run(&host, &calls, options).await?;
                if turn > 0 {
                    times.push(began.elapsed());
                }
            }
        }
        Ok(times)
    })?;
    let [commit, atomic, dry] = &times;
    let case = "64 edits of 64 files";
    let of = |other: &Samples| ratio(other.median(), commit.median());
    Ok(vec![
        Row::new(format!("{case}: each committed at its turn"), commit),
        Row::new(format!("{case}: atomic"), atomic).ratio("at its turn", of(atomic)),
        Row::new(format!("{case}: dry run"), dry).ratio("at its turn", of(dry)),
    ])
}

fn files(folder: &Folder) -> anyhow::Result<()> {
    (0..CALLS).try_for_each(|at| folder.text(&format!("file-{at}"), "0 and more").map(drop))
}

fn measured(
    bench: &Bench,
    calls: &[Value],
    runs: usize,
    make: fn(&Folder) -> anyhow::Result<()>,
) -> anyhow::Result<Ways> {
    let folder = Folder::new(bench)?;
    make(&folder)?;
    let (host, one_job) = (folder.host(None)?, folder.host(Some(1))?);
    let calls = calls.to_vec();
    Threads::Two.run(async move {
        let _folder = folder;
        let mut ways = Ways::default();
        for turn in 0..=runs {
            let (together, attempts) = whole(&host, &calls).await?;
            let (one_at_a_time, attempts_alone) = whole(&one_job, &calls).await?;
            let began = Instant::now();
            for call in calls.chunks(1) {
                run(&host, call, RunOptions::default()).await?;
            }
            let batches = began.elapsed();
            if turn > 0 {
                ways.at_once.push(together);
                ways.one_job.push(one_at_a_time);
                ways.batches.push(batches);
                ways.attempts.push(attempts);
                ways.attempts_alone.push(attempts_alone);
            }
        }
        Ok(ways)
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

async fn whole(host: &Host, calls: &[Value]) -> anyhow::Result<(Duration, f64)> {
    let began = Instant::now();
    let report = run(host, calls, RunOptions::default()).await?;
    let took = began.elapsed();
    let attempts: u32 = report.results.iter().map(|outcome| outcome.usage.attempts).sum();
    Ok((took, f64::from(attempts) / calls.len() as f64))
}
