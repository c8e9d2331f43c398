//! Many requests at once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Client, call, folder, handshake};
use crate::support::inorder;

#[test]
fn a_thousand_calls_at_once_are_all_answered() {
    let root = folder(&[("a.txt", "hello")]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    let mut sent = String::new();
    for n in 0..1000 {
        let message = match n % 4 {
            0 => call(n, "get_current_time", json!({"timezone": "UTC"})),
            1 => call(n, "read_text_file", json!({"path": "a.txt"})),
            2 => call(n, "read_text_file", json!({"path": "none.txt"})),
            _ => call(n, "write_file", json!({"path": format!("{n}.txt"), "content": "x"})),
        };
        sent.push_str(&format!("{message}\n"));
    }
    let began = Instant::now();
    client.raw(sent.as_bytes());
    for n in 0..1000 {
        let answer = client.answer(n);
        assert_eq!(answer["result"]["isError"], n % 4 == 2, "{answer}");
    }
    eprintln!("1,000 calls in {:?}", began.elapsed());
    client.nothing_else_came();
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1 + 250 + 1, "and .inorder");
    assert_eq!(client.end().code, Some(0));
}

#[test]
fn a_client_that_does_not_read_while_it_writes_loses_nothing() {
    let root = folder(&[("a.txt", &"x".repeat(200_000))]);
    let mut client = Client::connect(root.path(), &[]);
    // 40 MB of answers, of which a pipe holds a few.
    let calls: String = (0..100)
        .map(|n| format!("{}\n", call(n, "read_text_file", json!({"path": "a.txt"}))))
        .collect();
    client.raw(calls.as_bytes());
    std::thread::sleep(Duration::from_millis(300));
    for n in 0..100 {
        let answer = client.answer(n);
        assert_eq!(answer["result"]["content"][0]["text"].as_str().unwrap().len(), 200_000);
    }
}

#[test]
fn calls_that_came_together_are_undone_together_however_soon_each_has_ended() {
    let root = folder(&[]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    // One that had ended, and is not of them.
    client.call("write_file", json!({"path": "before.txt", "content": "x"}));
    let write = |n| call(n, "write_file", json!({"path": format!("{n}.txt"), "content": "x"}));
    let calls: String = (0..6).map(|n| format!("{}\n", write(n))).collect();
    client.raw(calls.as_bytes());
    for n in 0..6 {
        assert_eq!(client.answer(n)["result"]["isError"], false);
    }
    assert_eq!(client.end().code, Some(0));
    let undone = inorder().arg("undo").arg("--root").arg(root.path()).output().unwrap();
    assert!(undone.status.success(), "{undone:?}");
    let names = std::fs::read_dir(root.path()).unwrap().map(|it| it.unwrap().file_name());
    let files: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".txt")).collect();
    assert_eq!(files, ["before.txt"]);
}

#[test]
fn answers_that_nobody_reads_hold_up_the_calls_whose_answers_would_come_after() {
    const CALLS: usize = 300;
    let root = folder(&[("a.txt", &"x".repeat(1 << 20))]);
    let mut server = inorder()
        .args(["serve", "--no-audit", "--root", root.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": handshake("2025-11-25")});
    let calls = (0..CALLS).map(|n| call(n, "read_text_file", json!({"path": "a.txt"})).to_string());
    let lines: Vec<String> = std::iter::once(hello.to_string()).chain(calls).collect();
    writeln!(input, "{}", lines.join("\n")).unwrap();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    // All of them would have ended by then: 300 MiB, and as much again on the way.
    std::thread::sleep(Duration::from_millis(1500));
    let held = resident();
    assert!(held < 250, "{held} MiB");
    for n in 0..=CALLS {
        assert!(output.next().is_some_and(|line| line.is_ok()), "answer {n}");
    }
    drop(input);
    assert!(server.wait().unwrap().success());
}
