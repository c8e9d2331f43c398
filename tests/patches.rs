//! The diff of a dry run is a patch: `git apply` and `patch` make of the files what the batch would have made.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use inorder::{Batch, Effect, Host, Report, RunOptions};
use serde_json::{Value, json};

use crate::support::{block_on, grants, guest, scratch};

/// Who applies a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Git,
    /// GNU's, which reads what git writes, but for some of it.
    Patch,
}

fn run(host: &Host, effect: Effect, calls: &Value) -> Report {
    let batch = Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap();
    let plan = host.plan(batch).unwrap();
    let report = block_on(host.execute(plan, RunOptions { effect, ..RunOptions::default() }));
    assert!(report.all_ok(), "{report:?}");
    report
}

/// Every file beneath a directory, but ours and git's.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let (mut files, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                left.extend(Some(path).filter(|_| name != ".inorder" && name != ".git"));
            } else {
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

fn applied(by: By, root: &Path, diff: &str) -> String {
    std::fs::write(root.join("../patch.diff"), diff).unwrap();
    let script = match by {
        By::Git => "git init -q; git apply --whitespace=nowarn ../patch.diff",
        By::Patch => "patch -p1 --binary -s -i ../patch.diff",
    };
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(root).stdin(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A dry run of `calls`, of which `by` makes of the files what the calls themselves make of them.
fn check(by: &[By], files: &[(&str, &str)], calls: &Value) {
    let Some(spec) = guest("fileops") else { return };
    let host = || {
        let mut spec = spec.clone();
        spec.grants = grants(&[], &["**"]);
        let (root, builder) = scratch(files);
        (root, builder.plugin(spec).build().unwrap())
    };
    let (real, host_of_real) = host();
    run(&host_of_real, Effect::Commit, calls);
    let (dry, host_of_dry) = host();
    let diff = run(&host_of_dry, Effect::DryRun, calls).diff.unwrap();
    drop(dry);
    for &by in by {
        let program = format!("{by:?}").to_lowercase();
        if Command::new(&program).arg("--version").output().is_err() {
            continue;
        }
        let within = tempfile::tempdir().unwrap();
        let root = within.path().join("root");
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir_all(&root).unwrap();
        let said = applied(by, &root, &diff);
        assert_eq!(tree(&root), tree(real.path()), "by {program}: {said}\n{calls}\n{diff}");
    }
}

const BOTH: &[By] = &[By::Git, By::Patch];

fn rename(source: &str, target: &str) -> Value {
    json!({"tool": "rename", "args": {"source": source, "target": target}})
}

fn write(path: &str, text: &str) -> Value {
    json!({"tool": "write", "args": {"path": path, "text": text}})
}

fn remove(path: &str) -> Value {
    json!({"tool": "remove", "args": {"path": path}})
}

#[test]
fn what_a_rename_replaces_is_gone_after_it() {
    let files = [("a", "A1\nA2\n"), ("b", "B\n"), ("c", "C\n"), ("d/a", "DA\n"), ("d/p", "DP\n")];
    let link = json!({"tool": "hard_link", "args": {"source": "a", "target": "b"}});
    for calls in [
        json!([rename("a", "b")]),
        json!([rename("a", "b"), write("b", "A1\nA3\n")]),
        json!([rename("a", "b"), write("a", "new\n")]),
        json!([remove("b"), link]),
        // A chain, the end of which is lost; a swap; and both by way of a directory that moves.
        json!([rename("b", "c"), rename("a", "b")]),
        json!([rename("a", "t"), rename("b", "a"), rename("t", "b")]),
        json!([rename("d/a", "d/p"), rename("d", "e")]),
        json!([rename("d", "e"), rename("e/a", "e/p")]),
        json!([rename("d", "e"), rename("e/a", "b")]),
    ] {
        check(&[By::Git], &files, &calls);
    }
    check(&[By::Patch], &files, &json!([rename("a", "b"), write("b", "A1\nA3\n")]));
}

#[test]
fn a_directory_moves_with_all_that_is_in_it() {
    let files = [("d/q", "1\n2\n"), ("d/r", "r\n"), ("d/s/t", "t\n"), ("x/q", "X\n")];
    let rmdir = json!({"tool": "rmdir", "args": {"path": "x"}});
    let mkdir = json!({"tool": "mkdir", "args": {"path": "y"}});
    for calls in [
        json!([rename("d", "e")]),
        json!([mkdir, rename("d", "y")]),
        json!([rename("d", "e"), write("e/q", "1\n3\n"), write("e/new", "n\n")]),
        json!([rename("d", "e"), remove("e/r"), rename("e/s", "e/u")]),
        json!([remove("x/q"), rmdir, rename("d", "x"), write("x/q", "1\n3\n")]),
    ] {
        check(&[By::Git], &files, &calls);
    }
    check(&[By::Patch], &files, &json!([rename("d", "e"), write("e/q", "1\n3\n")]));
}

#[test]
fn names_are_as_git_writes_them() {
    for name in ["a b", " a ", "a\tb", "a\nb", "\"a", "a\\tb", "é", "-a", "x b/y", "\u{2028}"] {
        let files = [(name, "1\n2\n")];
        check(BOTH, &files, &json!([write(name, "1\n3\n")]));
        check(BOTH, &files, &json!([rename(name, "c d"), write("c d", "1\n3\n")]));
        check(BOTH, &files, &json!([remove(name), write("new one", "1\n")]));
    }
}

#[test]
fn files_of_nothing_come_and_go() {
    let files = [("empty", ""), ("full", "1\n")];
    check(BOTH, &files, &json!([remove("empty")]));
    check(BOTH, &files, &json!([write("new", ""), write("full", "")]));
    check(BOTH, &files, &json!([write("empty", "1\n2")]));
}

#[test]
fn the_mode_of_what_is_removed_is_its_own() {
    let Some(mut spec) = guest("fileops") else { return };
    spec.grants = grants(&[], &["**"]);
    let (root, builder) = scratch(&[("run.sh", "1\n")]);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(root.path().join("run.sh"), mode).unwrap();
    let host = builder.plugin(spec).build().unwrap();
    let diff = run(&host, Effect::DryRun, &json!([remove("run.sh")])).diff.unwrap();
    assert!(diff.contains("\ndeleted file mode 100755\n"), "{diff}");
}
