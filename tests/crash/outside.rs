//! Others write in the root while batches run: what they have written stays, and no edit of the host's is lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Place, number, tell};
use crate::support::{block_on, guest};

/// A batch of edits that each read a whole file and write it anew with one more line.
fn edits(name: &str, batch: u64, calls: u64) -> Value {
    let calls: Vec<Value> = (0..calls)
        .map(|call| {
            let line = format!("{name}.{batch}.{call}\n");
            let args = json!({"path": "shared", "old": "END", "new": format!("{line}END")});
            json!({"id": line.trim(), "tool": "replace", "args": args})
        })
        .collect();
    json!({ "calls": calls })
}

/// The lines of calls that were ok; how many were `conflict`, which alone they may be beside.
fn said(report: &Value) -> (Vec<String>, u64) {
    let (mut ok, mut conflicts) = (Vec::new(), 0);
    for result in report["results"].as_array().unwrap() {
        match result["status"].as_str() {
            Some("ok") => ok.push(result["id"].as_str().unwrap().to_owned()),
            _ => {
                assert_eq!(result["error"]["kind"], "conflict", "{result}");
                conflicts += 1;
            }
        }
    }
    (ok, conflicts)
}

fn check(content: &str, lines: &[String]) {
    for line in lines {
        let found = content.lines().filter(|it| it.trim() == line).count();
        assert_eq!(found, 1, "{line} is there {found} times");
    }
}

/// `INORDER_OUTSIDE` (20) batches of each test here.
fn batches() -> u64 {
    number("INORDER_OUTSIDE", 20)
}

/// Edits through one host while `beside` runs in a thread, again and again.
fn beside(place: &Place, mut beside: impl FnMut(&Path, u64) + Send) -> (Vec<String>, u64, u64) {
    let guest = guest("fileops").unwrap();
    let host = place.host(&guest, 4);
    let (end, root, count) = (AtomicBool::new(false), place.root(), AtomicU64::new(0));
    let (mut ok, mut conflicts) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                beside(&root, count.fetch_add(1, Ordering::Relaxed));
            }
        });
        for batch in 0..batches() {
            let request = edits("host", batch, 8).to_string();
            let report = block_on(host.run(inorder::Batch::from_json(request.as_bytes()).unwrap()));
            let (lines, lost) = said(&serde_json::to_value(report.unwrap()).unwrap());
            ok.extend(lines);
            conflicts += lost;
        }
        end.store(true, Ordering::Relaxed);
    });
    (ok, conflicts, count.into_inner())
}

#[test]
fn two_hosts_on_one_root_lose_no_edit() {
    let Some(guest) = guest("fileops") else { return };
    let place = Place::new();
    std::fs::write(place.root().join("shared"), "END").unwrap();
    let (mut ok, mut conflicts) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let runs: Vec<_> = ["one", "two"]
            .map(|name| {
                let host = place.host(&guest, 4);
                scope.spawn(move || {
                    let reports = (0..batches()).map(|batch| {
                        let request = edits(name, batch, 8).to_string();
                        let request = inorder::Batch::from_json(request.as_bytes()).unwrap();
                        said(&serde_json::to_value(block_on(host.run(request)).unwrap()).unwrap())
                    });
                    reports.collect::<Vec<_>>()
                })
            })
            .into();
        for (lines, lost) in runs.into_iter().flat_map(|run| run.join().unwrap()) {
            ok.extend(lines);
            conflicts += lost;
        }
    });
    let content = std::fs::read_to_string(place.root().join("shared")).unwrap();
    check(&content, &ok);
    assert_eq!(content.lines().count(), ok.len() + 1, "an edit that failed is there");
    tell(&format!("two hosts: {} edits, {conflicts} conflicts", ok.len()));
}

#[test]
fn two_processes_on_one_root_lose_no_edit() {
    let Some(guest) = crate::support::built_guest("fileops") else { return };
    let place = Place::new();
    std::fs::write(place.root().join("shared"), "END").unwrap();
    let (mut ok, mut conflicts) = (Vec::new(), 0);
    for batch in 0..batches().div_ceil(4) {
        let children: Vec<_> = ["one", "two"]
            .map(|name| {
                let file = place.root().parent().unwrap().join(format!("{name}.json"));
                std::fs::write(&file, edits(name, batch, 20).to_string()).unwrap();
                let mut run = crate::support::inorder();
                run.arg("run").arg(file).arg("--root").arg(place.root()).arg("--plugin");
                run.arg(&guest).args(["--allow-write", "**", "--json"]);
                run.stdout(std::process::Stdio::piped()).spawn().unwrap()
            })
            .into();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let (lines, lost) = said(&serde_json::from_slice(&output.stdout).unwrap());
            ok.extend(lines);
            conflicts += lost;
        }
    }
    let content = std::fs::read_to_string(place.root().join("shared")).unwrap();
    check(&content, &ok);
    assert_eq!(content.lines().count(), ok.len() + 1, "an edit that failed is there");
    tell(&format!("two processes: {} edits, {conflicts} conflicts", ok.len()));
}

