//! What writing costs: a call that changes a file, and its commit, on the file system that the build is on.
//!
//! `files-write` runs each as a batch of its own, so that everything a batch pays is in it: its folder, its journal, its line in
//! the log. `beyond an empty call` is run + commit, or text to text, less the median of the same for a call that does nothing.
//! `files-batch-write` shares that between 64 calls, and counts everything: the time of the batch by its calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inorder::{Batch, Host, RunOptions};
use rustix::fs::{CWD, RenameFlags};
use serde_json::{Value, json};

use crate::folder::{Folder, call, usage};
use crate::measure::{Samples, ratio};
use crate::setup::{Bench, Threads, all_ok};
use crate::table::Row;

/// The case for which a bound is set.
const REPLACING: &str = "write 4 KiB over a file";
/// What writing and committing 4 KiB may take.
const WANTED: Duration = Duration::from_micros(60);
const BLOCK: usize = 20;

#[derive(Default)]
struct Times {
    whole: Samples,
    run: Samples,
    commit: Samples,
    nothing_whole: Samples,
    nothing_run: Samples,
}

pub fn writes(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let file = |_: usize| json!({"path": "file", "length": 4096});
    let new = |at: usize| json!({"path": format!("new-{at}"), "length": 4096});
    let tail = |_: usize| json!({"path": "file", "length": 100});
    let many = |_: usize| json!({"path": "many/file-0500.txt"});
    let counter = |_: usize| json!({"path": "counter"});
    type Args = fn(usize) -> Value;
    let cases: [(&str, &str, Args); 5] = [
        (REPLACING, "write", file),
        ("create a file of 4 KiB", "write", new),
        ("append 100 bytes to 4 KiB", "append", tail),
        ("edit a file of 4 KiB", "edit", counter),
        ("edit a file among 1,000", "edit", many),
    ];
    let mut rows = vec![by_hand(bench)?];
    for (case, tool, args) in cases {
        let folder = Folder::new(bench)?;
        let on = folder.file_system();
        let times = measured(folder, tool, args, bench.effort.runs(1000))?;
        let both = times.run.plus(&times.commit).less(times.nothing_run.median());
        let whole = times.whole.less(times.nothing_whole.median());
        rows.push(Row::new(format!("{case} ({on}): run"), &times.run));
        rows.push(Row::new(format!("{case} ({on}): commit"), &times.commit));
        let row = Row::new(format!("{case} ({on}): run + commit beyond an empty call"), &both)
            .ratio("60 us", ratio(both.median(), WANTED));
        rows.push(if case == REPLACING { row.wanted(1.0) } else { row });
        rows.push(
            Row::new(format!("{case} ({on}): text to text beyond an empty call"), &whole)
                .ratio("60 us", ratio(whole.median(), WANTED)),
        );
    }
    Ok(rows)
}

/// What the file system itself takes for the least that an atomic replacement is: a new file, its bytes, an exchange,
/// and the removal of the old one. A loss of power is not looked after, as in ours.
fn by_hand(bench: &Arc<Bench>) -> anyhow::Result<Row> {
    let folder = Folder::new(bench)?;
    let file = folder.file("file", 4 << 10)?;
    let (new, bytes) = (folder.path().join("new"), vec![b'x'; 4096]);
    let mut times = Samples::default();
    for _ in 0..bench.effort.runs(1000) {
        let began = Instant::now();
        std::fs::write(&new, &bytes)?;
        rustix::fs::renameat_with(CWD, &new, CWD, &file, RenameFlags::EXCHANGE)?;
        std::fs::remove_file(&new)?;
        times.push(began.elapsed());
    }
    let on = folder.file_system();
    Ok(Row::new(format!("create, write 4 KiB, exchange, unlink ({on}), by hand"), &times))
}

/// The same 64 writes in one batch, where the batch's own cost is shared.
pub fn in_one_batch(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    let on = folder.file_system();
    for at in 0..64 {
        folder.file(&format!("file-{at}"), 4 << 10)?;
    }
    let host = folder.host(None)?;
    let runs = bench.effort.runs(100);
    let (times, commits) = Threads::Two.run(async move {
        let _folder = folder;
        let writes: Vec<Value> = (0..64)
            .map(|at| call("write", json!({"path": format!("file-{at}"), "length": 4096})))
            .collect();
        let (mut times, mut commits) = (Samples::default(), Samples::default());
        for run in 0..runs + 1 {
            let report = crate::folder::run(&host, &writes, RunOptions::default()).await?;
            if run > 0 {
                times.push(report.elapsed / 64);
                report.results.iter().for_each(|outcome| commits.push(outcome.usage.commit));
            }
        }
        Ok((times, commits))
    })?;
    Ok(vec![
        Row::new(format!("64 x write 4 KiB over 64 files ({on}), per call"), &times)
            .ratio("60 us", ratio(times.median(), WANTED))
            .wanted(1.0),
        Row::new(format!("64 x write 4 KiB over 64 files ({on}): a commit"), &commits)
            .ratio("60 us", ratio(commits.median(), WANTED)),
    ])
}

fn measured(
    folder: Folder,
    tool: &'static str,
    args: fn(usize) -> Value,
    runs: usize,
) -> anyhow::Result<Times> {
    folder.file("file", 4 << 10)?;
    folder.text("counter", &format!("0{}", "x".repeat(4095)))?;
    folder.many("many", if tool == "edit" { 1000 } else { 0 })?;
    let host = folder.host(None)?;
    Threads::One.run(async move {
        let folder = folder;
        let mut times = Times::default();
        let mut made = 0;
        for turn in 0..=runs.div_ceil(BLOCK) {
            if tool == "append" {
                folder.file("file", 4 << 10)?;
            }
            for _ in 0..BLOCK {
                made += 1;
                let (whole, run, commit) = one(&host, tool, args(made)).await?;
                if turn > 0 {
                    times.whole.push(whole);
                    times.run.push(run);
                    times.commit.push(commit);
                }
            }
            for _ in 0..BLOCK {
                let (whole, run, _) = one(&host, "nothing", json!({"path": "file"})).await?;
                if turn > 0 {
                    times.nothing_whole.push(whole);
                    times.nothing_run.push(run);
                }
            }
        }
        Ok(times)
    })
}

/// Text to text, run and commit.
async fn one(
    host: &Host,
    tool: &str,
    args: Value,
) -> anyhow::Result<(Duration, Duration, Duration)> {
    let text = json!({"calls": [call(tool, args)]}).to_string();
    let began = Instant::now();
    let plan = host.plan(Batch::from_json(text.as_bytes())?)?;
    let report = host.execute(plan, RunOptions::default()).await;
    std::hint::black_box(report.to_json()?);
    let whole = began.elapsed();
    all_ok(&report)?;
    let usage = usage(&report);
    Ok((whole, usage.run, usage.commit))
}
