//! How far a batch's makespan is from what its calls alone would take.
//!
//! The calls sleep, on the guest's clock: a tokio timer, which fires on whole milliseconds of its runtime's
//! and so sleeps up to a millisecond longer than asked. `timer` shows that without inorder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::measure::{Samples, in_turns, median, ratio, warm};
use crate::setup::{Bench, Threads};
use crate::table::Row;

const MS: Duration = Duration::from_millis(1);

/// What sleeping costs in the system, in tokio and in bare wasmtime: the baseline of the other cases.
pub fn timer(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let runs = bench.effort.runs(201);
    let tokio = Threads::Two.run(async move {
        let sleep = || async {
            tokio::time::sleep(MS).await;
            Ok(())
        };
        warm(runs, sleep).await
    })?;
    let mut system = Samples::default();
    for _ in 0..runs {
        let began = Instant::now();
        std::thread::sleep(MS);
        system.push(began.elapsed());
    }
    let mut rows = vec![
        Row::new("sleep(1): std::thread::sleep", &system).ratio("1 ms", ratio(system.median(), MS)),
        Row::new("sleep(1): tokio::time::sleep alone", &tokio)
            .ratio("1 ms", ratio(tokio.median(), MS)),
    ];
    for ms in [1, 20, 200] {
        let bare = bare_sleeps(bench, bench.effort.runs(if ms == 1 { 201 } else { 15 }), 1, ms)?;
        let asked = Duration::from_millis(ms.into());
        let row = Row::new(format!("sleep({ms}): bare wasmtime"), &bare)
            .ratio(format!("{ms} ms"), ratio(bare.median(), asked));
        rows.push(row);
    }
    Ok(rows)
}

pub fn five_sleeps(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let calls = vec![sleep(200, &[]); 5];
    let (makespans, _) = makespans(bench, bench.effort.runs(15), &calls)?;
    let asked = Duration::from_millis(200);
    let row = Row::new("5 x sleep(200) at once", &makespans)
        .ratio("200 ms", ratio(makespans.median(), asked))
        .wanted(1.02);
    Ok(vec![row])
}

pub fn chain(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    const CALLS: usize = 20;
    let runs = bench.effort.runs(31);
    let after = |call: usize| if call == 1 { vec![] } else { vec![call - 1] };
    let calls: Vec<Value> = (1..=CALLS).map(|call| sleep(1, &after(call))).collect();
    let (times, of_own) = makespans(bench, runs, &calls)?;
    let bare = bare_sleeps(bench, runs, CALLS, 1)?;
    let asked = Duration::from_millis(CALLS as u64);
    let case = "chain of 20 x sleep(1)";
    Ok(vec![
        Row::new(format!("{case}, bare"), &bare).ratio("20 ms", ratio(bare.median(), asked)),
        Row::new(case, &times).ratio("the calls' own run times", of_own).wanted(1.1),
        Row::new(case, &times).ratio("the same in bare", ratio(times.median(), bare.median())),
        Row::new(case, &times).ratio("20 ms", ratio(times.median(), asked)).wanted(1.5),
    ])
}

pub fn diamond(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (ms, full) in [(1, 101), (20, 15)] {
        let runs = bench.effort.runs(full);
        let mut calls = vec![sleep(ms, &[])];
        calls.extend((0..8).map(|_| sleep(ms, &[1])));
        calls.push(sleep(ms, &[2, 3, 4, 5, 6, 7, 8, 9]));
        let (times, _) = makespans(bench, runs, &calls)?;
        let bare = bare_sleeps(bench, runs, 3, ms)?;
        let case = format!("diamond 1+8+1 of sleep({ms})");
        let asked = 3 * ms;
        let critical = Duration::from_millis(asked.into());
        let same = format!("3 x sleep({ms}) in bare");
        rows.push(Row::new(&case, &times).ratio(same, ratio(times.median(), bare.median())));
        rows.push(
            Row::new(&case, &times)
                .ratio(format!("{asked} ms"), ratio(times.median(), critical))
                .wanted(1.5),
        );
    }
    Ok(rows)
}

/// Calls that compute: beside what one takes in bare wasmtime, times their number, divided by the threads.
pub fn computing(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    const CALLS: u32 = 32;
    const ITERATIONS: u64 = 4_000_000;
    let runs = bench.effort.runs(31);
    let burn = json!({"tool": "burn", "args": {"iterations": ITERATIONS}});
    let text = json!({"calls": vec![burn; CALLS as usize]}).to_string();
    let mut rows = Vec::new();
    for (threads, count, place) in
        [(Threads::One, 1, "one thread"), (Threads::Two, 2, "two threads")]
    {
        let (ours, text) = (bench.clone(), text.clone());
        let (bare, whole) = threads.run(async move {
            let bench = &*ours;
            let one =
                || async { bench.bare.call::<_, (u64,)>("burn", (ITERATIONS,)).await.map(drop) };
            let whole = || async { bench.execute(&text).await.map(drop) };
            in_turns(runs, 1, one, whole).await
        })?;
        let bound = bare.median() * CALLS / count;
        rows.push(Row::new(format!("burn, {place}: one, bare"), &bare));
        rows.push(
            Row::new(format!("{CALLS} x burn, {place}"), &whole)
                .ratio("bare, shared out evenly", ratio(whole.median(), bound))
                .wanted(1.1),
        );
    }
    Ok(rows)
}

/// `after` by 1-based place.
fn sleep(ms: u32, after: &[usize]) -> Value {
    json!({"tool": "sleep", "args": {"ms": ms}, "after": after})
}

/// Makespans of a planned batch, and the median of makespan over the sum of the run times that the
/// report gives.
fn makespans(bench: &Arc<Bench>, runs: usize, calls: &[Value]) -> anyhow::Result<(Samples, f64)> {
    let text = json!({"calls": calls}).to_string();
    let bench = bench.clone();
    Threads::TwoFromOutside.run(async move {
        bench.execute(&text).await?;
        let (mut times, mut of_own) = (Samples::default(), Vec::new());
        for _ in 0..runs {
            let report = bench.execute(&text).await?;
            let own: Duration = report.results.iter().map(|outcome| outcome.usage.run).sum();
            of_own.push(ratio(report.elapsed, own));
            times.push(report.elapsed);
        }
        Ok((times, median(of_own)))
    })
}

/// How long `calls` sleeps take in bare wasmtime, one after another.
fn bare_sleeps(bench: &Arc<Bench>, runs: usize, calls: usize, ms: u32) -> anyhow::Result<Samples> {
    let bench = bench.clone();
    Threads::Two.run(async move {
        let bench = &*bench;
        let sleeps = || async move {
            for _ in 0..calls {
                bench.bare.sleep(ms).await?;
            }
            Ok(())
        };
        warm(runs, sleeps).await
    })
}
