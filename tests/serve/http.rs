//! The same over streamable HTTP: requests written by hand, so that each header is seen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{calc, call, folder, handshake, meta, request};
use crate::support::inorder;

struct Server {
    child: Child,
    address: SocketAddr,
}

/// The status line and headers of an answer, and the messages in it.
struct Answer {
    head: String,
    messages: Vec<Value>,
}

impl Server {
    fn start(root: &Path, args: &[&str]) -> Server {
        let mut child = inorder()
            .args(["serve", "--no-audit", "--http", "127.0.0.1:0"])
            .args(["--root", root.to_str().unwrap()])
            .args(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("serving http://").unwrap_or_else(|| panic!("{line}"));
        let address = address.strip_suffix("/mcp").unwrap().parse().unwrap();
        Server { child, address }
    }

    /// Sends a request and leaves its answer to whoever wants it.
    fn open(&self, method: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(
            "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n",
        );
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        // One that is refused may not be read to its end.
        let _ = stream.write_all(body.as_bytes());
        stream
    }

    fn post(&self, headers: &[(&str, &str)], message: &Value) -> Answer {
        read(self.open("POST /mcp", headers, &message.to_string()))
    }

    /// A request of 2026-07-28.
    fn modern(&self, method: &str, mut params: Value) -> TcpStream {
        let name = params["name"].clone();
        params["_meta"] = meta();
        let mut headers = vec![("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        if let Some(name) = name.as_str() {
            headers.push(("Mcp-Name", name));
        }
        self.open("POST /mcp", &headers, &request(1, method, params).to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    // One that is refused early is closed early.
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let lines = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let messages = lines.filter_map(|line| serde_json::from_str(line).ok());
    Answer { head: head.to_owned(), messages: messages.filter(Value::is_object).collect() }
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn result(&self) -> &Value {
        let answer = self.messages.iter().find(|it| it["result"].is_object());
        &answer.unwrap_or_else(|| panic!("{}: {:?}", self.head, self.messages))["result"]
    }
}

#[test]
fn revision_2026_07_28_is_answered_request_by_request() {
    let root = folder(&[("a.txt", "hello")]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "1"];
    let server = Server::start(root.path(), &args);
    let listed = read(server.modern("tools/list", json!({})));
    assert_eq!(listed.result()["tools"][0]["name"], "run_batch");
    let params = json!({"name": "read_text_file", "arguments": {"path": "a.txt"}});
    let answer = read(server.modern("tools/call", params));
    assert_eq!(answer.result()["structuredContent"]["result"], "hello");
    // Whoever closes the connection has cancelled the call: there is room for this one alone.
    let spin = server.modern("tools/call", json!({"name": "spin", "arguments": {}}));
    std::thread::sleep(Duration::from_millis(200));
    drop(spin);
    let began = Instant::now();
    let params = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    let answer = read(server.modern("tools/call", params));
    assert_eq!(answer.result()["structuredContent"]["result"], 3);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_session_of_2025_11_25_calls_and_cancels() {
    let root = folder(&[("a.txt", "line 1.\nline 2.\n")]);
    let plugin = calc();
    let args = ["--allow-write", "**", "--plugin", plugin.to_str().unwrap(), "--jobs", "2"];
    let server = Server::start(root.path(), &args);
    let begun = server.post(&[], &request(1, "initialize", handshake("2025-11-25")));
    assert_eq!(begun.result()["protocolVersion"], "2025-11-25");
    let session = begun.header("Mcp-Session-Id").unwrap();
    let headers = [("Mcp-Session-Id", session), ("Mcp-Protocol-Version", "2025-11-25")];
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.post(&headers, &told).status(), "202");
    // Two edits of one file at once.
    let edit = |n: u32| {
        let edit = json!({"old_text": format!("line {n}."), "new_text": format!("edited {n}.")});
        call(n + 1, "edit_file", json!({"path": "a.txt", "edits": [edit]})).to_string()
    };
    let both = [1, 2].map(|n| server.open("POST /mcp", &headers, &edit(n)));
    for answer in both.map(read) {
        assert_eq!(answer.result()["isError"], false);
    }
    let text = std::fs::read_to_string(root.path().join("a.txt")).unwrap();
    assert_eq!(text, "edited 1.\nedited 2.\n");
    let spin = server.open("POST /mcp", &headers, &call(5, "spin", json!({})).to_string());
    std::thread::sleep(Duration::from_millis(200));
    let params = json!({"requestId": 5});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(server.post(&headers, &cancel).status(), "202");
    for n in 6..8 {
        let add = server.post(&headers, &call(n, "add", json!({"a": 1, "b": 2})));
        assert_eq!(add.result()["structuredContent"]["result"], 3);
    }
    drop(spin);
}

#[test]
fn strangers_are_turned_away() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &[]);
    let hello = request(1, "initialize", handshake("2025-11-25"));
    for headers in [
        [("Host", "evil.example.org")],
        [("Origin", "https://evil.example.org")],
        [("Origin", "null")],
    ] {
        assert_eq!(server.post(&headers, &hello).status(), "403", "{headers:?}");
    }
    let here = [("Origin", "http://localhost:6274")];
    assert_eq!(server.post(&here, &hello).status(), "200");
    assert_eq!(read(server.open("POST /", &[], &hello.to_string())).status(), "404");
    let lost = [("Mcp-Session-Id", "none"), ("Mcp-Protocol-Version", "2025-11-25")];
    assert_eq!(server.post(&lost, &request(2, "tools/list", json!({}))).status(), "404");
    let large = "x".repeat(17 << 20);
    assert_eq!(read(server.open("POST /mcp", &[], &large)).status(), "413");
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let output = inorder().args(["serve", "--no-audit", "--http", address]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("other machines"), "{address}");
    }
}

#[test]
fn a_signal_ends_it_whatever_is_open() {
    let root = folder(&[]);
    let plugin = calc();
    let mut server = Server::start(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    let begun = server.post(&[], &request(1, "initialize", handshake("2025-11-25")));
    let session = begun.header("Mcp-Session-Id").unwrap().to_owned();
    let headers = [("Mcp-Session-Id", session.as_str()), ("Mcp-Protocol-Version", "2025-11-25")];
    let _listening = server.open("GET /mcp", &headers, "");
    let _spinning = server.open("POST /mcp", &headers, &call(2, "spin", json!({})).to_string());
    let _silent = TcpStream::connect(server.address).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// The next message of an answer that is still under way.
fn next(stream: &mut impl std::io::BufRead) -> Value {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "no more comes");
        let line = line.strip_prefix("data:").unwrap_or(&line).trim();
        match serde_json::from_str::<Value>(line) {
            Ok(message) if message.is_object() => return message,
            _ => {}
        }
    }
}

#[test]
fn the_user_of_a_client_is_asked_over_http_too() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &["--allow-write", "**", "--ask", "write"]);
    let mut params = handshake("2025-11-25");
    params["capabilities"] = json!({"elicitation": {}});
    let begun = server.post(&[], &request(1, "initialize", params));
    let session = begun.header("Mcp-Session-Id").unwrap().to_owned();
    let headers = [("Mcp-Session-Id", &*session), ("MCP-Protocol-Version", "2025-11-25")];
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    server.post(&headers, &ready);
    let write = call(2, "write_file", json!({"path": "a.txt", "content": "A"}));
    let mut answer = BufReader::new(server.open("POST /mcp", &headers, &write.to_string()));
    let question = next(&mut answer);
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let yes = json!({"action": "accept", "content": {"approve": true}});
    let said = json!({"jsonrpc": "2.0", "id": question["id"], "result": yes});
    server.post(&headers, &said);
    let done = next(&mut answer);
    assert_eq!(done["result"]["isError"], false, "{done}");
    assert!(root.path().join("a.txt").exists());

    let mut meta = meta();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    let arguments = json!({"path": "b.txt", "content": "B"});
    let mut params = json!({"name": "write_file", "arguments": arguments, "_meta": meta});
    let headers = [
        ("Mcp-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "write_file"),
    ];
    let asked = server.post(&headers, &request(1, "tools/call", params.clone()));
    let asked = asked.result();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] = json!({ "approve": yes });
    let done = server.post(&headers, &request(2, "tools/call", params));
    assert_eq!(done.result()["isError"], false, "{}", done.result());
    assert!(root.path().join("b.txt").exists());
}
