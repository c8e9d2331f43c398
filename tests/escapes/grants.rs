//! What is refused by policy, by whatever name it is reached, and what the refusal says.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{SECRET, error, host, unharmed, value};
use crate::support::{calc, call, matches, scratch};

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
