//! What all cases share: the probe guest in a host and in bare wasmtime, runtimes, and the machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use inorder::{Batch, Grants, Host, PluginSpec, Report, RunOptions, Source};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::measure::Effort;

pub struct Bench {
    pub host: Host,
    pub bare: Bare,
    pub effort: Effort,
    /// Where files are made.
    pub folder: Option<PathBuf>,
}

impl Bench {
    pub fn new(effort: Effort, folder: Option<PathBuf>) -> anyhow::Result<Bench> {
        let bytes = guest("probe")?;
        let bare =
            Bare::new(&bytes, "test:probe/probe", &["add", "burn", "echo", "echo-bytes", "sleep"])?;
        let plugin = PluginSpec::new("probe", Source::Bytes(bytes), Grants::default());
        let host = Host::builder().plugin(plugin).build()?;
        Ok(Bench { host, bare, effort, folder })
    }

    /// The whole path: JSON text to JSON text.
    pub async fn text_to_text(&self, batch: &str) -> anyhow::Result<String> {
        let report = self.host.run(Batch::from_json(batch.as_bytes())?).await?;
        all_ok(&report)?;
        Ok(report.to_json()?)
    }

    /// A batch that is planned already.
    pub async fn execute(&self, batch: &str) -> anyhow::Result<Report> {
        let plan = self.host.plan(Batch::from_json(batch.as_bytes())?)?;
        let report = self.host.execute(plan, RunOptions::default()).await;
        all_ok(&report)?;
        Ok(report)
    }
}

/// A component of tests/guests.
pub fn guest(name: &str) -> anyhow::Result<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/guests/dist/{name}.wasm"));
    std::fs::read(&path).with_context(|| {
        format!("the benchmark needs {}: run plugins/build.sh, which builds it", path.display())
    })
}

pub fn all_ok(report: &Report) -> anyhow::Result<()> {
    for outcome in &report.results {
        if let Err(error) = &outcome.result {
            anyhow::bail!("the call {:?} failed: {error}", outcome.id);
        }
    }
    ensure!(!report.results.is_empty(), "the report is empty");
    Ok(())
}

/// Where a case runs.
#[derive(Clone, Copy)]
pub enum Threads {
    /// The runtime and all calls on the thread that measures.
    One,
    /// A runtime of two workers, of which one measures, as a server's task would.
    Two,
    /// A runtime of two workers; the thread that measures is a third one that waits, as in the binary.
    TwoFromOutside,
}

impl Threads {
    pub fn run<T: Send + 'static>(
        self,
        future: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.runtime()?;
        match self {
            Threads::One | Threads::TwoFromOutside => runtime.block_on(future),
            Threads::Two => runtime.block_on(async {
                let mut tasks = JoinSet::new();
                tasks.spawn(future);
                tasks.join_next().await.context("the task is gone")??
            }),
        }
    }

    fn runtime(self) -> std::io::Result<Runtime> {
        match self {
            Threads::One => Builder::new_current_thread().enable_all().build(),
            Threads::Two | Threads::TwoFromOutside => {
                Builder::new_multi_thread().worker_threads(2).enable_all().build()
            }
        }
    }
}

pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { " (NOT OPTIMISED: not to be quoted)" } else { "" };
    // Every wasmtime error would cost 4 us more.
    let traced = std::env::var_os("RUST_BACKTRACE").map_or("", |_| " (RUST_BACKTRACE is set)");
    format!("{cores} cores of {model}{build}{traced}")
}

/// The load average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
