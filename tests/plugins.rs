//! Loading plugins of any origin: what each kind of wrong file says, and how tools are named.

use inorder::{Grants, Host, PluginSpec, Source};
use serde_json::json;

use crate::support::{calc, call, grants, guest, scratch, text_plugin};

fn error_of(spec: PluginSpec) -> String {
    match Host::builder().plugin(spec).build() {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    }
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PluginSpec) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, PluginSpec::file(path, Grants::default()))
}

#[test]
fn each_wrong_file_says_what_it_is_and_what_to_do() {
    let p1 =
        wat::parse_str(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#).unwrap();
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let mut cut = wat::parse_str(include_str!("support/calc.wat")).unwrap();
    cut.truncate(cut.len() / 2);
    for (name, bytes, says) in [
        ("p1.wasm", p1, "make it one with `inorder pack FILE --wit DIR`"),
        ("core.wasm", module, "a core module, not a component"),
        ("cut.wasm", cut, "the file is cut off after"),
        ("script.wasm", b"#!/bin/sh\n".to_vec(), "this is not WebAssembly"),
        ("text.wasm", b"(component)".to_vec(), "looks like the text form"),
        ("empty.wasm", vec![], "the file is empty"),
    ] {
        let (_dir, spec) = file(name, &bytes);
        let error = error_of(spec);
        assert!(error.contains(name) && error.contains(says), "{name}: {error}");
    }
    let missing = error_of(PluginSpec::file("no/such/plugin.wasm", Grants::default()));
    assert!(missing.contains("no/such/plugin.wasm"), "{missing}");
    let builtin = error_of(PluginSpec::builtin("filesytem", Grants::default()));
    assert!(builtin.contains("filesystem"), "{builtin}");
}

#[test]
fn an_unknown_import_is_named() {
    for import in
        ["wasi:http/outgoing-handler@0.2.0", "acme:db/query", "wasi:clocks/wall-clock@0.3.0"]
    {
        let wat = format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#);
        let (_dir, spec) = file("needy.wasm", &wat::parse_str(wat).unwrap());
        let error = error_of(spec);
        assert!(error.contains("needy.wasm") && error.contains(import), "{error}");
    }
    let function =
        text_plugin("needy", r#"(component (import "log" (func (param "text" string))))"#);
    assert!(error_of(function).contains("it imports log"));
}

#[test]
fn an_import_of_the_wrong_type_is_an_error_of_its_own() {
    let wat = r#"(component (import "wasi:clocks/wall-clock@0.2.0"
        (instance (export "now" (func (result string))))))"#;
    let error = error_of(text_plugin("odd", wat));
    assert!(error.contains("its imports do not fit"), "{error}");
}

#[test]
fn a_component_composed_of_parts_with_memories_of_their_own_runs() {
    let composed = text_plugin(
        "composed",
        r#"(component
          (component $inner
            (core module $m
              (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
              (func (export "length") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "length") (param "text" string) (result u32)
              (canon lift (core func $i "length") (memory $i "memory") (realloc (func $i "realloc")))))
          (component $outer
            (import "length" (func $length (param "text" string) (result u32)))
            (core module $libc
              (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128)))
            (core instance $libc (instantiate $libc))
            (core func $length (canon lower (func $length) (memory $libc "memory")))
            (core module $m
              (import "inner" "length" (func $length (param i32 i32) (result i32)))
              (func (export "twice") (param i32 i32) (result i32)
                (i32.mul (i32.const 2) (call $length (local.get 0) (local.get 1)))))
            (core instance $i (instantiate $m
              (with "inner" (instance (export "length" (func $length))))))
            (func (export "twice") (param "text" string) (result u32)
              (canon lift (core func $i "twice")
                (memory $libc "memory") (realloc (func $libc "realloc")))))
          (instance $inner (instantiate $inner))
          (instance $outer (instantiate $outer (with "length" (func $inner "length"))))
          (export "twice" (func $outer "twice")))"#,
    );
    let host = Host::builder().plugin(composed).build().unwrap();
    let twice = call(&host, "twice", json!({"text": "abc"}));
    assert_eq!(twice["value"], 6, "{twice}");
}

#[test]
fn a_component_with_the_built_ins_of_concurrency_runs_on_an_engine_of_its_own() {
    let concurrent = text_plugin(
        "concurrent",
        r#"(component
          (core func $cancel (canon task.cancel))
          (core module $m
            (import "async" "cancel" (func $cancel))
            (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
            (func (export "spin") (loop $again (br $again))))
          (core instance $i (instantiate $m (with "async" (instance (export "cancel" (func $cancel))))))
          (func (export "add-too") (param "a" u32) (param "b" u32) (result u32)
            (canon lift (core func $i "add")))
          (func (export "spin-too") (canon lift (core func $i "spin"))))"#,
    );
    let limits =
        inorder::Limits { timeout: std::time::Duration::from_millis(200), ..Default::default() };
    let host = Host::builder().limits(limits).plugin(concurrent).plugin(calc()).build().unwrap();
    assert_eq!(call(&host, "add_too", json!({"a": 1, "b": 2}))["value"], 3);
    assert_eq!(call(&host, "spin_too", json!({}))["error"]["kind"], "timeout");
    assert_eq!(call(&host, "add", json!({"a": 1, "b": 2}))["value"], 3);
}

