//! The tools that change a repository beside git: each step is done by them in one copy and by git in
//! another; then both have to hold the same.

mod scenes;

use std::path::Path;

use scenes::{path, scenes, sh};

const NOW: i64 = 1_800_000_000;

/// What there is in a repository, apart from times and names of commits.
const STATE: &str = "git ls-files -s; git status --porcelain=v1; git symbolic-ref HEAD || true; ls .git | grep _HEAD || true
    git log --all --format='%T %an %cn %ae %s%n%b' --date-order || true; git branch";

/// Does `ours` in the scene and `theirs` in a copy of it, and compares.
fn beside(scene: &str, dir: &Path, ours: impl Fn(&str), theirs: &str) {
    let copy = dir.with_file_name("copy");
    sh(dir, &format!("rm -rf {0}; cp -a . {0}", copy.display()));
    ours(path(dir));
    sh(&copy, theirs);
    let text = |dir: &Path| String::from_utf8_lossy(&sh(dir, STATE)).into_owned();
    let (expected, found) = (text(&copy), text(dir));
    assert!(found == expected, "{scene}: {theirs}\n--- git\n{expected}--- ours\n{found}");
    sh(dir, "git fsck --strict --no-dangling");
}

#[test]
fn files_are_added_as_by_git() {
    scenes(|scene, dir| {
        if scene == "ignored" {
            let error = git::add::add(path(dir), &[".".into()]).expect_err("a nested repository");
            assert!(error.contains("a repository of its own"), "{error}");
            let error = git::add::add(path(dir), &["a.o".into()]).expect_err("it is ignored");
            assert!(error.contains("ignored"), "{error}");
            for folder in ["d", "s", "new"] {
                let add = |path: &str| drop(git::add::add(path, &[folder.into()]).expect("added"));
                beside(scene, dir, add, &format!("git add {folder}"));
            }
            return;
        }
        let add = |path: &str| drop(git::add::add(path, &["./".into()]).expect("added"));
        beside(scene, dir, add, "git add .");
    });
}

#[test]
fn single_files_are_added_as_by_git() {
    scenes(|scene, dir| {
        let files =
            String::from_utf8_lossy(&sh(dir, "git ls-files -z -m -d | sort -zu | tr '\\0' '\\n'"))
                .into_owned();
        for file in files.lines() {
            let add = |path: &str| drop(git::add::add(path, &[file.to_owned()]).expect("added"));
            beside(scene, dir, add, &format!("git add -- '{}'", file.replace('\'', "'\\''")));
        }
    });
}

#[test]
fn commits_are_those_of_git() {
    scenes(|scene, dir| {
        if scene.contains("cherry-pick") || scene == "ignored" {
            return;
        }
        sh(dir, "git config user.name 'A U Thor'; git config user.email a@example.com");
        sh(dir, "git add .");
        let ready = "git diff --cached --quiet && ! test -f .git/MERGE_HEAD || echo yes";
        if sh(dir, ready).is_empty() {
            let error = git::commit::commit(path(dir), "m", NOW).expect_err("nothing is staged");
            assert!(error.starts_with("nothing to commit"), "{error}");
            return;
        }
        let commit = |path: &str| {
            git::commit::commit(path, "a message  \n\n\n\nwith more", NOW).expect("committed");
        };
        let theirs = "GIT_COMMITTER_NAME='A U Thor' GIT_AUTHOR_NAME='A U Thor' git commit -q -m 'a message  \n\n\n\nwith more'";
        beside(scene, dir, commit, theirs);
    });
}

#[test]
fn a_reset_is_that_of_git() {
    scenes(|scene, dir| {
        let reset = |path: &str| drop(git::add::reset(path).expect("reset"));
        beside(scene, dir, reset, "git reset -q");
    });
}

#[test]
fn branches_are_made_as_by_git() {
    scenes(|scene, dir| {
        let path = path(dir);
        sh(dir, "git config user.name 'A U Thor'; git config user.email a@example.com");
        if sh(dir, "git rev-parse -q --verify HEAD || true").len() < 2 {
            git::create::create_branch(path, "new", None, NOW).expect_err("there is no commit");
            return;
        }
        for (name, base) in [("new", None), ("a/b", Some("HEAD")), ("c", Some("main"))] {
            let create = |path: &str| {
                git::create::create_branch(path, name, base, NOW).expect("created");
            };
            let theirs = format!("git branch --no-track {name} {}", base.unwrap_or_default());
            beside(scene, dir, create, &theirs);
        }
        for (name, says) in [
            ("new", "already exists"),
            ("new/x", "exists; cannot create"),
            ("a", "exists; cannot create"),
            ("-d", "cannot start with '-'"),
            ("a..b", "not a valid branch name"),
            ("HEAD", "not a valid branch name"),
            ("x.lock", "not a valid branch name"),
            ("../../config", "not a valid branch name"),
        ] {
            let error = git::create::create_branch(path, name, None, NOW).expect_err(name);
            assert!(error.contains(says), "{name}: {error}");
        }
    });
}

