//! What a guest can do to its host and to the calls beside it: nothing but fail by itself.

use std::time::{Duration, Instant};

use inorder::{EnvGrant, ErrorKind, Host, Limits, LimitsConfig, PluginSpec};
use serde_json::{Value, json};

use crate::support::{
    calc, calc_host, call, grants, guest, report, run, run_cancelled, scratch, text_plugin,
};

fn limited(limits: Limits) -> Host {
    Host::builder().plugin(calc()).limits(limits).build().unwrap()
}

#[test]
fn an_endless_loop_ends_at_its_timeout_while_its_neighbours_finish() {
    let host = limited(Limits { timeout: Duration::from_millis(200), ..Limits::default() });
    let mut calls = vec![json!({"tool": "spin"}); 4];
    calls.extend((0..10).map(|n| json!({"tool": "add", "args": {"a": n, "b": 0}})));
    let began = Instant::now();
    let report = report(&host, &json!({ "calls": calls }));
    for n in 0..4 {
        assert_eq!(report["results"][n]["error"]["kind"], "timeout", "{}", report["results"][n]);
    }
    for n in 0..10 {
        assert_eq!(report["results"][4 + n]["value"], n);
    }
    // Generous: four loops share two cores. Without interruption this never ends.
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_plugin_that_traps_at_its_start_fails_its_calls_alone() {
    let start = text_plugin(
        "start",
        r#"(component
            (core module $m (func $f unreachable) (start $f) (func (export "boom")))
            (core instance $i (instantiate $m))
            (func (export "boom") (canon lift (core func $i "boom"))))"#,
    );
    let host = Host::builder().plugin(start).plugin(calc()).build().unwrap();
    let batch = json!({"calls": [{"tool": "boom"}, {"tool": "add", "args": {"a": 1, "b": 2}}]});
    let report = report(&host, &batch);
    assert_eq!(report["results"][0]["error"]["kind"], "trap");
    assert_eq!(report["results"][1]["value"], 3);
}

#[test]
fn traps_say_what_happened() {
    let host = calc_host();
    let trap = call(&host, "trap", json!({}));
    assert_eq!(trap["error"]["kind"], "trap");
    assert!(trap["error"]["message"].as_str().unwrap().contains("unreachable"), "{trap}");
    let overflow = call(&host, "recurse", json!({}));
    assert_eq!(overflow["error"]["message"], "the plugin trapped: its stack overflowed");
}

#[test]
fn memory_is_refused_at_the_limit_and_the_reason_is_told() {
    let host = limited(Limits { memory: 1 << 20, ..Limits::default() });
    // One page of 64 KiB is there from the start.
    assert_eq!(call(&host, "grow", json!({"pages": 15}))["value"], 1);
    assert_eq!(call(&host, "grow", json!({"pages": 16}))["value"], -1);
    let trapped = call(&host, "grow_or_trap", json!({"pages": 16}));
    assert_eq!(trapped["error"]["kind"], "memory", "{trapped}");
    assert!(
        trapped["error"]["message"].as_str().unwrap().contains("`limits.memory`, 1.0 MiB"),
        "{trapped}"
    );
    assert_eq!(call(&host, "grow", json!({"pages": 15}))["usage"]["peak_memory"], 1 << 20);
}

#[test]
fn a_result_larger_than_its_limit_is_an_output_error() {
    let host = limited(Limits { result: 1000, ..Limits::default() });
    assert_eq!(call(&host, "echo", json!({"text": "x".repeat(900)}))["status"], "ok");
    let large = call(&host, "echo", json!({"text": "x".repeat(1001)}));
    assert_eq!(large["error"]["kind"], "output", "{large}");
}

#[test]
fn an_error_value_is_bounded_like_a_result() {
    let Some(spec) = guest("probe") else { return };
    let limits = Limits { result: 10_000, ..Limits::default() };
    let host = Host::builder().plugin(spec).limits(limits).build().unwrap();
    let long = call(&host, "fail", json!({"message": "x".repeat(9_000)}));
    assert_eq!(long["error"]["kind"], "tool");
    assert!(long["error"]["message"].as_str().unwrap().len() < 2_100);
    let larger = call(&host, "fail", json!({"message": "x".repeat(11_000)}));
    assert_eq!(larger["error"]["kind"], "output", "{larger}");
}

