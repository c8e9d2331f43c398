//! The system refuses in the middle of a commit: nothing is half done, the message says what, the host goes on.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Place, tell};
use crate::support::{block_on, guest, inorder, scratch};

fn run(host: &inorder::Host, calls: &Value) -> Value {
    let request = json!({ "calls": calls }).to_string();
    let report = block_on(host.run(inorder::Batch::from_json(request.as_bytes()).unwrap()));
    serde_json::to_value(report.unwrap()).unwrap()
}

/// A file system of its own, gone at the end.
struct Mount<'a>(&'a Path);

impl Mount<'_> {
    fn tmpfs<'a>(at: &'a Path, options: &str) -> Option<Mount<'a>> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        let mounted = mount.is_ok_and(|it| it.status.success());
        if !mounted {
            tell("skipped: a small file system cannot be mounted here");
        }
        mounted.then_some(Mount(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_fails_calls_and_nothing_is_half_done() {
    let Some(guest) = guest("fileops") else { return };
    let place = Place::new();
    let root = place.root();
    let Some(_mount) = Mount::tmpfs(&root, "size=256k") else { return };
    let host = place.host(&guest, 1);
    std::fs::write(root.join("a"), "old").unwrap();
    std::fs::hard_link(root.join("a"), root.join("b")).unwrap();
    let mut failed = 0;
    // With every amount of room that is left, page by page: of the stage, of the journal, of the file itself.
    for pages in (0..24).rev() {
        let filled = root.join("filler");
        std::fs::write(&filled, "old").unwrap();
        std::fs::write(root.join("a"), "old").unwrap();
        let _ = std::fs::remove_dir_all(root.join(".inorder"));
        let _ = std::fs::remove_file(root.join("c"));
        std::fs::write(&filled, vec![1; (62 - pages) * 4096]).ok();
        let before = place.tree();
        // In place, through one of two names; and a new file.
        for call in [
            json!({"tool": "append", "args": {"path": "b", "text": "0123456789abcdef", "times": 1000}}),
            json!({"tool": "write", "args": {"path": "c", "text": "0123456789abcdef", "times": 1000}}),
        ] {
            let report = run(&host, &json!([call]));
            let result = &report["results"][0];
            if result["status"] != "ok" {
                failed += 1;
                assert!(result.to_string().to_lowercase().contains("space"), "{result}");
            }
        }
        let after = place.tree();
        for path in ["a", "c"] {
            let length = std::fs::metadata(root.join(path)).map_or(0, |it| it.len());
            assert!([0, 3, 16_000, 16_003].contains(&length), "{path}: {length}");
        }
        place.reopen().unwrap();
        assert!(place.tree() == after, "{:#?}", after.differences(&place.tree()));
        if inorder::undo(&root).is_ok() {
            let found = place.tree();
            let last = [&before].into_iter().any(|it| *it == found);
            assert!(last || std::fs::metadata(root.join("a")).unwrap().len() == 16_003);
        }
    }
    assert!(failed > 0);
    tell(&format!("{failed} calls met a full disk"));
}

#[test]
fn a_directory_that_takes_no_entries_fails_the_call_and_nothing_is_half_done() {
    let Some(guest) = guest("fileops") else { return };
    let place = Place::new();
    let closed = place.root().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("a"), "old").unwrap();
    let change = |flag: &str| {
        let changed = Command::new("chattr").arg(flag).arg(&closed).output();
        changed.is_ok_and(|it| it.status.success())
    };
    if !change("+i") {
        tell("skipped: a directory cannot be made immutable here");
        return;
    }
    let host = place.host(&guest, 2);
    let before = place.tree();
    // The second fails after the first of its steps: what it would place is there, where it would place it is closed.
    let report = run(
        &host,
        &json!([
            {"tool": "create_new", "args": {"path": "closed/b", "text": "new"}},
            {"tool": "rename", "args": {"source": "closed/a", "target": "a"}},
        ]),
    );
    let after = place.tree();
    assert!(change("-i"));
    assert!(before == after, "{:#?}", before.differences(&after));
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["status"], "error", "{result}");
        let said = result.to_string();
        assert!(said.contains("closed") || said.contains("perm"), "{said}");
    }
    assert_eq!(
        run(&host, &json!([{"tool": "rename", "args": {"source": "closed/a", "target": "a"}}]))["results"]
            [0]["status"],
        "ok"
    );
}

