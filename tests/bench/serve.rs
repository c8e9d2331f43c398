//! `inorder serve` as a client meets it over standard input and output, beside wassette, the best known server of the kind, if
//! `peer.sh` has installed it: the same client, the same component, in turns.
//!
//! Knows of either only how it is started and what its tools are called.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::client::Client;
use crate::folder::Folder;
use crate::measure::{Samples, ratio};
use crate::setup::{Bench, guest};
use crate::start::binary;
use crate::table::Row;

/// Calls between two turns.
const BLOCK: usize = 500;

const AT_ONCE: usize = 1000;

/// As many as make either wait that gives each loop a thread of its own on a small machine.
const LOOPS: usize = 3;

/// For an answer beside loops.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server to be started.
struct Server {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
    /// Before the name of each tool.
    prefix: &'static str,
}

#[derive(Default)]
struct Measured {
    starts: Samples,
    adds: Calls,
    reads: Calls,
    at_once: Samples,
    beside_loops: Samples,
}

#[derive(Default)]
struct Calls {
    all: Samples,
    /// One for each block.
    slowest: Samples,
}

pub fn serve(bench: &Arc<Bench>) -> anyhow::Result<Vec<Row>> {
    let folder = Folder::new(bench)?;
    let file = folder.file("files/4k.txt", 4 << 10)?.canonicalize()?;
    let component = folder.path().join("probe.wasm");
    std::fs::write(&component, guest("probe")?)?;
    let mut servers = vec![ours(&folder, &component)?];
    match peer() {
        Some(program) => servers.push(theirs(&folder, &component, program)?),
        None => {
            eprintln!("wassette is not in target/peer: run tests/bench/peer.sh to compare with it");
        }
    }

    let mut measured: Vec<Measured> = servers.iter().map(|_| Measured::default()).collect();
    // Components are compiled at the first start.
    servers.iter().try_for_each(|server| started(server).map(drop))?;
    for _ in 0..bench.effort.runs(30) {
        for (server, measured) in servers.iter().zip(&mut measured) {
            let (client, start) = started(server)?;
            drop(client);
            measured.starts.push(start);
        }
    }
    let mut clients =
        servers.iter().map(|it| Ok(started(it)?.0)).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut cat, mut echoes) = (Client::of_cat()?, Calls::default());
    let path = file.to_str().context("the path is text")?;
    // The first turn is warm-up.
    for turn in 0..=bench.effort.runs(20) {
        for ((server, client), measured) in servers.iter().zip(&mut clients).zip(&mut measured) {
            let tool = |name: &str| format!("{}{name}", server.prefix);
            let adds = block(|| client.call(&tool("add"), &json!({"a": 1, "b": 2})))?;
            let reads = block(|| client.call(&tool("read"), &json!({"path": path})))?;
            let at_once = client.at_once(AT_ONCE, &tool("add"), &json!({"a": 1, "b": 2}))?;
            if turn > 0 {
                measured.adds.push(adds);
                measured.reads.push(reads);
                measured.at_once.push(at_once);
            }
        }
        let echoed = block(|| cat.echo("add", &json!({"a": 1, "b": 2})))?;
        if turn > 0 {
            echoes.push(echoed);
        }
    }
    drop(clients);
    for (server, measured) in servers.iter().zip(&mut measured) {
        measured.beside_loops.push(beside_loops(server)?);
    }
    let mut rows = rows(&servers, &measured);
    let of_cat = "of that, the pipes: the line of a call to `cat` and back";
    rows.push(Row::new(of_cat.to_owned(), &echoes.all));
    rows.push(Row::new(format!("{of_cat}, the 99th of 100"), &echoes.slowest));
    Ok(rows)
}

fn ours(folder: &Folder, component: &Path) -> anyhow::Result<Server> {
    let (program, component, folder) = (binary()?, component.to_owned(), folder.path().to_owned());
    let command = move || {
        let mut command = Command::new(&program);
        command
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("XDG_STATE_HOME", folder.join("state"));
        command.arg("serve").arg("--root").arg(folder.join("files"));
        command.args(["--allow-read", "**", "--plugin"]).arg(&component);
        command
    };
    Ok(Server { name: "inorder", command: Box::new(command), prefix: "" })
}

