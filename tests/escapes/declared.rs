//! Tools that do what they have declared not to do.

use std::os::unix::fs::symlink;
use std::path::Path;

use inorder::PluginSpec;
use serde_json::{Value, json};

use crate::support::{built_guest, call, grants, scratch};

/// `fileops`, with tags on one of its functions.
fn declaring(dir: &Path, function: &str, tag: &str) -> Option<PluginSpec> {
    let built = built_guest("fileops")?;
    std::fs::create_dir_all(dir).unwrap();
    std::fs::copy(&built, dir.join("fileops.wasm")).unwrap();
    let wit = include_str!("../guests/fileops/fileops.wit");
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
