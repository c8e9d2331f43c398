//! Hosts that are reloaded from each other: other tools and grants, the same files and room.

use std::time::Duration;

use inorder::{Batch, Call, CallOptions, CancellationToken, Host, PluginSpec, RunOptions};
use serde_json::{Value, json};

use crate::support::{block_on, calc, call, grants, scratch};

fn edits(path: &str, numbers: impl Iterator<Item = u32>) -> Batch {
    let edit = |n| {
        let edits = json!([{"old_text": format!("line {n}."), "new_text": format!("edited {n}.")}]);
        json!({"tool": "edit_file", "args": {"path": path, "edits": edits}})
    };
    let calls: Vec<Value> = numbers.map(edit).collect();
    Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap()
}

fn loose(tool: &str, args: Value) -> Call {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    Call::new(tool, args)
}

#[test]
fn the_next_call_has_the_new_tools_and_grants() {
    let (_root, builder) = scratch(&[("a.txt", "a"), ("b.txt", "b")]);
    let spec = |read: &[&str]| PluginSpec::builtin("filesystem", grants(read, &[]));
    let old = builder.clone().plugin(spec(&["**"])).build().unwrap();
    let new = old.reload(builder.plugin(spec(&["a.txt"])).plugin(calc())).unwrap();
    let read = |host: &Host, path: &str| call(host, "read_text_file", json!({"path": path}));
    assert_eq!(read(&new, "a.txt")["value"], "a");
    assert_eq!(read(&new, "b.txt")["error"]["kind"], "denied");
    assert_eq!(call(&new, "add", json!({"a": 1, "b": 2}))["value"], 3);
    // Whoever still has the old one has it as it was.
    assert_eq!(read(&old, "b.txt")["value"], "b");
    assert_eq!(call(&old, "add", json!({"a": 1, "b": 2}))["error"]["kind"], "unknown_tool");
}

#[test]
fn edits_of_one_file_by_the_old_and_the_new_host_at_once_all_count() {
    let text: String = (0..64).map(|n| format!("line {n}.\n")).collect();
    let (root, builder) = scratch(&[("a.txt", &text)]);
    let builder = builder.plugin(PluginSpec::builtin("filesystem", grants(&[], &["**"])));
    let old = builder.clone().build().unwrap();
    let new = old.reload(builder).unwrap();
    block_on(async {
        let mut runs = tokio::task::JoinSet::new();
        for n in 0..64 {
            let host = if n % 2 == 0 { old.clone() } else { new.clone() };
            let batch = edits("a.txt", std::iter::once(n));
            runs.spawn(async move { host.run(batch).await.unwrap() });
        }
        while let Some(report) = runs.join_next().await {
            let report = report.unwrap();
            assert!(report.all_ok(), "{report:?}");
        }
    });
    let expected: String = (0..64).map(|n| format!("edited {n}.\n")).collect();
    assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), expected);
}

#[test]
fn a_session_goes_over_with_its_order() {
    let (root, builder) = scratch(&[("a.txt", "old")]);
    let builder = builder.plugin(PluginSpec::builtin("filesystem", grants(&[], &["**"])));
    let old = builder.clone().build().unwrap();
    let new = old.reload(builder).unwrap();
    block_on(async {
        let session = old.session();
        let over = session.with(&new).unwrap();
        assert!(session.is_of(&old) && over.is_of(&new) && !over.is_of(&old));
        // The tools declare what they touch: the read waits for the write, though it runs on the other host.
        let write = loose("write_file", json!({"path": "a.txt", "content": "new"}));
        let write = session.issue(write, CallOptions::default()).unwrap();
        let read = loose("read_text_file", json!({"path": "a.txt"}));
        let read = over.issue(read, CallOptions::default()).unwrap();
        let (read, write) = tokio::join!(read.ended(), write.ended());
        assert!(write.unwrap().result.is_ok());
        assert_eq!(read.unwrap().result, Ok(json!("new").into()));
    });
    let session = old.session();
    drop((old, new));
    let (_elsewhere, other) = scratch(&[]);
    assert!(session.with(&other.build().unwrap()).is_none());
    assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), "new");
}

#[test]
fn ceilings_hold_over_both() {
    let builder = Host::builder().plugin(calc()).jobs(1);
    let old = builder.clone().build().unwrap();
    let new = old.reload(builder).unwrap();
    block_on(async {
        let cancel = CancellationToken::new();
        let options = RunOptions { cancel: cancel.clone(), ..RunOptions::default() };
        let plan = |host: &Host, call: Value| {
            let batch = json!({ "calls": [call] }).to_string();
            host.plan(Batch::from_json(batch.as_bytes()).unwrap()).unwrap()
        };
        let mut tasks = tokio::task::JoinSet::new();
        let (spin, host) = (plan(&old, json!({"tool": "spin"})), old.clone());
        tasks.spawn(async move { host.execute(spin, options).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        // There is room for one, and the old host has it.
        let add = plan(&new, json!({"tool": "add", "args": {"a": 1, "b": 2}}));
        let add = new.execute(add, RunOptions::default());
        let mut add = std::pin::pin!(add);
        let waited = tokio::time::timeout(Duration::from_millis(300), &mut add).await;
        assert!(waited.is_err(), "{waited:?}");
        cancel.cancel();
        assert!(add.await.all_ok());
        tasks.join_all().await;
    });
}

#[test]
fn memory_of_a_call_may_be_raised() {
    let (_root, builder) = scratch(&[]);
    let old = builder.clone().plugin(calc()).build().unwrap();
    let mut spec = calc();
    spec.limits.memory = Some(512 << 20);
    let new = old.reload(builder.plugin(spec)).unwrap();
    let pages = json!({"pages": 6000});
    assert_eq!(call(&old, "grow", pages.clone())["value"], -1);
    assert_eq!(call(&new, "grow", pages)["value"], 1);
}

#[test]
fn a_plugin_that_a_tool_could_replace_is_not_loaded_anew() {
    let (root, builder) = scratch(&[]);
    let file = root.path().join("calc.wasm");
    std::fs::write(&file, wat::parse_str(include_str!("support/calc.wat")).unwrap()).unwrap();
    let of_file = |write: &[&str]| {
        let standard = PluginSpec::builtin("filesystem", grants(&[], write));
        builder.clone().plugin(PluginSpec::file(&file, Default::default())).plugin(standard)
    };
    let old = of_file(&["out/**"]).build().unwrap();
    assert!(old.reload(of_file(&["out/**"])).is_ok());
    for write in ["**", "*.wasm", "calc.wit"] {
        let error = old.reload(of_file(&[write])).err().map(|error| error.to_string());
        assert!(error.unwrap_or_default().contains("put another in its place"), "{write}");
    }
}

#[test]
fn what_both_stand_on_cannot_change() {
    let (_root, builder) = scratch(&[]);
    let (other, _) = scratch(&[]);
    let old = builder.clone().build().unwrap();
    for (changed, what) in [
        (builder.clone().root(other.path()), "the roots"),
        (builder.clone().jobs(3), "jobs"),
        (builder.clone().max_memory(1 << 30), "max-memory"),
        (builder.clone().max_waiting(7), "max-waiting"),
        (builder.clone().durable(true), "durable"),
    ] {
        let error = old.reload(changed).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(what) && error.contains("start it again"), "{what}: {error}");
    }
    assert!(old.reload(builder).is_ok());
}
