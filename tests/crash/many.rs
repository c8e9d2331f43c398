//! A host that runs batch after batch, and so uses its folders again, is killed at random moments.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use inorder::{Batch, Host, PluginSpec};
use serde_json::{Value, json};

use super::{Place, SEED, number, tell};
use crate::serial::rng::Rng;
use crate::support::{block_on, grants, repository};

const ROOT: &str = "INORDER_VICTIM_ROOT";
const ENDED: &str = "a batch has ended";
const FIRST: &str = "INORDER_VICTIM_FIRST";

/// What each batch does, one call after another, to files that say by which batch they were written.
fn calls(n: u64) -> [Value; 4] {
    let write = |path: &str| json!({"tool": "write_file", "args": {"path": path, "content": n.to_string()}});
    let (from, to) = (format!("c-{}", n - 1), format!("d/c-{n}"));
    let moves = json!({"tool": "move_file", "args": {"source": from, "destination": to}});
    let back =
        json!({"tool": "move_file", "args": {"source": to, "destination": format!("c-{n}")}});
    [write("a"), write("b"), moves, back]
}

type State = BTreeMap<String, String>;

/// The files after the first `done` calls of batch `n`.
fn state(n: u64, done: usize) -> State {
    let by = |call: usize| if done > call { n } else { n - 1 }.to_string();
    let c = match done {
        0..=2 => format!("c-{}", n - 1),
        3 => format!("d/c-{n}"),
        _ => format!("c-{n}"),
    };
    [("a".into(), by(0)), ("b".into(), by(1)), (c, "c".into())].into()
}

fn found(root: &Path) -> State {
    let mut state = State::new();
    for dir in ["", "d/"] {
        let Ok(entries) = std::fs::read_dir(root.join(dir)) else { continue };
        for entry in entries.map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                state.insert(format!("{dir}{name}"), text);
            }
        }
    }
    state
}

/// The batch, and how many of its calls are done: all of the last one, rather than none of the next.
fn progress(state_found: &State) -> Option<(u64, usize)> {
    let a: u64 = state_found.get("a")?.parse().ok()?;
    (a.max(1)..=a + 1)
        .flat_map(|n| (0..=4).map(move |done| (n, done)))
        .find(|(n, done)| state(*n, *done) == *state_found)
}

/// `INORDER_KILLS` (30).
#[test]
fn a_host_of_many_batches_killed_at_any_moment_leaves_some_first_calls_and_can_be_undone() {
    let (kills, mut rng) = (number("INORDER_KILLS", 30), Rng::new(SEED));
    let (mut ran, mut within, mut undone) = (0, 0, 0);
    let place = Place::new();
    let root = place.root();
    std::fs::create_dir(root.join("d")).unwrap();
    for (name, text) in state(1, 0) {
        std::fs::write(root.join(name), text).unwrap();
    }
    let mut next = 1;
    for _ in 0..kills {
        let before = found(&root);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::many::victim", "--exact", "--ignored", "--nocapture"])
            .env(ROOT, &root)
            .env(FIRST, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some batches in peace, and then at any moment.
        let ended = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .filter(|line| line.as_ref().is_ok_and(|line| line.contains(ENDED)));
        assert!(ended.take(rng.below(6)).all(|line| line.is_ok()));
        std::thread::sleep(Duration::from_micros(rng.below(3_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        place.reopen().unwrap();
        let state_now = found(&root);
        let at = progress(&state_now);
        let Some((n, done)) = at else { panic!("torn: {state_now:?}, from batch {next}") };
        ran += n - next;
        within += u64::from((1..4).contains(&done));
        next = if done == 4 { n + 1 } else { n };
        if rng.one_in(2) || (1..4).contains(&done) {
            let output = place.undo().output().unwrap();
            if output.status.success() {
                assert_eq!(found(&root), state(n, 0), "undone from {n}, {done}");
                next = n;
                undone += 1;
            } else {
                assert_eq!(found(&root), state_now, "{output:?}");
                // If this host has committed nothing, the last batch may have been undone already.
                assert!(state_now == before, "{output:?}");
            }
        }
    }
    let entries = inorder::log(&root).unwrap();
    let numbers: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.undoes.is_none())
        .map(|entry| entry.batch.as_str())
        .collect();
    assert!(numbers.is_sorted_by(|one, two| one < two), "a number was given twice: {numbers:?}");
    tell(&format!(
        "{kills} kills of hosts that ran {ran} batches, {within} within one, {undone} undone"
    ));
    assert!(ran > kills, "no host came to use a folder again");
}

#[test]
#[ignore = "is run, and killed, by the test above"]
fn victim() {
    let root = std::env::var(ROOT).expect("the root");
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let spec = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
    let cache = repository().join("target/test-cache/many");
    let host = Host::builder().root(&root).plugin(spec).cache(cache).build().unwrap();
    block_on(async {
        for n in first..first + 10_000 {
            let text = json!({ "calls": calls(n) }).to_string();
            let report = host.run(Batch::from_json(text.as_bytes()).unwrap()).await.unwrap();
            assert!(report.all_ok(), "{report:?}");
            println!("{ENDED}");
        }
    });
}
