//! Single calls: results, errors, progress, cancellation, and their order.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, calc, call, folder, request, text};
use crate::support::{Schema, built_guest};

#[test]
fn results_are_text_for_models_and_structured_as_their_schema_says() {
    let root = folder(&[("a.txt", "one\ntwo\n")]);
    let plugin = calc();
    let args = ["--allow-write", "**", "--plugin", plugin.to_str().unwrap()];
    let mut client = Client::connect(root.path(), &args);
    let listed = client.request("tools/list", json!({}));
    for (tool, args, said, structured) in [
        // Clients that give a model structured content in place of text would give it files as strings of JSON.
        ("read_text_file", json!({"path": "a.txt"}), "one\ntwo\n", json!(null)),
        ("add", json!({"a": 1, "b": 2}), "3", json!({"result": 3})),
        ("nothing", json!({}), "done", json!(null)),
        ("write_file", json!({"path": "b.txt", "content": "x"}), "created b.txt", json!(null)),
        (
            "list_directory",
            json!({"path": "."}),
            r#"[{"name":"a.txt","path":"a.txt","kind":"file"},{"name":"b.txt","path":"b.txt","kind":"file"}]"#,
            json!({"result": [
                {"name": "a.txt", "path": "a.txt", "kind": "file"},
                {"name": "b.txt", "path": "b.txt", "kind": "file"},
            ]}),
        ),
    ] {
        let result = client.call(tool, args);
        assert_eq!(result["isError"], false, "{result}");
        assert_eq!(text(&result), said);
        assert_eq!(*result.get("structuredContent").unwrap_or(&Value::Null), structured);
        let tools = listed["result"]["tools"].as_array().unwrap();
        let schema = tools.iter().find(|it| it["name"] == tool).unwrap().get("outputSchema");
        let fits = schema.map(|schema| Schema::new(schema).is_valid(&structured));
        assert_eq!(fits, (!structured.is_null()).then_some(true), "{tool}: {structured}");
    }
    let info = client.call("get_file_info", json!({"path": "b.txt"}));
    assert_eq!(info["structuredContent"]["size"], 1, "{info}");
    client.nothing_else_came();
}

#[test]
fn pictures_and_sounds_are_blocks_of_their_own_and_other_bytes_are_json() {
    let root = folder(&[("b.png", "no picture"), ("a.mp3", "ID3"), ("a.zip", "PK")]);
    std::fs::write(root.path().join("a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let mut client = Client::connect(root.path(), &[]);
    let mut blocks = |path: &str| {
        let result = client.call("read_media_file", json!({ "path": path }));
        assert!(result.get("structuredContent").is_none(), "{result}");
        result["content"].clone()
    };
    let data = "iVBORw0KGgo=";
    assert_eq!(blocks("a.png"), json!([{"type": "image", "data": data, "mimeType": "image/png"}]));
    assert_eq!(blocks("a.mp3")[0]["type"], "audio");
    // What is only called a picture would have the client's API refuse the conversation.
    assert_eq!(blocks("b.png")[0]["type"], "text");
    let zip = blocks("a.zip")[0]["text"].to_string();
    assert!(zip.contains("application/zip") && zip.contains("UEs="), "{zip}");
    let calls = json!([{"tool": "read_media_file", "args": {"path": "a.png"}}]);
    let batch = client.call("run_batch", json!({ "calls": calls }));
    assert_eq!(text(&batch), "[1] read_media_file: ok\n");
    assert_eq!(batch["content"][1]["data"], data);
}

#[test]
fn failures_are_results_that_a_model_reads_and_unknown_tools_are_errors() {
    let root = folder(&[("a.txt", "a")]);
    let plugin = calc();
    let mut client = Client::connect(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    for (tool, args, kind, says) in [
        ("half", json!({"number": 3}), "tool", "3"),
        ("trap", json!({}), "trap", "unreachable"),
        ("read_text_file", json!({"pth": "a.txt"}), "arguments", "did you mean \"path\""),
        (
            "write_file",
            json!({"path": "b.txt", "content": "x"}),
            "denied",
            "--allow-write 'b.txt', would allow it",
        ),
    ] {
        let result = client.call(tool, args);
        assert_eq!(result["isError"], true, "{result}");
        assert!(text(&result).contains(says), "{result}");
        assert_eq!(result["_meta"]["inorder/error"]["kind"], kind);
        assert!(result.get("structuredContent").is_none(), "it would have to fit the schema");
    }
    assert!(!root.path().join("b.txt").exists());
    let params = json!({"name": "read_txt_file", "arguments": {}});
    let unknown = client.request("tools/call", params);
    assert_eq!(unknown["error"]["code"], -32602);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("there is \"read_text_file\""));
}

#[test]
fn progress_is_told_to_whoever_gives_a_token() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &[]);
    let params = json!({
        "name": "read_text_file",
        "arguments": {"path": "a.txt"},
        "_meta": {"progressToken": "mine"},
    });
    client.send(&request(1, "tools/call", params));
    for (progress, says) in [(0.0, "queued"), (1.0, "running"), (2.0, "done")] {
        let told = client.message();
        assert_eq!(told["method"], "notifications/progress", "{told}");
        assert_eq!(told["params"]["progressToken"], "mine");
        assert_eq!(told["params"]["progress"], progress);
        assert_eq!(told["params"]["message"], says);
    }
    assert_eq!(client.message()["id"], 1);
    client.send(&call(2, "read_text_file", json!({"path": "a.txt"})));
    client.answer(2);
    client.nothing_else_came();
}

