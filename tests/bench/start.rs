//! Whole processes: from their start to their end, beside what people would run instead.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::folder::Folder;
use crate::measure::{Samples, ratio};
use crate::setup::Bench;
use crate::table::Row;

pub fn processes(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    folder.file("file.txt", 4 << 10)?;
    let (binary, repository) = (binary()?, Path::new(env!("CARGO_MANIFEST_DIR")));
    let cache = folder.path().join("cache");
    let inorder = |cache: &Path| {
        let mut command = Command::new(&binary);
        command.env("XDG_CACHE_HOME", cache).env("XDG_STATE_HOME", folder.path());
        command
    };
    let call = |command: &mut Command| {
        command.args(["call", "read_text_file", "path=file.txt", "--root"]).arg(folder.path());
    };
    let tour = |command: &mut Command| {
        command.current_dir(repository).args(["run", "examples/tour.json"]);
    };
    let (cold, warm) = (bench.effort.runs(30), bench.effort.runs(200));
    let in_15 = Duration::from_millis(15);
    let in_40 = Duration::from_millis(40);
    let mut rows = Vec::new();
    let mut fresh = 0;
    for (what, args, most) in [
        ("`inorder call read_text_file`", &call as &dyn Fn(&mut Command), in_15),
        ("`inorder run examples/tour.json`", &tour, in_40),
    ] {
        let times = timed(cold, || {
            fresh += 1;
            let mut command = inorder(&folder.path().join(format!("cache-{fresh}")));
            args(&mut command);
            command
        })?;
        rows.push(Row::new(format!("{what}, nothing compiled yet"), &times));
        let times = timed(warm, || {
            let mut command = inorder(&cache);
            args(&mut command);
            command
        })?;
        rows.push(
            Row::new(format!("{what}, compiled before"), &times)
                .ratio(format!("{} ms", most.as_millis()), ratio(times.median(), most))
                .wanted(1.0),
        );
    }
    rows.extend(instead(bench, &folder.path().join("file.txt"))?);
    Ok(rows)
}

/// Reading the same file by other means, where they are installed.
fn instead(bench: &Bench, file: &Path) -> anyhow::Result<Vec<Row>> {
    let runs = bench.effort.runs(100);
    const NODE: &str = "process.stdout.write(require('fs').readFileSync(process.env.FILE))";
    const WORKER: &str = "const {Worker} = require('worker_threads'); \
        new Worker(\"process.stdout.write(require('fs').readFileSync(process.env.FILE))\", {eval: true})";
    const PYTHON: &str = "import os; print(open(os.environ['FILE']).read())";
    let cases: [(&str, &str, &[&str]); 4] = [
        ("fork + exec of `sh -c 'cat file'`", "sh", &["-c", "cat \"$FILE\""]),
        ("`python3 -c`, which reads it", "python3", &["-c", PYTHON]),
        ("`node -e`, which reads it", "node", &["-e", NODE]),
        ("`node -e`, whose worker reads it", "node", &["-e", WORKER]),
    ];
    let mut rows = Vec::new();
    for (case, program, args) in cases {
        let found = Command::new(program).args(["-c", "0"]).stderr(Stdio::null()).status();
        if found.is_err() {
            eprintln!("{case}: {program} is not installed");
            continue;
        }
        let times = timed(runs, || {
            let mut command = Command::new(program);
            command.args(args).env("FILE", file);
            command
        })?;
        rows.push(Row::new(case, &times).instead());
    }
    Ok(rows)
}

pub fn timed(runs: usize, mut command: impl FnMut() -> Command) -> anyhow::Result<Samples> {
    let mut times = Samples::default();
    for run in 0..=runs {
        let mut command = command();
        command.stdout(Stdio::null()).stderr(Stdio::null()).env_remove("RUST_BACKTRACE");
        let began = Instant::now();
        let status = command.status().with_context(|| format!("{command:?}"))?;
        let took = began.elapsed();
        ensure!(status.success(), "{command:?}: {status}");
        if run > 0 {
            times.push(took);
        }
    }
    Ok(times)
}

pub fn binary() -> anyhow::Result<PathBuf> {
    Ok(env!("CARGO_BIN_EXE_inorder").into())
}
