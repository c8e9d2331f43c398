//! Undo takes back a batch whole, or refuses and changes nothing; the log tells what was done.

use std::io::Write as _;
use std::process::{Command, Output};

use inorder::{Call, Host, PluginSpec};
use serde_json::{Value, json};

use super::{Place, SEED, number, random, tell};
use crate::serial::rng::STEP;
use crate::support::{block_on, grants, guest, inorder};

/// `INORDER_UNDOS` (40).
#[test]
fn undo_restores_what_was_there_before_a_batch() {
    let Some(guest) = guest("fileops") else { return };
    let (undos, mut undone) = (number("INORDER_UNDOS", 40), 0);
    let place = Place::new();
    let hosts = [1, 2, 4, 8].map(|jobs| (jobs, place.host(&guest, jobs)));
    for round in 0..undos {
        let seed = number("INORDER_UNDO_SEED", SEED).wrapping_add(STEP.wrapping_mul(round));
        let batch = random(seed);
        batch.before.lay_out(&place.root()).unwrap();
        let before = place.tree();
        let host = &hosts.iter().find(|(jobs, _)| *jobs == batch.jobs).unwrap().1;
        let request = inorder::Batch::from_json(batch.to_json().to_string().as_bytes()).unwrap();
        let report = block_on(host.run(request)).unwrap();
        let changed = report.results.iter().any(|it| !it.changes.is_empty());
        let after = place.tree();
        // What a batch did to earlier roots of this test is in the way of nothing.
        match inorder::undo(&place.root()) {
            Ok(_) if changed => {}
            Err(error) if !changed => {
                let _ = error;
                continue;
            }
            other => panic!("seed {seed}, changed {changed}: {other:?}"),
        }
        let found = place.tree();
        assert!(before == found, "seed {seed}: {:#?}", before.differences(&found));
        undone += u64::from(after != before);
        let again = inorder::undo(&place.root()).unwrap_err().to_string();
        assert!(again.starts_with("there is nothing to undo in "), "seed {seed}: {again}");
    }
    tell(&format!("{undone} batches undone"));
}

fn run(place: &Place, args: &[&str]) -> Output {
    inorder().current_dir(place.root()).args(args).output().unwrap()
}

