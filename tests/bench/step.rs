//! One step of an agent's, as in `examples/step`, with an issue tracker that answers in 200 ms; and what it costs to load the plugins
//! that are large.
//!
//! Needs `target/plugins/` (`plugins/python/build.sh`, `plugins/linear/build.sh`), node and the packages of the tests' server
//! (`tests/linear/install.sh`). Without them it says so and measures what is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::measure::{Samples, ratio};
use crate::setup::Bench;
use crate::start::{binary, timed};
use crate::table::Row;

/// Whom the tests' server lets in.
const KEY: &str = "lin_api_0123456789abcdef";
const ANSWERS_IN: Duration = Duration::from_millis(200);

pub fn step(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plugin = |name: &str| repository.join(format!("target/plugins/{name}.wasm"));
    let mut rows = Vec::new();
    for name in ["linear", "python"] {
        if plugin(name).is_file() {
            rows.extend(loading(bench, name, &plugin(name))?);
        } else {
            eprintln!("step: no {}: plugins/{name}/build.sh makes it", plugin(name).display());
        }
    }
    let packages = repository.join("target/linear-tests");
    if !packages.is_dir() {
        eprintln!("step: no {}: tests/linear/install.sh makes it", packages.display());
    } else if rows.len() == 4 {
        rows.extend(looking(bench, repository, &packages)?);
    }
    Ok(rows)
}

/// A process that loads the plugin and lists its tools.
fn loading(bench: &Bench, name: &str, file: &Path) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    let program = binary()?;
    let command = |cache: &str| {
        let mut command = Command::new(&program);
        command
            .args(["tools", "--plugin"])
            .arg(file)
            .env("XDG_CACHE_HOME", folder.path().join(cache));
        command
    };
    let mut fresh = 0;
    let cold = timed(bench.effort.runs(3), || {
        fresh += 1;
        command(&format!("cache-{fresh}"))
    })?;
    let warm = timed(bench.effort.runs(30), || command("cache-1"))?;
    let (in_3_s, in_50_ms) = (Duration::from_secs(3), Duration::from_millis(50));
    Ok(vec![
        Row::new(format!("`inorder tools` with {name}, nothing compiled yet"), &cold)
            .ratio("3 s", ratio(cold.median(), in_3_s))
            .wanted(1.0),
        Row::new(format!("`inorder tools` with {name}, compiled before"), &warm)
            .ratio("50 ms", ratio(warm.median(), in_50_ms))
            .wanted(1.0),
    ])
}

fn looking(bench: &Bench, repository: &Path, packages: &Path) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    let example = repository.join("examples/step");
    let project = example.join("project");
    let copied = Command::new("cp").arg("-R").arg(project).arg(folder.path()).status()?;
    ensure!(copied.success(), "the example cannot be copied");
    std::fs::copy(example.join("setup.sh"), folder.path().join("setup.sh"))?;
    let made = Command::new("sh").arg(folder.path().join("setup.sh")).status()?;
    ensure!(made.success(), "the example's repository cannot be made");
    let mut tracker = Tracker::start(repository, packages)?;
    let config = tracker.config(&example.join("inorder.toml"), repository, folder.path())?;
    let (mut whole, mut slowest) = (Samples::default(), Samples::default());
    for _ in 0..bench.effort.runs(30) {
        tracker.answers_late()?;
        let output = Command::new(binary()?)
            .arg("run")
            .arg(example.join("look.json"))
            .args(["--json", "--no-audit", "--config"])
            .arg(&config)
            .env("LINEAR_API_KEY", KEY)
            .output()?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let results = report["results"].as_array().context("a report")?;
        let failed = results.iter().find(|it| it["status"] != "ok");
        ensure!(failed.is_none(), "{failed:?}");
        let longest = results.iter().filter_map(|it| it["usage"]["run_ms"].as_f64());
        whole.push(Duration::from_secs_f64(report["elapsed_ms"].as_f64().unwrap_or(0.0) / 1e3));
        slowest.push(Duration::from_secs_f64(longest.fold(0.0, f64::max) / 1e3));
    }
    Ok(vec![
        Row::new(
            "a step: eleven calls, of which one waits 200 ms for its server: the slowest call",
            &slowest,
        ),
        Row::new("  the whole batch", &whole)
            .ratio("the slowest", ratio(whole.median(), slowest.median()))
            .wanted(1.05),
    ])
}

/// The server of the tests, in another process. It ends with its standard input.
struct Tracker {
    port: u64,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Child,
}

impl Tracker {
    fn start(repository: &Path, packages: &Path) -> anyhow::Result<Tracker> {
        let mut child = Command::new("node")
            .arg(repository.join("tests/linear/server.mjs"))
            .arg(packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node cannot be started")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let (orders, answers) = orders.zip(answers).context("pipes")?;
        let mut tracker =
            Tracker { port: 0, orders, answers: BufReader::new(answers), _child: child };
        tracker.port = tracker.line()?["port"].as_u64().context("a port")?;
        Ok(tracker)
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Of the next request.
    fn answers_late(&mut self) -> anyhow::Result<()> {
        let next = [json!({ "wait": ANSWERS_IN.as_millis() as u64 })];
        writeln!(self.orders, "{}", json!({ "at": "step", "next": next }))?;
        self.line().map(drop)
    }

    /// The example's config with this server in Linear's place.
    fn config(&self, file: &Path, repository: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
        let at = format!("127.0.0.1:{}", self.port);
        let env = format!("[plugins.linear]\nenv = [\"LINEAR_API_URL=http://{at}/step/graphql\"]");
        let config = std::fs::read_to_string(file)?
            .replace("\"../../", &format!("\"{}/", repository.display()))
            .replace("api.linear.app/graphql", &format!("{at}/step/graphql"))
            .replace("\"api.linear.app\"", &format!("{at:?}"))
            .replace("[plugins.linear]", &env);
        let path = folder.join("step.toml");
        std::fs::write(&path, config)?;
        Ok(path)
    }
}
