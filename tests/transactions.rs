//! Transactions as a caller sees them: all or nothing, dry runs, loose calls, declarations that are kept.

use std::path::Path;
use std::time::Duration;

use inorder::{
    Batch, Call, CallOptions, Effect, Host, PluginSpec, Progress, Report, RunOptions, Source,
    Status,
};
use serde_json::{Value, json};

use crate::support::{block_on, calc, call, grants, guest, report, scratch};

/// A host with the standard file tools, which may write everything in a root of these files.
fn files(content: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let (root, builder) = scratch(content);
    let spec = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
    let host = builder.plugin(spec).plugin(calc()).build().unwrap();
    (root, host)
}

fn run(host: &Host, effect: Effect, calls: &Value) -> Report {
    let batch = Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap();
    let plan = host.plan(batch).unwrap();
    block_on(host.execute(plan, RunOptions { effect, ..RunOptions::default() }))
}

fn write(path: &str, content: &str) -> Value {
    json!({"tool": "write_file", "args": {"path": path, "content": content}})
}

fn edit(path: &str, old: &str, new: &str) -> Value {
    let edits = json!([{"old_text": old, "new_text": new}]);
    json!({"tool": "edit_file", "args": {"path": path, "edits": edits}})
}

fn content(root: &tempfile::TempDir, path: &str) -> Option<String> {
    std::fs::read_to_string(root.path().join(path)).ok()
}

#[test]
fn two_edits_of_one_file_in_one_response_both_count() {
    let (root, host) = files(&[("a.txt", "one\ntwo\nthree\n")]);
    let calls =
        json!([edit("a.txt", "one", "1"), edit("a.txt", "two", "2"), edit("a.txt", "three", "3")]);
    let report = run(&host, Effect::Commit, &calls);
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(content(&root, "a.txt").unwrap(), "1\n2\n3\n");
}

#[test]
fn a_call_that_fails_half_way_leaves_no_trace() {
    let Some(mut spec) = guest("fileops") else { return };
    spec.grants = grants(&[], &["**"]);
    let (root, builder) = scratch(&[("a.txt", "a")]);
    let host = builder.plugin(spec).build().unwrap();
    for fail in ["err", "trap"] {
        let args = json!({"path": "a.txt", "text": "b", "fail": fail});
        assert_eq!(call(&host, "write", args)["status"], "error");
        assert_eq!(content(&root, "a.txt").unwrap(), "a");
    }
    assert!(!root.path().join(".inorder/batches/00000001").exists());
}

#[test]
fn an_atomic_batch_changes_all_or_nothing() {
    let (root, host) = files(&[("a.txt", "a")]);
    let fails = json!([write("a.txt", "1"), write("b.txt", "1"), edit("a.txt", "nowhere", "2")]);
    let report = run(&host, Effect::Atomic, &fails);
    let json = serde_json::to_value(&report).unwrap();
    assert!(!report.all_ok());
    assert_eq!(json["committed"]["no"]["because"], "the call \"3\" failed");
    assert_eq!((content(&root, "a.txt").unwrap(), content(&root, "b.txt")), ("a".into(), None));
    let works = json!([write("a.txt", "1"), write("d/b.txt", "1"), edit("a.txt", "1", "2")]);
    let report = run(&host, Effect::Atomic, &works);
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(serde_json::to_value(&report).unwrap()["committed"], "yes");
    assert_eq!(content(&root, "a.txt").unwrap(), "2");
    assert_eq!(content(&root, "d/b.txt").unwrap(), "1");
}