#[test]
fn two_plugins_with_one_tool_name_need_a_prefix() {
    let mut other = calc();
    other.name = "other".to_owned();
    let both = Host::builder().plugin(calc()).plugin(other.clone()).build();
    let error = both.err().unwrap().to_string();
    assert!(error.contains("\"calc\"") && error.contains("give one of them a prefix"), "{error}");
    other.prefix = "other_".to_owned();
    let host = Host::builder().plugin(calc()).plugin(other).build().unwrap();
    assert_eq!(call(&host, "add", json!({"a": 1, "b": 2}))["value"], 3);
    assert_eq!(call(&host, "other_add", json!({"a": 1, "b": 3}))["value"], 4);
}

#[test]
fn functions_without_a_json_form_are_listed_with_the_reason() {
    let Some(spec) = guest("types") else { return };
    let host = Host::builder().plugin(spec).build().unwrap();
    let plugin = host.plugins().next().unwrap();
    let because = |function: &str| {
        let found = plugin.not_tools.iter().find(|it| it.function.ends_with(function));
        found.unwrap_or_else(|| panic!("{function} in {:?}", plugin.not_tools)).because.clone()
    };
    assert!(because("#total").contains("resource"));
    assert!(because("#[constructor]counter").contains("resource"));
    let names: Vec<&str> = host.tools().map(|(name, ..)| name).collect();
    for name in ["parse_url_v2", "left_get", "right_get", "echo_root", "limit"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"get"));
}

#[test]
fn types_that_explode_when_written_out_make_no_tool() {
    let mut types = String::from("(type $t0 (tuple u8 u8))");
    for n in 1..40 {
        types.push_str(&format!("(type $t{n} (tuple $t{} $t{}))", n - 1, n - 1));
    }
    // As a list item the type has a size, but is never on the stack.
    let wat = format!(
        r#"(component {types} (type $l (list $t20))
            (core module $m (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
              (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (export $e "t" (type $l))
            (func (export "f") (param "x" $e)
              (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#
    );
    let Ok(bytes) = wat::parse_str(wat) else { return };
    let spec = PluginSpec::new("wide", Source::Bytes(bytes), Grants::default());
    // Either the compiler refuses it or we do; what must not happen is that memory runs out.
    match Host::builder().plugin(spec).build() {
        Err(error) => assert!(error.to_string().contains("cannot be compiled"), "{error}"),
        Ok(host) => {
            let plugin = host.plugins().next().unwrap();
            assert!(plugin.tools.is_empty());
            assert!(plugin.not_tools[0].because.contains("too large when written out"));
        }
    }
}

#[test]
fn a_wit_file_beside_a_component_describes_its_tools() {
    let (dir, spec) = file("calc.wasm", &wat::parse_str(include_str!("support/calc.wat")).unwrap());
    let wit = dir.path().join("calc.wit");
    std::fs::write(
        &wit,
        "package a:b;\nworld w {\n  /// Adds two\n  /// numbers.\n  export add: func(a: u32, b: u32) -> u32;\n}",
    )
    .unwrap();
    let host = Host::builder().plugin(spec.clone()).build().unwrap();
    let (_, _, add) = host.tools().find(|(name, ..)| *name == "add").unwrap();
    assert_eq!(add.description.as_deref(), Some("Adds two numbers."));
    std::fs::write(&wit, "package").unwrap();
    let error = error_of(spec);
    assert!(error.contains("calc.wit"), "{error}");
}

#[test]
fn every_built_in_tool_is_described() {
    for (builtin, names) in [
        (
            "filesystem",
            &[
                "read_text_file",
                "read_media_file",
                "read_multiple_files",
                "write_file",
                "edit_file",
                "create_directory",
                "list_directory",
                "list_directory_with_sizes",
                "directory_tree",
                "move_file",
                "search_files",
                "get_file_info",
                "list_allowed_directories",
                "grep",
            ][..],
        ),
        (
            "memory",
            &[
                "create_entities",
                "create_relations",
                "add_observations",
                "delete_entities",
                "delete_observations",
                "delete_relations",
                "read_graph",
                "search_nodes",
                "open_nodes",
            ],
        ),
        ("time", &["get_current_time", "convert_time"]),
    ] {
        let (_root, builder) = scratch(&[]);
        let spec = PluginSpec::builtin(builtin, grants(&["**"], &[]));
        let host = builder.plugin(spec).build().unwrap();
        let tools: Vec<_> = host.tools().collect();
        assert_eq!(tools.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), names);
        for (name, _, tool) in tools {
            assert!(tool.description.as_ref().is_some_and(|text| text.len() > 20), "{name}");
            let schema = tool.input_schema();
            for (param, schema) in schema["properties"].as_object().unwrap() {
                assert!(schema["description"].is_string(), "{name}: {param}");
            }
        }
    }
}

#[test]
fn a_grant_outside_of_all_roots_is_an_error() {
    let (_root, builder) = scratch(&[]);
    let spec = PluginSpec::builtin("filesystem", grants(&["/etc/**"], &[]));
    let error = builder.plugin(spec).build().err().unwrap().to_string();
    assert!(error.contains("/etc/**") && error.contains("in none of the roots"), "{error}");
}
