//! Ways out of a root, out of a grant and out of a declaration, each tried by a guest.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use inorder::{Host, PluginSpec};
use serde_json::{Value, json};

use crate::support::{built_guest, calc, call, grants, guest, matches, report, scratch};

const SECRET: &str = "the secret";

/// A root `in` beside a secret, and a host with `fileops` on the root.
fn host(
    files: &[(&str, &str)],
    read: &[&str],
    write: &[&str],
) -> Option<(tempfile::TempDir, Host)> {
    let mut spec = guest("fileops")?;
    spec.grants = grants(read, write);
    let mut all = vec![("secret", SECRET), ("out/secret", SECRET), ("in/here", "here")];
    let inside: Vec<String> = files.iter().map(|(path, _)| format!("in/{path}")).collect();
    all.extend(inside.iter().zip(files).map(|(path, (_, content))| (path.as_str(), *content)));
    let (dir, _) = scratch(&all);
    let host = Host::builder().root(dir.path().join("in")).plugin(spec).build().unwrap();
    Some((dir, host))
}

fn error(host: &Host, tool: &str, args: Value) -> String {
    let result = call(host, tool, args);
    assert_eq!(result["status"], "error", "{tool}: {result}");
    result["error"]["message"].as_str().unwrap().to_owned()
}

/// The name of the error alone.
fn name(host: &Host, tool: &str, args: Value) -> String {
    let message = error(host, tool, args);
    message.split([';', ' ']).next().unwrap().to_owned()
}

fn value(host: &Host, tool: &str, args: Value) -> Value {
    let mut result = call(host, tool, args);
    assert_eq!(result["status"], "ok", "{tool}: {result}");
    result["value"].take()
}

