//! What tests share: plugins in text, guests if they are built, a scratch root, JSON in and out.

mod schema;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use inorder::{
    Batch, Error, Grants, Host, HostBuilder, PathGrant, PluginSpec, Report, RunOptions, Source,
};
use serde_json::Value;

pub use schema::Schema;

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A component from its text form.
pub fn text_plugin(name: &str, wat: &str) -> PluginSpec {
    let bytes = wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}"));
    PluginSpec::new(name, Source::Bytes(bytes), Grants::default())
}

/// `support/calc.wat`: `add`, `half` (fails on odd numbers), `echo`, `spin`, `trap`, `grow` ..
pub fn calc() -> PluginSpec {
    text_plugin("calc", include_str!("calc.wat"))
}

/// A host with `calc` alone.
pub fn calc_host() -> Host {
    Host::builder().plugin(calc()).build().unwrap()
}

/// A guest of `tests/guests`, if `plugins/build.sh` has built it. CI sets `INORDER_REQUIRE_GUESTS`, so that
/// none is missing unseen there.
pub fn guest(name: &str) -> Option<PluginSpec> {
    let path = repository().join("target/guests/dist").join(format!("{name}.wasm"));
    if path.is_file() {
        return Some(PluginSpec::file(path, Grants::default()));
    }
    let needs = format!("needs the guest {name:?}, which plugins/build.sh builds");
    assert!(std::env::var_os("INORDER_REQUIRE_GUESTS").is_none(), "{needs}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {needs}");
    None
}

pub fn grants(read: &[&str], write: &[&str]) -> Grants {
    let parse =
        |patterns: &[&str]| patterns.iter().map(|it| PathGrant::parse(it).unwrap()).collect();
    Grants { read: parse(read), write: parse(write), ..Grants::default() }
}

/// A directory with `files` in it, and a builder whose root it is.
pub fn scratch(files: &[(&str, &str)]) -> (tempfile::TempDir, HostBuilder) {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    // Compiled once for all tests.
    let cache = repository().join("target/test-cache/plugins");
    let builder = Host::builder().root(dir.path()).cache(cache);
    (dir, builder)
}

/// Runs `future` on a runtime like the binary's.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

pub fn run(host: &Host, batch: &Value) -> Result<Report, Error> {
    let batch = Batch::from_json(batch.to_string().as_bytes())?;
    block_on(host.run(batch))
}

/// The report of a batch that can be ordered, as the JSON that users get.
pub fn report(host: &Host, batch: &Value) -> Value {
    serde_json::to_value(run(host, batch).unwrap()).unwrap()
}

/// Why a batch is refused whole.
pub fn refused(host: &Host, batch: &Value) -> String {
    run(host, batch).expect_err("the batch was run").to_string()
}

/// One call's result as users get it.
#[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
pub fn call(host: &Host, tool: &str, args: Value) -> Value {
    let mut report = report(host, &serde_json::json!({"calls": [{"tool": tool, "args": args}]}));
    report["results"][0].take()
}

/// Runs a batch that is cancelled after `delay`.
pub fn run_cancelled(host: &Host, batch: &Value, delay: std::time::Duration) -> Report {
    let plan = host.plan(Batch::from_json(batch.to_string().as_bytes()).unwrap()).unwrap();
    block_on(async {
        let options = RunOptions::default();
        let cancel = options.cancel.clone();
        let (report, ()) = tokio::join!(host.execute(plan, options), async {
            tokio::time::sleep(delay).await;
            cancel.cancel();
        });
        report
    })
}

/// Whether every field of `pattern` is in `value`, at any depth; a string that ends in `..` stands for its
/// beginning, one that begins with `..` for its end.
pub fn matches(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => {
            pattern.iter().all(|(key, part)| value.get(key).is_some_and(|it| matches(it, part)))
        }
        (Value::Array(value), Value::Array(pattern)) => {
            value.len() == pattern.len()
                && value.iter().zip(pattern).all(|(value, part)| matches(value, part))
        }
        (Value::String(value), Value::String(pattern)) => {
            if let Some(middle) = pattern.strip_prefix("..").and_then(|it| it.strip_suffix("..")) {
                return value.contains(middle);
            }
            match (pattern.strip_suffix(".."), pattern.strip_prefix("..")) {
                (Some(start), _) => value.starts_with(start),
                (_, Some(end)) => value.ends_with(end),
                _ => value == pattern,
            }
        }
        _ => value == pattern,
    }
}

/// The binary under test.
pub fn inorder() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_inorder"));
    // A cache of the tests' own: theirs to fill, and nothing left in the user's.
    let caches = repository().join("target/test-cache");
    command
        .env("XDG_STATE_HOME", caches.join("state"))
        .env("XDG_CACHE_HOME", caches)
        .env_remove("INORDER_CONFIG")
        .env_remove("RUST_BACKTRACE")
        .stdin(std::process::Stdio::null());
    command
}

pub fn built_guest(name: &str) -> Option<PathBuf> {
    match guest(name)?.source {
        Source::File(path) => Some(path),
        _ => None,
    }
}
