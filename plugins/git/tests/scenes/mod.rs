//! Repositories to compare on, each made by a script, and how to run one.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

/// Run in an empty folder by `sh`. `c NAME` commits all there is, a minute after the commit before.
pub const SCENES: [(&str, &str); 22] = [
    ("unborn", "echo a > a; git add a; echo b > b; mkdir -p d/e empty; echo x > d/e/x"),
    ("nothing yet", ""),
    ("clean", "echo a > a; c one; echo b >> a; c two"),
    (
        "changes of every kind",
        "seq 1 60 > a; echo b > b; echo c > c; seq 1 40 > move; mkdir d; echo d > d/d; ln -s a link; c one
         sed -i 's/^7$/seven/; s/^50$/fifty/' a; rm b; git mv move d/moved; echo more >> d/moved; git add d; echo new > new
         git add new; printf 'no end' > c; rm link; ln -s b link; echo u > 'un tracked'; echo v > 'qu\"ote'; echo e > e\u{301}\u{e9}",
    ),
    (
        "renames",
        "mkdir a b; seq 1 100 > a/one; seq 200 300 > a/two; seq 400 500 > three; cp three four; echo x > empty-ish; c one
         git mv a/one b/one; echo changed >> b/one; git mv a/two b/zwei; seq 250 260 >> b/zwei; rm three four; seq 400 500 > c-three
         seq 400 499 > b/four; git add -A",
    ),
    (
        "binary files and line ends",
        "printf 'a\\0b' > bin; printf 'a\\r\\nb\\r\\n' > dos; printf 'x\\n' > attr; echo 'attr -diff' > .gitattributes; c one
         printf 'a\\0c' > bin; printf 'a\\r\\nc\\r\\n' > dos; printf 'y\\n' > attr; git rm -q --cached bin; git add bin",
    ),
    (
        "crlf is converted",
        "git config core.autocrlf input; printf 'a\\nb\\n' > a; printf '*.txt text eol=crlf\\n' > .gitattributes
         printf 'x\\r\\ny\\r\\n' > t.txt; c one; printf 'a\\r\\nb\\r\\n' > a; printf 'x\\r\\nz\\r\\n' > t.txt",
    ),
    (
        "packed",
        "for i in 1 2 3 4 5 6 7 8 9; do seq 1 $((i * 10)) > f$i; c $i; done; git gc -q; echo more >> f3; git tag -a v1 -m 'one'
         git pack-refs --all",
    ),
    ("index v4", "git config index.version 4; mkdir -p d/e; seq 1 9 > d/e/f; echo a > a; c one; git update-index --index-version 4; echo b > d/e/g; git add d; echo c >> a"),
    ("index v3", "echo a > a; c one; echo b > b; git add -N b; echo c > c; git add c"),
    (
        "a merge with conflicts",
        "seq 1 20 > a; echo d > del; echo k > keep; c base; git checkout -q -b other; sed -i 's/^5$/five/' a; git rm -q del; echo o > both
         echo o2 > theirs; c theirs; git checkout -q main; sed -i 's/^5$/FIVE/' a; echo x >> del; echo m > both; c ours; git merge -q other || true",
    ),
    (
        "a merge to be concluded",
        "seq 1 20 > a; c base; git checkout -q -b other; sed -i 's/^5$/five/' a; c theirs; git checkout -q main; sed -i 's/^5$/FIVE/' a
         c ours; git merge -q other || true; git checkout -q --theirs a; git add a",
    ),
    (
        "a merge that is done",
        "seq 1 20 > a; c base; git checkout -q -b other; sed -i 's/^5$/five/' a; c theirs; git checkout -q main; echo b > b; c ours
         git merge -q --no-edit other; echo c > c; c after; git branch gone HEAD~2",
    ),
    ("a cherry-pick with conflicts", "echo a > a; c one; git checkout -q -b o; echo b > a; c two; git checkout -q main; echo c > a; c three; git cherry-pick o || true"),
    ("detached", "echo a > a; c one; echo b >> a; c two; git tag v1 HEAD~1; git checkout -q v1"),
    ("detached and moved", "echo a > a; c one; echo b >> a; c two; git checkout -q HEAD~1; echo c > c; c three"),
    (
        "a branch that follows another",
        "echo a > a; c one; git clone -q . ../clone$$; cd ../clone$$; git config core.fileMode false; echo b > b; c two; git checkout -q -b side; c() { :; }
         cp -r . ../back; cd -; rm -rf .git a; cp -r ../back/. .; rm -rf ../back ../clone$$; git checkout -q main",
    ),
    (
        "a submodule",
        "git init -q -b main ../inner; (cd ../inner; echo i > i; c inner); git -c protocol.file.allow=always submodule --quiet add ../inner sub
         echo a > a; c one; (cd sub; echo more > more; c more); git add sub; echo b > b",
    ),
    (
        "a linked worktree",
        "echo wt > .gitignore; echo a > a; c one; git worktree add -q -b side wt; (cd wt; echo b > b; c two); echo c >> a",
    ),
    (
        "ignored",
        "printf '*.o\\n/build/\\n!keep.o\\nd/*\\n!d/x\\n' > .gitignore; mkdir -p build d s/t; echo a > build/a; touch a.o keep.o d/x d/y s/t/z.o
         echo i > s/i; c one; touch s/t/w d/q; mkdir -p s/only; touch s/only/a.o new.o; mkdir new; touch new/f; git init -q new2; git init -q nested; echo n > nested/n",
    ),
    (
        "folders and files in each other's place",
        "mkdir d; echo a > d/a; echo f > f; c one; rm -r d; echo d > d; rm f; mkdir f; echo g > f/g",
    ),
    (
        "names and messages that need care",
        "echo a > 'a b'; mkdir caf\u{e9}; echo b > caf\u{e9}/x; git add -A; git commit -q -m 'subject

\tindented \t tab
  trailing   

last'; printf 'Real Name <real@x> <a@example.com>\\n' > .mailmap; c two; git commit -q --allow-empty --allow-empty-message -m ''",
    ),
];

pub fn sh(dir: &Path, script: &str) -> Vec<u8> {
    const BEFORE: &str = "set -e; n=1700000000
        c() { git add -A; n=$((n + 60)); GIT_AUTHOR_DATE=\"$n +0130\" GIT_COMMITTER_DATE=\"$n +0130\" git commit -q -m \"$1\"; }\n";
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{BEFORE}{script}")]).current_dir(dir);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "A U Thor"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "C O Mitter"),
        ("GIT_COMMITTER_EMAIL", "c@example.com"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
    ] {
        command.env(name, value);
    }
    let output = command.output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {text}");
    output.stdout
}

pub fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no git here to compare with");
    }
    found
}

pub fn scenes(check: impl Fn(&str, &Path)) {
    if !has_git() {
        return;
    }
    for (name, script) in SCENES {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("repo");
        std::fs::create_dir(&root).expect("a folder");
        let script = format!("git init -q -b main; git config core.fileMode false\n{script}");
        sh(&root, &script);
        check(name, &root);
    }
}

pub fn path(dir: &Path) -> &str {
    dir.to_str().expect("UTF-8")
}
