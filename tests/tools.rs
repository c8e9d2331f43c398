//! The standard tools that remember and tell the time, as an agent calls them.

use std::path::Path;

use inorder::{Host, PluginSpec, Touches, builtins};
use serde_json::{Value, json};

use crate::support::{call, grants, inorder, matches, report, scratch};

fn memory(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let (root, builder) = scratch(files);
    let spec = PluginSpec::builtin("memory", grants(&[], &[".memory/**"]));
    (root, builder.plugin(spec).build().unwrap())
}

fn file(root: &tempfile::TempDir, scope: &str) -> String {
    std::fs::read_to_string(root.path().join(format!(".memory/{scope}.jsonl"))).unwrap()
}

fn entity(name: &str, observations: &[&str]) -> Value {
    json!({"name": name, "entity_type": "person", "observations": observations})
}

/// What the reference server leaves: no line end after the last line.
const FILE: &str = r#"{"type":"entity","name":"Ada","entityType":"person","observations":["likes maths"]}
{"type":"entity","name":"notes","entityType":"file","observations":[]}
{"type":"relation","from":"Ada","to":"notes","relationType":"wrote"}"#;

#[test]
fn a_file_of_the_reference_server_is_read_and_goes_on() {
    let (root, host) = memory(&[(".memory/memory.jsonl", FILE)]);
    let graph = call(&host, "read_graph", json!({}));
    assert_eq!(graph["value"]["entities"][0], entity("Ada", &["likes maths"]));
    let relation = json!({"from": "Ada", "to": "notes", "relation_type": "wrote"});
    assert_eq!(graph["value"]["relations"], json!([relation]));

    let again = call(&host, "create_relations", json!({"relations": [relation]}));
    assert_eq!(again["value"], json!([]));
    assert_eq!(file(&root, "memory"), FILE, "nothing changed, so nothing is written");
    let more = json!([{"entity_name": "Ada", "contents": ["is \"quoted\"", "likes maths"]}]);
    let added = call(&host, "add_observations", json!({"observations": more}));
    assert_eq!(added["value"][0]["added_observations"], json!(["is \"quoted\""]));
    let expected = FILE.replace("maths\"]", "maths\",\"is \\\"quoted\\\"\"]");
    assert_eq!(file(&root, "memory"), expected);
    let gone = call(&host, "delete_entities", json!({"entity_names": ["notes"]}));
    assert_eq!(gone["value"], "Entities deleted successfully");
    assert_eq!(file(&root, "memory"), expected.lines().next().unwrap());
}

#[test]
fn calls_of_one_batch_that_change_one_scope_all_count() {
    let (root, host) = memory(&[]);
    let mut calls =
        vec![json!({"tool": "create_entities", "args": {"entities": [entity("Ada", &[])]}})];
    let fact = |n: u32| json!([{"entity_name": "Ada", "contents": [format!("fact {n}")]}]);
    calls.extend(
        (0..20).map(|n| json!({"tool": "add_observations", "args": {"observations": fact(n)}})),
    );
    let report = report(&host, &json!({"calls": calls}));
    let results = report["results"].as_array().unwrap();
    assert!(results.iter().all(|it| it["status"] == "ok"), "{report}");
    let facts: Vec<String> = (0..20).map(|n| format!("fact {n}")).collect();
    let line: Value = serde_json::from_str(&file(&root, "memory")).unwrap();
    assert_eq!(line["observations"], json!(facts), "in the order in which they were sent");
}

#[test]
fn scopes_are_files_of_their_own() {
    let (root, host) = memory(&[]);
    let create = |scope: &str, fact: &str| {
        let entities = json!([entity("Ada", &[fact])]);
        json!({"tool": "create_entities", "args": {"entities": entities, "scope": scope}})
    };
    let search =
        |scope: &str| json!({"tool": "search_nodes", "args": {"query": "likes", "scope": scope}});
    let report = report(
        &host,
        &json!({"calls": [
            create("work", "likes maths"), create("user-42", "likes tea"),
            search("work"), search("user-42"), search("other"), search("../x"),
        ]}),
    );
    for (place, expected) in [
        (2, json!({"value": {"entities": [entity("Ada", &["likes maths"])], "total": 1}})),
        (3, json!({"value": {"entities": [entity("Ada", &["likes tea"])]}})),
        (4, json!({"value": {"entities": [], "relations": [], "total": 0}})),
        (5, json!({"error": {"kind": "tool", "message": "scope \"../x\": a scope is.."}})),
    ] {
        assert!(matches(&report["results"][place], &expected), "{}", report["results"][place]);
    }
    assert!(file(&root, "work").contains("maths") && file(&root, "user-42").contains("tea"));
}

