//! The standard tools for Python code through the host, beside pyflakes, mccabe and coverage.py themselves.
//!
//! The component is built by `plugins/python/build.sh`; the packages are where it, or `kit/toolchains.sh`, has installed them.
//! Where either is missing, tests are skipped, unless `INORDER_REQUIRE_KIT` is set, as CI does.

mod audit;
mod coverage;
mod programs;
mod suites;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use inorder::{Host, LoadLimits, PluginSpec};
use serde_json::{Value, json};

use crate::support::{call, grants, repository, scratch};

/// A directory with `files` in it, and a host with the Python and the file tools on it; none where the plugin is not built.
fn project(files: &[(&str, &str)], write: &[&str]) -> Option<(tempfile::TempDir, Host)> {
    granted(files, &["**"], write)
}

fn granted(
    files: &[(&str, &str)],
    read: &[&str],
    write: &[&str],
) -> Option<(tempfile::TempDir, Host)> {
    // One test compiles it, and the others find it in the cache.
    static COMPILED: OnceLock<()> = OnceLock::new();
    let component = repository().join("target/plugins/python.wasm");
    if !component.is_file() {
        return skip("target/plugins/python.wasm, which plugins/python/build.sh builds");
    }
    // That takes a while where much else runs.
    let loading = LoadLimits { timeout: Duration::from_secs(900), ..LoadLimits::default() };
    let python = |read: &[&str], write: &[&str]| PluginSpec::file(&component, grants(read, write));
    COMPILED.get_or_init(|| {
        let (_root, builder) = scratch(&[]);
        builder.load_limits(loading).plugin(python(&[], &[])).build().unwrap();
    });
    let (root, builder) = scratch(files);
    let files = PluginSpec::builtin("filesystem", grants(&["**"], &["**"]));
    Some((root, builder.plugin(python(read, write)).plugin(files).build().unwrap()))
}

/// A Python that has the packages which the component is made of.
fn native() -> Option<PathBuf> {
    let has_packages = |python: &PathBuf| {
        let imports = ["-c", "import coverage, mccabe, pyflakes"];
        Command::new(python).args(imports).output().is_ok_and(|it| it.status.success())
    };
    ["target/kit/python/bin/python", "target/plugins/python/venv/bin/python"]
        .map(|it| repository().join(it))
        .into_iter()
        .find(has_packages)
        .or_else(|| skip("coverage, mccabe and pyflakes, which kit/toolchains.sh installs"))
}

fn skip<T>(needs: &str) -> Option<T> {
    assert!(std::env::var_os("INORDER_REQUIRE_KIT").is_none(), "needs {needs}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped {test}: needs {needs}");
    None
}

/// What a native program prints.
fn run(python: &Path, dir: &Path, args: &[&str]) -> String {
    let output = Command::new(python)
        .args(args)
        .current_dir(dir)
        .env_remove("COVERAGE_FILE")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of a call that goes well.
fn value(host: &Host, tool: &str, args: Value) -> Value {
    let mut result = call(host, tool, args);
    assert_eq!(result["status"], "ok", "{result}");
    result["value"].take()
}

/// The message of a call that fails, and its kind.
fn error(host: &Host, tool: &str, args: Value) -> (String, String) {
    let result = call(host, tool, args);
    let text = |field: &str| result["error"][field].as_str().unwrap_or_default().to_owned();
    assert_eq!(result["status"], "error", "{result}");
    (text("kind"), text("message"))
}

/// Files of the standard library of the native Python, copied into `dir`.
fn standard_library(python: &Path, dir: &Path, names: &[&str]) {
    let folder = run(python, dir, &["-c", "import os; print(os.path.dirname(os.__file__))"]);
    for name in names {
        let to = dir.join(name.replace('/', "_"));
        std::fs::copy(Path::new(folder.trim()).join(name), to).unwrap();
    }
}

#[test]
fn every_python_tool_has_a_description_and_no_tool_asks_for_the_network() {
    let Some((_root, host)) = project(&[], &[]) else { return };
    let component = repository().join("target/plugins/python.wasm");
    let path = component.to_str().unwrap();
    let inspected = crate::support::inorder().args(["inspect", path, "--json"]).output().unwrap();
    let plugin: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let tools = plugin["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["audit_module", "check_coverage", "run_python", "run_tests"]);
    assert!(tools.iter().all(|it| it["description"].is_string()), "{plugin}");
    // It is there, as all of Python is, and leads nowhere.
    let code = "import socket\nsocket.create_connection(('127.0.0.1', 80))";
    let ran = value(&host, "run_python", json!({ "code": code }));
    assert_eq!(ran["exit_code"], 1, "{ran}");
}
