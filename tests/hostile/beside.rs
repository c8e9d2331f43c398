//! Each attack in one batch with ten honest calls, which know nothing of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Arena;
use super::attacks::{Attack, SHORT};
use crate::support::report;

/// Generous: machines that test are slow and busy. Without limits, most of the attacks never end.
const IN_TIME: Duration = Duration::from_secs(60);

#[test]
fn each_attack_fails_by_itself_beside_ten_honest_calls() {
    let arena = Arena::new(SHORT);
    let mut wrong = Vec::new();
    for attack in arena.attacks() {
        let began = Instant::now();
        let report = report(&arena.host, &batch(&attack));
        let took = began.elapsed();
        wrong.extend(differs(&report, &attack));
        if took > IN_TIME {
            wrong.push(format!("{}: the batch took {took:?}", attack.tool));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The attack is the sixth call.
pub fn batch(attack: &Attack) -> Value {
    let mut calls: Vec<Value> = (0..10).map(honest).collect();
    calls.insert(5, json!({"tool": attack.tool, "args": attack.args}));
    json!({ "calls": calls })
}

pub fn honest(number: usize) -> Value {
    match number % 5 {
        0 => json!({"tool": "read_text_file", "args": {"path": "in/file"}}),
        1 => json!({"tool": "list_directory", "args": {"path": "in"}}),
        _ => json!({"tool": "add", "args": {"a": number, "b": 1}}),
    }
}

/// What is not as it should be in the report of [`batch`].
fn differs(report: &Value, attack: &Attack) -> Vec<String> {
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 11);
    let mut wrong = Vec::new();
    for number in 0..10 {
        let at = number + usize::from(number >= 5);
        if !is_honest(&results[at], number) {
            wrong.push(format!("beside {}, call {at}: {}", attack.tool, results[at]));
        }
    }
    if !attack.ended(&results[5]) {
        let text = results[5].to_string();
        wrong.push(format!("{}: {}", attack.tool, text.chars().take(1000).collect::<String>()));
    }
    wrong
}

pub fn is_honest(result: &Value, number: usize) -> bool {
    match number % 5 {
        0 => result["value"] == "mine",
        1 => result["status"] == "ok" && result["value"].to_string().contains("file"),
        _ => result["value"] == number + 1,
    }
}
