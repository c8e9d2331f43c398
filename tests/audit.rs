//! The audit log: a line for each call, where and how it is kept, and that nobody who is in it can change it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inorder::{
    AuditRecord, AuditSink, Batch, Call, CancellationToken, Host, PluginSpec, RunOptions, Tenant,
};
use serde_json::{Value, json};

use crate::support::{block_on, calc, grants, inorder, run_cancelled, scratch};

/// A directory to work in, and one for the log, which is nobody's root.
struct Here {
    root: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Here {
    fn new() -> Here {
        let here = Here { root: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        std::fs::write(here.root.path().join("a.txt"), "a").unwrap();
        let batch = json!({"calls": [
            {"id": "read", "tool": "read_text_file", "args": {"path": "a.txt"}},
            {"id": "write", "tool": "write_file", "args": {"path": "out/b.txt", "content": "secret"}},
            {"id": "denied", "tool": "write_file", "args": {"path": "c.txt", "content": "x"}},
            {"id": "unknown", "tool": "nothing_like_it"},
        ]});
        std::fs::write(here.root.path().join("batch.json"), batch.to_string()).unwrap();
        here
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = inorder();
        command.env("XDG_STATE_HOME", self.state.path()).current_dir(self.root.path());
        command.args(["run", "batch.json", "--json"]).args(args).output().unwrap()
    }

    fn usual(&self) -> PathBuf {
        self.state.path().join("inorder/audit.jsonl")
    }
}

fn lines(log: &Path) -> Vec<Value> {
    let text =
        std::fs::read_to_string(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_call_of_a_run_is_a_line_in_the_state_folder() {
    let here = Here::new();
    let output = here.run(&["--allow-write", "out/**"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
    let mut calls = lines(&here.usual());
    assert_eq!(calls.len(), 4);
    // They end in any order.
    calls.sort_by_key(|call| call["call"].to_string());
    let [denied, read, unknown, write] = &calls[..] else { panic!("{calls:?}") };
    for call in [denied, read, write] {
        assert_eq!(call["plugin"]["name"], "filesystem");
        assert_eq!(call["plugin"]["digest"].as_str().unwrap().len(), 64);
        assert_eq!(call["effect"], "commit");
        assert_eq!(call["attempts"], 1);
        assert_eq!(call["batch"], read["batch"]);
        assert!(call["run_ms"].as_f64().unwrap() > 0.0);
        assert!(call["time"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(
        (&read["outcome"], &read["read"], &read["wrote"]),
        (&json!("ok"), &json!(["a.txt"]), &json!([]))
    );
    // printf '{"path":"a.txt"}' | sha256sum
    let digest = "5aff422311aaf6f4983b3d9ae0b75826621e553375d62a2f03fa5578e5e64be1";
    assert_eq!(read["arguments_sha256"], digest);
    assert_eq!(write["outcome"], "ok");
    assert_eq!(write["wrote"], json!(["out", "out/b.txt"]));
    assert_eq!(denied["outcome"], "denied");
    assert_eq!(denied["denied"], json!([{"path": "c.txt", "access": "write", "by": "policy"}]));
    assert_eq!((&unknown["outcome"], &unknown["plugin"]), (&json!("unknown_tool"), &Value::Null));
    assert!(!std::fs::read_to_string(here.usual()).unwrap().contains("secret"));
    assert_eq!(std::fs::metadata(here.usual()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(here.usual().parent().unwrap()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn arguments_are_kept_when_asked_for_and_only_then() {
    let here = Here::new();
    here.run(&["--allow-write", "out/**", "--audit-arguments"]);
    let write = lines(&here.usual()).into_iter().find(|call| call["call"] == "write").unwrap();
    assert_eq!(write["arguments"], json!({"path": "out/b.txt", "content": "secret"}));
}

#[test]
fn what_becomes_of_changes_is_told() {
    let here = Here::new();
    here.run(&["--allow-write", "out/**", "--dry-run"]);
    let dry = lines(&here.usual());
    assert!(dry.len() == 4 && dry.iter().all(|call| call["effect"] == "dry_run"), "{dry:?}");
    // One call fails, so none is made real.
    here.run(&["--allow-write", "out/**", "--atomic"]);
    let all = lines(&here.usual());
    assert_eq!(all.len(), 8);
    for call in &all[4..] {
        assert_eq!((&call["effect"], &call["committed"]), (&json!("atomic"), &json!(false)));
    }
    here.run(&["--allow-write", "**", "--atomic"]);
    assert_ne!(lines(&here.usual())[8]["batch"], all[4]["batch"]);
}

#[test]
fn the_log_is_where_flags_and_config_say() {
    let here = Here::new();
    let elsewhere = here.state.path().join("deep/er/log.jsonl");
    here.run(&["--audit", elsewhere.to_str().unwrap()]);
    assert_eq!(lines(&elsewhere).len(), 4);
    here.run(&["--no-audit"]);
    let config = here.state.path().join("inorder.toml");
    let with = |audit: &str| {
        let text = format!(
            "roots = [{:?}]\n{audit}\n[plugins.filesystem]\nread = [\"**\"]\n",
            here.root.path()
        );
        std::fs::write(&config, text).unwrap();
        let output = here.run(&["--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    };
    with("audit = false");
    with("audit = \"by-config.jsonl\"");
    assert_eq!(lines(&here.state.path().join("by-config.jsonl")).len(), 4);
    assert!(!here.usual().exists());
    with("");
    assert_eq!(lines(&here.usual()).len(), 4);
}

#[test]
fn a_log_that_cannot_be_written_is_one_warning_and_no_failure() {
    let here = Here::new();
    let pipe = here.state.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for log in ["/proc/none/audit.jsonl", "/dev/full", pipe.to_str().unwrap()] {
        let output = here.run(&["--audit", log]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["results"][0]["value"], "a");
        let said = stderr(&output);
        assert_eq!(said.matches("the audit log cannot be written").count(), 1, "{log}: {said}");
        assert!(said.contains(log), "{said}");
    }
}

#[test]
fn a_log_that_a_plugin_may_write_is_refused() {
    let here = Here::new();
    let output = here.run(&["--allow-write", "logs/**", "--audit", "logs/audit.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("remove its own traces"), "{}", stderr(&output));
    let output = here.run(&["--allow-write", "**/*.1", "--audit", "audit.jsonl"]);
    assert_eq!(output.status.code(), Some(2), "the older file is a log too");
    let output = here.run(&["--allow-write", "out/**", "--audit", "audit.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&here.root.path().join("audit.jsonl")).len(), 4);
}

#[test]
fn the_usual_place_is_not_used_where_a_plugin_may_write_it() {
    let here = Here::new();
    let mut command = inorder();
    command.env("XDG_STATE_HOME", here.root.path().join("state")).current_dir(here.root.path());
    let output = command
        .args(["call", "read_text_file", "path=a.txt", "--allow-write", "**"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("no audit log is kept"), "{}", stderr(&output));
    assert!(!here.root.path().join("state/inorder/audit.jsonl").exists());
}

#[test]
fn lines_of_several_processes_do_not_mix() {
    let here = Here::new();
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = inorder();
            command.env("XDG_STATE_HOME", here.state.path()).current_dir(here.root.path());
            command.args(["run", "batch.json", "--json"]).stdout(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in children {
        child.wait().unwrap();
    }
    let calls = lines(&here.usual());
    let mut batches: Vec<_> = calls.iter().map(|call| call["batch"].as_str().unwrap()).collect();
    batches.sort_unstable();
    batches.dedup();
    assert_eq!((calls.len(), batches.len()), (32, 8));
}

/// Keeps records where a test can look.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<AuditRecord>>>);

impl AuditSink for Kept {
    fn record(&self, record: &AuditRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

impl Kept {
    fn take(&self) -> Vec<AuditRecord> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn an_embedder_has_records_of_batches_sessions_and_of_what_was_not_run() {
    let kept = Kept::default();
    let host =
        Host::builder().plugin(calc()).jobs(1).max_waiting(3).audit(kept.clone()).build().unwrap();
    let tenant = Tenant::new("some\none", 1);
    let batch =
        |calls: Value| Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap();
    let add = json!({"tool": "add", "args": {"a": 1, "b": 2}});
    block_on(async {
        let options = RunOptions { tenant: tenant.clone(), ..RunOptions::default() };
        let odd = json!({"tool": "half", "args": {"number": 1}});
        let skipped = json!({"tool": "half", "args": {"number": {"$from": 1}}});
        let plan = host.plan(batch(json!([odd, skipped]))).unwrap();
        host.execute(plan, options).await;
        let args =
            serde_json::Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]);
        let call = Call::new("add", args);
        host.session_of(&tenant).call(call, CancellationToken::new()).await.unwrap();
        host.run(batch(json!(vec![add.clone(); 4]))).await.unwrap();
    });
    let records = kept.take();
    let ended: Vec<_> = records.iter().map(|it| (&*it.tenant, &*it.tool, &*it.outcome)).collect();
    assert_eq!(
        ended[..3],
        [
            ("some\none", "half", "tool"),
            ("some\none", "half", "skipped"),
            ("some\none", "add", "ok")
        ]
    );
    assert_eq!(ended[3..], [("", "add", "busy"); 4]);
    assert_eq!(records[0].batch, records[1].batch);
    assert_ne!(records[1].batch, records[2].batch);
    assert!(records[0].arguments.is_some() && records[1].arguments.is_none());
    run_cancelled(&host, &json!({"calls": [{"tool": "spin"}, add]}), Duration::from_millis(100));
    let mut ended: Vec<_> =
        kept.take().iter().map(|it| (it.attempts, it.outcome.clone())).collect();
    ended.sort_unstable();
    assert_eq!(ended, [(0, "cancelled".to_owned()), (1, "cancelled".to_owned())]);
}

#[test]
fn a_batch_or_a_call_that_is_dropped_was_cancelled() {
    let kept = Kept::default();
    let host = Host::builder().plugin(calc()).audit(kept.clone()).build().unwrap();
    let batch =
        Batch::from_json(br#"{"calls": [{"tool": "spin"}, {"tool": "trap", "after": [1]}]}"#)
            .unwrap();
    let spin = Call::new("spin", serde_json::Map::new());
    let moment = Duration::from_millis(100);
    block_on(async {
        assert!(tokio::time::timeout(moment, host.run(batch)).await.is_err());
        let session = host.session();
        let call = session.call(spin, CancellationToken::new());
        assert!(tokio::time::timeout(moment, call).await.is_err());
    });
    let mut ended: Vec<_> =
        kept.take().into_iter().map(|it| (it.tool, it.outcome, it.attempts)).collect();
    ended.sort_unstable();
    let cancelled = |tool: &str, attempts| (tool.to_owned(), "cancelled".to_owned(), attempts);
    assert_eq!(ended, [cancelled("spin", 1), cancelled("spin", 1), cancelled("trap", 0)]);
}

#[test]
fn what_a_record_holds_is_bounded() {
    let files: Vec<_> = (0..150).map(|n| (format!("{n:03}.txt"), "x")).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (&**name, *text)).collect();
    let (_root, builder) = scratch(&files);
    let kept = Kept::default();
    let filesystem = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(filesystem).audit(kept.clone()).build().unwrap();
    let paths: Vec<_> = files.iter().map(|(name, _)| name).collect();
    let calls = json!({"calls": [
        {"tool": "read_multiple_files", "args": {"paths": paths}},
        {"id": "x".repeat(10_000), "tool": "y".repeat(10_000)},
    ]});
    crate::support::report(&host, &calls);
    let mut records = kept.take();
    records.sort_by_key(|record| record.call.len());
    assert_eq!((records[0].read.first.len(), records[0].read.more), (100, 50));
    assert!(records[1].call.len() < 400 && records[1].tool.len() < 400);
}
