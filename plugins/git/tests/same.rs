//! The tools beside git itself: each scene is a repository made by a script, on which both are asked the
//! same and have to answer the same, byte for byte.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod scenes;

use std::path::Path;

use git::branch::Which;
use git::log::Query;
use scenes::{path, scenes, sh};

const NOW: i64 = 1_800_000_000;

fn same(scene: &str, dir: &Path, ours: Result<String, String>, theirs: &str) {
    let expected = String::from_utf8_lossy(&sh(dir, theirs)).into_owned();
    let ours = ours.unwrap_or_else(|error| panic!("{scene}: {theirs}: {error}"));
    assert!(ours == expected, "{scene}: {theirs}\n--- git\n{expected}--- ours\n{ours}");
}

fn born(dir: &Path) -> bool {
    sh(dir, "git rev-parse -q --verify HEAD || true").len() > 1
}

#[test]
fn status_is_git_s() {
    scenes(|scene, dir| same(scene, dir, git::status::status(path(dir)), "git status"));
}

#[test]
fn differences_are_git_s() {
    scenes(|scene, dir| {
        let path = path(dir);
        // A file with conflicts is shown as `--ours` does.
        let ours = if scene.contains("conflicts") { " --ours" } else { "" };
        same(scene, dir, git::diff::unstaged(path, None), &format!("git diff{ours}"));
        same(scene, dir, git::diff::unstaged(path, Some(0)), &format!("git diff{ours} -U0"));
        same(scene, dir, git::diff::staged(path, None), "git diff --cached");
        if born(dir) {
            same(scene, dir, git::diff::with(path, "HEAD", Some(1)), "git diff HEAD -U1");
            let first = String::from_utf8(sh(dir, "git rev-list HEAD | tail -1")).expect("an id");
            same(
                scene,
                dir,
                git::diff::with(path, first.trim(), None),
                &format!("git diff {first}"),
            );
            let range = format!("{}..HEAD", first.trim());
            same(scene, dir, git::diff::with(path, &range, None), &format!("git diff {range}"));
        }
    });
}

#[test]
fn history_is_git_s() {
    scenes(|scene, dir| {
        let path = path(dir);
        let all = Query { most: None, since: None, until: None, path: None };
        if !born(dir) {
            let error = git::log::log(path, &all, NOW).expect_err("there are no commits");
            assert_eq!(error, "your current branch 'main' does not have any commits yet");
            return;
        }
        same(scene, dir, git::log::log(path, &all, NOW), "git log -n10");
        let query = Query { most: Some(2), ..all };
        same(scene, dir, git::log::log(path, &query, NOW), "git log -n2");
        let query = Query { since: Some("@1700000061"), until: Some("@1700000180"), ..all };
        let range = "git log --since=@1700000061 --until=@1700000180";
        same(scene, dir, git::log::log(path, &query, NOW), range);
        for file in ["a", "d", "d/e/f", "b", "nowhere"] {
            let query = Query { path: Some(file), ..all };
            same(scene, dir, git::log::log(path, &query, NOW), &format!("git log -n10 -- {file}"));
        }
    });
}

#[test]
fn commits_and_other_objects_are_shown_as_by_git() {
    scenes(|scene, dir| {
        if !born(dir) {
            return;
        }
        let path = path(dir);
        let ids = String::from_utf8(sh(dir, "git rev-list HEAD")).expect("ids");
        for id in ids.lines() {
            let theirs = format!("git show --diff-merges=first-parent {id}");
            same(scene, dir, git::log::show(path, id), &theirs);
        }
        same(scene, dir, git::log::show(path, "HEAD^{tree}"), "git show HEAD^{tree}");
        let files = String::from_utf8(sh(
            dir,
            "git ls-tree -r -z --name-only HEAD | grep -vzx sub | tr '\\0' '\\n'",
        ));
        for file in files.expect("names").lines() {
            let revision = format!("HEAD:{file}");
            same(scene, dir, git::log::show(path, &revision), &format!("git show 'HEAD:{file}'"));
        }
        for tag in String::from_utf8(sh(dir, "git tag")).expect("names").lines() {
            let theirs = format!("git show --diff-merges=first-parent {tag}");
            same(scene, dir, git::log::show(path, tag), &theirs);
        }
    });
}

#[test]
fn branches_are_listed_as_by_git() {
    scenes(|scene, dir| {
        let path = path(dir);
        for (which, flag) in [(Which::Local, ""), (Which::Remote, "-r"), (Which::All, "-a")] {
            same(
                scene,
                dir,
                git::branch::branch(path, which, None, None),
                &format!("git branch {flag}"),
            );
            if born(dir) {
                let ours = git::branch::branch(path, which, Some("HEAD"), None);
                same(scene, dir, ours, &format!("git branch {flag} --contains HEAD"));
                let ours = git::branch::branch(path, which, None, Some("HEAD"));
                same(scene, dir, ours, &format!("git branch {flag} --no-contains HEAD"));
            }
        }
    });
}

#[test]
fn lines_are_blamed_as_by_git() {
    scenes(|scene, dir| {
        if !born(dir) {
            return;
        }
        let files = String::from_utf8(sh(
            dir,
            "git ls-tree -r -z --name-only HEAD | grep -vzx sub | tr '\\0' '\\n'",
        ));
        for file in files.expect("names").lines() {
            let theirs = format!("git blame HEAD -- '{file}'");
            same(scene, dir, git::blame::blame(path(dir), file, None, None), &theirs);
        }
    });
}