#[test]
fn a_checkout_is_that_of_git_or_fails_where_git_fails() {
    let done = std::cell::Cell::new(0);
    scenes(|scene, dir| {
        sh(dir, "git config user.name 'A U Thor'; git config user.email a@example.com");
        if scene.contains("conflicts") || scene.contains("to be concluded") || scene == "index v3" {
            return;
        }
        let commits = String::from_utf8(sh(
            dir,
            "git rev-list --all; git for-each-ref --format='%(refname:short)' refs/heads",
        ));
        for target in commits.expect("names").lines() {
            let copy = dir.with_file_name("copy");
            sh(dir, &format!("rm -rf {0}; cp -a . {0}", copy.display()));
            let ours = git::checkout::checkout(path(&copy), target, NOW);
            let theirs = sh(dir, &format!("git checkout -q {target} 2>&1 && echo fine || true"));
            let fine = String::from_utf8_lossy(&theirs).contains("fine");
            match &ours {
                Err(error) if error.contains("none of which can be") => continue,
                Err(error) => assert!(!fine, "{scene}: {target}: {error}"),
                Ok(_) => assert!(fine, "{scene}: {target}: {}", String::from_utf8_lossy(&theirs)),
            }
            let state = format!(
                "{STATE}; git status; find . -path ./.git -prune -o -print0 | sort -z | xargs -0 ls -dF; git diff"
            );
            let text = |dir: &Path| String::from_utf8_lossy(&sh(dir, &state)).into_owned();
            let (expected, found) = (text(dir), text(&copy));
            // A call that failed may have written, which the host drops.
            assert!(
                ours.is_err() || found == expected,
                "{scene}: {target}\n--- git\n{expected}--- ours\n{found}"
            );
            done.set(done.get() + usize::from(fine));
        }
    });
    println!("{} checkouts", done.get());
}

#[test]
fn what_another_git_is_at_is_left_alone() {
    scenes(|scene, dir| {
        if scene != "changes of every kind" {
            return;
        }
        sh(dir, "touch .git/index.lock");
        for error in [git::add::add(path(dir), &["a".into()]), git::add::reset(path(dir))] {
            let error = error.expect_err("it is locked");
            assert!(error.contains("another git process"), "{error}");
        }
    });
}

#[test]
fn what_must_not_be_added_is_refused() {
    scenes(|scene, dir| {
        if scene != "clean" {
            return;
        }
        for (file, says) in [
            ("-A", "cannot start with '-'"),
            ("../x", "within the repository"),
            ("/etc/passwd", "within the repository"),
            (".git/config", "in .git"),
            ("x/.GIT/config", "in .git"),
            ("nowhere", "did not match any files"),
        ] {
            let error = git::add::add(path(dir), &[file.into()]).expect_err(file);
            assert!(error.contains(says), "{file}: {error}");
        }
        let error = git::commit::commit(path(dir), "  \n", NOW).expect_err("no message");
        assert!(error.contains("empty"), "{error}");
        let error = git::commit::commit(path(dir), "m", NOW).expect_err("nothing");
        assert!(error.contains("nothing to commit"), "{error}");
        sh(dir, "echo new > new");
        git::add::add(path(dir), &["new".into()]).expect("added");
        let error = git::commit::commit(path(dir), "m", NOW).expect_err("nobody");
        assert!(error.contains("who commits is not known"), "{error}");
    });
}

/// Commits are anybody's: what is in them is made by plumbing, which does not ask.
#[test]
fn a_commit_that_would_write_into_the_repository_or_through_a_link_is_not_checked_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().join("r");
    std::fs::create_dir(&dir).expect("made");
    sh(
        &dir,
        "git init -q -b main .; echo a > a; git add a; git -c user.name=x -c user.email=x commit -qm one
         blob=$(echo evil | git hash-object -w --stdin); link=$(printf .git/hooks | git hash-object -w --stdin)
         keep=$(git rev-parse HEAD:a)
         tree() { printf \"$1\" | git mktree --missing; }
         commit() { git branch $1 $(git -c user.name=x -c user.email=x commit-tree -p main -m $1 $2); }
         hooks=$(tree \"100644 blob $blob\\tpost-checkout\\n\")
         commit hook $(tree \"40000 tree $(tree \"40000 tree $hooks\\thooks\\n\")\\t.git\\n100644 blob $keep\\ta\\n\")
         commit loud $(tree \"40000 tree $hooks\\t.GIT\\n100644 blob $keep\\ta\\n\")
         commit dir $(tree \"100644 blob $blob\\t.git\\n100644 blob $keep\\ta\\n\")
         commit short $(tree \"40000 tree $hooks\\tgit~1\\n100644 blob $keep\\ta\\n\")
         commit beyond $(tree \"100644 blob $keep\\ta\\n40000 tree $hooks\\tlinkd\\n\")
         ln -s .git/hooks linkd",
    );
    let before = sh(&dir, "ls -la .git .git/hooks | grep -v logs; git status --porcelain");
    for branch in ["hook", "loud", "dir", "short", "beyond"] {
        let error = git::checkout::checkout(path(&dir), branch, NOW).expect_err(branch);
        assert!(
            error.contains("invalid path") || error.contains("beyond a symbolic link"),
            "{branch}: {error}"
        );
    }
    assert_eq!(sh(&dir, "ls -la .git .git/hooks | grep -v logs; git status --porcelain"), before);
}