fn peer() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peer/wassette");
    program.is_file().then_some(program)
}

/// Compiled before, as ours is, and granted the same files.
fn theirs(folder: &Folder, component: &Path, program: PathBuf) -> anyhow::Result<Server> {
    let (home, files) = (folder.path().join("peer"), folder.path().join("files").canonicalize()?);
    std::fs::create_dir_all(&home)?;
    let command = move || {
        let mut command = Command::new(&program);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(variable, &home);
        }
        // It tells of each call otherwise.
        command.env("RUST_LOG", "error").arg("--component-dir").arg(home.join("components"));
        command
    };
    let uri = |path: &Path, scheme| format!("{scheme}://{}", path.display());
    for args in [
        vec!["component", "load", &uri(component, "file")],
        vec!["permission", "grant", "storage", "probe", &uri(&files, "fs"), "--access", "read"],
    ] {
        let ended = command().args(&args).stdin(Stdio::null()).output()?;
        ensure!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let command = move || {
        let mut command = command();
        command.arg("run");
        command
    };
    Ok(Server { name: "wassette", command: Box::new(command), prefix: "test_probe_probe_" })
}

/// A server that has answered a first call, and how long that took.
fn started(server: &Server) -> anyhow::Result<(Client, Duration)> {
    let began = Instant::now();
    let mut client = Client::start((server.command)())?;
    // The peer loads its components behind its first answers, and has none of their tools until then.
    loop {
        match client.call(&format!("{}add", server.prefix), &json!({"a": 1, "b": 2})) {
            Ok(_) => return Ok((client, began.elapsed())),
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

/// A block of calls, one after the other.
fn block(mut call: impl FnMut() -> anyhow::Result<Duration>) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..BLOCK {
        samples.push(call()?);
    }
    Ok(samples)
}

/// Until an answer came while endless loops run, or for as long as was waited.
fn beside_loops(server: &Server) -> anyhow::Result<Duration> {
    let (mut client, _) = started(server)?;
    for _ in 0..LOOPS {
        client.send(&format!("{}spin", server.prefix), &json!({}))?;
    }
    // So that all of them run.
    std::thread::sleep(Duration::from_millis(500));
    client.give_up_after(PATIENCE);
    let began = Instant::now();
    match client.call(&format!("{}add", server.prefix), &json!({"a": 1, "b": 2})) {
        Ok(took) => Ok(took),
        Err(_) if began.elapsed() >= PATIENCE => Ok(PATIENCE),
        Err(error) => Err(error),
    }
}

impl Calls {
    fn push(&mut self, block: Samples) {
        self.slowest.push(block.quantile(0.99));
        self.all.extend(block);
    }
}

fn rows(servers: &[Server], measured: &[Measured]) -> Vec<Row> {
    type Of = fn(&Measured) -> &Samples;
    let cases: [(&str, Of, Option<f64>); 7] = [
        ("from its start to the first answer", |it| &it.starts, None),
        ("a warm call of `add`", |it| &it.adds.all, Some(0.7)),
        ("a warm call of `add`, the 99th of 100", |it| &it.adds.slowest, Some(0.5)),
        ("a warm call that reads 4 KiB", |it| &it.reads.all, Some(0.7)),
        ("a warm call that reads 4 KiB, the 99th of 100", |it| &it.reads.slowest, Some(0.5)),
        ("1,000 calls of `add` sent at once", |it| &it.at_once, Some(0.5)),
        ("an answer beside three endless loops", |it| &it.beside_loops, None),
    ];
    let mut rows = Vec::new();
    for (case, of, wanted) in cases {
        let theirs = measured.get(1).map(of);
        for (server, measured) in servers.iter().zip(measured) {
            let times = of(measured);
            let none =
                if times.median() >= PATIENCE { ": NONE, as long as was waited" } else { "" };
            let mut row = Row::new(format!("{}, {case}{none}", server.name), times);
            match theirs {
                Some(theirs) if server.name == "inorder" => {
                    row = row.ratio("wassette", ratio(times.median(), theirs.median()));
                    if let Some(most) = wanted {
                        row = row.wanted(most);
                    }
                }
                Some(_) => row = row.instead(),
                None => {}
            }
            rows.push(row);
        }
    }
    rows
}
