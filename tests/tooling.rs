//! `inorder:tool`: what a call asks of the host about itself, and tells of itself.

use std::time::{Duration, Instant};

use inorder::{
    Batch, Call, CancellationToken, Grants, Host, LimitsConfig, PluginSpec, Progress, RunOptions,
    Source,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::support::block_on;

/// `steps` tells how far it is, so many times; `left` gives what is left of its time; `say` logs at a level, so many times;
/// `wait` goes round until it is cancelled.
const COMPONENT: &str = r#"(component
  (import "inorder:tool/call@0.1.0" (instance $call
    (export "deadline" (func (result u64)))
    (export "cancelled" (func (result bool)))))
  (import "inorder:tool/progress@0.1.0" (instance $progress
    (export "report" (func
      (param "done" f64) (param "total" (option f64)) (param "message" (option string))))))
  (import "inorder:tool/log@0.1.0" (instance $log
    (type $levels (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $levels)))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (core module $data
    (memory (export "memory") 1)
    (data (i32.const 0) "reading"))
  (core instance $data (instantiate $data))
  (core func $deadline (canon lower (func $call "deadline")))
  (core func $cancelled (canon lower (func $call "cancelled")))
  (core func $report (canon lower (func $progress "report") (memory $data "memory")))
  (core func $say (canon lower (func $log "log") (memory $data "memory")))
  (core module $m
    (import "host" "deadline" (func $deadline (result i64)))
    (import "host" "cancelled" (func $cancelled (result i32)))
    (import "host" "report" (func $report (param f64 i32 f64 i32 i32 i32)))
    (import "host" "say" (func $say (param i32 i32 i32)))
    (func (export "steps") (param $times i32)
      (local $at i32)
      (loop $next
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (call $report (f64.convert_i32_u (local.get $at))
          (i32.const 1) (f64.convert_i32_u (local.get $times))
          (i32.const 1) (i32.const 0) (i32.const 7))
        (br_if $next (i32.lt_u (local.get $at) (local.get $times)))))
    (func (export "left") (result i64) (call $deadline))
    (func (export "say") (param $level i32) (param $times i32)
      (loop $next
        (call $say (local.get $level) (i32.const 0) (i32.const 7))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $next (local.get $times))))
    (func (export "wait") (loop $next (br_if $next (i32.eqz (call $cancelled))))))
  (core instance $i (instantiate $m (with "host" (instance
    (export "deadline" (func $deadline)) (export "cancelled" (func $cancelled))
    (export "report" (func $report)) (export "say" (func $say))))))
  (func (export "steps") (param "times" u32) (canon lift (core func $i "steps")))
  (func (export "left") (result u64) (canon lift (core func $i "left")))
  (func (export "say") (param "level" u8) (param "times" u32) (canon lift (core func $i "say")))
  (func (export "wait") (canon lift (core func $i "wait"))))"#;

fn host() -> Host {
    let component = wat::parse_str(COMPONENT).unwrap();
    let spec = PluginSpec::new("own", Source::Bytes(component), Grants::default());
    Host::builder().plugin(spec).build().unwrap()
}

fn args(args: &Value) -> Map<String, Value> {
    args.as_object().unwrap().clone()
}

fn run(host: &Host, call: Call, options: RunOptions) -> inorder::Outcome {
    let plan = host.plan(Batch { calls: vec![call] }).unwrap();
    block_on(host.execute(plan, options)).results.remove(0)
}

#[test]
fn progress_reaches_whoever_listens_and_a_flood_of_it_does_not() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let options = RunOptions { progress: Some(sender), ..RunOptions::default() };
    let times = 200_000;
    let began = Instant::now();
    let outcome = run(&host(), Call::new("steps", args(&json!({"times": times}))), options);
    assert_eq!(outcome.result, Ok(Value::Null.into()));
    let mut said = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Progress::Said(0, it) = event {
            said.push(it);
        }
    }
    assert_eq!((said[0].done, said[0].total), (1.0, Some(f64::from(times))));
    assert_eq!(said[0].message, "reading");
    assert!(said.is_sorted_by(|one, two| one.done < two.done));
    let most = 1 + began.elapsed().as_millis() / 50;
    assert!(said.len() as u128 <= most, "{} of {most}", said.len());
}

#[test]
fn a_call_knows_how_much_of_its_time_is_left() {
    let limits = LimitsConfig { timeout: Some(Duration::from_secs(3)), ..Default::default() };
    let call = Call { limits, ..Call::new("left", Map::new()) };
    let left = run(&host(), call, RunOptions::default()).result.unwrap();
    let left: u64 = left.value().as_u64().unwrap();
    assert!((2_000_000_000..=3_000_000_000).contains(&left), "{left}");
}

#[test]
fn what_is_logged_is_captured_within_the_limit_of_output() {
    let host = host();
    let say = |level: u8, times: u32| {
        let call = Call::new("say", args(&json!({"level": level, "times": times})));
        run(&host, call, RunOptions::default())
    };
    let outcome = say(2, 2);
    assert_eq!(
        (outcome.result, &*outcome.stderr),
        (Ok(Value::Null.into()), "warn: reading\nwarn: reading\n")
    );
    // No such level: the guest's own fault.
    assert_eq!(say(4, 1).result.unwrap_err().kind.as_str(), "trap");
    let flood = say(0, 1_000_000);
    assert_eq!(flood.result.unwrap_err().kind.as_str(), "output");
    assert!(flood.stderr.len() <= 1 << 20);
}

#[test]
fn a_call_that_waits_to_be_cancelled_ends_as_that() {
    let host = host();
    let outcome = block_on(async {
        let cancel = CancellationToken::new();
        let plan = host.plan(Batch { calls: vec![Call::new("wait", Map::new())] }).unwrap();
        let options = RunOptions { cancel: cancel.clone(), ..RunOptions::default() };
        let later = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        };
        tokio::join!(host.execute(plan, options), later).0.results.remove(0)
    });
    // Either it learns of it first, or it is stopped.
    assert!(outcome.result.is_ok() || outcome.result.unwrap_err().kind.as_str() == "cancelled");
    assert!(outcome.usage.run < Duration::from_secs(5));
}

#[test]
fn another_version_is_not_offered() {
    let other = COMPONENT.replace("inorder:tool/call@0.1.0", "inorder:tool/call@0.2.0");
    let spec =
        PluginSpec::new("own", Source::Bytes(wat::parse_str(other).unwrap()), Grants::default());
    let error = Host::builder().plugin(spec).build().map(drop).unwrap_err().to_string();
    assert!(
        error.contains("inorder:tool/call@0.2.0") && error.contains("inorder:tool 0.1"),
        "{error}"
    );
}
