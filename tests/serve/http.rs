//! The same over streamable HTTP, and who may use it.

use std::io::BufReader;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{calc, call, folder, handshake, meta, request};
use super::http_client::{Server, read};
use crate::support::inorder;

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
    assert_eq!(answer.result()["content"][0]["text"], "hello");
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
    let spinning = server.open("POST /mcp", &headers, &call(2, "spin", json!({})).to_string());
    let _silent = TcpStream::connect(server.address).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    server.signal();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // Its time was over before it was, and its client is told.
    assert_eq!(read(spinning).result()["_meta"]["inorder/error"]["kind"], "cancelled");
}

#[test]
fn calls_that_are_under_way_get_their_time_and_no_others_are_taken() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--timeout", "3s"];
    let mut server = Server::start(root.path(), &args);
    assert_eq!(server.get("/ready", &[]).messages[0]["status"], "ready");
    let begun = server.post(&[], &request(1, "initialize", handshake("2025-11-25")));
    let session = begun.header("Mcp-Session-Id").unwrap().to_owned();
    let headers = [("Mcp-Session-Id", session.as_str()), ("Mcp-Protocol-Version", "2025-11-25")];
    let spinning = server.open("POST /mcp", &headers, &call(2, "spin", json!({})).to_string());
    std::thread::sleep(Duration::from_millis(300));
    server.signal();
    while server.get("/ready", &[]).status() != "503" {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.get("/health", &[]).status(), "200");
    let late = server.post(&headers, &call(3, "add", json!({"a": 1, "b": 2})));
    let error = late.messages.iter().find(|it| it["id"] == 3).unwrap();
    assert_eq!(error["error"]["code"], -32000, "{error}");
    // It ends by its own limit, and its client hears of that.
    let ended = read(spinning);
    assert_eq!(ended.result()["_meta"]["inorder/error"]["kind"], "timeout");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_no_message_is_answered_by_an_error_of_the_protocol() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &[]);
    for (body, code, id) in [
        ("nonsense", -32700, json!(null)),
        ("{\"jsonrpc\": \"2.0\", \"id\": 7, \"meth", -32700, json!(7)),
        ("[]", -32600, json!(null)),
        ("{\"id\": 7, \"method\": \"ping\"}", -32600, json!(7)),
        ("", -32600, json!(null)),
    ] {
        let answer = read(server.open("POST /mcp", &[], body));
        let message = answer.messages.first().unwrap_or_else(|| panic!("{body}: {}", answer.head));
        assert_eq!((answer.status(), &message["error"]["code"]), ("400", &json!(code)), "{body}");
        assert_eq!(message["id"], id, "{body}");
    }
    let hello = request(1, "initialize", handshake("2025-11-25"));
    for (headers, status) in
        [([("Content-Type", "text/plain")], "415"), ([("Accept", "text/html")], "406")]
    {
        let answer = server.post(&headers, &hello);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.messages[0]["error"]["code"], -32600, "{}", answer.messages[0]);
    }
    let unknown = server.post(&[("Mcp-Session-Id", "none")], &request(2, "tools/list", json!({})));
    assert_eq!((unknown.status(), unknown.messages.len()), ("404", 1));
}

#[test]
fn whoever_has_no_token_learns_nothing_but_that_the_server_is_there() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let (root, elsewhere) = (folder(&[]), folder(&[("token", &format!("{TOKEN}\n"))]));
    let file = elsewhere.path().join("token");
    // Every address of the machine.
    let args = ["--token-file", file.to_str().unwrap(), "--allow-host", "tools.example.org"];
    let server = Server::start_on("0.0.0.0:0", root.path(), &args);
    let hello = request(1, "initialize", handshake("2025-11-25"));
    let (right, wrong) = (format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}0"));
    let basic = format!("Basic {TOKEN}");
    for (given, challenge) in [
        (None, "Bearer realm=\"inorder\""),
        (Some(wrong.as_str()), "Bearer realm=\"inorder\", error=\"invalid_token\""),
        (Some("Bearer"), "Bearer realm=\"inorder\""),
        (Some(basic.as_str()), "Bearer realm=\"inorder\""),
    ] {
        let headers: Vec<_> = given.map(|given| ("Authorization", given)).into_iter().collect();
        let answer = server.post(&headers, &hello);
        assert_eq!(answer.status(), "401", "{given:?}");
        assert_eq!(answer.header("WWW-Authenticate"), Some(challenge), "{given:?}");
        for path in ["/v1/batch", "/openapi.json", "/nothing"] {
            assert_eq!(server.get(path, &headers).status(), "401", "{path}");
        }
        assert_eq!(server.get("/health", &headers).status(), "200");
        assert_eq!(server.get("/ready", &headers).status(), "200");
    }
    for scheme in ["Bearer", "bearer"] {
        let right = format!("{scheme} {TOKEN}");
        assert_eq!(server.post(&[("Authorization", &right)], &hello).status(), "200");
    }
    for (host, status) in [("tools.example.org", "200"), ("evil.example.org", "403")] {
        let headers = [("Authorization", right.as_str()), ("Host", host)];
        assert_eq!(server.post(&headers, &hello).status(), status, "{host}");
    }
}

#[test]
fn a_token_that_is_none_is_refused_at_the_start() {
    let root = folder(&[("inside", "0123456789abcdef0123456789abcdef")]);
    let elsewhere =
        folder(&[("short", "0123456789abcde\n"), ("empty", ""), ("good", "0123456789abcdef")]);
    let path = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let inside = root.path().join("inside");
    let refused = |args: &[&str]| {
        let mut command = inorder();
        command.args(["serve", "--no-audit", "--root", root.path().to_str().unwrap()]).args(args);
        let output = command.env("SHORT", "short").env_remove("NONE").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let http = ["--http", "127.0.0.1:0"];
    for (args, says) in [
        (["--token-file", &path("short")], "fewer than 16 bytes"),
        (["--token-file", &path("empty")], "fewer than 16 bytes"),
        (["--token-file", &path("none")], "cannot read"),
        (["--token-env", "SHORT"], "fewer than 16 bytes"),
        (["--token-env", "NONE"], "the variable NONE"),
        // The built-in plugins may read the root.
        (["--token-file", inside.to_str().unwrap()], "may read"),
    ] {
        let error = refused(&[&http[..], &args[..]].concat());
        assert!(error.contains(says), "{args:?}: {error}");
    }
    assert!(refused(&["--token-file", &path("good")]).contains("--http"));
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
