//! How a server ends: quietly, with what was committed whole, and with exit code 0.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::client::{Client, calc, call, folder, handshake, request};
use crate::support::inorder;

#[test]
fn a_script_that_closes_its_end_at_once_gets_its_answers() {
    let root = folder(&[("a.txt", "hello")]);
    let mut child = inorder()
        .args(["serve", "--no-audit", "--root", root.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let read = json!({
        "name": "read_text_file", "arguments": {"path": "a.txt"}, "_meta": {"progressToken": 1},
    });
    let lines = format!(
        "{}\n{}\n{}",
        request(1, "initialize", handshake("2025-11-25")),
        request(2, "tools/call", read),
        // Without an end of the line.
        call(
            3,
            "run_batch",
            json!({"calls": [{"tool": "read_text_file", "args": {"path": "a.txt"}}]})
        ),
    );
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    for id in 1..=3 {
        assert!(text.contains(&format!("\"id\":{id},\"result\"")), "{text}");
    }
}

#[test]
fn a_client_that_never_read_its_answers_is_seen_to_go() {
    let root = folder(&[("a.txt", &"x".repeat(3 << 20))]);
    // None, and more than are read ahead.
    for unread in [0, 1000] {
        let mut child = inorder()
            .args(["serve", "--no-audit", "--root", root.path().to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = format!("{}\n", request("hello", "initialize", handshake("2025-11-25")));
        for id in 0..40 {
            lines.push_str(&format!("{}\n", call(id, "read_text_file", json!({"path": "a.txt"}))));
        }
        let mut input = child.stdin.take().unwrap();
        input.write_all(lines.as_bytes()).unwrap();
        // Until more answers wait than may.
        std::thread::sleep(Duration::from_secs(3));
        for id in 0..unread {
            writeln!(input, "{}", request(format!("more {id}"), "ping", json!({}))).unwrap();
        }
        drop(input);
        let began = Instant::now();
        let ended = loop {
            match child.try_wait().unwrap() {
                None if began.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                ended => break ended,
            }
        };
        let _ = child.kill();
        assert_eq!(ended.and_then(|it| it.code()), Some(0), "{unread} requests were unread");
    }
}

#[test]
fn calls_that_go_on_when_the_input_ends_are_cancelled() {
    let root = folder(&[]);
    let plugin = calc();
    let mut client = Client::connect(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    client.send(&call(1, "spin", json!({})));
    client.send(&call(2, "run_batch", json!({"calls": [{"tool": "spin"}]})));
    client.raw(b"{\"jsonrpc\":\"2.0\",\"id\":3,\"meth");
    let began = Instant::now();
    let ended = client.end();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let about = |id: i64| ended.messages.iter().find(|it| it["id"] == id);
    assert_eq!(about(3).unwrap()["error"]["code"], -32700);
    for id in [1, 2] {
        let text = about(id).unwrap().to_string();
        assert!(text.contains("cancelled"), "{text}");
    }
}

#[test]
fn signals_end_it_gracefully() {
    let root = folder(&[]);
    let plugin = calc();
    for signal in [Signal::TERM, Signal::INT] {
        let mut client = Client::connect(root.path(), &["--plugin", plugin.to_str().unwrap()]);
        client.send(&call(1, "spin", json!({})));
        client.request("ping", json!({}));
        let pid = Pid::from_raw(i32::try_from(client.pid()).unwrap()).unwrap();
        let began = Instant::now();
        kill_process(pid, signal).unwrap();
        let ended = client.ended();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(ended.code, Some(0), "{signal:?}: {}", ended.stderr);
    }
}

#[test]
fn a_server_that_nobody_speaks_to_ends_too() {
    let root = folder(&[]);
    let ended = Client::start(root.path(), &[]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let client = Client::start(root.path(), &[]);
    // It may not be listening yet; then the signal ends it, as it does any program.
    std::thread::sleep(Duration::from_millis(1000));
    let pid = Pid::from_raw(i32::try_from(client.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(client.ended().code, Some(0));
}

#[test]
fn what_a_server_changed_can_be_undone_burst_by_burst() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    for text in ["b", "c"] {
        let args = json!({"path": "a.txt", "content": text});
        assert_eq!(client.call("write_file", args)["isError"], false);
    }
    assert_eq!(client.end().code, Some(0));
    let undo = inorder().args(["undo", "--root", root.path().to_str().unwrap()]).output().unwrap();
    assert!(undo.status.success(), "{}", String::from_utf8_lossy(&undo.stderr));
    assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), "b");
}