/// Another program says `theirs.N`, and looks before it says the next: if an edit of ours was laid over what it said,
/// an earlier number is there again.
fn is_kept(way: &str, say: impl Fn(&Path, u64) + Sync) {
    if guest("fileops").is_none() {
        return;
    }
    let place = Place::new();
    say(&place.root().join("shared"), 0);
    let (mut lost, mut over) = (Vec::new(), 0);
    let (ok, conflicts, said) = beside(&place, |root, count| {
        let shared = root.join("shared");
        let mut found = std::fs::read_to_string(&shared).unwrap();
        let is_there = |found: &str| found.starts_with(&format!("theirs.{count:06}\n"));
        for _ in 0..20 {
            // Ours may be there for a moment, until it is seen what it has displaced.
            if is_there(&found) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            found = std::fs::read_to_string(&shared).unwrap();
        }
        if !is_there(&found) {
            lost.push((count, found.lines().next().unwrap_or_default().to_owned()));
        }
        over += u64::from(found.contains("host."));
        say(&shared, count + 1);
        std::thread::sleep(Duration::from_micros(50 * (count % 8)));
    });
    tell(&format!(
        "{way}: {} edits, {conflicts} conflicts, {said} by others, {over} met edits, {} lost",
        ok.len(),
        lost.len()
    ));
    // What is written through a handle to a file that is replaced in that moment, no system call can hold on to.
    let most = if way == "replaced" { 0 } else { said as usize / 200 };
    assert!(lost.len() <= most, "{} of {said} lost: {lost:?}", lost.len());
}

#[test]
fn a_file_that_another_program_replaces_keeps_what_it_said() {
    is_kept("replaced", |shared, count| {
        let new = shared.with_file_name("../theirs");
        std::fs::write(&new, format!("theirs.{count:06}\nEND")).unwrap();
        std::fs::rename(&new, shared).unwrap();
    });
}

#[test]
fn a_file_that_another_program_writes_in_place_at_the_same_size_keeps_what_it_said() {
    is_kept("written in place", |shared, count| {
        loop {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(false).open(shared).unwrap();
            file.write_all(format!("theirs.{count:06}\nEND").as_bytes()).unwrap();
            // Once more, if what it has open was replaced meanwhile.
            let ino = |it: std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(&it);
            if ino(file.metadata().unwrap()) == ino(std::fs::metadata(shared).unwrap()) {
                return;
            }
        }
    });
}

#[test]
fn what_others_append_stays_where_edits_go_elsewhere_in_the_file() {
    let Some(guest) = guest("fileops") else { return };
    let place = Place::new();
    // Of two names, so that it is written in place: whoever has it open goes on writing to the same file.
    std::fs::write(place.root().join("shared"), "").unwrap();
    std::fs::hard_link(place.root().join("shared"), place.root().join("other")).unwrap();
    let host = place.host(&guest, 4);
    let (end, mut theirs, mut ok) = (AtomicBool::new(false), 0, Vec::new());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file =
                OpenOptions::new().append(true).open(place.root().join("shared")).unwrap();
            let mut count = 0;
            while !end.load(Ordering::Relaxed) {
                // In one write.
                file.write_all(format!("theirs.{count}\n").as_bytes()).unwrap();
                count += 1;
                std::thread::sleep(Duration::from_micros(100));
            }
            count
        });
        for batch in 0..batches() {
            let calls: Vec<Value> = (0..8)
                .map(|call| {
                    let args = json!({"path": "other", "text": format!("host.{batch}.{call}\n")});
                    json!({"id": format!("host.{batch}.{call}"), "tool": "append", "args": args})
                })
                .collect();
            let request = json!({ "calls": calls }).to_string();
            let report = block_on(host.run(inorder::Batch::from_json(request.as_bytes()).unwrap()));
            ok.extend(said(&serde_json::to_value(report.unwrap()).unwrap()).0);
        }
        end.store(true, Ordering::Relaxed);
        theirs = writer.join().unwrap();
    });
    let content = std::fs::read_to_string(place.root().join("shared")).unwrap();
    check(&content, &ok);
    let lines: Vec<String> = (0..theirs).map(|count| format!("theirs.{count}")).collect();
    check(&content, &lines);
    tell(&format!("{} lines appended by the host, {theirs} by others", ok.len()));
}
