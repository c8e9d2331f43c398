//! The binary is killed at random moments: while it runs a batch, takes back what a killed one left, or undoes.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{Place, SEED, number, random, tell};
use crate::serial::generate::{Batch, writes};
use crate::serial::rng::{Rng, STEP};
use crate::serial::tree::Tree;
use crate::support::built_guest;

#[derive(Default)]
struct Counts {
    killed: u64,
    too_late: u64,
    unfinished: u64,
    between: u64,
    recoveries: u64,
    undos: u64,
    undone: u64,
}

/// `INORDER_KILLS` (30) of the batch, `INORDER_KILL_SEED`.
#[test]
fn a_host_killed_at_any_moment_leaves_the_files_as_some_first_calls_would() {
    let Some(guest) = built_guest("fileops") else { return };
    let (kills, seed) = (number("INORDER_KILLS", 30), number("INORDER_KILL_SEED", SEED));
    let (mut counts, mut round) = (Counts::default(), 0);
    while counts.killed < kills {
        let seed = seed.wrapping_add(STEP.wrapping_mul(round));
        one_root(&guest, seed, &mut counts);
        round += 1;
    }
    tell(&format!(
        "{} kills ({} with a commit half done, {} after some but not all calls; {} came too late), \
         {} kills of a recovery, {} of an undo ({} undone)",
        counts.killed,
        counts.unfinished,
        counts.between,
        counts.too_late,
        counts.recoveries,
        counts.undos,
        counts.undone
    ));
}

/// Batches one after another in one root, each killed.
fn one_root(guest: &Path, seed: u64, counts: &mut Counts) {
    let place = Place::new();
    let mut rng = Rng::new(seed);
    // Before each of the earlier batches: an undo takes back the last one that has committed anything.
    let mut earlier: Vec<Tree> = Vec::new();
    for link in 0..1 + rng.below(3) as u64 {
        let mut batch = random(seed.wrapping_add(link));
        batch.calls.iter_mut().for_each(hurry);
        if earlier.is_empty() {
            batch.before.lay_out(&place.root()).unwrap();
        } else {
            // A later batch goes on where the earlier one was killed.
            batch.before = place.tree();
        }
        let states = place.states(&batch);
        let said = |what: &str| format!("{what}; seed {seed}, batch {link}");

        let took = span(guest, &batch);
        let mut child = place.command(guest, &batch).stdout(Stdio::null()).spawn().unwrap();
        if !rng.one_in(8) {
            wait_for_commits(&place, &mut child);
        }
        pause(Duration::from_nanos(rng.below(took.as_nanos() as usize) as u64));
        let killed = kill(child);
        if killed {
            counts.killed += 1;
        } else {
            counts.too_late += 1;
        }
        if half_done(&place) {
            counts.unfinished += 1;
        }
        while rng.one_in(2) {
            // `undo` opens the root first, and then takes back the batch: here it seldom gets so far.
            let child = place.undo().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            pause(Duration::from_micros(rng.below(4_000) as u64));
            kill(child);
            counts.recoveries += 1;
        }
        place.reopen().unwrap_or_else(|error| panic!("{}: {error}", said("cannot be opened")));
        let found = place.tree();
        let mut allowed: Vec<&Tree> = states.iter().chain(&earlier).collect();
        allowed.sort_by_key(|state| state.differences(&found).len());
        assert!(*allowed[0] == found, "{}: {:#?}", said("torn"), allowed[0].differences(&found));
        if found != states[0] && Some(&found) != states.last() {
            counts.between += 1;
        }
        if rng.one_in(2) {
            let child = place.undo().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            pause(Duration::from_micros(rng.below(4_000) as u64));
            counts.undos += 1;
            let (killed, refusal) = kill_and_read(child);
            place.reopen().unwrap_or_else(|error| panic!("{}: {error}", said("after an undo")));
            let after = place.tree();
            let undone = after == states[0] || earlier.contains(&after);
            let best = states[0].differences(&after);
            assert!(
                undone || (killed && after == found),
                "{}: {refusal}{best:#?}",
                said("torn by undo")
            );
            counts.undone += u64::from(undone);
        }
        earlier.push(states[0].clone());
    }
}

/// What is killed is not to wait much.
fn hurry(call: &mut crate::serial::generate::Call) {
    if !writes(call.tool) {
        call.args.remove("slow");
    }
}

/// How long a batch takes from its first commit to its end.
fn span(guest: &Path, batch: &Batch) -> Duration {
    let place = Place::new();
    batch.before.lay_out(&place.root()).unwrap();
    let mut child = place.command(guest, batch).stdout(Stdio::null()).spawn().unwrap();
    wait_for_commits(&place, &mut child);
    let began = Instant::now();
    let ended = child.wait().unwrap();
    assert!(matches!(ended.code(), Some(0 | 1)), "{ended}");
    began.elapsed().max(Duration::from_micros(100))
}

fn wait_for_commits(place: &Place, child: &mut Child) {
    let newest = || place.journals().into_iter().max();
    let known = newest();
    while child.try_wait().unwrap().is_none() {
        if newest() > known {
            return;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Shorter than the system's sleep can be.
fn pause(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// Kills a process of ours; not, if it has ended by itself.
fn kill(mut child: Child) -> bool {
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    !ended && std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

/// [`kill`], and what it had said.
fn kill_and_read(mut child: Child) -> (bool, String) {
    let mut errors = child.stderr.take().unwrap();
    let killed = kill(child);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut errors, &mut said).unwrap();
    (killed, said)
}

/// Whether a commit was begun and has no end.
fn half_done(place: &Place) -> bool {
    place.journals().iter().any(|journal| {
        let text = std::fs::read_to_string(journal).unwrap_or_default();
        text.lines().last().is_some_and(|line| line.contains("{\"begin\""))
    })
}