fn unharmed(dir: &Path) {
    assert_eq!(std::fs::read_to_string(dir.join("secret")).unwrap(), SECRET);
    assert_eq!(std::fs::read_to_string(dir.join("out/secret")).unwrap(), SECRET);
    assert_eq!(std::fs::read_dir(dir.join("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 3);
}

#[test]
fn no_path_leads_out_of_the_root() {
    let Some((dir, host)) = host(&[("d/f", "f")], &["**"], &["**"]) else { return };
    let (top, root) = (dir.path().canonicalize().unwrap(), dir.path().join("in"));
    for (target, link) in [
        ("../secret", "up"),
        ("d/../../secret", "up2"),
        ("up", "chain"),
        ("chain", "chain2"),
        ("loop", "loop"),
        ("/proc/self/fd", "fds"),
        ("/proc/self/root", "magic"),
        ("/proc/self/cwd", "cwd"),
        ("/", "slash"),
        ("..", "parent"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(top.join("secret"), root.join("absolute")).unwrap();
    symlink(top.join("in/d"), root.join("into")).unwrap();
    // The same beginning is not the same directory.
    std::fs::create_dir(root.with_file_name("in2")).unwrap();
    symlink(top.join("in2"), root.join("similar")).unwrap();
    symlink(top.join("in/../secret"), root.join("dotted")).unwrap();
    for path in [
        "../secret",
        "d/../../secret",
        "./d/./../../secret",
        "up",
        "up2",
        "chain2",
        "fds/0",
        "magic/etc/passwd",
        "cwd/Cargo.toml",
        "slash/etc/passwd",
        "parent/secret",
        "absolute",
        "similar/x",
        "dotted",
        "up/",
        "parent/out/secret",
        "into/../../secret",
    ] {
        let read = name(&host, "read", json!({"path": path}));
        assert!(["perm", "notdir", "loop"].contains(&&*read), "{path}: {read}");
        for tool in ["write", "create_new", "append"] {
            let written = name(&host, tool, json!({"path": path, "text": "x"}));
            assert!(
                ["perm", "notdir", "exist", "isdir"].contains(&&*written),
                "{tool} {path}: {written}"
            );
        }
        for tool in ["mkdir", "remove_tree", "list", "walk"] {
            // A symlink at the end may be removed itself.
            if tool != "remove_tree" || path.contains('/') {
                call(&host, tool, json!({"path": path}));
            }
        }
        call(&host, "rename", json!({"source": "here", "target": format!("{path}/moved")}));
        call(&host, "hard_link", json!({"source": path, "target": "linked"}));
        call(&host, "symlink", json!({"target": "x", "path": format!("{path}/made")}));
        call(&host, "touch", json!({"path": path, "mtime": 5}));
    }
    assert_eq!(name(&host, "read", json!({"path": "loop"})), "loop");
    assert_eq!(value(&host, "read", json!({"path": "into/f"})), "f");
    // What it is given as an absolute path outside is not there for a guest.
    for path in ["/etc/passwd", "/proc/self/environ", "/", top.join("secret").to_str().unwrap()] {
        error(&host, "read", json!({"path": path}));
        // For some C libraries, `/` is where they start.
        if path != "/" {
            error(&host, "list", json!({"path": path}));
        }
    }
    assert_eq!(value(&host, "read", json!({"path": top.join("in/d/f")})), "f");
    assert_eq!(name(&host, "symlink", json!({"target": "/etc", "path": "new"})), "perm");
    assert_eq!(name(&host, "readlink", json!({"path": "absolute"})), "perm");
    // A symlink made by a guest is as little a way out, and is moved as itself.
    value(&host, "symlink", json!({"target": "../../secret", "path": "d/made"}));
    assert_eq!(name(&host, "read", json!({"path": "d/made"})), "perm");
    value(&host, "rename", json!({"source": "d/made", "target": "made"}));
    assert_eq!(name(&host, "write", json!({"path": "made", "text": "x"})), "perm");
    std::fs::remove_dir(root.with_file_name("in2")).unwrap();
    unharmed(dir.path());
}

#[test]
fn what_is_swapped_under_a_call_leads_nowhere() {
    let Some((dir, host)) =
        host(&[("f", "in"), ("d/secret", "in"), ("d2/secret", "in")], &["**"], &["**"])
    else {
        return;
    };
    let root = dir.path().join("in");
    let done = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let (file, link) = (root.join(".f"), root.join(".l"));
            let mut swaps = 0u32;
            while !done.load(Ordering::Relaxed) {
                // A file and a symlink to the secret, a directory and one to outside, by turns.
                let _ = symlink("../secret", &link);
                let _ = std::fs::rename(&link, root.join("f"));
                let _ = std::fs::rename(root.join("d"), root.join("kept"));
                let _ = symlink(dir.path().join("out"), root.join("d"));
                std::thread::yield_now();
                let _ = std::fs::write(&file, "in");
                let _ = std::fs::rename(&file, root.join("f"));
                let _ = std::fs::remove_file(root.join("d"));
                let _ = std::fs::rename(root.join("kept"), root.join("d"));
                swaps += 1;
            }
            swaps
        });
        for _ in 0..60 {
            let tools = [
                ("read", json!({"path": "f"})),
                ("read", json!({"path": "d/secret"})),
                ("write", json!({"path": "f", "text": "bad"})),
                ("write", json!({"path": "d/secret", "text": "bad"})),
                ("append", json!({"path": "d/secret", "text": "bad"})),
                ("create_new", json!({"path": "d/bad", "text": "bad"})),
                ("walk", json!({"path": "."})),
                ("list", json!({"path": "d"})),
                ("remove", json!({"path": "d/bad"})),
                ("replace", json!({"path": "d/secret", "old": "in", "new": "bad"})),
                ("mkdir", json!({"path": "d/made"})),
                ("rename", json!({"source": "d/secret", "target": "got"})),
                ("read", json!({"path": "got"})),
                ("rename", json!({"source": "got", "target": "d/secret"})),
                ("touch", json!({"path": "d/secret", "mtime": 5})),
                ("hard_link", json!({"source": "d/secret", "target": "linked"})),
                ("read", json!({"path": "linked"})),
                ("remove_tree", json!({"path": "d/made"})),
                ("remove", json!({"path": "linked"})),
            ];
            let calls: Vec<Value> =
                tools.iter().map(|(tool, args)| json!({"tool": tool, "args": args})).collect();
            let report = report(&host, &json!({"calls": calls}));
            assert!(!report.to_string().contains(SECRET), "{report}");
            unharmed(dir.path());
        }
        done.store(true, Ordering::Relaxed);
        swapper.join().unwrap()
    });
    assert!(swaps > 30, "only {swaps} swaps");
    let time = std::fs::metadata(dir.path().join("out/secret")).unwrap().modified().unwrap();
    assert!(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() > 5);
}

#[test]
fn a_directory_swapped_between_run_and_commit_is_not_written_through() {
    for (tool, args) in [
        ("write", json!({"path": "d/f", "text": "bad", "slow": 300})),
        ("append", json!({"path": "d/e/f", "text": "bad", "slow": 300})),
        ("replace", json!({"path": "d/f", "old": "in", "new": "bad", "slow": 300})),
        ("create_tree", json!({"path": "d/x/y", "slow": 300})),
        ("remove", json!({"path": "d/f", "slow": 300})),
    ] {
        let Some((dir, host)) = host(&[("d/f", "in"), ("d/e/f", "in")], &["**"], &["**"]) else {
            return;
        };
        let root = dir.path().join("in");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(150));
                std::fs::rename(root.join("d"), root.join("gone")).unwrap();
                symlink("../out", root.join("d")).unwrap();
            });
            let result = call(&host, tool, args);
            assert_eq!(result["status"], "error", "{tool}: {result}");
        });
        unharmed(dir.path());
        assert_eq!(std::fs::read_to_string(root.join("gone/f")).unwrap(), "in");
    }
}