#[test]
fn timeouts_reach_guests_that_keep_every_core_busy() {
    let host = limited(Limits { timeout: Duration::from_millis(200), ..Limits::default() });
    let report = run(&host, &json!({"calls": vec![json!({"tool": "spin"}); 64]})).unwrap();
    for outcome in &report.results {
        assert_eq!(outcome.result.as_ref().unwrap_err().kind, ErrorKind::Timeout);
    }
}

#[test]
fn a_list_that_says_it_is_too_long_is_not_read() {
    // A list that says it is 200 million long, of which the memory holds as many bytes.
    let long = text_plugin(
        "long",
        r#"(component
            (core module $m (memory (export "memory") 3200)
              (func (export "list") (result i32)
                (i32.store (i32.const 4) (i32.const 200000000)) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "list") (result (list bool))
              (canon lift (core func $i "list") (memory $i "memory"))))"#,
    );
    let host = Host::builder().plugin(long).build().unwrap();
    let result = call(&host, "list", json!({}));
    assert_eq!(result["error"]["kind"], "output", "{result}");
    assert!(
        result["error"]["message"].as_str().unwrap().contains("`limits.result`, 4.0 MiB"),
        "{result}"
    );
}

#[test]
fn limits_of_a_plugin_win_over_those_of_the_host() {
    let mut spec = calc();
    spec.limits = LimitsConfig { result: Some(10), ..LimitsConfig::default() };
    let host = Host::builder().plugin(spec).build().unwrap();
    assert_eq!(call(&host, "echo", json!({"text": "x".repeat(11)}))["error"]["kind"], "output");
}

