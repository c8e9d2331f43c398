//! Clients that send what they should not: each is told what is wrong, and what comes after is answered.

use serde_json::{Value, json};

use super::client::{Client, calc, call, folder, handshake, request};

fn error(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    (error["code"].as_i64().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

#[test]
fn calls_before_the_handshake_are_told_to_make_it() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::start(root.path(), &[]);
    // None of these may end the connection.
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    );
    client.send(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    client.send(&json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}}));
    assert_eq!(client.request("ping", json!({}))["result"], json!({}));
    for method in ["tools/list", "tools/call", "nothing"] {
        let answer = client.request(method, json!({"name": "read_text_file"}));
        let (code, message) = error(&answer);
        assert_eq!(code, -32600, "{answer}");
        assert!(message.contains("send `initialize` first"), "{message}");
    }
    let wrong = client.request("initialize", json!({"protocolVersion": "2025-11-25"}));
    assert!(error(&wrong).1.contains("clientInfo"), "{wrong}");
    let strange = json!({
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2099-01-01",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    });
    assert_eq!(error(&client.request("tools/list", strange)).0, -32022);
    let answer = client.request("initialize", handshake("2025-11-25"));
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    let again = client.request("initialize", handshake("2025-11-25"));
    assert_eq!(error(&again), (-32600, "this connection is initialized already"));
    assert_eq!(client.call("read_text_file", json!({"path": "a.txt"}))["isError"], false);
    client.nothing_else_came();
    let ended = client.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn lines_that_are_no_messages_are_answered_and_passed_over() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &[]);
    for (line, code, id) in [
        ("{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"tools/ca", -32700, json!(77)),
        ("hello?", -32700, Value::Null),
        ("\u{0}\u{1}", -32700, Value::Null),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, Value::Null),
        ("{\"id\":3,\"method\":\"ping\"}", -32600, json!(3)),
        ("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", -32600, Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"ping\",\"result\":{}}", -32600, json!(4)),
        ("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"no/such\"}", -32601, json!(5)),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"tools/call\",\"params\":{\"name\":1}}",
            -32602,
            json!(6),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}}",
            -32602,
            json!(7),
        ),
    ] {
        client.raw(format!("{line}\n").as_bytes());
        let answer = client.message();
        assert_eq!(error(&answer).0, code, "{line}: {answer}");
        assert_eq!(answer["id"], id, "{line}: {answer}");
    }
    client.raw(&[b'{', 0xff, 0xfe, b'}', b'\n']);
    assert_eq!(error(&client.message()).0, -32700);
    // Nobody waits for an answer to these.
    client.raw(
        b"\n\r\n  \n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/other\"}\n{\"method\":\"x\"}\n",
    );
    client.nothing_else_came();
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"x\",\"params\":{}\n",
        "[".repeat(100_000)
    );
    client.raw(deep.as_bytes());
    assert_eq!(error(&client.answer(8)).0, -32700);
    assert_eq!(client.call("read_text_file", json!({"path": "a.txt"}))["isError"], false);
}

#[test]
fn a_line_of_100_mib_is_refused_in_bounded_memory() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &[]);
    assert_eq!(client.call("read_text_file", json!({"path": "a.txt"}))["isError"], false);
    let before = peak_memory(client.pid());
    client.raw(
        b"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"read_text_file\",",
    );
    client.raw(b"\"arguments\":{\"path\":\"");
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        client.raw(&piece);
    }
    client.raw(b"\"}},\"id\":\"long\"}\n");
    let answer = client.answer("long");
    assert_eq!(error(&answer).0, -32600, "{answer}");
    assert!(error(&answer).1.contains("pass paths"), "{answer}");
    assert_eq!(client.call("read_text_file", json!({"path": "a.txt"}))["isError"], false);
    let grown = peak_memory(client.pid()) - before;
    assert!(grown < 48 << 10, "{grown} KiB");
}

/// In KiB. A first start may have compiled the plugins, which takes more than any message.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn an_id_that_waits_for_its_answer_is_not_taken_twice() {
    let root = folder(&[]);
    let plugin = calc();
    let mut client = Client::connect(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    client.send(&call(1, "spin", json!({})));
    client.send(&call(1, "add", json!({"a": 1, "b": 2})));
    let answer = client.message();
    assert!(error(&answer).1.contains("the id 1 belongs to"), "{answer}");
    // As JSON has it, a number is not a string.
    client.send(&call("1", "add", json!({"a": 1, "b": 2})));
    assert_eq!(client.answer("1")["result"]["structuredContent"]["result"], 3);
    client.send(&request(2, "ping", json!({})));
    client.send(&request(2, "ping", json!({})));
    client.answer(2);
}