#[test]
fn a_file_with_a_name_outside_may_be_read_but_not_written() {
    let Some((dir, host)) =
        host(&[("work/f", "f"), ("private/g", "g")], &["work/**"], &["work/**"])
    else {
        return;
    };
    let root = dir.path().join("in");
    std::fs::hard_link(dir.path().join("secret"), root.join("work/outside")).unwrap();
    std::fs::hard_link(root.join("private/g"), root.join("work/inside")).unwrap();
    std::fs::hard_link(root.join("work/f"), root.join("work/both")).unwrap();
    assert_eq!(value(&host, "read", json!({"path": "work/outside"})), SECRET);
    for path in ["work/outside", "work/inside"] {
        for (tool, args) in [
            ("write", json!({"path": path, "text": "x"})),
            ("append", json!({"path": path, "text": "x"})),
            ("write_at", json!({"path": path, "offset": 1, "text": "x"})),
            ("truncate", json!({"path": path, "size": 0})),
            ("touch", json!({"path": path, "mtime": 5})),
        ] {
            let message = error(&host, tool, args);
            assert!(message.contains("hard links"), "{tool} {path}: {message}");
        }
    }
    value(&host, "write", json!({"path": "work/both", "text": "new"}));
    assert_eq!(std::fs::read_to_string(root.join("work/f")).unwrap(), "new");
    // Renaming and removing the name inside reaches no further.
    value(&host, "rename", json!({"source": "work/outside", "target": "work/moved"}));
    value(&host, "remove", json!({"path": "work/moved"}));
    unharmed(dir.path());
    assert_eq!(std::fs::read_to_string(root.join("private/g")).unwrap(), "g");
}

#[test]
fn odd_names_are_names() {
    let Some((dir, host)) = host(&[("a", "lower"), ("A", "upper"), ("d/f", "f")], &["**"], &["**"])
    else {
        return;
    };
    let root = dir.path().join("in");
    std::fs::write(root.join("d").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "odd").unwrap();
    assert_eq!(value(&host, "list", json!({"path": "d"})), json!(["f file"]));
    value(&host, "remove", json!({"path": "d/f"}));
    assert_eq!(name(&host, "rmdir", json!({"path": "d"})), "notempty");
    let both =
        [value(&host, "read", json!({"path": "a"})), value(&host, "read", json!({"path": "A"}))];
    assert_eq!(both, ["lower", "upper"]);
    let long = "n".repeat(255);
    value(&host, "write", json!({"path": long, "text": "x"}));
    assert_eq!(
        name(&host, "write", json!({"path": format!("{long}n"), "text": "x"})),
        "nametoolong"
    );
    for path in ["a/".repeat(1 << 19), "d/../".repeat(1 << 18), "x".repeat(1 << 20)] {
        assert_eq!(name(&host, "read", json!({"path": path})), "nametoolong");
    }
    error(&host, "read", json!({"path": "a\0b"}));
}