fn batch(place: &Place, calls: &Value) -> Value {
    let file = place.root().parent().unwrap().join("batch.json");
    std::fs::write(&file, json!({ "calls": calls }).to_string()).unwrap();
    let output = run(place, &["run", file.to_str().unwrap(), "--json", "--allow-write", "**"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write(path: &str, content: &str) -> Value {
    json!({"tool": "write_file", "args": {"path": path, "content": content}})
}

#[test]
fn undo_refuses_where_files_have_changed_since_and_changes_nothing() {
    let place = Place::new();
    std::fs::write(place.root().join("a"), "old").unwrap();
    batch(&place, &json!([write("a", "new"), write("b", "new"), write("made/c", "new")]));
    assert_eq!(std::fs::read_to_string(place.root().join("made/c")).unwrap(), "new");
    std::fs::write(place.root().join("b"), "mine").unwrap();
    std::fs::write(place.root().join("made/mine"), "mine").unwrap();
    let before = place.tree();
    let output = run(&place, &["undo"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("after the batch wrote them: b, made/mine;"), "{said}");
    assert!(place.tree() == before);
    std::fs::remove_file(place.root().join("made/mine")).unwrap();
    std::fs::remove_file(place.root().join("b")).unwrap();
    let said = String::from_utf8(run(&place, &["undo"]).stderr).unwrap();
    assert!(said.contains("after the batch wrote them: b;"), "{said}");
}

#[test]
fn the_log_lists_batches_with_their_calls_outcomes_and_files_and_their_undo() {
    let place = Place::new();
    let missing = json!({"id": "no", "tool": "read_text_file", "args": {"path": "missing"}});
    batch(&place, &json!([write("a", "new"), missing]));
    let said = String::from_utf8(run(&place, &["log"]).stdout).unwrap();
    for part in ["batch 1 ", "✓ 1 write_file", "created  a", "✗ no read_text_file tool"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let output = run(&place, &["undo"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!place.root().join("a").exists());
    let said = String::from_utf8(run(&place, &["log"]).stdout).unwrap();
    assert!(said.contains("undo of 1 "), "{said}");
    let again = run(&place, &["undo"]);
    assert!(!again.status.success());
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(said.contains("there is nothing to undo in "), "{said}");
}

#[test]
fn what_is_in_ids_and_paths_is_no_line_of_the_log_or_of_a_message() {
    let place = Place::new();
    let forged = "1 read_text_file\nundo of 1 2030-01-01T00:00:00Z\nbatch 2";
    let path = "a\nerror: nothing was wrong";
    let args = json!({"path": path, "content": "new"});
    batch(&place, &json!([{"id": forged, "tool": "write_file", "args": args}]));
    let said = String::from_utf8(run(&place, &["log"]).stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(!said.contains("\nundo of"), "{said}");
    std::fs::write(place.root().join(path), "mine").unwrap();
    let said = String::from_utf8(run(&place, &["undo"]).stderr).unwrap();
    assert!(said.contains("after the batch wrote them: a error: nothing was wrong;"), "{said}");
}

#[test]
fn a_log_that_somebody_else_has_written_is_listed_as_far_as_it_is_one() {
    let place = Place::new();
    let log = place.root().join(".inorder/log");
    batch(&place, &json!([write("a", "new")]));
    for time in [u64::MAX, 253_402_300_800] {
        let entry = json!({"batch": "7", "time": time});
        std::fs::write(&log, format!("{entry}\n")).unwrap();
        let output = run(&place, &["log"]);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "batch 7 9999-12-31T23:59:59Z\n");
    }
    // Of one that is larger than memory its end is read, and kept.
    std::fs::File::create(&log).unwrap().set_len(20 << 30).unwrap();
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    file.write_all(b"\n{\"batch\": \"8\", \"time\": 0}\n").unwrap();
    let listed = |place: &Place| String::from_utf8(run(place, &["log"]).stdout).unwrap();
    assert_eq!(listed(&place), "batch 8 1970-01-01T00:00:00Z\n");
    batch(&place, &json!([write("b", "new")]));
    let said = listed(&place);
    assert!(said.starts_with("batch 8 ") && said.contains("created  b"), "{said}");
    assert!(std::fs::metadata(&log).unwrap().len() < 1 << 20);
    // What is no file is none that could be waited for.
    std::fs::remove_file(&log).unwrap();
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    assert_eq!(run(&place, &["log"]).status.code(), Some(2));
    let report = batch(&place, &json!([write("c", "new")]));
    assert_eq!(report["results"][0]["status"], "ok", "{report}");
}

#[test]
fn undo_refuses_where_somebody_wrote_between_two_commits_of_the_batch() {
    let place = Place::new();
    let file = place.root().join("a");
    std::fs::write(&file, "old").unwrap();
    let spec = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
    let host = Host::builder().root(place.root()).plugin(spec).build().unwrap();
    let session = host.session();
    block_on(async {
        let write = |text: &str| {
            let args = json!({"path": "a", "content": text}).as_object().unwrap().clone();
            Call::new("write_file", args)
        };
        let first = session.call(write("first"), Default::default()).await.unwrap();
        assert!(first.result.is_ok(), "{first:?}");
        std::fs::write(&file, "somebody's").unwrap();
        let second = session.call(write("second"), Default::default()).await.unwrap();
        assert!(second.result.is_ok(), "{second:?}");
    });
    drop((session, host));
    let said = String::from_utf8(run(&place, &["undo"]).stderr).unwrap();
    assert!(said.contains("after the batch wrote them: a;"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "second");
}
