//! What the command line says to somebody who does not know it yet: where a tool is to be had, what a call has changed, what was
//! probably meant.

use std::path::Path;
use std::process::Command;

use crate::support::{inorder, repository};

/// Standard output and error, and the exit code.
fn run(dir: &Path, args: &[&str]) -> (String, String, Option<i32>) {
    let output = inorder().current_dir(dir).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_example_of_calls_that_write_does_what_the_readme_says() {
    let dir = tempfile::tempdir().unwrap();
    let example = repository().join("examples/edits.json");
    let args = ["run", example.to_str().unwrap(), "--no-audit", "--allow-write", "todo.md"];
    let (said, _, code) = run(dir.path(), &args);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("✓ look read_text_file\n  - [x] milk\n  - [x] bread\n"), "{said}");
    assert!(said.contains("--allow-write 'notes.md', would allow it"), "{said}");
    let todo = std::fs::read_to_string(dir.path().join("todo.md")).unwrap();
    assert_eq!(todo, "- [x] milk\n- [x] bread\n");
    let (said, ..) = run(dir.path(), &["log"]);
    assert!(said.contains("✓ bread edit_file\n      modified todo.md"), "{said}");
    let (said, _, code) = run(dir.path(), &["undo"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!dir.path().join("todo.md").exists());
}

#[test]
fn one_tool_is_shown_with_all_that_a_caller_needs() {
    let dir = tempfile::tempdir().unwrap();
    let (said, _, code) = run(dir.path(), &["tools", "edit_file"]);
    assert_eq!(code, Some(0), "{said}");
    for part in ["edit_file(path, edits", "old_text", "inorder call edit_file path=.. edits=.."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (said, _, code) = run(dir.path(), &["tools", "edit_file", "--json"]);
    let tools: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, tools["tools"].as_array().unwrap().len()), (Some(0), 1), "{said}");
    let (_, told, code) = run(dir.path(), &["tools", "edit_files"]);
    assert!(code == Some(2) && told.contains("no tool is named \"edit_files\""), "{told}");
}

#[test]
fn a_standard_tool_that_is_not_loaded_is_said_to_be_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (tool, place) in
        [("git_status", "plugins/dist/git.wasm"), ("run_tests", "plugins/python/build.sh")]
    {
        let (_, told, code) = run(dir.path(), &["call", tool, "--no-audit"]);
        assert!(code == Some(1) && told.contains(place), "{told}");
        let (_, told, code) = run(dir.path(), &["tools", tool]);
        assert!(code == Some(2) && told.contains(place), "{told}");
    }
}

#[test]
fn a_call_that_gives_nothing_says_what_it_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let write = ["call", "write_file", "path=a", "content=x", "--no-audit", "--allow-write", "**"];
    for told in ["created a\n", "modified a\n"] {
        assert_eq!(run(dir.path(), &write), (String::new(), told.to_owned(), Some(0)));
    }
}

#[test]
fn configs_that_grant_less_than_they_seem_to_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("none.toml"), "[limits]\ntimeout = \"1s\"\n").unwrap();
    let (_, told, code) = run(dir.path(), &["tools", "--config", "none.toml"]);
    assert!(code == Some(0) && told.contains("names no plugin"), "{told}");
    for root in ["one", "two"] {
        std::fs::create_dir(dir.path().join(root)).unwrap();
    }
    let roots = ["tools", "--root", "one", "--root", "two"];
    let two = dir.path().join("two").canonicalize().unwrap();
    let note = format!("nothing is granted in the root {}", two.display());
    let (_, told, _) = run(dir.path(), &roots);
    assert!(told.contains(&note), "{told}");
    let granted = format!("{}/**", two.display());
    let (_, told, _) = run(dir.path(), &[roots.as_slice(), &["--allow-read", &granted]].concat());
    assert!(!told.contains(&note), "{told}");
}

#[test]
fn a_call_that_the_host_failed_ends_with_the_exit_code_of_that() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join(".inorder");
    std::fs::create_dir(&ours).unwrap();
    for file in ["lock", ".gitignore"] {
        std::fs::write(ours.join(file), "").unwrap();
    }
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(&ours).output();
    let changed = chattr("+i");
    if !changed.as_ref().is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: no directory can be made immutable here: {changed:?}");
        return;
    }
    // No place for what a commit needs.
    let write = ["call", "write_file", "path=a", "content=x", "--no-audit", "--allow-write", "**"];
    let (_, told, code) = run(dir.path(), &write);
    chattr("-i").unwrap();
    assert!(code == Some(3) && told.starts_with("host: "), "{code:?} {told}");
}