#[test]
fn what_the_host_keeps_is_not_there_for_guests() {
    let Some((dir, host)) = host(&[("d/f", "f")], &["**"], &["**"]) else { return };
    let root = dir.path().join("in");
    // Before it exists, after it exists, and all ways to spell it.
    for round in 0..2 {
        assert_eq!(root.join(".inorder").exists(), round > 0);
        let absolute = root.canonicalize().unwrap().join(".inorder");
        for path in [
            ".inorder",
            "./.inorder",
            "d/../.inorder",
            ".inorder/",
            ".inorder/lock",
            ".inorder/../.inorder",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(name(&host, "read", json!({"path": path})), "noent", "{path}");
            assert_eq!(name(&host, "list", json!({"path": path})), "noent", "{path}");
            for (tool, args) in [
                ("write", json!({"path": path, "text": "x"})),
                ("mkdir", json!({"path": path})),
                ("symlink", json!({"target": "d", "path": path})),
                ("rename", json!({"source": "d", "target": path})),
                ("rename", json!({"source": path, "target": "x"})),
                ("hard_link", json!({"source": "here", "target": path})),
                ("remove_tree", json!({"path": path})),
                ("create_tree", json!({"path": path})),
                ("rmdir", json!({"path": path})),
            ] {
                let refused = name(&host, tool, args);
                assert!(
                    ["perm", "noent", "notdir", "isdir"].contains(&&*refused),
                    "{tool} {path}: {refused}"
                );
            }
        }
        let listed = value(&host, "walk", json!({"path": "."}));
        assert!(!listed.to_string().contains("inorder"), "{listed}");
        if round == 0 {
            value(&host, "symlink", json!({"target": ".inorder", "path": "to"}));
        }
    }
    assert_eq!(name(&host, "read", json!({"path": "to/log"})), "noent");
    assert_eq!(name(&host, "write", json!({"path": "to", "text": "x"})), "perm");
    // Nor is that of a root that lies in this one.
    std::fs::create_dir_all(root.join("inner/.inorder")).unwrap();
    std::fs::write(root.join("inner/.inorder/log"), "kept").unwrap();
    assert_eq!(name(&host, "read", json!({"path": "inner/.inorder/log"})), "noent");
    assert_eq!(name(&host, "write", json!({"path": "inner/.inorder", "text": "x"})), "perm");
    assert_eq!(value(&host, "list", json!({"path": "inner"})), json!([]));
    assert_eq!(name(&host, "rmdir", json!({"path": "inner"})), "notempty");
    // On a file system that tells case apart, these are others.
    for path in [".INORDER", ".inorder2"] {
        value(&host, "write", json!({"path": path, "text": "x"}));
    }
}

