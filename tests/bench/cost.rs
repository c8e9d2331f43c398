//! What a call costs above bare wasmtime: JSON text in to JSON text out, against the typed call of the same
//! function of the same component.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use inorder::{Batch, RunOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::measure::{Samples, in_turns, ratio, warm};
use crate::setup::{Bench, Threads, all_ok};
use crate::table::Row;

/// Calls in the large batch.
const CALLS: u32 = 1000;

pub fn add(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let runs = bench.effort.runs(20_000);
    let text = batch_of(&[call_add()]);
    let mut rows = Vec::new();
    for (threads, place) in [
        (Threads::One, "one thread"),
        (Threads::Two, "two workers"),
        (Threads::TwoFromOutside, "two workers, from outside"),
    ] {
        let (ours, text) = (bench.clone(), text.clone());
        let (bare, whole) = threads.run(async move {
            let bench = &*ours;
            in_turns(runs, 100, || bare_add(bench), || whole(bench, &text)).await
        })?;
        let times = ratio(whole.median(), bare.median());
        let task = threads.run(warm(runs / 2, empty_task))?;
        rows.push(Row::new(format!("add(1, 2), {place}: bare"), &bare));
        rows.push(
            Row::new(format!("  (an empty tokio task, {place}: spawned and joined)"), &task)
                .ratio("bare", ratio(task.median(), bare.median())),
        );
        rows.push(
            Row::new(format!("add(1, 2), {place}: text to text"), &whole)
                .ratio("bare", times)
                .wanted(1.5),
        );
    }
    rows.extend(parts(bench, runs / 2, text)?);
    Ok(rows)
}

/// Where the time of the whole path goes, on one thread.
fn parts(bench: &Arc<Bench>, runs: usize, text: String) -> anyhow::Result<Vec<Row>> {
    let ours = bench.clone();
    let (bare, untyped) = Threads::One.run(async move {
        let bench = &*ours;
        in_turns(runs, 100, || bare_add(bench), || bare_add_untyped(bench)).await
    })?;
    let ours = bench.clone();
    let phases = Threads::One.run(async move {
        let mut phases: [Samples; 5] = Default::default();
        for run in 0..runs + 100 {
            let mut marks = vec![Instant::now()];
            let batch = Batch::from_json(text.as_bytes())?;
            marks.push(Instant::now());
            let plan = ours.host.plan(batch)?;
            marks.push(Instant::now());
            let report = ours.host.execute(plan, RunOptions::default()).await;
            marks.push(Instant::now());
            all_ok(&report)?;
            black_box(report.to_json()?);
            marks.push(Instant::now());
            if run >= 100 {
                let took = marks.windows(2).map(|pair| pair[1] - pair[0]);
                let took = took.chain(report.results.iter().map(|outcome| outcome.usage.run));
                phases.iter_mut().zip(took).for_each(|(phase, took)| phase.push(took));
            }
        }
        Ok(phases)
    })?;
    let part = |name: &str, times: &Samples| {
        Row::new(format!("  (add, one thread: {name})"), times)
            .ratio("bare", ratio(times.median(), bare.median()))
    };
    let [parse, plan, execute, write, run] = &phases;
    Ok(vec![
        part("Batch::from_json", parse),
        part("Host::plan", plan),
        part("Host::execute", execute),
        part("the call's own run time", run),
        part("Report::to_json", write),
        part("bare by dynamic values", &untyped),
    ])
}

pub fn batch(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let runs = bench.effort.runs(101);
    let text = batch_of(&vec![call_add(); CALLS as usize]);
    let mut rows = Vec::new();
    let cases =
        [(Threads::One, 1, "one thread", None), (Threads::Two, 2, "two threads", Some(0.7))];
    for (threads, tasks, place, throughput) in cases {
        let (ours, text) = (bench.clone(), text.clone());
        let (bare, whole) = threads.run(async move {
            let bench = &ours;
            in_turns(runs, 1, || bare_batch(bench, tasks), || whole(bench, &text)).await
        })?;
        let (bare, whole) = (bare.each(CALLS), whole.each(CALLS));
        let row = Row::new(format!("1,000 x add, {place}, per call: text to text"), &whole)
            .ratio("bare", ratio(whole.median(), bare.median()));
        rows.push(Row::new(format!("1,000 x add, {place}, per call: bare"), &bare));
        rows.push(match throughput {
            Some(share) => row.wanted(1.0 / share),
            None => row,
        });
    }
    Ok(rows)
}

fn call_add() -> Value {
    json!({"tool": "add", "args": {"a": 1, "b": 2}})
}

fn batch_of(calls: &[Value]) -> String {
    json!({"calls": calls}).to_string()
}

async fn bare_add(bench: &Bench) -> anyhow::Result<()> {
    ensure!(bench.bare.add(1, 2).await? == 3, "bare add is wrong");
    Ok(())
}

async fn bare_add_untyped(bench: &Bench) -> anyhow::Result<()> {
    ensure!(bench.bare.add_untyped(1, 2).await? == 3, "bare add is wrong");
    Ok(())
}

/// The calls of the large batch, shared out to `tasks` tasks.
async fn bare_batch(bench: &Arc<Bench>, tasks: u32) -> anyhow::Result<()> {
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let bench = bench.clone();
        set.spawn(async move { bare_adds(&bench, CALLS / tasks).await });
    }
    // Awaits at once: a worker keeps the task that it spawned last to itself.
    while let Some(done) = set.join_next().await {
        done??;
    }
    Ok(())
}

async fn bare_adds(bench: &Bench, calls: u32) -> anyhow::Result<()> {
    for _ in 0..calls {
        bare_add(bench).await?;
    }
    Ok(())
}

/// What any call pays that runs in a task of its own.
async fn empty_task() -> anyhow::Result<()> {
    let mut set = JoinSet::new();
    set.spawn(async {});
    set.join_next().await.context("the task is gone")?.map_err(Into::into)
}

async fn whole(bench: &Bench, text: &str) -> anyhow::Result<()> {
    black_box(bench.text_to_text(text).await?);
    Ok(())
}
