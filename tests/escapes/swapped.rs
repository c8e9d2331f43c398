//! What others put in the place of a file or directory while a call runs, or before it commits.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{SECRET, host, unharmed};
use crate::support::{call, report};

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