#[test]
fn what_is_not_granted_is_refused_whether_it_exists_or_not() {
    let files = [("src/a.rs", "a"), ("src/b.txt", "b"), ("private/x", "x"), ("one", "1")];
    let Some((dir, host)) = host(&files, &["src/*.rs", "one"], &["work/**"]) else { return };
    let root = dir.path().join("in");
    symlink("../private/x", root.join("src/to.rs")).unwrap();
    std::fs::create_dir(root.join("work")).unwrap();
    symlink("../private/no", root.join("src/to-nothing.rs")).unwrap();
    for (there, missing) in [
        ("private/x", "private/y"),
        ("src/b.txt", "src/c.txt"),
        ("here", "there"),
        ("private", "publik"),
        ("src/to.rs", "src/to-nothing.rs"),
    ] {
        let both = |tool: &str, args: &dyn Fn(&str) -> Value| {
            let [one, other] = [there, missing].map(|path| call(&host, tool, args(path)));
            let strip = |it: &Value, path: &str| {
                let text = it["error"]["message"].as_str().unwrap().to_owned();
                text.replace(path, "PATH")
                    .replace("private/x", "PATH")
                    .replace("private/no", "PATH")
            };
            assert_eq!(one["error"]["kind"], "denied", "{tool} {there}: {one}");
            assert_eq!(strip(&one, there), strip(&other, missing), "{tool}");
        };
        for tool in ["read", "list"] {
            both(tool, &|path| json!({"path": path}));
        }
        both("stat", &|path| json!({"path": path, "follow": true, "mtime": true}));
        both("write", &|path| json!({"path": path, "text": "x"}));
        both("create_new", &|path| json!({"path": format!("{path}/new"), "text": "x"}));
        if there != "src/to.rs" {
            for tool in ["readlink", "remove", "rmdir", "mkdir"] {
                both(tool, &|path| json!({"path": path}));
            }
            both("rename", &|path| json!({"source": path, "target": "work/x"}));
            both("hard_link", &|path| json!({"source": path, "target": "work/x"}));
        }
        assert_eq!(
            value(&host, "exists_all", json!({"paths": [there, missing]})),
            json!([false, false])
        );
    }
    let listed = value(&host, "list", json!({"path": "."}));
    assert_eq!(listed, json!(["one file", "src dir", "work dir"]));
    assert_eq!(
        value(&host, "list", json!({"path": "src"})),
        json!(["a.rs file", "to-nothing.rs symlink", "to.rs symlink"])
    );
    // A target that is not granted, with a source that is.
    value(&host, "write", json!({"path": "work/w", "text": "w"}));
    for target in ["private/x", "private/y", "here", "src/a.rs"] {
        let denied = call(&host, "rename", json!({"source": "work/w", "target": target}));
        assert_eq!(denied["error"]["kind"], "denied", "{denied}");
    }
    assert_eq!(std::fs::read_to_string(root.join("private/x")).unwrap(), "x");
}

/// The field and the patterns that a refusal suggests.
fn suggested(message: &str) -> (String, Vec<String>) {
    let start = message.find('`').unwrap() + 1;
    let line = &message[start..start + message[start..].find("` under").unwrap()];
    let table: toml::Table = line.parse().unwrap();
    let (field, patterns) = table.iter().next().unwrap();
    let patterns = patterns.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
    let patterns: Vec<String> = patterns.collect();
    let flags = message.split("--allow-").skip(1).map(|it| it.split('\'').nth(1).unwrap());
    assert_eq!(flags.collect::<Vec<_>>(), patterns, "{message}");
    (field.clone(), patterns)
}

