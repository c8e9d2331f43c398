//! Requests that change something: once, in order, and not where nothing is to change.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use inorder::{Batch, CancellationToken, Effect, Host, RunOptions};
use serde_json::{Value, json};

use super::server::{Server, ok};
use super::{Names, builder, get, host, message, post, spec};
use crate::support::{block_on, call, grants, report};

fn run(host: &Host, batch: &Value, effect: Effect) -> Value {
    let plan = host.plan(Batch::from_json(batch.to_string().as_bytes()).unwrap()).unwrap();
    let options = RunOptions { effect, ..RunOptions::default() };
    serde_json::to_value(block_on(host.execute(plan, options))).unwrap()
}

/// The guest with a host and all files.
fn with_files(at: &str) -> Option<(tempfile::TempDir, Host)> {
    let mut spec = spec(&[at])?;
    spec.grants.write = grants(&[], &["**"]).write;
    let (dir, builder) = builder(&Names::default());
    let host = builder.plugin(spec).build().unwrap();
    Some((dir, host))
}

#[test]
fn what_changes_something_is_refused_in_a_dry_run_and_in_an_atomic_batch() {
    let server = Server::plain(|_, out| ok(out, "read"));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let url = format!("http://{at}/");
    for (effect, says) in [(Effect::DryRun, "a dry run"), (Effect::Atomic, "an atomic batch")] {
        let before = server.asked().len();
        let read = json!({ "tool": "request", "args": get(&url) });
        let write = json!({ "tool": "request", "args": post(&url, "x") });
        let report = run(&host, &json!({ "calls": [read, write] }), effect);
        assert_eq!(report["results"][0]["value"]["body"], "read", "{report}");
        assert_eq!(report["results"][1]["error"]["kind"], "denied", "{report}");
        let said = message(&report["results"][1]);
        let expected =
            format!("POST http://{at} was not sent: what it does there cannot be taken back");
        assert!(said.contains(&expected) && said.contains(says), "{said}");
        assert_eq!(server.asked().len(), before + 1);
    }
    assert_eq!(call(&host, "request", post(&url, "x"))["value"]["status"], 200);
}

#[test]
fn a_read_with_something_else_in_it_is_a_change() {
    let server = Server::plain(|_, out| ok(out, "read"));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let url = format!("http://{at}/");
    let request = |method: &str, headers: Value, body: Option<&str>| {
        let options = json!({ "method": method, "headers": headers, "body": body });
        json!({ "tool": "request", "args": { "url": url, "options": options } })
    };
    let next = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
    let length = next.len().to_string();
    let changes = [
        request("GET", json!([["content-length", length]]), Some(next)),
        request("HEAD", json!([["content-length", length]]), Some(next)),
        request("OPTIONS", json!([]), Some("x")),
        request("GET", json!([["X-HTTP-Method-Override", "DELETE"]]), None),
        request("OPTIONS", json!([["x-http-method", "PUT"]]), None),
        request("GET", json!([["x-original-url", "/delete"]]), None),
    ];
    let report = run(&host, &json!({ "calls": changes }), Effect::DryRun);
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["error"]["kind"], "denied", "{result}");
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    let reads = [
        request("GET", json!([["content-length", "0"]]), None),
        request("GET", json!([]), Some("")),
        request("HEAD", json!([]), None),
        request("OPTIONS", json!([["x-else", "1"]]), None),
        // Without a length, it is not sent.
        request("GET", json!([]), Some(next)),
    ];
    let report = run(&host, &json!({ "calls": reads }), Effect::DryRun);
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["status"], "ok", "{result}");
    }
    assert_eq!(server.asked().len(), 5);
    assert!(server.asked().iter().all(|asked| asked.body.is_empty()), "{:?}", server.asked());
}