/// Changes the root in the moment between a call's run and its commit, while an earlier call is slow.
fn meanwhile(change: impl FnOnce(&Path) + Send) -> (Value, Place) {
    let guest = guest("fileops").unwrap();
    let place = Place::new();
    std::fs::create_dir(place.root().join("d")).unwrap();
    std::fs::write(place.root().join("d/a"), "old").unwrap();
    std::fs::write(place.root().join("other"), "old").unwrap();
    let host = place.host(&guest, 4);
    let root = place.root();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(150));
            change(&root);
        });
        run(
            &host,
            &json!([
                {"tool": "append", "args": {"path": "other", "text": "!", "slow": 400}},
                {"tool": "replace", "args": {"path": "d/a", "old": "old", "new": "new"}},
            ]),
        )
    });
    assert_eq!(report["results"][0]["status"], "ok", "{report}");
    assert_eq!(std::fs::read_to_string(place.root().join("other")).unwrap(), "old!");
    (report["results"][1].clone(), place)
}

#[test]
fn a_directory_that_vanishes_before_the_commit_lets_the_call_run_again() {
    if guest("fileops").is_none() {
        return;
    }
    let (result, place) = meanwhile(|root| std::fs::remove_dir_all(root.join("d")).unwrap());
    assert_eq!(result["error"]["value"], "noent", "{result}");
    assert!(!place.root().join("d").exists());
}

#[test]
fn a_file_that_is_swapped_for_a_directory_before_the_commit_lets_the_call_run_again() {
    if guest("fileops").is_none() {
        return;
    }
    let (result, place) = meanwhile(|root| {
        std::fs::remove_file(root.join("d/a")).unwrap();
        std::fs::create_dir(root.join("d/a")).unwrap();
        std::fs::write(root.join("d/a/mine"), "mine").unwrap();
    });
    assert_eq!(result["error"]["value"], "isdir", "{result}");
    assert_eq!(std::fs::read_to_string(place.root().join("d/a/mine")).unwrap(), "mine");
}

#[test]
fn a_host_that_waits_for_the_disk_commits_undoes_and_recovers_the_same() {
    let Some(guest) = guest("fileops") else { return };
    for seed in 0..6 {
        let place = Place::new();
        let batch = super::random(super::SEED + seed);
        let states = place.states(&batch);
        batch.before.lay_out(&place.root()).unwrap();
        let host = inorder::Host::builder()
            .root(place.root())
            .plugin(inorder::PluginSpec {
                grants: crate::support::grants(&[], &["**"]),
                ..guest.clone()
            })
            .plugin(inorder::PluginSpec {
                name: "reader".into(),
                prefix: "reader_".into(),
                grants: crate::support::grants(&["**"], &[]),
                ..guest.clone()
            })
            .jobs(batch.jobs)
            .durable(true)
            .build()
            .unwrap();
        run(&host, &batch.to_json()["calls"]);
        let found = place.tree();
        let last = states.last().unwrap();
        assert!(*last == found, "seed {seed}: {:#?}", last.differences(&found));
        if inorder::undo(&place.root()).is_ok() {
            assert!(
                states[0] == place.tree(),
                "seed {seed}: {:#?}",
                states[0].differences(&place.tree())
            );
        }
    }
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_call_and_not_the_host() {
    let (dir, _) = scratch(&[]);
    let write = |path: &str, content: String| json!({ "tool": "write_file", "args": { "path": path, "content": content } });
    let batch =
        json!({ "calls": [write("large", "x".repeat(300_000)), write("small", "x".to_owned())] });
    std::fs::write(dir.path().join("batch.json"), batch.to_string()).unwrap();
    // Compiled before: what is kept of that is larger.
    let program = inorder().get_program().to_str().unwrap().to_owned();
    let run = |limit: &str| {
        let line = format!(
            "{limit} exec {program} run --json --no-audit --root . --allow-write '**' batch.json"
        );
        Command::new("sh").arg("-c").arg(line).current_dir(&dir).output().unwrap()
    };
    assert!(run("").status.success());
    std::fs::remove_file(dir.path().join("large")).unwrap();
    let limited = run("ulimit -f 200;");
    assert_eq!(limited.status.code(), Some(1), "{limited:?}");
    let report: Value = serde_json::from_slice(&limited.stdout).unwrap();
    assert_eq!(report["results"][0]["error"]["kind"], "tool", "{report}");
    assert_eq!(report["results"][1]["status"], "ok", "{report}");
    assert!(!dir.path().join("large").exists());
}