#[test]
fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let (root, host) = files(&[("a.txt", "one\ntwo\n"), ("old/x.txt", "x\n")]);
    std::fs::write(root.path().join("b.bin"), b"\0\x01").unwrap();
    let before = names(root.path());
    let calls = json!([
        edit("a.txt", "two", "2"),
        {"tool": "read_text_file", "args": {"path": "a.txt"}, "after": [1]},
        {"tool": "move_file", "args": {"source": "old/x.txt", "destination": "new/x.txt"}},
        write("b.bin", "text"),
        write("c.txt", "new\n"),
    ]);
    let report = run(&host, Effect::DryRun, &calls);
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(report.results[1].result, Ok(json!("one\n2\n").into()));
    let diff = report.diff.unwrap();
    for part in [
        "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n",
        "rename from old/x.txt\nrename to new/x.txt\n",
        "Binary files a/b.bin and b/b.bin differ\n",
        "--- /dev/null\n+++ b/c.txt\n@@ -0,0 +1 @@\n+new\n",
        "# + new/\n",
    ] {
        assert!(diff.contains(part), "{part:?} is not in\n{diff}");
    }
    assert_eq!(content(&root, "a.txt").unwrap(), "one\ntwo\n");
    assert_eq!(names(root.path()), before);
}

fn names(root: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<String> = std::fs::read_dir(root).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_dry_run_of_large_files_leaves_nothing_either() {
    let (root, host) = files(&[]);
    let large = "0123456789abcdef".repeat(150_000);
    let report = run(&host, Effect::DryRun, &json!([write("large.txt", &large)]));
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(names(root.path()), Vec::<String>::new());
}

fn loose(tool: &str, args: Value) -> Call {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    Call::new(tool, args)
}

#[test]
fn loose_calls_lose_no_edit() {
    let text: String = (0..32).map(|n| format!("line {n}.\n")).collect();
    let (root, host) = files(&[("a.txt", &text)]);
    block_on(async {
        let session = host.session();
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..32 {
            let session = session.clone();
            calls.spawn(async move {
                let edits =
                    json!([{"old_text": format!("line {n}."), "new_text": format!("edited {n}.")}]);
                let call = loose("edit_file", json!({"path": "a.txt", "edits": edits}));
                session.call(call, Default::default()).await.unwrap()
            });
        }
        while let Some(ended) = calls.join_next().await {
            let outcome = ended.unwrap();
            assert!(outcome.result.is_ok(), "{outcome:?}");
        }
    });
    let expected: String = (0..32).map(|n| format!("edited {n}.\n")).collect();
    assert_eq!(content(&root, "a.txt").unwrap(), expected);
}

#[test]
fn loose_calls_are_ordered_by_their_issue_whichever_is_awaited_first() {
    let (root, host) = files(&[("a.txt", "old")]);
    block_on(async {
        let session = host.session();
        let issue = |tool: &str, args| session.issue(loose(tool, args), CallOptions::default());
        let write = |text: &str| issue("write_file", json!({"path": "a.txt", "content": text}));
        let read = || issue("read_text_file", json!({"path": "a.txt"})).unwrap();
        let (dropped, written, after) = (write("dropped").unwrap(), write("new").unwrap(), read());
        drop(dropped);
        let (after, written) = tokio::join!(after.ended(), written.ended());
        assert!(written.unwrap().result.is_ok());
        assert_eq!(after.unwrap().result, Ok(json!("new").into()));
    });
    assert_eq!(content(&root, "a.txt").unwrap(), "new");
}

#[test]
fn a_loose_call_tells_of_its_runs_and_its_end() {
    let (_root, host) = files(&[("a.txt", "a")]);
    block_on(async {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let options = CallOptions { progress: Some(sender), ..CallOptions::default() };
        let call = loose("read_text_file", json!({"path": "a.txt"}));
        let outcome = host.session().issue(call, options).unwrap().ended().await.unwrap();
        assert!(outcome.usage.queued < Duration::from_secs(10), "{:?}", outcome.usage);
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(event);
        }
        assert_eq!(told, [Progress::Started(0), Progress::Ended(0, Status::Ok)]);
    });
}

