//! The standard git tools through the host, beside git itself on the same repository. That they answer as
//! git does in each of its states is tested in `plugins/git/tests`; here they run as guests, in batches.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use inorder::{Host, PluginSpec};
use serde_json::{Value, json};

use crate::support::{call, grants, matches, report, repository, scratch};

/// A repository made by a script, and a host with the git and the file tools on it. None where there is no
/// git to compare with.
fn repo(script: &str, write: &[&str]) -> Option<(tempfile::TempDir, Host)> {
    let component = repository().join("plugins/dist/git.wasm");
    if Command::new("git").arg("--version").output().is_err() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(std::io::stderr(), "skipped {test}: there is no git here to compare with");
        return None;
    }
    let (root, builder) = scratch(&[]);
    git(root.path(), &format!("git init -q -b main; git config core.fileMode false\n{script}"));
    let tools = PluginSpec::file(component, grants(&["**"], write));
    let files = PluginSpec::builtin("filesystem", grants(&["**"], write));
    Some((root, builder.plugin(tools).plugin(files).build().unwrap()))
}

fn git(dir: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(dir);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "A U Thor"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "C O Mitter"),
        ("GIT_COMMITTER_EMAIL", "c@example.com"),
        ("LC_ALL", "C"),
    ] {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {err}");
    out.into_owned()
}

const CHANGED: &str = "
    seq 1 50 > a; mkdir d; seq 1 30 > d/moved; printf 'x\\0' > bin; printf 'a\\r\\n' > dos; git add -A; git commit -qm one
    git gc -q; echo more >> a; git commit -qam two; git tag -a v1 -m tagged; git branch side
    sed -i 's/^7$/seven/' a; git mv d/moved d/there; echo y >> bin; printf 'b\\r\\n' > dos; echo new > 'new file'; git add d bin";

#[test]
fn what_the_tools_answer_is_what_git_prints() {
    let Some((root, host)) = repo(CHANGED, &[]) else { return };
    let asked = [
        (json!({"tool": "git_status"}), "git status"),
        (json!({"tool": "git_diff_unstaged"}), "git diff"),
        (json!({"tool": "git_diff_unstaged", "args": {"context_lines": 0}}), "git diff -U0"),
        (json!({"tool": "git_diff_staged"}), "git diff --cached"),
        (json!({"tool": "git_diff", "args": {"target": "HEAD~1"}}), "git diff HEAD~1"),
        (json!({"tool": "git_diff", "args": {"target": "HEAD~1..side"}}), "git diff HEAD~1..side"),
        (json!({"tool": "git_log"}), "git log"),
        (json!({"tool": "git_log", "args": {"path": "d", "max_count": 1}}), "git log -n1 -- d"),
        (json!({"tool": "git_show", "args": {"revision": "v1"}}), "git show v1"),
        (json!({"tool": "git_show", "args": {"revision": "v1:d/moved"}}), "git show v1:d/moved"),
        (
            json!({"tool": "git_blame", "args": {"path": "a", "from": 49}}),
            "git blame HEAD -L49, -- a",
        ),
        (json!({"tool": "git_branch", "args": {"branch_type": "all"}}), "git branch -a"),
    ];
    let calls: Vec<&Value> = asked.iter().map(|(call, _)| call).collect();
    let report = report(&host, &json!({"calls": calls}));
    for ((call, command), result) in asked.iter().zip(report["results"].as_array().unwrap()) {
        assert_eq!(result["value"], git(root.path(), command), "{call}: {result}");
    }
}

