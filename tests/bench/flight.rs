//! Many calls in flight that sleep: how long the batch takes, and what each holds of the process's memory meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inorder::{Batch, Grants, Host, PluginSpec, RunOptions, Source};
use serde_json::json;

use crate::measure::{Samples, ratio};
use crate::setup::{Bench, Threads, all_ok, guest};
use crate::table::Row;

/// Long enough for all to be in flight at once.
const SLEEP: Duration = Duration::from_secs(2);
const WANTED: f64 = 65536.0;

pub fn sleeping(_: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for count in [1000usize, 10_000] {
        let plugin = PluginSpec::new("probe", Source::Bytes(guest("probe")?), Grants::default());
        let host = Host::builder().plugin(plugin).jobs(count).build()?;
        let call = |ms: u128| json!({"tool": "sleep", "args": {"ms": ms}});
        let text = json!({"calls": vec![call(SLEEP.as_millis()); count]}).to_string();
        let (times, each) = Threads::Two.run(async move {
            let one = json!({"calls": [call(1)]}).to_string();
            all_ok(&host.run(Batch::from_json(one.as_bytes())?).await?)?;
            let plan = host.plan(Batch::from_json(text.as_bytes())?)?;
            let before = resident()?;
            let began = Instant::now();
            let mut running = std::pin::pin!(host.execute(plan, RunOptions::default()));
            let mut most = before;
            let report = loop {
                tokio::select! {
                    report = &mut running => break report,
                    () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(resident()?),
                }
            };
            let took = began.elapsed();
            all_ok(&report)?;
            let mut times = Samples::default();
            times.push(took);
            Ok((times, most.saturating_sub(before) as f64 / count as f64))
        })?;
        rows.push(
            Row::new(format!("{count} calls in flight that sleep 2 s"), &times)
                .ratio("2 s", ratio(times.median(), SLEEP)),
        );
        rows.push(
            Row::new(format!("  memory of each: {:.1} KiB", each / 1024.0), &times)
                .ratio("64 KiB", each / WANTED)
                .wanted(1.0),
        );
    }
    Ok(rows)
}

/// Bytes of the process that are in memory.
pub fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).context("/proc/self/statm has no second number")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}
