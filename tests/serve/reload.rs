//! A server whose config or plugins change while it runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Client, call, folder, handshake, meta, request};
use super::http_client::{Server, read};

const PATIENCE: Duration = Duration::from_secs(60);

/// `support/calc.wat`, with its `nothing` under another name.
fn component(name: &str) -> Vec<u8> {
    let text = include_str!("../support/calc.wat");
    let text = text
        .replace("(func (export \"nothing\") (canon", &format!("(func (export \"{name}\") (canon"));
    wat::parse_str(text).unwrap()
}

/// As a build does it: beside it, then in its place.
fn replace(file: &Path, bytes: &[u8]) {
    let new = file.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Asks for the tools until this one is there, or is not.
fn until_listed(client: &mut Client, tool: &str, is_there: bool) {
    let began = Instant::now();
    loop {
        let tools = client.request("tools/list", json!({}))["result"]["tools"].take();
        if tools.as_array().unwrap().iter().any(|it| it["name"] == tool) == is_there {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{tool}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Looks at messages until the list is said to have changed.
fn told(client: &mut Client) {
    while client.message()["method"] != "notifications/tools/list_changed" {}
}

#[test]
fn a_plugin_is_replaced_while_its_calls_run() {
    let (root, plugins) = (folder(&[]), folder(&[]));
    let file = plugins.path().join("calc.wasm");
    std::fs::write(&file, component("old")).unwrap();
    let mut client = Client::start(root.path(), &["--plugin", file.to_str().unwrap()]);
    let hello = client.request("initialize", handshake("2025-11-25"));
    assert_eq!(hello["result"]["capabilities"]["tools"]["listChanged"], true);
    // It says so more than once, and is told once.
    for _ in 0..3 {
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }
    client.send(&call(1, "spin", json!({})));
    assert_eq!(client.call("old", json!({}))["isError"], false);
    replace(&file, &component("new"));
    told(&mut client);
    assert_eq!(client.call("new", json!({}))["isError"], false);
    let gone = client.request("tools/call", json!({"name": "old", "arguments": {}}));
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
    // What was sent before goes on, and is its client's to end.
    let cancel = json!({"requestId": 1});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}));
    assert_eq!(client.call("add", json!({"a": 1, "b": 2}))["structuredContent"]["result"], 3);
    client.nothing_else_came();
    // In steps, in place.
    let bytes = component("third");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    std::fs::write(&file, &bytes).unwrap();
    until_listed(&mut client, "third", true);
    // Gone while it is built.
    std::fs::remove_file(&file).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    std::fs::write(&file, component("fourth")).unwrap();
    until_listed(&mut client, "fourth", true);
    let ended = client.end();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("cannot be loaded"), "{}", ended.stderr);
}

#[test]
fn what_does_not_load_changes_nothing_and_is_said() {
    let (root, plugins) = (folder(&[]), folder(&[]));
    let file = plugins.path().join("calc.wasm");
    std::fs::write(&file, component("old")).unwrap();
    let mut client = Client::connect(root.path(), &["--plugin", file.to_str().unwrap()]);
    replace(&file, b"\0asm, but not really");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(client.call("old", json!({}))["isError"], false);
    replace(&file, &component("mended"));
    until_listed(&mut client, "mended", true);
    let ended = client.end();
    let (broken, mended) = ("cannot be loaded", "what has changed is loaded");
    let at = |text: &str| ended.stderr.find(text).unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(at(broken) < at(mended), "{}", ended.stderr);
}

#[test]
fn grants_of_a_config_take_effect_with_the_next_call() {
    let (root, elsewhere) = (folder(&[("a.txt", "a")]), folder(&[]));
    let config = elsewhere.path().join("inorder.toml");
    let write = |read: &str, more: &str| {
        let text = format!(
            "roots = [{:?}]\n{more}\n[plugins.filesystem]\nread = [{read:?}]\n",
            root.path().to_str().unwrap()
        );
        replace(&config, text.as_bytes());
    };
    write("**", "");
    let mut client = Client::connect(root.path(), &["--config", config.to_str().unwrap()]);
    let read = |client: &mut Client| client.call("read_text_file", json!({"path": "a.txt"}));
    assert_eq!(read(&mut client)["isError"], false);
    write("b.txt", "");
    let began = Instant::now();
    while read(&mut client)["isError"] == false {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    // What two hosts stand on is not changed, nor anything with it.
    write("**", "jobs = 3");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(read(&mut client)["isError"], true);
    let stderr = client.end().stderr;
    assert!(stderr.contains("jobs cannot change"), "{stderr}");
}

#[test]
fn clients_over_http_are_told_too() {
    let (root, plugins) = (folder(&[]), folder(&[]));
    let file = plugins.path().join("calc.wasm");
    std::fs::write(&file, component("old")).unwrap();
    let server = Server::start(root.path(), &["--plugin", file.to_str().unwrap()]);
    // Of 2025-11-25: by the stream of its session.
    let begun = server.post(&[], &request(1, "initialize", handshake("2025-11-25")));
    let session = begun.header("Mcp-Session-Id").unwrap();
    let headers = [("Mcp-Session-Id", session), ("Mcp-Protocol-Version", "2025-11-25")];
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.post(&headers, &ready).status(), "202");
    let stream = server.open("GET /mcp", &headers, "");
    // Of 2026-07-28: by a subscription.
    let wanted = json!({"notifications": {"toolsListChanged": true}, "_meta": meta()});
    let subscribed = server.modern("subscriptions/listen", wanted);
    let mut streams = [BufReader::new(stream), BufReader::new(subscribed)];
    let mut acknowledged = String::new();
    while !acknowledged.contains("acknowledged") {
        acknowledged.clear();
        assert_ne!(streams[1].read_line(&mut acknowledged).unwrap(), 0);
    }
    std::thread::sleep(Duration::from_millis(200));
    replace(&file, &component("new"));
    for stream in &mut streams {
        let mut line = String::new();
        while !line.contains("notifications/tools/list_changed") {
            line.clear();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream has ended");
        }
    }
    let listed = read(server.modern("tools/list", json!({})));
    assert!(listed.result().to_string().contains("\"new\""), "{}", listed.head);
}

#[test]
fn a_server_that_is_told_to_stays_as_it_was() {
    let (root, plugins) = (folder(&[]), folder(&[]));
    let file = plugins.path().join("calc.wasm");
    std::fs::write(&file, component("old")).unwrap();
    let args = ["--plugin", file.to_str().unwrap(), "--no-reload"];
    let mut client = Client::connect(root.path(), &args);
    replace(&file, &component("new"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(client.call("old", json!({}))["isError"], false);
}
