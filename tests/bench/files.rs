//! What files cost beside stock wasmtime-wasi: the same function of the same component on the same folder.
//!
//! `run` is a call's own time (`usage.run`: view, store, instance, call), beside a fresh store's whole call in stock, which
//! opens its preopened directories for each: what a call pays that reads. `text to text` is the batch of one call as a
//! client sees it. `of that, files` is either less the median of the same for a function that does nothing: stock's
//! opening of directories is in both, and so is not in it, and neither is what a view costs here.

use std::sync::Arc;
use std::time::Instant;

use inorder::{Batch, Host, RunOptions};
use serde_json::json;

use crate::folder::{self, Folder, call};
use crate::measure::{Samples, ratio};
use crate::setup::{Bench, Threads, all_ok};
use crate::stock::Stock;
use crate::table::Row;

const FUNCTIONS: [&str; 6] =
    ["nothing", "read-std", "read-blocking", "read-polling", "stat", "entries"];
/// Runs of one side before it is the other's turn.
const BLOCK: usize = 20;

/// Both sides of a case, and what each takes for nothing.
#[derive(Default)]
struct Times {
    stock: Samples,
    text_to_text: Samples,
    run: Samples,
    stock_nothing: Samples,
    nothing: Samples,
}

pub fn reading(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let sizes = [("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];
    let guests = [
        ("read-std", "Rust std, blocking-read"),
        ("read-blocking", "blocking-read"),
        ("read-polling", "read and pollable"),
    ];
    let mut rows = Vec::new();
    for (function, kind) in guests {
        for (size, length) in sizes {
            let folder = Folder::new(bench)?;
            folder.file("file", length)?;
            let runs = bench.effort.runs(if length > 1 << 16 { 400 } else { 2000 });
            let times = compared(folder, function, "file", runs)?;
            rows.extend(told(&format!("open+read {size} ({kind})"), &times, 1.0));
        }
    }
    Ok(rows)
}

pub fn looking(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    folder.file("file", 4 << 10)?;
    let stat = compared(folder, "stat", "file", bench.effort.runs(2000))?;
    let folder = Folder::new(bench)?;
    folder.many("dir", 1000)?;
    let entries = compared(folder, "entries", "dir", bench.effort.runs(200))?;
    let mut rows = told("stat", &stat, 1.0);
    rows.extend(told("list 1,000 entries (Rust std)", &entries, 1.1));
    Ok(rows)
}

fn told(case: &str, times: &Times, wanted: f64) -> Vec<Row> {
    let stock = times.stock.less(times.stock_nothing.median());
    let ours = times.run.less(times.nothing.median());
    vec![
        Row::new(format!("{case}: stock, whole call"), &times.stock),
        Row::new(format!("{case}: text to text"), &times.text_to_text)
            .ratio("stock, whole call", ratio(times.text_to_text.median(), times.stock.median())),
        Row::new(format!("{case}: run"), &times.run)
            .ratio("stock, whole call", ratio(times.run.median(), times.stock.median()))
            .wanted(wanted),
        Row::new(format!("  ({case}: of that, files in stock)"), &stock),
        Row::new(format!("  ({case}: of that, files)"), &ours)
            .ratio("files in stock", ratio(ours.median(), stock.median()))
            .wanted(wanted),
    ]
}

fn compared(
    folder: Folder,
    function: &'static str,
    path: &'static str,
    runs: usize,
) -> anyhow::Result<Times> {
    let stock = Stock::new(folder.readers(), &FUNCTIONS, folder.path())?;
    let host = folder.host(None)?;
    Threads::One.run(async move {
        let _folder = folder;
        let mut times = Times::default();
        for counts in std::iter::once(false).chain(std::iter::repeat_n(true, runs.div_ceil(BLOCK)))
        {
            let mut turn = Times::default();
            for _ in 0..BLOCK {
                turn.stock.push(stocks(&stock, function, path).await?);
            }
            for _ in 0..BLOCK {
                let (whole, run) = ours(&host, function, path).await?;
                turn.text_to_text.push(whole);
                turn.run.push(run);
            }
            for _ in 0..BLOCK {
                turn.stock_nothing.push(stocks(&stock, "nothing", path).await?);
            }
            for _ in 0..BLOCK {
                turn.nothing.push(ours(&host, "nothing", path).await?.1);
            }
            if counts {
                times.add(turn);
            }
        }
        Ok(times)
    })
}

async fn stocks(stock: &Stock, function: &str, path: &str) -> anyhow::Result<std::time::Duration> {
    let began = Instant::now();
    stock.call(function, (path,)).await?;
    Ok(began.elapsed())
}

/// Text to text, and the call's own run.
async fn ours(
    host: &Host,
    function: &str,
    path: &str,
) -> anyhow::Result<(std::time::Duration, std::time::Duration)> {
    let calls = [call(&function.replace('-', "_"), json!({"path": path}))];
    let text = json!({"calls": calls}).to_string();
    let began = Instant::now();
    let plan = host.plan(Batch::from_json(text.as_bytes())?)?;
    let report = host.execute(plan, RunOptions::default()).await;
    std::hint::black_box(report.to_json()?);
    let whole = began.elapsed();
    all_ok(&report)?;
    Ok((whole, folder::usage(&report).run))
}

impl Times {
    fn add(&mut self, turn: Times) {
        self.stock.extend(turn.stock);
        self.text_to_text.extend(turn.text_to_text);
        self.run.extend(turn.run);
        self.stock_nothing.extend(turn.stock_nothing);
        self.nothing.extend(turn.nothing);
    }
}
