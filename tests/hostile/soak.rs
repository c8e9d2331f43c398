//! Honest and hostile calls, batch after batch, in a process of its own: what it holds does not grow.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use inorder::Batch;
use serde_json::{Value, json};

use super::Arena;
use super::attacks::Attack;
use super::beside::{honest, is_honest};
use super::process::{held, reset_peak};
use crate::serial::rng::Rng;
use crate::support::block_on;

/// Whoever has it runs alone.
const ALONE: &str = "INORDER_HOSTILE_ALONE";

/// How much more may be held after each attack has run once, and at the end than at the first tenth: what allocators
/// and pools keep for next time.
const MORE_MEMORY: u64 = 64;
const MORE_DESCRIPTORS: usize = 8;
const MORE_THREADS: usize = 4;

/// `INORDER_HOSTILE` (100) batches, `INORDER_HOSTILE_SEED`.
#[test]
fn batches_of_honest_and_hostile_calls_leave_nothing_behind() {
    if std::env::var_os(ALONE).is_some() {
        return soak(number("INORDER_HOSTILE", 100), number("INORDER_HOSTILE_SEED", 20_261_125));
    }
    // Other tests of this process would be counted too.
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            concat!("hostile::soak::", "batches_of_honest_and_hostile_calls_leave_nothing_behind"),
        ])
        .env(ALONE, "1")
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "see above");
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}"))
}

/// Not `eprintln!`, which the test harness keeps to itself when a test passes.
fn tell(line: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
}

fn soak(batches: u64, seed: u64) {
    let arena = Arena::new(Duration::from_millis(50));
    block_on(async {
        let before = held().unwrap();
        let (quick, heavy) = sort(&arena).await;
        let after = held().unwrap();
        tell(&format!(
            "every attack once: {before:?} before, {after:?} after; {} quick ones, {} heavy",
            quick.len(),
            heavy.len()
        ));
        assert!(after.memory <= before.memory + MORE_MEMORY, "memory is not given back");
        let mut rng = Rng::new(seed);
        let (mut calls, mut hostile, mut tenth) = (0, 0, None);
        let began = Instant::now();
        for batch in 0..batches {
            let attacks: Vec<&Attack> = match rng.one_in(100) && !heavy.is_empty() {
                true => vec![&heavy[rng.below(heavy.len())]],
                false => (0..2).map(|_| &quick[rng.below(quick.len())]).collect(),
            };
            hostile += attacks.len();
            calls += one(&arena, &attacks, &mut rng).await;
            if batch == batches / 10 {
                tenth = Some(held().unwrap());
            }
        }
        let (tenth, end) = (tenth.unwrap(), held().unwrap());
        tell(&format!(
            "{batches} batches of {calls} calls, {hostile} of them hostile, in {:.0?}: {tenth:?} after the first tenth, \
             {end:?} at the end; seed {seed}",
            began.elapsed()
        ));
        assert!(end.memory <= tenth.memory + MORE_MEMORY, "memory grows");
        assert!(end.descriptors <= tenth.descriptors + MORE_DESCRIPTORS, "descriptors are lost");
        assert!(end.threads <= tenth.threads + MORE_THREADS, "threads are lost");
    });
}

/// Runs every attack once, and tells those apart that take long.
async fn sort(arena: &Arena) -> (Vec<Attack>, Vec<Attack>) {
    const LONG: Duration = Duration::from_millis(100);
    let (mut quick, mut heavy) = (Vec::new(), Vec::new());
    for attack in arena.attacks() {
        let before = held().unwrap();
        reset_peak();
        let began = Instant::now();
        one(arena, &[&attack], &mut Rng::new(1)).await;
        let took = began.elapsed();
        let after = held().unwrap();
        tell(&format!(
            "{:26} {took:>8.1?}  {:>5} MiB before, {:>5} at most, {:>5} after",
            attack.tool, before.memory, after.peak, after.memory
        ));
        if took > LONG { heavy.push(attack) } else { quick.push(attack) }
    }
    (quick, heavy)
}

/// A batch of these attacks and of a few honest calls, in any order: every call has its one outcome, in its place.
async fn one(arena: &Arena, attacks: &[&Attack], rng: &mut Rng) -> usize {
    let mut order: Vec<Option<&Attack>> = attacks.iter().copied().map(Some).collect();
    for _ in 0..4 {
        order.insert(rng.below(order.len() + 1), None);
    }
    let calls = order.iter().enumerate().map(|(at, attack)| {
        let mut call = match attack {
            Some(attack) => json!({"tool": attack.tool, "args": attack.args}),
            None => honest(at),
        };
        call["id"] = json!(format!("call-{at}"));
        call
    });
    let batch = json!({"calls": calls.collect::<Vec<_>>()}).to_string();
    let report = arena.host.run(Batch::from_json(batch.as_bytes()).unwrap()).await.unwrap();
    let report = serde_json::to_value(&report).unwrap();
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), order.len(), "an outcome is lost: {batch}");
    for (at, (result, attack)) in results.iter().zip(&order).enumerate() {
        assert_eq!(result["id"], format!("call-{at}"), "the outcomes are not in order: {batch}");
        let as_it_should = match attack {
            Some(attack) => attack.ended(result),
            None => is_honest(result, at),
        };
        assert!(as_it_should, "{}", short(result));
    }
    results.len()
}

fn short(result: &Value) -> String {
    result.to_string().chars().take(1000).collect()
}
