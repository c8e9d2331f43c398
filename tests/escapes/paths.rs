//! Paths, symlinks, odd names, mounts, and the folder that the host keeps.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::{error, host, name, unharmed, value};
use crate::support::call;

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
        let refused = &call(&host, "mkdir", json!({"path": ".inorder"}))["error"];
        assert_eq!(refused["kind"], "denied", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("is nobody's"), "{refused}");
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
