//! What is listed: both revisions, schemas, hints, names, pages.

use serde_json::{Value, json};

use super::client::{Client, calc, folder, handshake, meta};
use crate::support::{Schema, repository};

fn tools(client: &mut Client) -> Vec<Value> {
    let answer = client.request("tools/list", json!({}));
    answer["result"]["tools"].as_array().unwrap().clone()
}

fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn the_handshake_is_answered_in_the_revision_that_the_client_speaks() {
    let root = folder(&[]);
    for (asked, given) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2024-11-05"),
        ("2099-01-01", "2025-11-25"),
    ] {
        let mut client = Client::start(root.path(), &[]);
        let answer = client.request("initialize", handshake(asked));
        let result = &answer["result"];
        assert_eq!(result["protocolVersion"], given, "{answer}");
        assert_eq!(result["serverInfo"]["name"], "inorder");
        assert!(result["capabilities"]["tools"].is_object());
        assert!(result["instructions"].as_str().unwrap().contains("run_batch"));
        assert_eq!(client.end().code, Some(0));
    }
}

#[test]
fn revision_2026_07_28_needs_no_handshake() {
    let root = folder(&[("a.txt", "hello")]);
    let mut client = Client::start(root.path(), &[]);
    let found = client.request("server/discover", json!({"_meta": meta()}));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")));
    let list = client.request("tools/list", json!({"_meta": meta()}));
    assert_eq!(list["result"]["resultType"], "complete", "{list}");
    let call = json!({"name": "read_text_file", "arguments": {"path": "a.txt"}, "_meta": meta()});
    let read = client.request("tools/call", call);
    assert_eq!(read["result"]["content"], json!([{"type": "text", "text": "hello"}]), "{read}");
    let bare = client.request("tools/list", json!({}));
    assert!(bare["error"]["message"].as_str().unwrap().contains("_meta"), "{bare}");
    assert_eq!(client.end().code, Some(0));
}

#[test]
fn tools_have_titles_descriptions_and_schemas_of_objects() {
    let root = folder(&[]);
    let mut client = Client::connect(root.path(), &["--plugin", calc().to_str().unwrap()]);
    let tools = tools(&mut client);
    assert_eq!(tools[0]["name"], "run_batch");
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        assert!(name.len() <= 64 && !tool["title"].as_str().unwrap().is_empty(), "{name}");
        for schema in ["inputSchema", "outputSchema"] {
            // What is text, or a picture or a sound, is no structured content.
            let told = ["read_text_file", "read_media_file", "edit_file", "write_file", "echo"];
            if schema == "outputSchema" && told.contains(&name) {
                assert!(tool.get(schema).is_none(), "{name}");
                continue;
            }
            let Some(schema) = tool.get(schema) else { continue };
            assert_eq!(schema["type"], "object", "{name}");
            Schema::new(schema);
        }
    }
    let read = named(&tools, "read_text_file");
    assert_eq!(read["title"], "Read text file");
    assert!(read["description"].as_str().unwrap().starts_with("Read a text file"));
    assert_eq!(read["inputSchema"]["properties"]["path"]["description"], "the file");
    let list = named(&tools, "list_directory");
    assert_eq!(list["outputSchema"]["properties"]["result"]["type"], "array");
    let info = named(&tools, "get_file_info");
    assert!(info["outputSchema"]["properties"]["size"].is_object(), "records stay as they are");
    client.nothing_else_came();
}

#[test]
fn hints_follow_from_grants_whatever_a_plugin_says() {
    let root = folder(&[]);
    let hints = |args: &[&str]| {
        let mut client = Client::connect(root.path(), args);
        tools(&mut client)
    };
    let (free, bound) = (json!([true, false, true, false]), json!([false, true, false, false]));
    let of = |tools: &[Value], name: &str| {
        let hints = &named(tools, name)["annotations"];
        json!(
            ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
                .map(|hint| hints[hint].clone())
        )
    };
    let reading = hints(&[]);
    for name in ["write_file", "read_text_file", "create_entities", "run_batch"] {
        assert_eq!(of(&reading, name), free, "{name} may write nothing");
    }
    let writing = hints(&["--allow-write", "**"]);
    for (name, expected) in [
        ("write_file", &bound),
        // It declares what it reads, and is held to that.
        ("read_text_file", &free),
        ("get_current_time", &free),
        ("run_batch", &bound),
    ] {
        assert_eq!(of(&writing, name), *expected, "{name}");
    }
    let http = repository().join("target/guests/dist/http.wasm");
    if http.is_file() {
        let open = hints(&["--plugin", http.to_str().unwrap(), "--allow-net", "example.org"]);
        let fetched = open.iter().find(|it| it["annotations"]["openWorldHint"] == true);
        assert_eq!(fetched.unwrap()["annotations"]["readOnlyHint"], false);
        assert_eq!(of(&open, "run_batch"), json!([false, true, false, true]));
        assert_eq!(of(&open, "read_text_file"), free);
    }
}

#[test]
fn many_tools_come_in_pages_and_long_names_are_shortened() {
    let root = folder(&[]);
    let mut text = String::from("(component (core module $m (func (export \"f\")))\n");
    text.push_str("(core instance $i (instantiate $m))\n");
    for n in 0..450 {
        let name = format!("tool-{}-n{n}", "x".repeat(if n % 2 == 0 { 4 } else { 80 }));
        text.push_str(&format!("(func (export \"{name}\") (canon lift (core func $i \"f\")))\n"));
    }
    text.push(')');
    std::fs::write(root.path().join("many.wasm"), wat::parse_str(&text).unwrap()).unwrap();
    let plugin = root.path().join("many.wasm");
    let mut client = Client::connect(root.path(), &["--plugin", plugin.to_str().unwrap()]);
    let (mut names, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let mut page = client.request("tools/list", params)["result"].take();
        let tools = page["tools"].as_array().unwrap();
        names.extend(tools.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        pages += 1;
        cursor = page["nextCursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(pages, 3);
    let ours: Vec<&String> = names.iter().filter(|it| it.starts_with("tool_")).collect();
    assert_eq!(ours.len(), 450);
    for name in &names {
        assert!(name.len() <= 64, "{name}");
        assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it)), "{name}");
    }
    names.sort();
    names.dedup();
    assert!(names.len() > 450, "two tools share a name");
    let long = names.iter().find(|it| it.starts_with("tool_xxxxx")).unwrap().clone();
    assert_eq!(client.call(&long, json!({}))["isError"], false);
    let report = client.call("run_batch", json!({"calls": [{"tool": long}]}));
    assert_eq!(report["structuredContent"]["results"][0]["tool"], json!(long), "{report}");
}

#[test]
fn a_tool_of_the_batch_tools_name_is_refused_at_the_start() {
    let root = folder(&[]);
    let text =
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
                (func (export \"run-batch\") (canon lift (core func $i \"f\"))))";
    let plugin = root.path().join("clash.wasm");
    std::fs::write(&plugin, wat::parse_str(text).unwrap()).unwrap();
    let ended = Client::start(root.path(), &["--plugin", plugin.to_str().unwrap()]).ended();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("prefix"), "{}", ended.stderr);
    let named = format!("other={}", plugin.display());
    let mut client = Client::connect(root.path(), &["--plugin", &named]);
    assert_eq!(client.call("other_run_batch", json!({}))["isError"], false);
}
