//! Batches that are cancelled, or dropped, while guests run that would never end: in their own code, in one long
//! instruction, and inside the host.

use std::time::{Duration, Instant};

use inorder::{Batch, ErrorKind, Host, RunOptions};
use serde_json::{Value, json};

use super::Arena;
use super::process::held;
use crate::support::{block_on, call};

/// Two ticks are 10 ms. A machine that tests is slow and busy, and so has a few tries.
const AT_ONCE: Duration = Duration::from_millis(250);
const TRIES: usize = 5;

/// None of them ends within a minute.
fn endless(arena: &Arena) -> Vec<(&'static str, Value)> {
    let mut calls = vec![
        ("spin", json!({})),
        ("fill", json!({})),
        ("copy", json!({})),
        ("table_fill", json!({})),
        ("grow_by_one", json!({})),
        ("realloc_loop", json!({"text": "x"})),
        ("loop_after", json!({})),
        ("start_loop", json!({})),
        ("laughs", json!({})),
        ("hand_to_host", json!({})),
    ];
    if arena.guest {
        calls.extend([
            ("sleep", json!({})),
            ("write_forever", json!({})),
            ("far_clocks", json!({"count": 400, "rounds": u32::MAX})),
            ("write_nothing", json!({"times": u32::MAX})),
            ("churn", json!({"count": u32::MAX})),
        ]);
    }
    calls
}

fn arena() -> Arena {
    Arena::new(Duration::from_secs(60))
}

fn plan(tool: &str, args: &Value) -> Batch {
    let attack = json!({"tool": tool, "args": args});
    let calls = [
        attack.clone(),
        attack.clone(),
        json!({"tool": "add", "args": {"a": 1, "b": 1}, "after": [1]}),
        attack,
    ];
    Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap()
}

/// The shortest of some tries of what ought to be short.
fn shortest(mut attempt: impl FnMut() -> Duration) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        shortest = shortest.min(attempt());
        if shortest < AT_ONCE {
            break;
        }
    }
    shortest
}

fn told(what: &str, took: &[(&str, Duration)]) {
    let took: Vec<String> = took.iter().map(|(tool, took)| format!("{tool} {took:.1?}")).collect();
    let line = format!("{what}: {}\n", took.join(", "));
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

#[test]
fn a_cancelled_batch_stops_guests_wherever_they_are_and_loses_no_outcome() {
    let arena = arena();
    let mut took = Vec::new();
    for (tool, args) in endless(&arena) {
        let shortest = shortest(|| cancel(&arena.host, tool, &args));
        assert!(shortest < AT_ONCE, "{tool} ran on for {shortest:?}");
        took.push((tool, shortest));
    }
    told("cancelled", &took);
}

/// Of what one instruction, or the instances of one component, would take by themselves: 100 ms and more.
const AT_ONCE_FOR_ONE: Duration = Duration::from_millis(60);

#[test]
fn what_is_long_by_itself_is_stopped_in_its_midst() {
    let arena = arena();
    let mut took = Vec::new();
    for (name, tool, stop) in [
        ("fill cancelled", "fill_once", Stop::Cancel),
        ("fill timed out", "fill_once", Stop::Time),
        ("copy cancelled", "copy_once", Stop::Cancel),
        ("copy timed out", "copy_once", Stop::Time),
        ("data cancelled", "data_often", Stop::Cancel),
        ("data timed out", "data_often", Stop::Time),
        ("elements cancelled", "elements_often", Stop::Cancel),
        ("elements timed out", "elements_often", Stop::Time),
        ("straight cancelled", "straight", Stop::Cancel),
        ("straight timed out", "straight", Stop::Time),
        ("unwinds cancelled", "unwinds", Stop::Cancel),
        ("unwinds timed out", "unwinds", Stop::Time),
        ("host call cancelled", "hand_to_host", Stop::Cancel),
        ("host call timed out", "hand_to_host", Stop::Time),
    ] {
        let stopped = (0..TRIES).map(|_| long_by_itself(&arena.host, tool, stop));
        let shortest = stopped.min().unwrap();
        assert!(shortest < AT_ONCE_FOR_ONE, "{name} ran on for {shortest:?}");
        took.push((name, shortest));
    }
    told("long by itself", &took);
}

/// Who stops a call.
#[derive(Clone, Copy)]
enum Stop {
    Cancel,
    Time,
}

/// How long a call goes on after it was to be stopped, soon after it began.
fn long_by_itself(host: &Host, tool: &str, stop: Stop) -> Duration {
    const SOON: Duration = Duration::from_millis(10);
    let call = match stop {
        Stop::Cancel => json!({"tool": tool}),
        Stop::Time => json!({"tool": tool, "limits": {"timeout": "10ms"}}),
    };
    let batch = json!({ "calls": [call] }).to_string();
    let plan = host.plan(Batch::from_json(batch.as_bytes()).unwrap()).unwrap();
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let began = Instant::now();
    // Not on the thread that the guest may keep from noticing that the time has come.
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(SOON);
        let asked = Instant::now();
        if let Stop::Cancel = stop {
            cancel.cancel();
        }
        asked
    });
    let (report, ended) = block_on(async { (host.execute(plan, options).await, Instant::now()) });
    let asked = match stop {
        Stop::Cancel => stopping.join().unwrap(),
        Stop::Time => began + SOON,
    };
    let stopped = ended.saturating_duration_since(asked);
    let kind = match stop {
        Stop::Cancel => ErrorKind::Cancelled,
        Stop::Time => ErrorKind::Timeout,
    };
    // Some machine may be done before.
    let error = report.results[0].result.as_ref().err();
    assert!(error.is_none_or(|error| error.kind == kind), "{tool}: {error:?}");
    stopped
}

