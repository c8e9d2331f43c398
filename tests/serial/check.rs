//! Runs batches on a host and by the oracle, and compares.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use inorder::{Effect, Host, PluginSpec, RunOptions, UndoError};
use serde_json::Value;
use tempfile::TempDir;

use super::generate::{Batch, Ingredients, batch};
use super::oracle::{self, End};
use super::render::READER;
use super::rng::STEP;
use super::shrink::shrink;
use super::tree::Tree;
use crate::support::{grants, guest};

/// A fixed seed: a gate that fails today fails tomorrow.
const SEED: u64 = 20_260_101;
/// A batch takes milliseconds. One that takes so long will not end.
const PATIENCE: Duration = Duration::from_secs(60);

/// `INORDER_BATCHES` (100), `INORDER_SEED` (of the first batch), `INORDER_THREADS` (1),
/// `INORDER_SERIAL_FAIL` (0 leaves out what fails with some of its work done), `INORDER_SERIAL_SLASHES`
/// (1 makes some paths end in `/`).
#[test]
fn batches_give_the_result_of_running_their_calls_one_at_a_time() {
    let Some(guest) = guest("fileops") else { return };
    let (batches, seed) = (number("INORDER_BATCHES", 100), number("INORDER_SEED", SEED));
    let threads = number("INORDER_THREADS", 1);
    let ingredients = Ingredients {
        failures: number("INORDER_SERIAL_FAIL", 1) != 0,
        slashes: number("INORDER_SERIAL_SLASHES", 0) != 0,
    };
    let (next, differs) = (AtomicU64::new(0), AtomicBool::new(false));
    let (counts, failures) = (Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = Worker::new(&guest);
                while !differs.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= batches {
                        break;
                    }
                    let batch = batch(seed_of(seed, index), ingredients);
                    let differences = worker.differences(&batch);
                    if !differences.is_empty() {
                        differs.store(true, Ordering::Relaxed);
                        // Without the batches that shrinking tries.
                        counts.lock().unwrap().add(&std::mem::take(&mut worker.counts));
                        let failure = shrink(batch, differences, |it| worker.differences(it));
                        failures.lock().unwrap().push(failure);
                        return;
                    }
                }
                counts.lock().unwrap().add(&worker.counts);
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    // Not `eprintln!`, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "{}", counts.line());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}"))
}

/// The first batch has the seed itself, so that one batch can be run alone.
fn seed_of(seed: u64, index: u64) -> u64 {
    seed.wrapping_add(index.wrapping_mul(STEP))
}

#[derive(Default)]
struct Counts {
    batches: u64,
    calls: u64,
    ok: u64,
    repeated: u64,
    on_host: Duration,
    by_oracle: Duration,
    around: Duration,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.batches += other.batches;
        self.calls += other.calls;
        self.ok += other.ok;
        self.repeated += other.repeated;
        self.on_host += other.on_host;
        self.by_oracle += other.by_oracle;
        self.around += other.around;
    }

    fn line(&self) -> String {
        let each = |time: Duration| time.as_secs_f64() * 1e3 / self.batches.max(1) as f64;
        format!(
            "{} batches, {} calls, {} of them ok, {} run more than once \
             ({:.2} ms a batch on the host, {:.2} by the oracle, {:.2} around)",
            self.batches,
            self.calls,
            self.ok,
            self.repeated,
            each(self.on_host),
            each(self.by_oracle),
            each(self.around)
        )
    }
}

/// One thread's hosts, each with a directory that every batch lays out anew, and the oracle's.
struct Worker<'a> {
    guest: &'a PluginSpec,
    runtime: tokio::runtime::Runtime,
    /// By the number of jobs.
    hosts: HashMap<usize, (TempDir, Host)>,
    /// The oracle's root is alone in a directory of its own.
    plain: TempDir,
    counts: Counts,
}