#[test]
fn a_repository_in_the_midst_of_a_merge_is_told_and_its_merge_concluded() {
    let script = "
        git config user.name 'A U Thor'; git config user.email a@example.com
        seq 1 9 > a; git add a; git commit -qm base; git checkout -q -b other; sed -i s/5/five/ a; git commit -qam theirs
        git checkout -q main; sed -i s/5/FIVE/ a; git commit -qam ours; git merge -q other || true";
    let Some((root, host)) = repo(script, &["**"]) else { return };
    assert_eq!(call(&host, "git_status", json!({}))["value"], git(root.path(), "git status"));
    let unstaged = call(&host, "git_diff_unstaged", json!({}));
    assert_eq!(unstaged["value"], git(root.path(), "git diff --ours"));
    let early = call(&host, "git_commit", json!({"message": "early"}));
    assert!(
        matches(&early, &json!({"error": {"message": "there are files with conflicts.."}})),
        "{early}"
    );
    let content = "1\n2\n3\n4\nfive!\n6\n7\n8\n9\n";
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "write_file", "args": {"path": "a", "content": content}},
            {"tool": "git_add", "args": {"files": ["a"]}},
            {"tool": "git_status"},
            {"tool": "git_commit", "args": {"message": "Merge other"}},
        ]}),
    );
    let results = report["results"].as_array().unwrap();
    assert!(results.iter().all(|it| it["status"] == "ok"), "{report}");
    assert!(
        results[2]["value"]
            .as_str()
            .unwrap()
            .contains("All conflicts fixed but you are still merging")
    );
    assert_eq!(
        git(root.path(), "git log -1 --format='%s %P'; git rev-parse HEAD^1 HEAD^2")
            .lines()
            .count(),
        3
    );
    assert_eq!(git(root.path(), "git status --porcelain; ls .git | grep MERGE || true"), "");
}

#[test]
fn two_edits_a_new_file_and_a_commit_are_one_batch() {
    let script = "
        git config user.name 'A U Thor'; git config user.email a@example.com; mkdir src
        printf 'fn one() {}\\n\\nfn two() {}\\n' > src/lib.rs; git add -A; git commit -qm first
        printf '#!/bin/sh\\ntouch hook-ran; exit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit";
    let Some((root, host)) = repo(script, &["**"]) else { return };
    let edit = |old: &str, new: &str| {
        let edits = json!([{"old_text": old, "new_text": new}]);
        json!({"tool": "edit_file", "args": {"path": "src/lib.rs", "edits": edits}})
    };
    let report = report(
        &host,
        &json!({"calls": [
            edit("fn one() {}", "fn one() -> u8 { 1 }"),
            edit("fn two() {}", "fn two() -> u8 { 2 }"),
            {"tool": "write_file", "args": {"path": "tests/two.rs", "content": "#[test]\nfn two() {}\n"}},
            {"tool": "git_add", "args": {"files": ["src", "tests"]}},
            {"tool": "git_commit", "args": {"message": "Numbers\n\nand a test"}},
            {"tool": "git_status"},
            {"tool": "git_log", "args": {"max_count": 1}},
        ]}),
    );
    let results = report["results"].as_array().unwrap();
    assert!(results.iter().all(|it| it["status"] == "ok"), "{report}");
    assert_eq!(results[6]["value"], git(root.path(), "git log -n1"));
    assert_eq!(results[5]["value"], git(root.path(), "git status"));
    let shown = git(
        root.path(),
        "git show HEAD:src/lib.rs; git show --format=%B --name-only; git fsck --strict",
    );
    let expected = "fn one() -> u8 { 1 }\n\nfn two() -> u8 { 2 }\nNumbers\n\nand a test\n\n\nsrc/lib.rs\ntests/two.rs\n";
    assert_eq!(shown, expected);
    assert!(!root.path().join("hook-ran").exists(), "hooks are never run");
}

#[test]
fn calls_of_one_batch_that_stage_different_files_all_count() {
    let script = "for n in 1 2 3 4 5 6 7 8; do echo $n > f$n; done";
    let Some((root, host)) = repo(script, &["**"]) else { return };
    let add = |n: u32| json!({"tool": "git_add", "args": {"files": [format!("f{n}")]}});
    let report = report(&host, &json!({"calls": (1..=8).map(add).collect::<Vec<_>>()}));
    let results = report["results"].as_array().unwrap();
    assert!(results.iter().all(|it| it["status"] == "ok"), "{report}");
    assert_eq!(git(root.path(), "git ls-files").lines().count(), 8);
}

