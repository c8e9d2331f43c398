//! Descriptions and tags of WIT, beside a component and packed in it.

use std::path::Path;
use std::process::Output;

use inorder::{Grants, Host, PluginSpec, TouchedPaths, Touches};
use serde_json::{Value, json};

use crate::support::{built_guest, call, grants, inorder, repository, scratch};

/// `read` takes text, `fill` a number.
const COMPONENT: &str = r#"(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "read") (param i32 i32) (result i32) (local.get 1))
    (func (export "fill") (param i32)))
  (core instance $i (instantiate $m))
  (func (export "read") (param "file-path" string) (result u32)
    (canon lift (core func $i "read") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "fill") (param "count" u32) (canon lift (core func $i "fill"))))"#;

fn wit(read: &str, fill: &str) -> String {
    format!(
        "package my:tools;\nworld tools {{\n{read}\nexport read: func(file-path: string) -> u32;\n{fill}\nexport \
         fill: func(count: u32);\n}}"
    )
}

/// `my.wasm` and the files given.
fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let (dir, _) = scratch(files);
    std::fs::write(dir.path().join("my.wasm"), wat::parse_str(COMPONENT).unwrap()).unwrap();
    dir
}

fn run(dir: &Path, args: &[&str]) -> Output {
    inorder().current_dir(dir).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

fn load(dir: &Path) -> Result<Host, String> {
    let spec = PluginSpec::file(dir.join("my.wasm"), Grants::default());
    Host::builder().plugin(spec).build().map_err(|error| error.to_string())
}

/// Description and tags of the tool `read`.
fn read_of(host: &Host) -> (Option<String>, Touches) {
    let (.., tool) = host.tools().find(|(name, ..)| *name == "read").unwrap();
    (tool.description.clone(), tool.touches.clone())
}

#[test]
fn what_is_packed_describes_the_tools_and_a_file_beside_overrides_it() {
    let dir = dir(&[("wit/a.wit", &wit("/// Reads.\n///\n/// @reads file-path", ""))]);
    let before = std::fs::read(dir.path().join("my.wasm")).unwrap();
    assert_eq!(read_of(&load(dir.path()).unwrap()), (None, Touches::Undeclared));

    let packed = run(dir.path(), &["pack", "my.wasm", "--wit", "wit", "-o", "out/my.wasm"]);
    assert_eq!(packed.status.code(), Some(2), "there is no out: {}", text(&packed));
    assert_eq!(std::fs::read(dir.path().join("my.wasm")).unwrap(), before);
    let packed = run(dir.path(), &["pack", "my.wasm", "--wit", "wit"]);
    assert_eq!(packed.status.code(), Some(0), "{}", text(&packed));
    assert!(text(&packed).contains("1 of 2 tools described, 1 with tags"), "{}", text(&packed));
    let reads = Touches::Declared { reads: vec![0], writes: vec![] };
    let host = load(dir.path()).unwrap();
    assert_eq!(read_of(&host), (Some("Reads.".to_owned()), reads));
    assert_eq!(call(&host, "read", json!({"file_path": "abc"}))["value"], 3);
    let (.., tool) = host.tools().find(|(name, ..)| *name == "read").unwrap();
    let args = json!({"file_path": "abc"});
    let touched = TouchedPaths { reads: vec!["abc"], writes: vec![] };
    assert_eq!(tool.touched_paths(args.as_object().unwrap()), Some(touched));

    let inspected = run(dir.path(), &["inspect", "my.wasm", "--json"]);
    let plugin: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(plugin["tools"][0]["touches"], json!({"reads": ["file_path"], "writes": []}));
    assert_eq!(plugin["tools"][1]["touches"], Value::Null);
    let inspected = run(dir.path(), &["inspect", "my.wasm"]);
    assert!(text(&inspected).contains("reads file_path alone"), "{}", text(&inspected));

    // Again, from one file.
    std::fs::write(dir.path().join("other.wit"), wit("/// @pure", "/// Fills.")).unwrap();
    let again = run(dir.path(), &["pack", "my.wasm", "--wit", "other.wit", "--output", "my.wasm"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    let pure = Touches::Declared { reads: vec![], writes: vec![] };
    assert_eq!(read_of(&load(dir.path()).unwrap()), (None, pure));

    std::fs::write(dir.path().join("my.wit"), wit("/// Beside.", "")).unwrap();
    let beside = (Some("Beside.".to_owned()), Touches::Undeclared);
    assert_eq!(read_of(&load(dir.path()).unwrap()), beside);
}

#[test]
fn a_wrong_tag_is_an_error_that_names_file_function_and_tag() {
    for (read, says) in [
        (
            "/// @reads file-pth",
            "`@reads file-pth`: there is no parameter `file-pth`; did you mean `file-path`?",
        ),
        ("/// @reads", "`@reads`: it names no parameter"),
        ("/// @read file-path", "`@read file-path`: there are the tags"),
        ("/// @pure\n/// @writes file-path", "`@pure`: other tags say that it touches files"),
    ] {
        let dir = dir(&[("my.wit", &wit(read, ""))]);
        let error = load(dir.path()).err().unwrap();
        assert!(error.contains("my.wit: read: ") && error.contains(says), "{read}: {error}");
        let before = std::fs::read(dir.path().join("my.wasm")).unwrap();
        let packed = run(dir.path(), &["pack", "my.wasm", "--wit", "my.wit"]);
        assert_eq!(packed.status.code(), Some(2));
        assert!(text(&packed).contains(says), "{}", text(&packed));
        assert_eq!(std::fs::read(dir.path().join("my.wasm")).unwrap(), before);
    }
    let dir = dir(&[("my.wit", &wit("", "/// @writes count"))]);
    let error = load(dir.path()).err().unwrap();
    assert!(error.contains("fill: `@writes count`: `count` is neither text"), "{error}");
}

#[test]
fn the_wit_of_something_else_is_refused() {
    let less = "package my:tools; world tools { /// Fills.\n export fill: func(count: u32); export \
                more: func(); }";
    for (wit, code, says) in [
        ("package a:b; world w { export other: func(); }", 2, "none of the functions"),
        (
            "package a:b; world w { export fill: func(n: u32); }",
            2,
            "fill takes (count) in the component, and (n) in the WIT",
        ),
        ("package", 2, "a.wit"),
        (less, 0, "the component has no more"),
        (less, 0, "the WIT has no read"),
    ] {
        let dir = dir(&[("a.wit", wit)]);
        let packed = run(dir.path(), &["pack", "my.wasm", "--wit", "a.wit"]);
        assert_eq!(packed.status.code(), Some(code), "{}", text(&packed));
        assert!(text(&packed).contains(says), "{}", text(&packed));
    }
    let dir = dir(&[("a.wit", less), ("no.wasm", "#!/bin/sh"), ("empty/a.txt", "")]);
    for (args, says) in [
        (["no.wasm", "a.wit"], "this is not WebAssembly"),
        (["none.wasm", "a.wit"], "none.wasm"),
        (["my.wasm", "none.wit"], "none.wit"),
        (["my.wasm", "empty"], "there is no .wit file in empty"),
        (["empty", "a.wit"], "not a regular file"),
    ] {
        let packed = run(dir.path(), &["pack", args[0], "--wit", args[1]]);
        assert_eq!(packed.status.code(), Some(2));
        assert!(text(&packed).contains(says), "{}", text(&packed));
    }
}

#[test]
fn a_section_that_cannot_be_read_is_a_warning() {
    let dir = dir(&[]);
    let mut bytes = std::fs::read(dir.path().join("my.wasm")).unwrap();
    bytes.extend(b"\0\x10\x0binorder:wit{..}");
    std::fs::write(dir.path().join("my.wasm"), bytes).unwrap();
    let inspected = run(dir.path(), &["inspect", "my.wasm"]);
    assert_eq!(inspected.status.code(), Some(0), "{}", text(&inspected));
    assert!(text(&inspected).contains("packed in a plugin cannot be read"), "{}", text(&inspected));
    assert!(text(&inspected).contains("read(file_path)"), "{}", text(&inspected));
}

#[test]
fn a_built_guest_is_packed_with_its_dependencies_left_out() {
    let Some(probe) = built_guest("probe") else { return };
    let source = repository().join("tests/guests/probe/probe.wit");
    let dir = dir(&[
        ("wit/deps/unused.wit", "package un:used; interface i { f: func(); }"),
        ("wit/probe.wit", &std::fs::read_to_string(source).unwrap()),
    ]);
    std::fs::copy(&probe, dir.path().join("probe.wasm")).unwrap();
    let packed = run(dir.path(), &["pack", "probe.wasm", "--wit", "wit"]);
    assert_eq!(packed.status.code(), Some(0), "{}", text(&packed));
    assert!(!text(&packed).contains("note:"), "{}", text(&packed));
    let bytes = std::fs::read(dir.path().join("probe.wasm")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(holds("inorder:wit") && !holds("un:used"));
    let spec = PluginSpec::file(dir.path().join("probe.wasm"), Grants::default());
    let host = Host::builder().plugin(spec).build().unwrap();
    let (.., add) = host.tools().find(|(name, ..)| *name == "add").unwrap();
    assert_eq!(add.description.as_deref(), Some("Adds two numbers, wrapping around."));
    assert_eq!(call(&host, "add", json!({"a": 1, "b": 2}))["value"], 3);
}

#[test]
fn the_standard_tools_declare_what_they_touch() {
    let (_root, builder) = scratch(&[]);
    let builtin = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(builtin).build().unwrap();
    let undeclared: Vec<&str> = host
        .tools()
        .filter(|(.., tool)| tool.touches == Touches::Undeclared)
        .map(|(name, ..)| name)
        .collect();
    // It reads the rules of the directories above.
    assert_eq!(undeclared, ["grep"]);
    let args = json!({"source": "a", "destination": "b/c"});
    let (.., moved) = host.tools().find(|(name, ..)| *name == "move_file").unwrap();
    let touched = TouchedPaths { reads: vec![], writes: vec!["a", "b/c"] };
    assert_eq!(moved.touched_paths(args.as_object().unwrap()), Some(touched));
}