#[test]
fn a_change_that_fails_leaves_the_file_as_it_was() {
    let broken = format!("{FILE}\n{{\"type\":\"entity\"");
    let (root, host) = memory(&[(".memory/memory.jsonl", FILE), (".memory/broken.jsonl", &broken)]);
    let missing = json!([{"entity_name": "Ada", "contents": ["x"]}, {"entity_name": "Eve", "contents": ["x"]}]);
    let answer = call(&host, "add_observations", json!({"observations": missing}));
    let message = "Entity with name Eve not found..";
    assert!(matches(&answer, &json!({"error": {"kind": "tool", "message": message}})), "{answer}");
    assert_eq!(file(&root, "memory"), FILE);
    let args = json!({"entities": [entity("b", &[])], "scope": "broken"});
    let answer = call(&host, "create_entities", args);
    let message = ".memory/broken.jsonl: line 4 is not that of a memory..";
    assert!(matches(&answer, &json!({"error": {"kind": "tool", "message": message}})), "{answer}");
    assert_eq!(file(&root, "broken"), broken);
}

#[test]
fn the_default_scope_lies_where_the_reference_server_s_variable_says() {
    let (root, builder) = scratch(&[("kept/graph.json", FILE)]);
    let mut grants = grants(&["kept/**"], &[]);
    grants.env = vec![inorder::EnvGrant::parse("MEMORY_FILE_PATH=kept/graph.json").unwrap()];
    let host = builder.plugin(PluginSpec::builtin("memory", grants)).build().unwrap();
    let found = call(&host, "search_nodes", json!({"query": "MATHS"}));
    assert_eq!(found["value"]["entities"][0]["name"], "Ada", "{found}");
    drop(root);
}

/// Runs the binary without a config.
fn without_config(root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = inorder().current_dir(root).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn without_a_config_memory_is_read_and_writing_it_is_a_flag() {
    let (root, _) = scratch(&[(".memory/memory.jsonl", FILE)]);
    let (code, text) = without_config(root.path(), &["call", "open_nodes", "names=[\"Ada\"]"]);
    assert!(code == Some(0) && text.contains("likes maths"), "{text}");
    let forget = ["call", "delete_entities", "entity_names=[\"Ada\"]"];
    let (code, text) = without_config(root.path(), &forget);
    assert!(code == Some(1) && text.contains("--allow-write '.memory/memory.jsonl'"), "{text}");
    let allowed = [&forget[..], &["--allow-write", ".memory/**"]].concat();
    let (code, text) = without_config(root.path(), &allowed);
    assert_eq!(code, Some(0), "{text}");
    assert!(!file(&root, "memory").contains("Ada"));
}

#[test]
fn a_plugin_of_a_built_in_s_name_takes_its_place() {
    let (root, _) = scratch(&[]);
    std::fs::write(
        root.path().join("time.wasm"),
        wat::parse_str(include_str!("support/calc.wat")).unwrap(),
    )
    .unwrap();
    let (code, text) = without_config(root.path(), &["tools", "--plugin", "time.wasm"]);
    assert!(code == Some(0) && text.contains("half") && !text.contains("convert_time"), "{text}");
}

#[test]
fn the_time_is_told_and_converted() {
    let (_root, builder) = scratch(&[]);
    let spec = PluginSpec::builtin("time", grants(&[], &[]));
    let host = builder.plugin(spec).build().unwrap();
    let now = call(&host, "get_current_time", json!({"timezone": "Asia/Kathmandu"}));
    let shown = now["value"]["datetime"].as_str().unwrap();
    assert!(shown.len() == 25 && shown.ends_with("+05:45"), "{now}");
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let local = (seconds / 60 + 345) % (24 * 60);
    let minute = shown[11..13].parse::<u64>().unwrap() * 60 + shown[14..16].parse::<u64>().unwrap();
    assert!((local + 24 * 60 - minute) % (24 * 60) <= 1, "{shown} at {seconds}");

    let args = |source: &str, time: &str| json!({"source_timezone": source, "time": time, "target_timezone": "UTC"});
    let converted = call(&host, "convert_time", args("Asia/Tokyo", "9:00"));
    let expected = json!({"value": {
        "source": {"timezone": "Asia/Tokyo", "datetime": "..T09:00:00+09:00", "is_dst": false},
        "target": {"timezone": "UTC", "datetime": "..T00:00:00+00:00", "is_dst": false},
        "time_difference": "-9.0h",
    }});
    assert!(matches(&converted, &expected), "{converted}");
    for (source, time, says) in [
        ("asia/tokyo", "9:00", "did you mean \"Asia/Tokyo\"?.."),
        ("UTC", "25:00", "Invalid time format. Expected HH:MM [24-hour format]"),
    ] {
        let answer = call(&host, "convert_time", args(source, time));
        let message = format!("..{}", says.trim_end_matches(".."));
        assert!(
            matches(&answer, &json!({"error": {"kind": "tool", "message": message}})),
            "{answer}"
        );
    }
}

#[test]
fn every_built_in_tool_declares_what_its_grants_do_not_tell() {
    for builtin in builtins() {
        let (_root, builder) = scratch(&[]);
        let spec = PluginSpec::builtin(builtin.name, grants(builtin.reads, &[]));
        let host = builder.plugin(spec).build().unwrap();
        for (name, _, tool) in host.tools() {
            // A scope is no path; what `grep` reads lies above its path too.
            let undeclared = builtin.name == "memory" || name == "grep";
            assert_eq!(tool.touches == Touches::Undeclared, undeclared, "{name}");
        }
    }
}