#[test]
fn branches_are_made_and_gone_to() {
    let script = "
        git config user.name 'A U Thor'; git config user.email a@example.com
        echo a > a; git add a; git commit -qm one; git checkout -q -b other; mkdir d; echo b > d/b; rm a; git add -A; git commit -qm two
        git checkout -q main; echo kept > kept";
    let Some((root, host)) = repo(script, &["**"]) else { return };
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "git_create_branch", "args": {"branch_name": "third", "base_branch": "other"}},
            {"tool": "git_checkout", "args": {"branch_name": "third"}},
            {"tool": "git_status"},
        ]}),
    );
    assert_eq!(report["results"][1]["value"], "Switched to branch 'third'", "{report}");
    assert_eq!(report["results"][2]["value"], git(root.path(), "git status"));
    assert_eq!(
        git(root.path(), "cat d/b kept; ls; git symbolic-ref HEAD"),
        "b\nkept\nd\nkept\nrefs/heads/third\n"
    );
    std::fs::write(root.path().join("a"), "in the way").unwrap();
    let failed = call(&host, "git_checkout", json!({"branch_name": "main"}));
    let message = "these files that are not tracked would be overwritten: a";
    assert!(matches(&failed, &json!({"error": {"kind": "tool", "message": message}})), "{failed}");
    assert_eq!(
        git(root.path(), "cat a d/b; git symbolic-ref HEAD"),
        "in the wayb\nrefs/heads/third\n"
    );
}

#[test]
fn a_linked_working_tree_is_a_repository_too() {
    let script =
        "echo a > a; git add a; git commit -qm one; git worktree add -q -b side wt; echo b >> wt/a";
    let Some((root, host)) = repo(script, &["**"]) else { return };
    let linked = root.path().join("wt");
    for (tool, command) in [
        ("git_status", "git status"),
        ("git_diff_unstaged", "git diff"),
        ("git_branch", "git branch"),
    ] {
        let answer = call(&host, tool, json!({"repo_path": "wt"}));
        assert_eq!(answer["value"], git(&linked, command), "{answer}");
    }
    let added = call(&host, "git_add", json!({"files": ["."], "repo_path": "wt"}));
    assert_eq!(added["status"], "ok", "{added}");
    assert_eq!(git(&linked, "git status --porcelain"), "M  a\n");
}

#[test]
fn nothing_is_changed_without_a_grant_and_options_are_refused() {
    let Some((root, host)) = repo(CHANGED, &[]) else { return };
    let before = git(root.path(), "git status; git diff --cached; ls -A .git");
    for (tool, args, expected) in [
        ("git_add", json!({"files": ["a"]}), json!({"kind": "denied"})),
        ("git_reset", json!({}), json!({"kind": "denied"})),
        (
            "git_add",
            json!({"files": ["-A"]}),
            json!({"kind": "tool", "message": "..cannot start with '-'"}),
        ),
        (
            "git_show",
            json!({"revision": "--output=x"}),
            json!({"message": "..cannot start with '-'"}),
        ),
        ("git_diff", json!({"target": "-a"}), json!({"message": "..cannot start with '-'"})),
        (
            "git_checkout",
            json!({"branch_name": "-b"}),
            json!({"message": "..cannot start with '-'"}),
        ),
        ("git_status", json!({"repo_path": "d"}), json!({"message": "d: not a git repository.."})),
        (
            "git_show",
            json!({"revision": "nothing"}),
            json!({"message": "nothing: names no commit.."}),
        ),
    ] {
        let answer = call(&host, tool, args.clone());
        assert!(matches(&answer, &json!({"error": expected})), "{tool} {args}: {answer}");
    }
    assert_eq!(git(root.path(), "git status; git diff --cached; ls -A .git"), before);
}
