//! Asking the user of a client: by elicitation, in both revisions, and not at all where the client cannot.

use serde_json::{Value, json};

use super::client::{Client, call, folder, handshake, meta, request, text};

const ASK: [&str; 4] = ["--allow-write", "**", "--ask", "write"];

fn connect(root: &std::path::Path, capabilities: &Value) -> Client {
    let mut client = Client::start(root, &ASK);
    let mut params = handshake("2025-11-25");
    params["capabilities"] = capabilities.clone();
    let answer = client.request("initialize", params);
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client
}

/// The server's next request, which is to be an elicitation.
fn asked(client: &mut Client) -> Value {
    let message = client.message();
    assert_eq!(message["method"], "elicitation/create", "{message}");
    message
}

fn answer(client: &mut Client, asked: &Value, result: &Value) {
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}));
}

fn write(path: &str, text: &str) -> Value {
    json!({"path": path, "content": text})
}

#[test]
fn the_user_is_shown_what_would_be_changed_and_decides() {
    for capabilities in [json!({"elicitation": {}}), json!({"elicitation": {"form": {}}})] {
        let root = folder(&[("a.txt", "old\n"), ("b.txt", "b\n")]);
        let mut client = connect(root.path(), &capabilities);
        for (index, (result, says)) in [
            (json!({"action": "accept", "content": {"approve": false}}), "the answer was no"),
            (json!({"action": "accept"}), "without filling in `approve`"),
            (json!({"action": "decline"}), "the answer was no"),
            (json!({"action": "cancel"}), "dismissed"),
        ]
        .into_iter()
        .enumerate()
        {
            client.send(&call(index, "write_file", write("a.txt", "new\n")));
            let question = asked(&mut client);
            answer(&mut client, &question, &result);
            let refused = client.answer(index);
            assert_eq!(refused["result"]["isError"], true, "{refused}");
            assert!(text(&refused["result"]).contains(says), "{refused}");
            assert_eq!(refused["result"]["_meta"]["inorder/error"]["kind"], "denied", "{refused}");
        }
        assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), "old\n");

        client.send(&call("yes", "write_file", write("a.txt", "new\n")));
        let question = asked(&mut client);
        let message = question["params"]["message"].as_str().unwrap();
        assert!(
            message.contains("write_file") && message.contains("- modified a.txt"),
            "{message}"
        );
        assert!(message.contains("│ -old\n│ +new"), "{message}");
        let schema = &question["params"]["requestedSchema"];
        assert_eq!(schema["properties"]["approve"]["type"], "boolean", "{question}");
        assert_eq!(schema["required"], json!(["approve"]));
        // Others go on while it is asked, unless they read what it writes.
        let read = client.call("read_text_file", json!({"path": "b.txt"}));
        assert_eq!(text(&read), "b\n");
        answer(&mut client, &question, &json!({"action": "accept", "content": {"approve": true}}));
        let done = client.answer("yes");
        assert_eq!(done["result"]["isError"], false, "{done}");
        assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), "new\n");
    }
}

#[test]
fn a_client_that_cannot_ask_has_said_no_and_is_told_so() {
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let root = folder(&[("a.txt", "old")]);
        let mut client = connect(root.path(), &capabilities);
        let refused = client.call("write_file", write("a.txt", "new"));
        assert_eq!(refused["isError"], true, "{refused}");
        assert!(text(&refused).contains("there was nobody to ask"), "{refused}");
        assert_eq!(text(&client.call("read_text_file", json!({"path": "a.txt"}))), "old");
        client.nothing_else_came();
    }
}

#[test]
fn a_batch_asks_one_question_after_the_other() {
    let root = folder(&[]);
    let mut client = connect(root.path(), &json!({"elicitation": {}}));
    let calls = json!([
        {"tool": "write_file", "args": write("a.txt", "A")},
        {"tool": "write_file", "args": write("b.txt", "B")},
    ]);
    client.send(&call("batch", "run_batch", json!({ "calls": calls })));
    for approve in [false, true] {
        let question = asked(&mut client);
        let result = json!({"action": "accept", "content": {"approve": approve}});
        answer(&mut client, &question, &result);
    }
    let done = client.answer("batch");
    assert_eq!(
        done["result"]["structuredContent"]["results"][0]["error"]["kind"], "denied",
        "{done}"
    );
    assert_eq!(done["result"]["structuredContent"]["results"][1]["status"], "ok", "{done}");
    assert_eq!(
        [root.path().join("a.txt").exists(), root.path().join("b.txt").exists()],
        [false, true]
    );
}

#[test]
fn a_client_that_goes_away_or_cancels_has_not_agreed() {
    let root = folder(&[]);
    let mut client = connect(root.path(), &json!({"elicitation": {}}));
    client.send(&call("first", "write_file", write("a.txt", "A")));
    let question = asked(&mut client);
    let cancelled = json!({"requestId": "first"});
    client
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}));
    let told = client.message();
    assert_eq!(told["method"], "notifications/cancelled", "{told}");
    assert_eq!(told["params"]["requestId"], question["id"]);
    client.send(&call("second", "write_file", write("a.txt", "A")));
    asked(&mut client);
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!root.path().join("a.txt").exists());
}

fn of_2026(id: &str, more: &Value) -> Value {
    let mut meta = meta();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {"form": {}}});
    let mut params = json!({"name": "write_file", "arguments": write("a.txt", "A"), "_meta": meta});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    request(id, "tools/call", params)
}

#[test]
fn from_2026_on_the_call_is_answered_by_the_question_and_sent_again_with_the_answer() {
    let root = folder(&[]);
    let mut client = Client::start(root.path(), &ASK);
    for (round, approve) in [false, true].into_iter().enumerate() {
        let (first, again) = (format!("first {round}"), format!("again {round}"));
        client.send(&of_2026(&first, &json!({})));
        let asked = client.answer(first);
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let question = &asked["result"]["inputRequests"]["approve"];
        assert_eq!(question["method"], "elicitation/create", "{asked}");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("- created a.txt") && message.contains("+A"), "{message}");
        assert!(!root.path().join("a.txt").exists());
        let state = &asked["result"]["requestState"];
        let result = json!({"action": "accept", "content": {"approve": approve}});
        let more = json!({"requestState": state, "inputResponses": {"approve": result}});
        client.send(&of_2026(&again, &more));
        let done = client.answer(again);
        assert_eq!(done["result"]["isError"], !approve, "{done}");
        assert_eq!(root.path().join("a.txt").exists(), approve);
        // An answer counts once.
        client.send(&of_2026("once more", &more));
        let gone = client.answer("once more");
        assert!(gone["error"]["message"].as_str().unwrap().contains("requestState"), "{gone}");
    }
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn what_waits_for_an_answer_does_not_keep_the_server() {
    let root = folder(&[]);
    let mut client = Client::start(root.path(), &ASK);
    client.send(&of_2026("first", &json!({})));
    assert_eq!(client.answer("first")["result"]["resultType"], "input_required");
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!root.path().join("a.txt").exists());
}
