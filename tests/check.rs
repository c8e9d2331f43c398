//! `inorder check`: what it finds in a plugin, and that looking for it changes nothing.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{built_guest, inorder, repository, scratch};

/// `fine` adds one, `boom` traps where its argument is not 3, `spin` never ends.
const COMPONENT: &str = r#"(component
  (core module $m
    (func (export "fine") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "boom") (param i32) (if (i32.ne (local.get 0) (i32.const 3)) (then unreachable)))
    (func (export "spin") (loop (br 0))))
  (core instance $i (instantiate $m))
  (func (export "fine") (param "number" u32) (result u32) (canon lift (core func $i "fine")))
  EXPORTS)"#;
const BOOM: &str =
    r#"(func (export "boom") (param "number" u32) (canon lift (core func $i "boom")))"#;
const SPIN: &str = r#"(func (export "spin") (canon lift (core func $i "spin")))"#;

const DESCRIBED: &str = "package my:tools;
world tools {
  /// Adds one.
  ///
  /// - number: what to add to
  export fine: func(number: u32) -> u32;
}
";

fn dir(exports: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let (dir, _) = scratch(files);
    let component = wat::parse_str(COMPONENT.replace("EXPORTS", exports)).unwrap();
    std::fs::write(dir.path().join("my.wasm"), component).unwrap();
    dir
}

fn check(dir: &Path, args: &[&str]) -> (Output, String) {
    let output = inorder().current_dir(dir).arg("check").args(args).output().unwrap();
    let text = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    (output, text)
}

#[test]
fn a_plugin_with_nothing_to_mend_passes_even_a_strict_check() {
    let dir = dir("", &[("my.wit", DESCRIBED)]);
    let (output, text) = check(dir.path(), &["my.wasm", "--strict"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("1 tool, loaded in"), "{text}");
    assert!(text.contains("24 calls (24 ok, 0 answered with the tool's own error)"), "{text}");
    assert!(text.contains("nothing to mend"), "{text}");
}

#[test]
fn a_tool_that_nobody_describes_is_a_warning_which_only_a_strict_check_fails_for() {
    let dir = dir("", &[]);
    let (output, text) = check(dir.path(), &["my.wasm"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("warning: a model has only the name to choose by of fine"), "{text}");
    let (output, text) = check(dir.path(), &["my.wasm", "--strict"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
}

#[test]
fn a_tool_that_traps_or_never_ends_fails_the_check_with_arguments_to_try() {
    let dir = dir(&[BOOM, SPIN].concat(), &[]);
    let args = ["my.wasm", "--timeout", "100ms", "--calls", "4", "--json"];
    let (output, text) = check(dir.path(), &args);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["tools"], &document["calls"]), (&3.into(), &12.into()));
    let errors: Vec<&Value> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["weight"] == "error")
        .collect();
    let said = |at: usize, words: &str| errors[at]["text"].as_str().unwrap().starts_with(words);
    assert_eq!(errors.len(), 2, "{text}");
    assert!(
        errors[0]["tool"] == "boom" && said(0, "it traps in 3 of 4 calls, as with {\"number\":0}")
    );
    assert!(
        errors[1]["tool"] == "spin" && said(1, "it runs out of time in 4 of 4 calls"),
        "{text}"
    );
}

#[test]
fn checking_changes_no_file_and_leaves_none() {
    let filesystem = repository().join("plugins/dist/filesystem.wasm");
    let (dir, _) = scratch(&[("a.txt", "mine"), ("dir/b", "too")]);
    let (output, text) =
        check(dir.path(), &[filesystem.to_str().unwrap(), "--root", ".", "--allow-write", "**"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let names = |path: &str| {
        let entries = std::fs::read_dir(dir.path().join(path)).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!((names("."), names("dir")), (vec!["a.txt".into(), "dir".into()], vec!["b".into()]));
    assert_eq!(std::fs::read_to_string(dir.path().join("a.txt")).unwrap(), "mine");
}

#[test]
fn a_tool_that_declares_to_touch_nothing_and_reads_a_folder_fails_the_check() {
    let Some(probe) = built_guest("probe") else { return };
    let wit = std::fs::read_to_string(repository().join("tests/guests/probe/probe.wit")).unwrap();
    let lists = "  /// Lists the names in a directory, sorted.\n";
    let tagged = wit.replace(lists, &format!("{lists}  ///\n  /// @pure\n"));
    assert_ne!(wit, tagged);
    let (dir, _) = scratch(&[("probe.wit", &tagged)]);
    std::fs::copy(probe, dir.path().join("probe.wasm")).unwrap();
    let (output, text) = check(dir.path(), &["probe.wasm", "--calls", "1", "--timeout", "200ms"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lie = "list: it was denied something, though it declares what it touches, in 1 of 1 calls";
    assert!(text.contains(lie), "{text}");
}

#[test]
fn a_config_says_what_it_may_do_and_a_plugin_that_is_not_in_it_is_refused() {
    let dir = dir("", &[("a.toml", "[plugins.my]\npath = \"my.wasm\"\n"), ("b.toml", "")]);
    let (output, text) = check(dir.path(), &["my.wasm", "--config", "a.toml"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let (output, text) = check(dir.path(), &["my.wasm", "--config", "b.toml"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("has no plugin with the path my.wasm"), "{text}");
}