#[test]
fn a_body_that_a_call_did_not_end_is_not_taken_for_whole() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    for trap in [true, false] {
        let args = json!({ "url": format!("http://{at}/"), "body": "half of it", "trap": trap });
        let calls: Vec<Value> =
            (0..20).map(|_| json!({ "tool": "abandon", "args": args })).collect();
        let report = report(&host, &json!({ "calls": calls }));
        for result in report["results"].as_array().unwrap() {
            assert_eq!(result["status"] == "ok", !trap, "{result}");
        }
    }
    // The server reads until it ends, and says nothing of what does not.
    thread::sleep(Duration::from_millis(100));
    assert!(server.connections() >= 20);
    assert_eq!(server.asked().len(), 0, "{:?}", server.asked());
}

#[test]
fn an_effect_happens_once_with_what_earlier_calls_have_written() {
    let server = Server::plain(|asked, out| ok(out, &format!("got {}", asked.body)));
    let at = format!("localhost:{}", server.port);
    let Some((dir, host)) = with_files(&at) else { return };
    std::fs::write(dir.path().join("a"), "old").unwrap();
    let url = format!("http://{at}/");
    let report = report(
        &host,
        &json!({ "calls": [
            { "tool": "write_late", "args": { "ms": 300, "path": "a", "content": "new" } },
            { "tool": "post_file", "args": { "path": "a", "url": url, "into": "b" } },
        ]}),
    );
    assert_eq!(report["results"][1]["status"], "ok", "{report}");
    let bodies: Vec<String> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, ["new"]);
    // It was stopped before it could send what was old.
    assert_eq!(report["results"][1]["usage"]["attempts"], 2, "{report}");
    assert_eq!(std::fs::read_to_string(dir.path().join("b")).unwrap(), "got new");
}

#[test]
fn effects_of_a_batch_happen_in_its_order() {
    let under_way = AtomicUsize::new(0);
    let server = Server::plain(move |asked, out| {
        assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "two at once");
        // The first takes longest.
        thread::sleep(Duration::from_millis(if asked.body == "0" { 200 } else { 10 }));
        under_way.fetch_sub(1, Ordering::SeqCst);
        ok(out, "")
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let url = format!("http://{at}/");
    let calls: Vec<Value> =
        (0..5).map(|n| json!({ "tool": "request", "args": post(&url, &n.to_string()) })).collect();
    let report = report(&host, &json!({ "calls": calls }));
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["value"]["status"], 200, "{result}");
    }
    let bodies: Vec<String> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_loose_call_may_have_effects_too() {
    let server = Server::plain(|asked, out| ok(out, &asked.body));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&[&at], &Names::default()) else { return };
    let session = host.session();
    let batch =
        json!({ "calls": [{ "tool": "request", "args": post(&format!("http://{at}/"), "x") }] });
    let batch = Batch::from_json(batch.to_string().as_bytes()).unwrap();
    let outcome = block_on(session.call(batch.calls[0].clone(), CancellationToken::new())).unwrap();
    assert_eq!(outcome.result.unwrap().value()["body"], "x");
    assert_eq!((server.asked().len(), &*server.asked()[0].method), (1, "POST"));
}

#[test]
fn a_call_that_had_an_effect_is_not_run_again() {
    let root: Arc<OnceLock<std::path::PathBuf>> = Arc::default();
    let here = root.clone();
    let server = Server::plain(move |_, out| {
        // Somebody else changes what the call has read, in the moment after.
        let mut file = std::fs::File::create(here.get().unwrap().join("a")).unwrap();
        file.write_all(b"changed from outside").unwrap();
        ok(out, "done")
    });
    let at = format!("localhost:{}", server.port);
    let Some((dir, host)) = with_files(&at) else { return };
    root.set(dir.path().to_owned()).unwrap();
    std::fs::write(dir.path().join("a"), "old").unwrap();
    let args = json!({ "path": "a", "url": format!("http://{at}/"), "into": "b" });
    let result = call(&host, "post_file", args);
    assert_eq!(result["error"]["kind"], "conflict", "{result}");
    assert!(message(&result).contains("it had sent requests"), "{result}");
    assert_eq!(server.asked().len(), 1);
    assert!(!dir.path().join("b").exists());
}