#[test]
fn cancelling_stops_guests_and_still_gives_every_call_an_outcome() {
    let host = Host::builder().plugin(calc()).jobs(2).build().unwrap();
    let batch = json!({"calls": [
        {"tool": "add", "args": {"a": 1, "b": 1}},
        {"tool": "spin"},
        {"tool": "spin"},
        {"tool": "add", "args": {"a": 1, "b": 1}, "after": [2]},
        {"tool": "spin"},
    ]});
    let began = Instant::now();
    let report = run_cancelled(&host, &batch, Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(report.results[0].result, Ok(json!(2).into()));
    for outcome in &report.results[1..] {
        assert_eq!(outcome.result.as_ref().unwrap_err().kind, ErrorKind::Cancelled);
    }
    assert!(!report.results[1].usage.run.is_zero());
    // Their room is free again.
    assert_eq!(call(&host, "add", json!({"a": 1, "b": 1}))["value"], 2);
}

#[test]
fn to_wait_for_the_commit_of_others_is_no_time_that_a_call_runs() {
    let (_root, builder) = scratch(&[]);
    let all = grants(&["**"], &["**"]);
    let mut spinning = calc();
    spinning.grants = all.clone();
    let files = PluginSpec::builtin("filesystem", all);
    let host = builder.plugin(spinning).plugin(files).jobs(2).build().unwrap();
    let batch = json!({"calls": [
        {"tool": "spin"},
        {"tool": "write_file", "args": {"path": "a.txt", "content": "a"}},
    ]});
    let waited = Duration::from_secs(1);
    let report = run_cancelled(&host, &batch, waited);
    let written = &report.results[1];
    assert_eq!(written.result.as_ref().unwrap_err().kind, ErrorKind::Cancelled);
    assert!(!written.usage.run.is_zero());
    assert!(written.usage.run < waited / 2, "{:?}", written.usage);
}

#[test]
fn dropping_a_run_frees_its_room() {
    let host = Host::builder().plugin(calc()).jobs(1).build().unwrap();
    crate::support::block_on(async {
        let batch = inorder::Batch::from_json(br#"{"calls": [{"tool": "spin"}]}"#).unwrap();
        let run = tokio::time::timeout(Duration::from_millis(100), host.run(batch));
        assert!(run.await.is_err());
    });
    assert_eq!(call(&host, "add", json!({"a": 1, "b": 1}))["value"], 2);
}

#[test]
fn a_fresh_store_for_every_call() {
    let counter = text_plugin(
        "counter",
        r#"(component
            (core module $m (global $n (mut i32) (i32.const 0))
              (func (export "count") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
            (core instance $i (instantiate $m))
            (func (export "count") (result u32) (canon lift (core func $i "count"))))"#,
    );
    let host = Host::builder().plugin(counter).build().unwrap();
    let report = report(&host, &json!({"calls": vec![json!({"tool": "count"}); 20]}));
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["value"], 1);
    }
}

/// A host with the probe guest, granted nothing.
fn probe() -> Option<Host> {
    Some(Host::builder().plugin(guest("probe")?).build().unwrap())
}

#[test]
fn nothing_is_granted_by_default() {
    let Some(host) = probe() else { return };
    let refused = |tool: &str, args: Value| {
        let result = call(&host, tool, args);
        assert_eq!(result["status"], "error", "{tool}: {result}");
    };
    refused("read", json!({"path": "Cargo.toml"}));
    refused("read", json!({"path": "/etc/passwd"}));
    refused("write", json!({"path": "x", "content": "x"}));
    refused("list", json!({"path": "."}));
    refused("connect", json!({"address": "127.0.0.1:9"}));
    refused("resolve", json!({"name": "localhost:80"}));
    refused("random", json!({"n": 100_000}));
    assert_eq!(call(&host, "env", json!({"name": "PATH"}))["value"], Value::Null);
    assert_eq!(call(&host, "env_all", json!({}))["value"], json!([]));
    assert_eq!(call(&host, "read_stdin", json!({}))["value"], "");
    // Clocks and random numbers are given.
    assert!(call(&host, "now", json!({}))["value"].as_u64().unwrap() > 1_700_000_000_000);
    assert_ne!(call(&host, "random", json!({"n": 16}))["value"], "AAAAAAAAAAAAAAAAAAAAAA==");
}

#[test]
fn what_is_granted_is_reached_and_no_more() {
    let Some(mut spec) = guest("probe") else { return };
    let (root, builder) = scratch(&[("open/a.txt", "a"), ("shut/b.txt", "b")]);
    spec.grants = grants(&["open/**"], &[]);
    spec.grants.env = vec![EnvGrant::parse("MODE=fast").unwrap()];
    let host = builder.plugin(spec).build().unwrap();
    assert_eq!(call(&host, "read", json!({"path": "open/a.txt"}))["value"], "a");
    let absolute = root.path().canonicalize().unwrap().join("open/a.txt");
    assert_eq!(call(&host, "read", json!({"path": absolute}))["value"], "a");
    for path in ["shut/b.txt", "open/../shut/b.txt", "."] {
        assert_eq!(call(&host, "read", json!({"path": path}))["status"], "error", "{path}");
    }
    assert_eq!(
        call(&host, "write", json!({"path": "open/a.txt", "content": "x"}))["status"],
        "error"
    );
    assert_eq!(call(&host, "env_all", json!({}))["value"], json!([["MODE", "fast"]]));
}

#[test]
fn symlinks_do_not_lead_out() {
    let Some(mut spec) = guest("probe") else { return };
    let (root, builder) = scratch(&[("in/a.txt", "a"), ("out/b.txt", "b")]);
    for (link, target) in [("abs", "/etc"), ("up", "../out"), ("file", "/etc/passwd")] {
        std::os::unix::fs::symlink(target, root.path().join("in").join(link)).unwrap();
    }
    spec.grants = grants(&["in/**"], &["in/**"]);
    let host = builder.plugin(spec).build().unwrap();
    for path in ["in/abs/passwd", "in/up/b.txt", "in/file"] {
        assert_eq!(call(&host, "read", json!({"path": path}))["status"], "error", "{path}");
    }
    let write = call(&host, "write", json!({"path": "in/up/b.txt", "content": "x"}));
    assert_eq!(write["status"], "error");
    assert_eq!(std::fs::read_to_string(root.path().join("out/b.txt")).unwrap(), "b");
}

#[test]
fn what_a_call_wrote_is_there_when_it_has_ended() {
    let (_root, builder) = scratch(&[]);
    let mut writer = text_plugin("writer", include_str!("support/late-write.wat"));
    writer.grants = grants(&[], &["**"]);
    let reader = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(writer).plugin(reader).build().unwrap();
    let calls = (b'a'..=b'z').flat_map(|byte| {
        let read = json!({"tool": "read_text_file", "args": {"path": "f.txt"}});
        [json!({"tool": "write_and_go", "args": {"byte": byte}}), read]
    });
    let report = report(&host, &json!({ "calls": calls.collect::<Vec<_>>() }));
    for (n, byte) in (b'a'..=b'z').enumerate() {
        let read = &report["results"][2 * n + 1];
        let expected = char::from(byte).to_string().repeat(60_000);
        assert!(read["value"] == json!(expected), "{byte}: {}", read["status"]);
    }
}

#[test]
fn standard_output_is_captured_per_call_and_bounded() {
    let Some(host) = probe() else { return };
    let report = report(
        &host,
        &json!({"calls": [
            {"tool": "print", "args": {"text": "one", "times": 1}},
            {"tool": "print", "args": {"text": "two", "times": 2}},
            {"tool": "warn", "args": {"text": "three"}},
            {"tool": "print", "args": {"text": "0123456789abcdef".repeat(64), "times": 2000}},
        ]}),
    );
    assert_eq!(report["results"][0]["stdout"], "one");
    assert_eq!(report["results"][1]["stdout"], "twotwo");
    assert_eq!(report["results"][2]["stderr"], "three");
    assert_eq!(
        report["results"][3]["error"]["kind"], "output",
        "{}",
        report["results"][3]["error"]
    );
}

#[test]
fn a_panic_is_a_trap_with_its_last_words() {
    let Some(host) = probe() else { return };
    let panic = call(&host, "panic", json!({"message": "the moon is full"}));
    assert_eq!(panic["error"]["kind"], "trap");
    assert!(panic["error"]["message"].as_str().unwrap().contains("the moon is full"), "{panic}");
    let exit = call(&host, "exit", json!({"code": 3}));
    assert_eq!(exit["error"]["kind"], "trap", "{exit}");
    let memory = call(&host, "allocate", json!({"mib": 300}));
    assert_eq!(memory["error"]["kind"], "memory", "{memory}");
}

#[test]
fn tool_errors_carry_their_value() {
    let Some(host) = probe() else { return };
    let failed = call(&host, "fail", json!({"message": "no such record"}));
    assert_eq!(failed["error"]["kind"], "tool");
    assert_eq!(failed["error"]["message"], "no such record");
    let typed = call(&host, "fail_typed", json!({}));
    assert_eq!(typed["error"]["value"], json!({"quota": {"limit": 10, "used": 10}}));
}

#[test]
fn sleeping_guests_time_out_and_overlap() {
    let Some(mut spec) = guest("probe") else { return };
    spec.limits.timeout = Some(Duration::from_secs(2));
    let host = Host::builder().plugin(spec).jobs(64).build().unwrap();
    let mut calls = vec![json!({"tool": "sleep", "args": {"ms": 60_000}})];
    calls.extend(vec![json!({"tool": "sleep", "args": {"ms": 100}}); 50]);
    let began = Instant::now();
    let report = run(&host, &json!({ "calls": calls })).unwrap();
    assert_eq!(report.results[0].result.as_ref().unwrap_err().kind, ErrorKind::Timeout);
    assert!(report.results[1..].iter().all(|outcome| outcome.result.is_ok()));
    // One after another they would take more than five seconds.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn handles_are_bounded() {
    let Some(mut spec) = guest("probe") else { return };
    let (_root, builder) = scratch(&[("a.txt", "a")]);
    spec.grants = grants(&["**"], &[]);
    let host = builder.plugin(spec).build().unwrap();
    let few = call(&host, "open_many", json!({"path": "a.txt", "count": 100}));
    assert_eq!(few["value"], 100, "{few}");
    let many = call(&host, "open_many", json!({"path": "a.txt", "count": 5000}));
    let held = many["value"].as_u64();
    let told =
        many["error"]["message"].as_str().is_some_and(|it| it.contains("`limits.handles`, 1000"));
    assert!(held.is_some_and(|held| held < 1000) || told, "{many}");
}

#[test]
fn a_plugin_file_is_named_like_its_file() {
    assert_eq!(PluginSpec::file("dir/my-tools.wasm", grants(&[], &[])).name, "my-tools");
}