#[test]
fn the_policy_that_a_refusal_suggests_makes_the_call_work() {
    let files = [
        ("d/f", "f"),
        ("d/[x] {a}*?", "odd"),
        ("d/e/g", "g"),
        ("!bang", "!"),
        ("w/x", "x"),
        ("back\\slash", "b"),
    ];
    let paths = ["d/f", "d/[x] {a}*?", "!bang", "back\\slash"];
    let mut cases: Vec<(&str, Value)> =
        paths.iter().map(|path| ("read", json!({"path": path}))).collect();
    cases.extend(paths.iter().map(|path| ("write", json!({"path": path, "text": "new"}))));
    cases.extend([
        ("list", json!({"path": "."})),
        ("list", json!({"path": "d"})),
        ("walk", json!({"path": "."})),
        ("create_tree", json!({"path": "new/tree"})),
        ("rename", json!({"source": "d", "target": "moved"})),
        ("rename", json!({"source": "d/f", "target": "w/f"})),
        ("copy", json!({"source": "d/f", "target": "[n]"})),
        ("stat", json!({"path": "d/f", "follow": true, "mtime": false})),
    ]);
    for (tool, args) in cases {
        let (mut read, mut write): (Vec<String>, Vec<String>) = (vec![], vec![]);
        let mut tries = 0;
        loop {
            let [reads, writes] =
                [&read, &write].map(|it| it.iter().map(String::as_str).collect::<Vec<_>>());
            let Some((_dir, host)) = host(&files, &reads, &writes) else { return };
            let result = call(&host, tool, args.clone());
            if result["status"] == "ok" {
                break;
            }
            let message = result["error"]["message"].as_str().unwrap();
            // With no grant at all, nothing is there, and what was looked for is not known.
            if read.is_empty() && write.is_empty() {
                assert!(message.contains("no file is granted"), "{tool} {args}: {message}");
                read.push("nothing".to_owned());
                continue;
            }
            assert!(
                matches(&result["error"]["kind"], &json!("denied")),
                "{tool} {args}, {read:?} {write:?}: {result}"
            );
            let (field, patterns) = suggested(message);
            let list = if field == "read" { &mut read } else { &mut write };
            assert!(!patterns.iter().all(|it| list.contains(it)), "{tool} {args}: again {message}");
            list.extend(patterns);
            tries += 1;
            assert!(tries < 12, "{tool} {args}: {read:?} {write:?}: {message}");
        }
    }
}

#[test]
fn a_plugin_that_was_granted_no_file_is_told_so_when_it_fails() {
    let Some((dir, bare)) = host(&[], &[], &[]) else { return };
    for (tool, args) in [
        ("read", json!({"path": "here"})),
        ("read", json!({"path": dir.path().join("in/here").canonicalize().unwrap()})),
        ("list", json!({"path": "."})),
        ("write", json!({"path": "here", "text": "x"})),
    ] {
        let result = call(&bare, tool, args.clone());
        // What it looked for never reached the host, so that nothing was denied.
        assert_eq!(result["error"]["kind"], "tool", "{tool}: {result}");
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains("under [plugins.fileops]"), "{tool}: {message}");
        assert_eq!(suggested(message), ("read".to_owned(), vec!["**".to_owned()]));
    }
    assert_eq!(value(&bare, "exists_all", json!({"paths": ["here"]})), json!([false]));
    // Neither a plugin that has some files, nor one that never looked for any.
    let Some((_dir, some)) = host(&[], &["here"], &[]) else { return };
    let failed = call(&some, "readlink", json!({"path": "here"}));
    assert_eq!(failed["error"]["message"], failed["error"]["value"], "{failed}");
    let (_root, builder) = scratch(&[]);
    let failed = call(&builder.plugin(calc()).build().unwrap(), "half", json!({"number": 3}));
    assert!(!failed.to_string().contains("granted"), "{failed}");
}