impl Worker<'_> {
    fn new(guest: &PluginSpec) -> Worker<'_> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // In memory where it can be: the oracle is no test of the disk.
        let memory = Path::new("/dev/shm");
        let plain = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        std::fs::create_dir(plain.path().join("root")).unwrap();
        Worker { guest, runtime, hosts: HashMap::new(), plain, counts: Counts::default() }
    }

    /// Where the host's answers and files are not the oracle's. By the number of jobs, a batch is also run dry
    /// before, which changes nothing; or as an atomic one, which changes all or nothing; or undone after, which leaves what was before.
    fn differences(&mut self, batch: &Batch) -> Vec<String> {
        let expected = self.by_oracle(batch);
        let began = Instant::now();
        let on_host = self.counts.on_host;
        let mut differences = Vec::new();
        match batch.jobs {
            DRY => differences.extend(self.run(batch, Effect::DryRun, &expected)),
            ATOMIC => {
                differences.extend(self.run(batch, Effect::Atomic, &expected));
                // Whole, hardly a batch has no call that fails.
                let works = expected.without_failures(batch);
                let expected = self.by_oracle(&works);
                differences.extend(self.run(&works, Effect::Atomic, &expected));
            }
            _ => {}
        }
        differences.extend(self.run(batch, Effect::Commit, &expected));
        if batch.jobs == UNDONE && differences.is_empty() {
            let root = self.hosts[&batch.jobs].0.path();
            match inorder::undo(root) {
                Ok(_) | Err(UndoError::Nothing { .. }) => {
                    let trees = expected.before.differences(&Tree::read(root).unwrap());
                    differences.extend(trees.into_iter().map(|it| format!("undone: {it}")));
                }
                Err(error) => differences.push(format!("undone: {error}")),
            }
        }
        self.counts.batches += 1;
        self.counts.around += began.elapsed() - (self.counts.on_host - on_host);
        differences
    }

    fn by_oracle(&mut self, batch: &Batch) -> Expected {
        let plain = self.plain.path().join("root");
        let began = Instant::now();
        batch.before.lay_out(&plain).unwrap();
        let before = Tree::read(&plain).unwrap();
        let ends = oracle::run(&plain, batch);
        let after = Tree::read(&plain).unwrap();
        self.counts.by_oracle += began.elapsed();
        Expected { before, ends, after }
    }

    fn run(&mut self, batch: &Batch, effect: Effect, expected: &Expected) -> Vec<String> {
        let guest = self.guest;
        let (root, host) = self.hosts.entry(batch.jobs).or_insert_with(|| host(guest, batch.jobs));
        batch.before.lay_out(root.path()).unwrap();
        let request = inorder::Batch::from_json(batch.to_json().to_string().as_bytes()).unwrap();
        let began = Instant::now();
        let options = RunOptions { effect, ..RunOptions::default() };
        let run = async {
            let plan = host.plan(request).unwrap();
            tokio::time::timeout(PATIENCE, host.execute(plan, options)).await
        };
        let Ok(report) = self.runtime.block_on(run) else {
            return vec![format!("{effect:?}: the batch has not ended after {PATIENCE:?}")];
        };
        self.counts.on_host += began.elapsed();
        let report = serde_json::to_value(&report).unwrap();
        let results = report["results"].as_array().unwrap();
        self.counts.add(&Counts {
            calls: results.len() as u64,
            ok: results.iter().filter(|it| it["status"] == "ok").count() as u64,
            repeated: results.iter().filter(|it| attempts(it) > 1).count() as u64,
            ..Counts::default()
        });
        let trees = expected.tree(effect).differences(&Tree::read(root.path()).unwrap());
        let found = compare(batch, &expected.ends, results).into_iter().chain(trees);
        found.map(|it| format!("{effect:?}: {it}")).collect()
    }
}

/// What comes of a batch by the oracle.
struct Expected {
    before: Tree,
    ends: Vec<End>,
    after: Tree,
}

impl Expected {
    fn tree(&self, effect: Effect) -> &Tree {
        let works = self.ends.iter().all(End::is_ok);
        match effect {
            Effect::Commit => &self.after,
            Effect::Atomic if works => &self.after,
            Effect::Atomic | Effect::DryRun => &self.before,
        }
    }

    /// The batch without the calls that fail.
    fn without_failures(&self, batch: &Batch) -> Batch {
        let failed = batch.calls.iter().zip(&self.ends).filter(|(_, end)| !end.is_ok());
        failed.fold(batch.clone(), |works, (call, _)| works.without(call.number))
    }
}

/// Batches of so many jobs are run as atomic ones before.
const ATOMIC: usize = 2;
/// Batches of so many jobs are run dry before.
const DRY: usize = 4;
/// Those of so many are undone after.
const UNDONE: usize = 8;

/// Where the answers of a host are not the oracle's.
fn compare(batch: &Batch, expected: &[End], results: &[Value]) -> Vec<String> {
    let found: Vec<End> = results.iter().map(end_of).collect();
    let mut differences = Vec::new();
    if found.len() != expected.len() {
        differences.push(format!("{} results for {} calls", found.len(), expected.len()));
    }
    for ((call, expected), (found, result)) in
        batch.calls.iter().zip(expected).zip(found.iter().zip(results))
    {
        if !expected.allows(found) {
            let id = batch.id(call.number);
            let message = result["error"]["message"].as_str().unwrap_or_default();
            differences.push(format!("{id}: expected {expected}, found {found} {message}"));
        }
    }
    differences
}

fn host(guest: &PluginSpec, jobs: usize) -> (TempDir, Host) {
    let root = TempDir::new().unwrap();
    let plugin = |name: &str, prefix: &str, grants| PluginSpec {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        grants,
        ..guest.clone()
    };
    let host = Host::builder()
        .root(root.path())
        .plugin(plugin("fileops", "", grants(&[], &["**"])))
        .plugin(plugin("reader", READER, grants(&["**"], &[])))
        .jobs(jobs)
        .cache(cache())
        .build();
    (root, host.unwrap())
}

/// Compiled once for all hosts.
fn cache() -> PathBuf {
    crate::support::repository().join("target/test-cache/serial")
}

fn end_of(result: &Value) -> End {
    let error = &result["error"];
    match (result["status"].as_str(), error["kind"].as_str()) {
        (Some("ok"), _) => End::Value(result["value"].clone()),
        (Some("skipped"), _) => End::Skipped(text(&error["because"])),
        (_, Some("tool")) => End::Tool(text(&error["value"])),
        // That it had tried to leave the root, the host says besides.
        (_, Some("denied")) if text(&error["message"]).contains("leads out of") => {
            match &error["value"] {
                Value::Null => End::Kind("trap".to_owned()),
                value => End::Tool(text(value)),
            }
        }
        (_, kind) => End::Kind(kind.unwrap_or("no kind").to_owned()),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How often a call was run; a host that does not tell runs each once.
fn attempts(result: &Value) -> u64 {
    result["usage"]["attempts"].as_u64().unwrap_or(1)
}
