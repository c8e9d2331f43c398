//! Messages of model APIs to the binary, and what it gives to send back.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Schema, inorder, scratch};

fn run(dir: &tempfile::TempDir, message: &Value, args: &[&str]) -> (Output, Value) {
    std::fs::write(dir.path().join("m.json"), message.to_string()).unwrap();
    let output =
        inorder().current_dir(dir.path()).args(["run", "m.json"]).args(args).output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, answer)
}

fn edit(old: &str, new: &str) -> Value {
    json!({"path": "a.txt", "edits": [{"old_text": old, "new_text": new}]})
}

#[test]
fn two_edits_of_one_file_in_one_response_both_count_in_every_format() {
    let edits = [edit("one", "1"), edit("two", "2")];
    let text = |at: usize| edits[at].to_string();
    let formats = [
        (
            json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "edit_file", "input": edits[0]},
                {"type": "tool_use", "id": "b", "name": "edit_file", "input": edits[1]},
            ]}),
            "/content/1/tool_use_id",
        ),
        (
            json!({"role": "assistant", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "edit_file", "arguments": text(0)}},
                {"id": "b", "type": "function", "function": {"name": "edit_file", "arguments": text(1)}},
            ]}),
            "/1/tool_call_id",
        ),
        (
            json!({"object": "response", "output": [
                {"type": "function_call", "call_id": "a", "name": "edit_file", "arguments": text(0)},
                {"type": "function_call", "call_id": "b", "name": "edit_file", "arguments": text(1)},
            ]}),
            "/1/call_id",
        ),
        (
            json!({"role": "model", "parts": [
                {"functionCall": {"id": "a", "name": "edit_file", "args": edits[0]}},
                {"functionCall": {"id": "b", "name": "edit_file", "args": edits[1]}},
            ]}),
            "/parts/1/functionResponse/id",
        ),
    ];
    for (message, second) in formats {
        let (dir, _) = scratch(&[("a.txt", "one\ntwo\n")]);
        let (output, answer) = run(&dir, &message, &["--allow-write", "**"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(answer.pointer(second), Some(&json!("b")), "{answer}");
        assert_eq!(std::fs::read_to_string(dir.path().join("a.txt")).unwrap(), "1\n2\n");
    }
}

#[test]
fn a_model_that_refers_to_places_and_writes_bad_arguments_is_told_of_each_call() {
    let (dir, _) = scratch(&[("a.txt", "hello"), ("names", "a.txt")]);
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let message = json!({"tool_calls": [
        call("call_9", "read_text_file", r#"{"path": "names"}"#),
        call("call_8", "read_text_file", r#"{"path": {"$from": 1}}"#),
        call("call_7", "read_text_file", r#"{"path": "#),
        call("call_6", "no_such_tool", "{}"),
    ]});
    let (output, answer) = run(&dir, &message, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Vec<(&str, &str)> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["tool_call_id"].as_str().unwrap(), it["content"].as_str().unwrap()))
        .collect();
    assert_eq!(said[..2], [("call_9", "a.txt"), ("call_8", "hello")]);
    assert!(said[2].1.starts_with("error: the arguments have to be one JSON object"), "{answer}");
    assert!(said[3].1.starts_with("error: no tool is named \"no_such_tool\""), "{answer}");
}

#[test]
fn a_message_that_cannot_be_ordered_is_answered_and_nothing_is_run() {
    let (dir, _) = scratch(&[]);
    let write = |id: &str, content: Value| {
        let input = json!({"path": id, "content": content});
        json!({"type": "tool_use", "id": id, "name": "write_file", "input": input})
    };
    let content = [write("first", json!({"$from": "second"})), write("second", json!("x"))];
    let message = json!({"role": "assistant", "content": content});
    let (output, answer) = run(&dir, &message, &["--allow-write", "**"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(answer["content"][1]["is_error"] == true, "{answer}");
    let said = answer["content"][0]["content"].as_str().unwrap();
    assert!(said.starts_with("nothing was run: call \"first\" refers to \"second\""), "{said}");
    assert!(!dir.path().join("second").exists());
}

#[test]
fn what_of_a_response_is_not_answered_here_is_said() {
    let (dir, _) = scratch(&[("a.txt", "hello")]);
    let look = json!({"type": "function_call", "call_id": "a", "name": "read_text_file", "arguments": "{\"path\": \"a.txt\"}"});
    let message = json!({"output": [{"type": "apply_patch_call", "call_id": "p"}, look]});
    let (output, answer) = run(&dir, &message, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(answer[0]["output"], "hello");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("apply_patch_call, which is not answered here"), "{said}");
}

#[test]
fn a_format_can_be_named_and_a_report_be_had_of_a_message_too() {
    let (dir, _) = scratch(&[("a.txt", "hello")]);
    let message =
        json!({"parts": [{"functionCall": {"name": "read_text_file", "args": {"path": "a.txt"}}}]});
    let (output, report) = run(&dir, &message, &["--json", "--format", "gemini"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(report["results"][0]["value"], "hello");
    let (output, _) = run(&dir, &message, &["--format", "anthropic"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`content` of the anthropic message"), "{said}");
}

#[test]
fn definitions_are_those_of_the_format_and_may_take_references() {
    let (dir, _) = scratch(&[]);
    let tools = |args: &[&str]| -> Value {
        let mut command = inorder();
        let output =
            command.current_dir(dir.path()).args(["tools", "--format"]).args(args).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    };
    let schema = |definitions: &Value, at: &str| -> Value {
        definitions.pointer(at).unwrap_or_else(|| panic!("{definitions}")).clone()
    };
    let plain = schema(&tools(&["anthropic"]), "/0/input_schema");
    assert_eq!(schema(&tools(&["openai"]), "/0/function/parameters"), plain);
    assert_eq!(schema(&tools(&["openai-responses"]), "/0/parameters"), plain);
    let gemini = tools(&["gemini"]);
    assert_eq!(schema(&gemini, "/0/functionDeclarations/0/parametersJsonSchema"), plain);
    assert_eq!(schema(&tools(&["mcp"]), "/tools/1/inputSchema"), plain);
    let name = tools(&["anthropic"])[0]["name"].clone();
    assert_eq!(name, "read_text_file");

    let wide = schema(&tools(&["anthropic", "--references"]), "/0/input_schema");
    let takes = |schema: &Value, args: Value| Schema::new(schema).is_valid(&args);
    for (args, plainly, widely) in [
        (json!({"path": "a"}), true, true),
        (json!({"path": {"$from": 1, "at": "/0"}}), false, true),
        (json!({"path": {"from": 1}}), false, false),
        (json!({"path": 1}), false, false),
        (json!({"path": "a", "head": {"$from": 2}}), false, true),
    ] {
        assert_eq!((takes(&plain, args.clone()), takes(&wide, args)), (plainly, widely));
    }
}
