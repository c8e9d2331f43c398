//! Whether a call costs the same in a large batch as in a small one, and with many tools loaded as with few.

use std::sync::Arc;
use std::time::Duration;

use inorder::{Batch, Grants, Host, PluginSpec, Source};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::measure::{Samples, ratio, warm};
use crate::setup::{Bench, Threads, all_ok, guest};
use crate::table::Row;

pub fn calls(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let add = |_: usize| json!({"tool": "add", "args": {"a": 1, "b": 2}});
    let linked = |at: usize| match at {
        0 => json!({"tool": "add", "args": {"a": 0, "b": 1}}),
        at => json!({"tool": "add", "args": {"a": {"$from": at}, "b": 1}}),
    };
    type Call = fn(usize) -> Value;
    let cases: [(&str, Call, [usize; 4]); 2] = [
        ("independent", add, [10, 100, 1000, 10_000]),
        ("each using the one before", linked, [10, 100, 1000, 10_000]),
    ];
    for (kind, call, counts) in cases {
        let mut small = Duration::ZERO;
        for count in counts {
            let calls: Vec<Value> = (0..count).map(call).collect();
            let batch = json!({"calls": calls}).to_string();
            let (ours, runs) = (bench.clone(), bench.effort.runs((20_000 / count).clamp(5, 300)));
            let times = Threads::Two.run(async move {
                let bench = &*ours;
                let batch = &batch;
                warm(runs, || async { bench.text_to_text(batch).await.map(drop) }).await
            })?;
            let times = times.each(u32::try_from(count)?);
            small = if count == 10 { times.median() } else { small };
            rows.push(
                Row::new(format!("{count} calls, {kind}, per call"), &times)
                    .ratio("of 10", ratio(times.median(), small))
                    .wanted(1.2),
            );
        }
    }
    Ok(rows)
}

/// Each call reads a file of its own and changes it, so that reads and writes are looked after, and nothing conflicts.
pub fn edits(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut small = Duration::ZERO;
    for count in [10usize, 100, 1000, 10_000] {
        let folder = Folder::new(bench)?;
        for at in 0..count {
            folder.text(&format!("d{}/file-{at}", at % 100), "0 and more")?;
        }
        let host = folder.host(None)?;
        let calls: Vec<Value> = (0..count)
            .map(|at| json!({"tool": "edit", "args": {"path": format!("d{}/file-{at}", at % 100)}}))
            .collect();
        let runs = bench.effort.runs((3000 / count).clamp(3, 100));
        let times = Threads::Two.run(async move {
            let _folder = folder;
            let mut times = Samples::default();
            for run in 0..=runs {
                let report = crate::folder::run(&host, &calls, Default::default()).await?;
                if run > 0 {
                    times.push(report.elapsed);
                }
            }
            Ok(times)
        })?;
        let times = times.each(u32::try_from(count)?);
        small = if count == 10 { times.median() } else { small };
        rows.push(
            Row::new(format!("{count} edits of {count} files, per call"), &times)
                .ratio("of 10", ratio(times.median(), small))
                .wanted(1.2),
        );
    }
    Ok(rows)
}

/// A tool that is called beside others.
const ONE: &str = r#"(component
    (core module $m (func (export "f") (param i32) (result i32) local.get 0))
    (core instance $i (instantiate $m))
    (func (export "one") (param "value" u32) (result u32) (canon lift (core func $i "f"))))"#;

pub fn tools(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let (one, types) = (wat::parse_str(ONE)?, guest("types")?);
    let plugin = |name: String, bytes: &[u8]| {
        let mut plugin =
            PluginSpec::new(name.clone(), Source::Bytes(bytes.to_vec()), Grants::default());
        plugin.prefix = format!("{name}_");
        plugin
    };
    let batch = json!({"calls": [{"tool": "a_one", "args": {"value": 1}}]}).to_string();
    let mut rows = Vec::new();
    let mut few = Duration::ZERO;
    for others in [0, 1, 8] {
        let mut builder = Host::builder().plugin(plugin("a".to_owned(), &one));
        for at in 0..others {
            builder = builder.plugin(plugin(format!("t{at}"), &types));
        }
        let host = builder.build()?;
        let tools = host.tools().count();
        let (runs, batch) = (bench.effort.runs(2000), batch.clone());
        let times = Threads::One.run(async move {
            let (host, batch) = (&host, &batch);
            let call = || async {
                let report = host.run(Batch::from_json(batch.as_bytes())?).await?;
                all_ok(&report)
            };
            warm(runs, call).await
        })?;
        few = if others == 0 { times.median() } else { few };
        rows.push(
            Row::new(format!("a call of one tool, with {tools} loaded"), &times)
                .ratio("with it alone", ratio(times.median(), few))
                .wanted(1.1),
        );
    }
    Ok(rows)
}
