//! What the comparison rests on: the oracle, the trees and the batches are what they are taken for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::generate::{Batch, Call, Ingredients, TOOLS, batch};
use super::oracle::{self, End};
use super::tree::{Node, Tree};

/// Runs a batch by the oracle alone.
fn run(batch: &Batch) -> (Vec<End>, Tree) {
    let plain = TempDir::new().unwrap();
    let root = plain.path().join("root");
    std::fs::create_dir(&root).unwrap();
    batch.before.lay_out(&root).unwrap();
    let ends = oracle::run(&root, batch);
    (ends, Tree::read(&root).unwrap())
}

fn batches(count: u64) -> impl Iterator<Item = Batch> {
    (0..count).map(|seed| batch(seed, Ingredients { failures: true, slashes: true }))
}

/// Calls of `(tool, arguments)` on a directory with the file `a`.
fn by_hand(calls: &[(&'static str, Value)]) -> Batch {
    let file = Node::File { content: b"one;".to_vec(), mode: 0o644, mtime: 1_000_000_000 };
    let before = Tree(BTreeMap::from([("a".to_owned(), file)]));
    let call = |(number, (tool, args)): (usize, &(&'static str, Value))| {
        let args: Map<String, Value> = args.as_object().unwrap().clone();
        Call { number, tool, reader: false, args, after: vec![] }
    };
    Batch { seed: 0, jobs: 1, before, calls: calls.iter().enumerate().map(call).collect() }
}

#[test]
fn a_call_that_fails_leaves_no_trace_in_the_oracle() {
    let batch = by_hand(&[
        ("append", json!({"path": "a", "text": "two;", "fail": "err"})),
        ("remove", json!({"path": "a", "fail": "trap"})),
        ("create_tree", json!({"path": format!("d/{}", "x".repeat(256))})),
        ("rename", json!({"source": "a", "target": "b", "fail": "err"})),
        ("write", json!({"path": "n", "text": {"$from": 3}})),
        ("stat", json!({"path": "a", "follow": true, "mtime": true})),
    ]);
    let (ends, after) = run(&batch);
    let tool = |error: &str| End::Tool(error.to_owned());
    let stat = json!({"kind": "file", "size": 4, "mtime": 1_000_000_000});
    let expected = [
        tool("asked to fail"),
        End::Kind("trap".to_owned()),
        tool("nametoolong"),
        tool("asked to fail"),
        End::Skipped("c3".to_owned()),
        End::Value(stat),
    ];
    assert_eq!(ends, expected);
    assert!(after == batch.before, "{after}");
}

#[test]
fn a_tree_that_is_laid_out_reads_the_same() {
    for batch in batches(50) {
        let (_, after) = run(&batch);
        let dir = TempDir::new().unwrap();
        after.lay_out(dir.path()).unwrap();
        let again = Tree::read(dir.path()).unwrap();
        assert!(after == again, "{}", after.differences(&again).join("\n"));
    }
}

#[test]
fn batches_use_every_tool_with_and_without_success() {
    let mut ends_of: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for batch in batches(300) {
        let (ends, _) = run(&batch);
        for (call, end) in batch.calls.iter().zip(ends) {
            let (ok, failed) = ends_of.entry(call.tool).or_default();
            *(if matches!(end, End::Value(_)) { ok } else { failed }) += 1;
        }
    }
    for (_, tool) in TOOLS {
        let (ok, failed) = ends_of[tool];
        assert!(ok >= 10 && failed >= 10, "{tool}: {ok} ok, {failed} failed");
    }
}
