//! Several clients of one server over HTTP, and what one of them does to the others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{calc, call, folder, handshake, meta, request, text};
use super::http_client::{Server, read};

#[test]
fn what_one_client_is_asked_holds_up_no_other() {
    let root = folder(&[("a.txt", "old")]);
    let server = Server::start(root.path(), &["--allow-write", "**", "--ask", "write"]);
    // Nobody will answer either of them.
    let mut meta = meta();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    let write = json!({"path": "a.txt", "content": "new"});
    let params = json!({"name": "write_file", "arguments": write, "_meta": meta});
    let headers = [
        ("Mcp-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "write_file"),
    ];
    let asked = server.post(&headers, &request(1, "tools/call", params));
    assert_eq!(asked.result()["resultType"], "input_required");
    let silent = server.begin(&json!({"elicitation": {}}));
    let _asked = silent.send(&call(1, "write_file", write));
    std::thread::sleep(Duration::from_millis(300));

    let params = json!({"name": "read_text_file", "arguments": {"path": "a.txt"}});
    let session = server.begin(&json!({}));
    let of_session = session.send(&request(1, "tools/call", params.clone()));
    for stream in [of_session, server.modern("tools/call", params)] {
        // Whoever waits is sent a sign of life every 15 s.
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(text(read(stream).result()), "old");
    }
}

#[test]
fn what_was_sent_counts_for_as_long_as_the_call_goes_on() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--timeout", "60s", "--jobs", "1"];
    let server = Server::start(root.path(), &args);
    let session = server.begin(&json!({}));
    let large = |id: u32| format!("{}{}", call(id, "spin", json!({})), " ".repeat(15 << 20));
    let mut statuses = (0..18).map(|id| {
        // Its client goes away when it has been taken, and it runs on.
        let mut status = String::new();
        BufReader::new(session.open("POST", &large(id))).read_line(&mut status).unwrap();
        status.split(' ').nth(1).unwrap_or_default().to_owned()
    });
    assert!(statuses.by_ref().take(17).all(|status| status == "200"));
    assert_eq!(statuses.next().as_deref(), Some("503"));
}

#[test]
fn calls_end_with_their_session() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--timeout", "60s", "--jobs", "1"];
    let server = Server::start(root.path(), &args);
    let session = server.begin(&json!({}));
    let _spinning = session.send(&call(1, "spin", json!({})));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(read(session.open("DELETE", "")).status(), "204");
    // There is room for one alone.
    let add = server.begin(&json!({})).post(&call(1, "add", json!({"a": 1, "b": 2})));
    assert_eq!(add.result()["structuredContent"]["result"], 3);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn an_id_of_a_session_that_waits_for_its_answer_is_not_taken_twice() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--timeout", "2s"];
    let server = Server::start(root.path(), &args);
    let session = server.begin(&json!({}));
    let first = session.send(&call(1, "spin", json!({})));
    std::thread::sleep(Duration::from_millis(300));
    let add = call(1, "add", json!({"a": 1, "b": 2}));
    let second = session.post(&add);
    let error = &second.messages[0]["error"];
    assert!(error["message"].as_str().unwrap().contains("the id 1 belongs to"), "{error}");
    // Ids of another session are others.
    let other = server.begin(&json!({})).post(&add);
    assert_eq!(other.result()["structuredContent"]["result"], 3);
    assert_eq!(read(first).result()["_meta"]["inorder/error"]["kind"], "timeout");
    assert_eq!(session.post(&add).result()["structuredContent"]["result"], 3);
}

#[test]
fn an_answer_whose_stream_broke_is_there_for_a_client_that_comes_back() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--timeout", "1s"];
    let server = Server::start(root.path(), &args);
    let (session, other) = (server.begin(&json!({})), server.begin(&json!({})));
    let breaks = |id: u32| {
        let stream = BufReader::new(session.send(&call(id, "spin", json!({}))));
        let event =
            stream.lines().find_map(|line| Some(line.ok()?.strip_prefix("id:")?.to_owned()));
        event.unwrap().trim().to_owned()
    };
    let events = [breaks(1), breaks(2)];
    assert!(other.take_up(&events[0]).messages.is_empty());
    // One while its call goes on, the other when it has ended.
    let answers = [session.take_up(&events[0]), {
        std::thread::sleep(Duration::from_millis(1500));
        session.take_up(&events[1])
    }];
    for (id, answer) in (1..).zip(answers) {
        let [message] = answer.messages.as_slice() else { panic!("{}", answer.body) };
        assert_eq!(message["id"], id);
        assert!(text(&message["result"]).contains("1s"), "{message}");
    }
}

#[test]
fn the_session_that_nobody_has_used_for_longest_makes_room() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &[]);
    let [listening, used, idle] = [(); 3].map(|()| server.begin(&json!({})));
    let _stream = listening.open("GET", "");
    let ping = request(1, "ping", json!({}));
    assert_eq!(used.post(&ping).status(), "200");
    let hello = request(1, "initialize", handshake("2025-11-25"));
    for _ in 3..1001 {
        assert_eq!(server.post(&[], &hello).status(), "200");
    }
    let statuses = [&listening, &used, &idle].map(|it| it.post(&ping).status().to_owned());
    assert_eq!(statuses, ["200", "200", "404"]);
}

#[test]
fn a_connection_on_which_nothing_is_asked_is_not_kept() {
    let root = folder(&[]);
    let server = Server::start(root.path(), &[]);
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
}