/// How long a batch goes on after it is cancelled.
fn cancel(host: &Host, tool: &str, args: &Value) -> Duration {
    let plan = host.plan(plan(tool, args)).unwrap();
    let (report, stopped) = block_on(async {
        let options = RunOptions::default();
        let cancel = options.cancel.clone();
        let waited = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cancel.cancel();
            Instant::now()
        };
        let run = async { (host.execute(plan, options).await, Instant::now()) };
        let ((report, ended), cancelled) = tokio::join!(run, waited);
        (report, ended.saturating_duration_since(cancelled))
    });
    assert_eq!(report.results.len(), 4);
    for outcome in &report.results {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{tool}: {error:?}");
    }
    stopped
}

#[test]
fn a_dropped_batch_gives_back_its_room_and_what_it_held() {
    let arena = arena();
    // Whatever a first call opens for good is open.
    call(&arena.host, "add", json!({"a": 1, "b": 1}));
    let mut took = Vec::new();
    for (tool, args) in endless(&arena) {
        let shortest = shortest(|| dropped(&arena.host, tool, &args));
        assert!(shortest < AT_ONCE, "the room of {tool} was held for {shortest:?}");
        took.push((tool, shortest));
    }
    told("dropped", &took);
}

/// How long it takes until a batch that needs all the room can run, once one that has it was dropped.
fn dropped(host: &Host, tool: &str, args: &Value) -> Duration {
    block_on(async {
        let batch = plan(tool, args);
        let run = tokio::time::timeout(Duration::from_millis(100), host.run(batch));
        assert!(run.await.is_err(), "{tool} ended");
        let began = Instant::now();
        let calls = vec![json!({"tool": "add", "args": {"a": 1, "b": 1}}); 64];
        let batch = json!({ "calls": calls }).to_string();
        let report = host.run(Batch::from_json(batch.as_bytes()).unwrap()).await.unwrap();
        assert!(report.all_ok());
        began.elapsed()
    })
}

/// Other tests of this process open and close files too: what is looked for is more than all of them hold.
#[test]
fn cancelled_calls_leave_no_descriptors() {
    let arena = arena();
    if !arena.guest {
        return;
    }
    let before = held().unwrap();
    for _ in 0..30 {
        cancel(&arena.host, "write_forever", &json!({}));
    }
    let after = held().unwrap();
    assert!(after.descriptors < before.descriptors + 300, "{before:?}, then {after:?}");
}