#[test]
fn a_slow_loose_call_holds_back_nobody_and_a_read_sent_after_a_write_sees_it() {
    let Some(mut spec) = guest("fileops") else { return };
    spec.grants = grants(&[], &["**"]);
    let (_root, builder) = scratch(&[("a.txt", "a"), ("b.txt", "b")]);
    let standard = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(spec).plugin(standard).build().unwrap();
    block_on(async {
        let session = host.session();
        // `append` stages, then sleeps, then ends: nothing of it is declared.
        let slow = loose("append", json!({"path": "a.txt", "text": "+", "slow": 600}));
        let writer = session.call(slow, Default::default());
        let reader = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let began = std::time::Instant::now();
            let other =
                session.call(loose("read_text_file", json!({"path": "b.txt"})), Default::default());
            assert_eq!(other.await.unwrap().result, Ok(json!("b").into()));
            assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
        };
        let (written, ()) = tokio::join!(writer, reader);
        assert!(written.unwrap().result.is_ok());
        let read =
            session.call(loose("read_text_file", json!({"path": "a.txt"})), Default::default());
        assert_eq!(read.await.unwrap().result, Ok(json!("a+").into()));
        // Declared by `@writes path`: the read waits for it, though it was issued while the other ran.
        let big = "x".repeat(1 << 20);
        let write =
            session.call(loose("write", json!({"path": "b.txt", "text": big})), Default::default());
        let read =
            session.call(loose("read_text_file", json!({"path": "b.txt"})), Default::default());
        let (write, _) = tokio::join!(write, read);
        assert!(write.unwrap().result.is_ok());
    });
}

/// The fileops guest with a `.wit` beside it that says what is not so.
fn liar(tags: &str) -> Option<PluginSpec> {
    let Source::File(path) = guest("fileops")?.source else { return None };
    let dir = tempfile::tempdir().unwrap().keep();
    let copy = dir.join("liar.wasm");
    std::fs::copy(&path, &copy).unwrap();
    let wit = std::fs::read_to_string(
        crate::support::repository().join("tests/guests/fileops/fileops.wit"),
    )
    .unwrap();
    let copy_fn = wit.lines().find(|line| line.trim_start().starts_with("copy:")).unwrap();
    let tagged = format!("  /// {tags}\n{copy_fn}");
    std::fs::write(dir.join("liar.wit"), wit.replace(copy_fn, &tagged)).unwrap();
    Some(PluginSpec::file(copy, grants(&[], &["**"])))
}

#[test]
fn a_tool_that_does_what_it_declares_not_to_do_is_denied() {
    let params = ["@reads source", "@writes source", "@writes target", "@pure"];
    for tags in params {
        let Some(spec) = liar(tags) else { return };
        let (root, builder) = scratch(&[("a.txt", "a")]);
        let host = builder.plugin(spec).build().unwrap();
        let result = call(&host, "copy", json!({"source": "a.txt", "target": "b.txt"}));
        assert_eq!(result["error"]["kind"], "denied", "{tags}: {result}");
        assert!(!root.path().join("b.txt").exists());
    }
    let Some(spec) = liar("@reads source\n  /// @writes target") else { return };
    let (root, builder) = scratch(&[("a.txt", "a")]);
    let host = builder.plugin(spec).build().unwrap();
    let result = call(&host, "copy", json!({"source": "a.txt", "target": "b.txt"}));
    assert_eq!(result["status"], "ok", "{result}");
    assert_eq!(content(&root, "b.txt").unwrap(), "a");
}

#[test]
fn what_is_declared_may_lead_through_a_symlink() {
    let (root, host) = files(&[("real/a.txt", "a")]);
    std::os::unix::fs::symlink("real", root.path().join("link")).unwrap();
    std::os::unix::fs::symlink("real/a.txt", root.path().join("file")).unwrap();
    let calls = json!([
        {"tool": "read_text_file", "args": {"path": "link/a.txt"}},
        {"tool": "read_text_file", "args": {"path": "file"}},
        write("file", "b"),
        {"tool": "read_text_file", "args": {"path": "real/a.txt"}},
    ]);
    let report = report(&host, &json!({ "calls": calls }));
    for (n, value) in ["a", "a"].into_iter().enumerate() {
        assert_eq!(report["results"][n]["value"], value, "{report}");
    }
    assert_eq!(report["results"][3]["value"], "b", "{report}");
}

