//! What arguments and results cost on their way between JSON text and a guest's memory.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inorder::{Batch, Binary, Call, CancellationToken, Grants, Host, PluginSpec, Source};
use serde_json::{Map, json};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::bare::Bare;
use crate::measure::{in_turns, ratio};
use crate::setup::{Bench, Threads, all_ok, guest};
use crate::table::Row;

/// As in `types.wit`.
#[derive(Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct Point {
    x: i32,
    y: i32,
}

pub fn text(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (size, length, full) in [("1 KiB", 1 << 10, 20_000), ("64 KiB", 64 << 10, 2000)] {
        let said = "0123456789abcdef".repeat(length / 16);
        let batch = json!({"calls": [{"tool": "echo", "args": {"text": said}}]}).to_string();
        let (ours, runs) = (bench.clone(), bench.effort.runs(full));
        let (bare, whole) = Threads::One.run(async move {
            let bench = &*ours;
            let bare = || async {
                let echoed = bench.bare.echo(&said).await?;
                ensure!(echoed.len() == said.len(), "bare echo is wrong");
                Ok(())
            };
            let whole =
                || async { bench.text_to_text(&batch).await.map(|text| drop(black_box(text))) };
            in_turns(runs, 100, bare, whole).await
        })?;
        rows.push(Row::new(format!("echo of {size}, one thread: bare"), &bare));
        rows.push(
            Row::new(format!("echo of {size}, one thread: text to text"), &whole)
                .ratio("bare", ratio(whole.median(), bare.median()))
                .wanted(if length > 1 << 10 { 2.0 } else { 1.5 }),
        );
    }
    Ok(rows)
}

/// Bytes are base64 in JSON.
pub fn bytes(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let data: Vec<u8> = (0..1u32 << 20).map(|at| (at * 31) as u8).collect();
    let encoded = STANDARD.encode(&data);
    let batch = json!({"calls": [{"tool": "echo_bytes", "args": {"data": encoded}}]}).to_string();
    let (ours, runs) = (bench.clone(), bench.effort.runs(100));
    let sent = data.clone();
    let (bare, whole) = Threads::One.run(async move {
        let bench = &*ours;
        let bare = || async {
            let echoed = bench.bare.echo_bytes(&sent).await?;
            ensure!(echoed.len() == sent.len(), "bare echo is wrong");
            Ok(())
        };
        let whole = || async { bench.text_to_text(&batch).await.map(|text| drop(black_box(text))) };
        in_turns(runs, 10, bare, whole).await
    })?;
    let (ours, sent) = (bench.clone(), data.clone());
    let (bare_again, embedded) = Threads::One.run(async move {
        let bench = &*ours;
        let bytes = bytes::Bytes::from(sent);
        let bare = || async {
            let echoed = bench.bare.echo_bytes(&bytes).await?;
            ensure!(echoed.len() == bytes.len(), "bare echo is wrong");
            Ok(())
        };
        let session = bench.host.session();
        let embedded = || async {
            let args = vec![("data".to_owned(), bytes.clone())];
            let binary = Binary { args, result: true };
            let call = Call { binary, ..Call::new("echo_bytes", Map::new()) };
            let outcome = session.call(call, CancellationToken::new()).await?;
            let echoed = outcome.bytes.context("it gives bytes")?;
            ensure!(echoed.len() == bytes.len(), "echo is wrong");
            Ok(())
        };
        in_turns(runs, 10, bare, embedded).await
    })?;
    let base64 = {
        let mut times = crate::measure::Samples::default();
        for _ in 0..runs {
            let began = std::time::Instant::now();
            black_box(STANDARD.encode(black_box(STANDARD.decode(&encoded)?)));
            times.push(began.elapsed());
        }
        times
    };
    Ok(vec![
        Row::new("list<u8> of 1 MiB both ways: bare, typed", &bare),
        Row::new("  (base64 alone, both ways)", &base64)
            .ratio("bare", ratio(base64.median(), bare.median())),
        Row::new("list<u8> of 1 MiB both ways: text to text", &whole)
            .ratio("bare", ratio(whole.median(), bare.median())),
        Row::new("list<u8> of 1 MiB both ways: a loose call of an embedder's, as bytes", &embedded)
            .ratio("bare", ratio(embedded.median(), bare_again.median()))
            .wanted(2.0),
    ])
}

pub fn records(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let types = guest("types")?;
    let bare = Bare::new(&types, "test:types/lists", &["echo-list-record"])?;
    let plugin = PluginSpec::new("types", Source::Bytes(types), Grants::default());
    let host = Host::builder().plugin(plugin).build()?;
    let points: Vec<Point> = (0..10_000).map(|at| Point { x: at, y: -at }).collect();
    let json: Vec<_> = points.iter().map(|it| json!({"x": it.x, "y": it.y})).collect();
    let batch =
        json!({"calls": [{"tool": "echo_list_record", "args": {"value": json}}]}).to_string();
    let runs = bench.effort.runs(100);
    let (bare, whole) = Threads::One.run(async move {
        let (bare, host) = (&bare, &host);
        let typed = || async {
            let (echoed,) =
                bare.call::<_, (Vec<Point>,)>("echo-list-record", (points.clone(),)).await?;
            ensure!(echoed.len() == points.len(), "bare echo is wrong");
            Ok(())
        };
        let whole = || async {
            let report = host.run(Batch::from_json(batch.as_bytes())?).await?;
            all_ok(&report).context("echo_list_record")?;
            black_box(report.to_json()?);
            Ok(())
        };
        in_turns(runs, 10, typed, whole).await
    })?;
    Ok(vec![
        Row::new("list of 10,000 records both ways: bare, typed", &bare),
        Row::new("list of 10,000 records both ways: text to text", &whole)
            .ratio("bare", ratio(whole.median(), bare.median())),
    ])
}
