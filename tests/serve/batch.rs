//! The tool `run_batch`.

use serde_json::json;

use super::client::{Client, calc, call, folder, request, text};
use crate::support::Schema;

#[test]
fn a_batch_uses_results_of_its_earlier_calls() {
    let root = folder(&[("a.md", "hello"), ("b.txt", "no")]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    let listed = client.request("tools/list", json!({}));
    let tool = &listed["result"]["tools"][0];
    assert!(tool["description"].as_str().unwrap().contains("$from"));
    let batch = json!({"calls": [
        {"id": "find", "tool": "search_files", "args": {"path": ".", "pattern": "*.md"}},
        {"id": "show", "tool": "read_text_file", "args": {"path": {"$from": "find", "at": "/0/path"}}},
        {"tool": "write_file", "args": {"path": "c.txt", "content": {"$from": 2}}, "after": ["find"]},
        {"id": "no", "tool": "read_text_file", "args": {"path": "none.txt"}},
        {"tool": "write_file", "args": {"path": "d.txt", "content": {"$from": "no"}}},
    ]});
    assert!(Schema::new(&tool["inputSchema"]).is_valid(&batch));
    let result = client.call("run_batch", batch);
    assert_eq!(result["isError"], false, "{result}");
    let report = &result["structuredContent"];
    assert!(Schema::new(&tool["outputSchema"]).is_valid(report), "{report}");
    let each = |field: &str| {
        let results = report["results"].as_array().unwrap();
        results.iter().map(|it| it[field].clone()).collect::<Vec<_>>()
    };
    assert_eq!(each("status"), ["ok", "ok", "ok", "error", "skipped"]);
    assert_eq!(each("id"), ["find", "show", "3", "no", "5"]);
    assert_eq!(report["results"][1]["value"], "hello");
    assert_eq!(result["content"].as_array().unwrap().len(), 5);
    assert_eq!(result["content"][1]["text"], "[show] read_text_file: ok\nhello");
    assert_eq!(result["content"][2]["text"], "[3] write_file: ok\ncreated c.txt");
    assert_eq!(result["_meta"]["inorder/usage"].as_array().unwrap().len(), 5);
    assert_eq!(std::fs::read_to_string(root.path().join("c.txt")).unwrap(), "hello");
    assert!(!root.path().join("d.txt").exists());
}

#[test]
fn what_is_wrong_with_a_batch_is_told_to_the_model() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &[]);
    for (batch, says) in [
        (json!({}), "calls"),
        (json!({"calls": [{"tol": "x"}]}), "unknown field `tol`"),
        (json!({"calls": [{"tool": "a", "args": {"x": {"$from": "b"}}}]}), "\"b\""),
    ] {
        let result = client.call("run_batch", batch);
        assert_eq!(result["isError"], true, "{result}");
        let said = text(&result);
        assert!(said.starts_with("nothing was run") && said.contains(says), "{said}");
    }
    let unknown = json!({"calls": [{"tool": "run_batch", "args": {}}]});
    let result = client.call("run_batch", unknown);
    assert_eq!(result["isError"], true, "no call of it was ok");
    assert!(text(&result).contains("unknown_tool"), "{result}");
}

#[test]
fn a_batch_tells_how_many_of_its_calls_have_ended() {
    let root = folder(&[("a.txt", "a")]);
    let mut client = Client::connect(root.path(), &[]);
    let calls = json!([
        {"id": "a", "tool": "read_text_file", "args": {"path": "a.txt"}},
        {"tool": "read_text_file", "args": {"path": "none"}},
    ]);
    let params = json!({
        "name": "run_batch", "arguments": {"calls": calls}, "_meta": {"progressToken": 5},
    });
    client.send(&request(1, "tools/call", params));
    let told: Vec<_> = (0..3).map(|_| client.message()["params"].clone()).collect();
    for (step, told) in told.iter().enumerate() {
        assert_eq!((&told["progress"], &told["total"]), (&json!(step as f64), &json!(2.0)));
    }
    assert_eq!(client.message()["id"], 1);
}

#[test]
fn batches_and_single_calls_beside_each_other_lose_nothing() {
    let lines: String = (0..40).map(|n| format!("line {n}.\n")).collect();
    let root = folder(&[("a.txt", &lines)]);
    let mut client = Client::connect(root.path(), &["--allow-write", "**"]);
    let edit = |n: usize| {
        let edit = json!({"old_text": format!("line {n}."), "new_text": format!("edited {n}.")});
        json!({"path": "a.txt", "edits": [edit]})
    };
    let batch = |from: usize| {
        let calls = (from..from + 10).map(|n| json!({"tool": "edit_file", "args": edit(n)}));
        call(from, "run_batch", json!({"calls": calls.collect::<Vec<_>>()}))
    };
    let mut sent = Vec::new();
    for from in [0, 20] {
        sent.push(batch(from));
        sent.extend((from + 10..from + 20).map(|n| call(n, "edit_file", edit(n))));
    }
    let sent: String = sent.iter().map(|message| format!("{message}\n")).collect();
    client.raw(sent.as_bytes());
    for id in [0, 20].into_iter().chain(10..20).chain(30..40) {
        let answer = client.answer(id);
        let result = &answer["result"];
        assert_eq!(result["isError"], false, "{answer}");
        let calls = result["structuredContent"]["results"].as_array();
        assert!(calls.is_none_or(|all| all.iter().all(|it| it["status"] == "ok")), "{answer}");
    }
    let expected: String = (0..40).map(|n| format!("edited {n}.\n")).collect();
    assert_eq!(std::fs::read_to_string(root.path().join("a.txt")).unwrap(), expected);
}

#[test]
fn a_slow_batch_holds_back_no_call_that_is_sent_after_it() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "2"];
    let mut client = Client::connect(root.path(), &args);
    client.send(&call(1, "run_batch", json!({"calls": [{"tool": "spin"}]})));
    client.send(&call(2, "no_such_tool", json!({})));
    client.send(&call(3, "add", json!({"a": 1, "b": 2})));
    assert_eq!(client.answer(3)["result"]["structuredContent"]["result"], 3);
    assert!(client.answer(2)["error"]["message"].is_string());
    let params = json!({"requestId": 1});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    client.nothing_else_came();
}

#[test]
fn a_cancelled_batch_stops_its_guests() {
    let root = folder(&[]);
    let plugin = calc();
    let args = ["--plugin", plugin.to_str().unwrap(), "--jobs", "2"];
    let mut client = Client::connect(root.path(), &args);
    client.send(&call(1, "run_batch", json!({"calls": [{"tool": "spin"}, {"tool": "spin"}]})));
    std::thread::sleep(std::time::Duration::from_millis(100));
    let params = json!({"requestId": 1});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    assert_eq!(client.call("add", json!({"a": 1, "b": 2}))["structuredContent"]["result"], 3);
    client.nothing_else_came();
}