#[test]
fn a_call_that_writes_in_two_roots_is_told_so_and_changes_nothing() {
    let Some(mut spec) = guest("fileops") else { return };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = two.path().canonicalize().unwrap();
    let second = second.to_str().unwrap();
    std::fs::create_dir(two.path().join("d")).unwrap();
    spec.grants = grants(&[], &["**", &format!("{second}/**")]);
    let host = Host::builder().root(one.path()).root(two.path()).plugin(spec).build().unwrap();
    let other = call(&host, "write", json!({"path": format!("{second}/x"), "text": "x"}));
    assert_eq!(other["status"], "ok", "{other}");
    let moved = call(&host, "rename", json!({"source": format!("{second}/x"), "target": "x"}));
    assert_eq!(moved["error"]["value"], "xdev", "{moved}");
}

/// The order in which the calls of a batch end.
fn order_of_ends(host: &Host, calls: &Value) -> Vec<usize> {
    let batch = Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap();
    let plan = host.plan(batch).unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let options = RunOptions { progress: Some(sender), ..RunOptions::default() };
    let report = block_on(host.execute(plan, options));
    assert!(report.all_ok(), "{report:?}");
    let mut ends = Vec::new();
    while let Ok(progress) = receiver.try_recv() {
        if let Progress::Ended(call, _) = progress {
            ends.push(call);
        }
    }
    ends
}

#[test]
fn a_call_that_wrote_nothing_ends_ahead_of_an_earlier_one_that_cannot_touch_what_it_read() {
    let Some(spec) = guest("fileops") else { return };
    let plugin = |name: &str, prefix: &str, write: &str| PluginSpec {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        grants: grants(&[], &[write]),
        ..spec.clone()
    };
    let (_root, builder) = scratch(&[("a/x", "x"), ("b/y", "y")]);
    let builder =
        builder.plugin(plugin("one", "one_", "a/**")).plugin(plugin("two", "two_", "b/**"));
    let host = builder.plugin(plugin("all", "all_", "**")).build().unwrap();
    let slow =
        |tool: &str| json!({"tool": tool, "args": {"path": "a/x", "text": "1", "slow": 1000}});
    let next = json!({"tool": "two_append", "args": {"path": "b/y", "text": {"$from": 2}}});
    let first = json!({"tool": "two_read", "args": {"path": "b/y"}});
    let ends = order_of_ends(&host, &json!([slow("one_write"), first, next]));
    // The one that writes runs ahead too, and waits with its result for the earlier one that may.
    assert_eq!(ends, [1, 0, 2]);
    // One that may write anywhere holds them back, as it would one at a time.
    assert_eq!(order_of_ends(&host, &json!([slow("all_write"), first, next])), [0, 1, 2]);
}

#[test]
fn a_refusal_to_write_says_which_grant_to_write_would_do() {
    let (_root, builder) = scratch(&[("a.txt", "a")]);
    let spec = PluginSpec::builtin("filesystem", grants(&[], &["docs/**"]));
    let host = builder.plugin(spec).build().unwrap();
    for (path, grant) in [("a.txt", "a.txt"), ("new.txt", "new.txt"), ("new/deep/h.txt", "new/**")]
    {
        let result = call(&host, "write_file", json!({"path": path, "content": "x"}));
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("--allow-write '{grant}'")), "{message}");
        let (_root, builder) = scratch(&[("a.txt", "a")]);
        let spec = PluginSpec::builtin("filesystem", grants(&[], &[grant]));
        let host = builder.plugin(spec).build().unwrap();
        let result = call(&host, "write_file", json!({"path": path, "content": "x"}));
        assert_eq!(result["status"], "ok", "{result}");
    }
}