/// `fileops`, with tags on one of its functions.
fn declaring(dir: &Path, function: &str, tag: &str) -> Option<PluginSpec> {
    let built = built_guest("fileops")?;
    std::fs::create_dir_all(dir).unwrap();
    std::fs::copy(&built, dir.join("fileops.wasm")).unwrap();
    let wit = include_str!("guests/fileops/fileops.wit");
    let tagged: String = wit
        .lines()
        .filter(|line| !line.trim().starts_with("///"))
        .map(|line| {
            let here =
                line.trim().trim_start_matches('%').starts_with(&format!("{function}: func"));
            if here {
                format!("  /// Does.\n  ///\n  /// {tag}\n{line}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    assert!(tagged.contains(tag));
    std::fs::write(dir.join("fileops.wit"), tagged).unwrap();
    Some(PluginSpec::file(dir.join("fileops.wasm"), grants(&["**"], &["**"])))
}

#[test]
fn a_tool_that_touches_what_it_has_not_declared_is_not_believed() {
    let absolute = "ABSOLUTE/f";
    let cases = [
        // It swallows the error.
        ("exists-all", "@pure", json!({"paths": ["f"]}), false),
        ("read", "@pure", json!({"path": "f"}), false),
        ("read", "@reads path", json!({"path": "f"}), true),
        ("read", "@reads path", json!({"path": "link"}), true),
        ("read", "@reads path", json!({"path": absolute}), true),
        ("write", "@reads path", json!({"path": "f", "text": "x"}), false),
        ("write", "@writes path", json!({"path": "f", "text": "x"}), true),
        ("write", "@writes path", json!({"path": "new", "text": "x"}), true),
        ("write", "@writes path", json!({"path": "link", "text": "x"}), true),
        ("write", "@writes path", json!({"path": absolute, "text": "x"}), true),
        ("copy", "@reads source", json!({"source": "f", "target": "g"}), false),
        ("copy", "@writes target", json!({"source": "f", "target": "g"}), false),
        ("rename", "@writes target", json!({"source": "f", "target": "g"}), false),
        ("remove", "@reads path", json!({"path": "f"}), false),
        ("list", "@reads path", json!({"path": "d"}), true),
        ("walk", "@reads path", json!({"path": "d"}), true),
        ("create-tree", "@writes path", json!({"path": "p/q/r"}), true),
        ("symlink", "@writes path", json!({"target": "d", "path": "s"}), true),
    ];
    for (function, tag, args, fine) in cases {
        let (dir, builder) = scratch(&[("f", "f"), ("d/f", "df")]);
        symlink("d/f", dir.path().join("link")).unwrap();
        let plugin = tempfile::tempdir().unwrap();
        let Some(spec) = declaring(plugin.path(), function, tag) else { return };
        let host = builder.plugin(spec).build().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let args: Value =
            args.to_string().replace("ABSOLUTE", root.to_str().unwrap()).parse().unwrap();
        let result = call(&host, &function.replace('-', "_"), args.clone());
        if fine {
            assert_eq!(result["status"], "ok", "{function} {tag} {args}: {result}");
            continue;
        }
        assert_eq!(result["error"]["kind"], "denied", "{function} {tag} {args}: {result}");
        assert!(result["error"]["message"].as_str().unwrap().contains("declar"), "{result}");
        assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "f");
        assert!(!dir.path().join("g").exists());
    }
}

#[test]
fn what_is_mounted_below_the_root_is_read_and_not_written() {
    let Some((dir, host)) = host(&[("m/f", "under"), ("d/f", "f")], &["**"], &["**"]) else {
        return;
    };
    let mount = dir.path().join("in/m");
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).output();
    if !mounted.is_ok_and(|it| it.status.success()) {
        return;
    }
    std::fs::write(mount.join("g"), "mounted").unwrap();
    let read = call(&host, "read", json!({"path": "m/g"}));
    let tries = [
        ("write", json!({"path": "m/g", "text": "x"})),
        ("write", json!({"path": "m/new", "text": "x"})),
        ("append", json!({"path": "m/g", "text": "x"})),
        ("mkdir", json!({"path": "m/d"})),
        ("remove", json!({"path": "m/g"})),
        ("rename", json!({"source": "d/f", "target": "m/f"})),
        ("rename", json!({"source": "m/g", "target": "g"})),
        ("hard_link", json!({"source": "m/g", "target": "g"})),
        ("rmdir", json!({"path": "m"})),
        ("rename", json!({"source": "m", "target": "n"})),
        ("touch", json!({"path": "m/g", "mtime": 5})),
        ("remove_tree", json!({"path": "m"})),
    ];
    let results = tries.map(|(tool, args)| (tool, call(&host, tool, args)));
    let kept = std::fs::read_to_string(mount.join("g"));
    std::process::Command::new("umount").arg("-l").arg(&mount).status().unwrap();
    assert_eq!(read["value"], "mounted");
    assert_eq!(kept.unwrap(), "mounted");
    for (tool, result) in results {
        assert_eq!(result["status"], "error", "{tool}: {result}");
        assert_ne!(result["error"]["kind"], "host", "{tool}: {result}");
    }
    assert_eq!(value(&host, "read", json!({"path": "d/f"})), "f");
}