#[test]
fn a_call_that_runs_again_says_so() {
    let Some(plugin) = built_guest("fileops") else { return };
    let root = folder(&[("a.txt", "a")]);
    let args = ["--allow-write", "**", "--plugin", plugin.to_str().unwrap()];
    let mut client = Client::connect(root.path(), &args);
    // It reads, waits, and appends; the other one has appended meanwhile.
    let slow = json!({
        "name": "append",
        "arguments": {"path": "a.txt", "text": "1", "slow": 300},
        "_meta": {"progressToken": 1},
    });
    client.send(&request(1, "tools/call", slow));
    while client.message()["params"]["message"] != "running" {}
    client.send(&call(2, "append", json!({"path": "a.txt", "text": "2"})));
    assert_eq!(client.answer(2)["result"]["isError"], false);
    assert_eq!(client.answer(1)["result"]["isError"], false);
    let mut text = std::fs::read_to_string(root.path().join("a.txt")).unwrap().into_bytes();
    text.sort_unstable();
    assert_eq!(text, b"12a", "both count");
    let mut said = Vec::new();
    loop {
        let told = client.message();
        let message = told["params"]["message"].as_str().unwrap().to_owned();
        said.push((told["params"]["progress"].as_f64().unwrap(), message.clone()));
        if message == "done" {
            break;
        }
    }
    assert!(said.is_sorted_by(|a, b| a.0 < b.0), "{said:?}");
}

#[test]
fn cancellation_stops_an_endless_loop_and_is_not_answered() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "1"];
    let mut client = Client::connect(root.path(), &args);
    client.send(&call(1, "spin", json!({})));
    client.send(&call(2, "add", json!({"a": 1, "b": 2})));
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    let params = json!({"requestId": 1, "reason": "enough"});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    // There is room for one call alone, so the guest has stopped when this one is answered.
    assert_eq!(client.answer(2)["result"]["structuredContent"]["result"], 3);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    client.nothing_else_came();
    // The id is free again as soon as the call is gone, a moment after its guest.
    loop {
        client.send(&call(1, "add", json!({"a": 2, "b": 2})));
        let answer = client.answer(1);
        if answer["error"].is_null() {
            assert_eq!(answer["result"]["structuredContent"]["result"], 4);
            break;
        }
        assert!(answer.to_string().contains("has not ended"), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(10), "{answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Too late, or of nobody: neither is an error.
    for id in [json!(1), json!("never"), Value::Null] {
        let params = json!({"requestId": id});
        client.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}),
        );
    }
    client.nothing_else_came();
}

#[test]
fn a_read_sent_after_a_write_sees_it() {
    let root = folder(&[]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    let mut sent = String::new();
    for n in 0..200 {
        let path = format!("{n}.txt");
        let write = json!({"path": path, "content": format!("text {n}")});
        sent.push_str(&format!("{}\n", call(format!("w{n}"), "write_file", write)));
        let read = call(format!("r{n}"), "read_text_file", json!({"path": path}));
        sent.push_str(&format!("{read}\n"));
    }
    client.raw(sent.as_bytes());
    for n in 0..200 {
        assert_eq!(client.answer(format!("w{n}"))["result"]["isError"], false);
        let read = client.answer(format!("r{n}"));
        assert_eq!(text(&read["result"]), format!("text {n}"));
    }
}

#[test]
fn edits_of_one_file_at_once_all_count() {
    let lines: String = (0..32).map(|n| format!("line {n}.\n")).collect();
    let root = folder(&[("a.txt", &lines)]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    let mut sent = String::new();
    for n in 0..32 {
        let edit = json!({"old_text": format!("line {n}."), "new_text": format!("edited {n}.")});
        let edit = call(n, "edit_file", json!({"path": "a.txt", "edits": [edit]}));
        sent.push_str(&format!("{edit}\n"));
    }
    client.raw(sent.as_bytes());
    for n in 0..32 {
        let answer = client.answer(n);
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    let expected: String = (0..32).map(|n| format!("edited {n}.\n")).collect();
    assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), expected);
    assert_eq!(client.end().code, Some(0));
}
