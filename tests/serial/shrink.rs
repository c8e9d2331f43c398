//! Makes a batch that differs small, and tells it.

use std::time::{Duration, Instant};

use super::generate::Batch;
use super::tree::Node;

/// How long may be spent on it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A smaller batch is tried that often: what differs by chance may need it.
const TRIES: usize = 4;

/// Takes calls out, then files, as long as something differs. Gives what to print.
pub fn shrink(
    whole: Batch,
    differences: Vec<String>,
    mut check: impl FnMut(&Batch) -> Vec<String>,
) -> String {
    let began = Instant::now();
    let seed = whole.seed;
    let calls = whole.calls.len();
    let first = differences.clone();
    let (mut least, mut differences) = (whole, differences);
    let mut shrunk = true;
    while shrunk && began.elapsed() < PATIENCE {
        shrunk = false;
        for candidate in smaller(&least) {
            let differs =
                (0..TRIES).map(|_| check(&candidate)).find(|differences| !differences.is_empty());
            if let Some(found) = differs {
                (least, differences, shrunk) = (candidate, found, true);
                break;
            }
            if began.elapsed() > PATIENCE {
                break;
            }
        }
    }
    let mut text = format!(
        "a batch of {calls} calls differs: run it alone with INORDER_SEED={seed} INORDER_BATCHES=1\n"
    );
    text += &format!("whole, it differs so:\n{}\n", indented(&first));
    text += &format!("{} calls of it differ, with jobs({}), on\n", least.calls.len(), least.jobs);
    text += &least.before.to_string();
    let json = least.to_json();
    for (call, json) in least.calls.iter().zip(json["calls"].as_array().unwrap()) {
        text += &format!("{:>5} {json}\n", least.id(call.number));
    }
    text += &format!("by\n{}\n", indented(&differences));
    text
}

/// Each smaller by something, the last calls first, as what they do needs not be followed further.
fn smaller(batch: &Batch) -> Vec<Batch> {
    let mut candidates: Vec<Batch> =
        batch.calls.iter().rev().map(|call| batch.without(call.number)).collect();
    for (path, node) in &batch.before.0 {
        let mut candidate = batch.clone();
        let inside = format!("{path}/");
        let linked = |node: &Node| matches!(node, Node::Link { to } if to == path);
        candidate
            .before
            .0
            .retain(|other, node| other != path && !other.starts_with(&inside) && !linked(node));
        candidates.push(candidate);
        if let Node::File { content, .. } = node
            && content.len() > 100
            && let mut candidate = batch.clone()
            && let Some(Node::File { content, .. }) = candidate.before.0.get_mut(path)
        {
            content.truncate(20);
            candidates.push(candidate);
        }
    }
    candidates
}

fn indented(lines: &[String]) -> String {
    let short = |line: &String| format!("  {}", line.chars().take(600).collect::<String>());
    lines.iter().map(short).collect::<Vec<_>>().join("\n")
}
