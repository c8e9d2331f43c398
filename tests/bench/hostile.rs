//! What attacks leave of memory: resident before each, at most while it runs, and after. The attacks are those of
//! the tests, whose times are of no interest.

#[path = "../hostile/attacks.rs"]
mod attacks;
#[path = "../hostile/parts.rs"]
mod parts;
#[path = "../hostile/process.rs"]
mod process;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use inorder::{Batch, Host};
use serde_json::json;

use self::process::{held, reset_peak};
use crate::measure::Samples;
use crate::setup::{Bench, Threads};
use crate::table::Row;

/// How much more memory may stay than there was before.
const WANTED: u64 = 32;

pub fn memory(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let dir = match &bench.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let root = attacks::lay_out(dir.path())?;
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/guests/dist/hostile.wasm");
    ensure!(guest.is_file(), "needs {}: run plugins/build.sh, which builds it", guest.display());
    let builder = attacks::plugins(Host::builder().root(&root), Some(&guest), attacks::SHORT)?;
    let host = builder.build()?;
    Threads::TwoFromOutside.run(async move {
        let (mut rows, start) = (Vec::new(), held()?);
        for attack in attacks::of_core().into_iter().chain(attacks::of_guest()) {
            let batch = json!({"calls": [{"tool": attack.tool, "args": attack.args}]}).to_string();
            let before = held()?;
            reset_peak();
            let began = Instant::now();
            let report = host.run(Batch::from_json(batch.as_bytes())?).await?;
            let took = began.elapsed();
            let outcome = serde_json::to_value(report.results.first().context("no outcome")?)?;
            ensure!(attack.ended(&outcome), "{outcome}");
            drop((report, outcome));
            let after = held()?;
            let mut samples = Samples::default();
            samples.push(took);
            let met = if after.memory <= before.memory + WANTED { "yes" } else { "NO" };
            rows.push(Row::new(
                format!(
                    "{}: {} MiB, at most {}, then {}; back within {WANTED}: {met}",
                    attack.tool, before.memory, after.peak, after.memory
                ),
                &samples,
            ));
        }
        let end = held()?;
        println!(
            "{} MiB resident, {} descriptors, {} threads before all attacks; {}, {}, {} after\n",
            start.memory,
            start.descriptors,
            start.threads,
            end.memory,
            end.descriptors,
            end.threads
        );
        Ok(rows)
    })
}
