//! Limits of calls and ceilings of the host: each one on by default, lowered here at every level, and told by its name.

use std::time::{Duration, Instant};

use inorder::{
    Batch, Call, CancellationToken, ErrorKind, Host, HostBuilder, Limits, LimitsConfig, PluginSpec,
    Progress, RunOptions, Tenant,
};
use serde_json::{Value, json};

use crate::support::{
    block_on, calc, calc_host, call, grants, guest, report, scratch, text_plugin,
};

/// What comes of a call when a limit is set for the host, for its plugin, and for the call itself.
fn at_every_level(
    builder: &HostBuilder,
    spec: &PluginSpec,
    limits: &Value,
    tool: &str,
    args: &Value,
) -> Vec<Value> {
    let some: LimitsConfig = serde_json::from_value(limits.clone()).unwrap();
    let of_host = builder.clone().plugin(spec.clone()).limits(Limits::default().with(&some));
    let mut limited = spec.clone();
    limited.limits = some;
    let of_plugin = builder.clone().plugin(limited);
    let of_call = builder.clone().plugin(spec.clone()).build().unwrap();
    let batch = json!({"calls": [{"tool": tool, "args": args, "limits": limits}]});
    vec![
        call(&of_host.build().unwrap(), tool, args.clone()),
        call(&of_plugin.build().unwrap(), tool, args.clone()),
        report(&of_call, &batch)["results"][0].take(),
    ]
}

/// The call is fine by default, and ends as `kind` at every level that limits it, with a message that tells which limit.
fn is_enforced(
    spec: &PluginSpec,
    limits: &Value,
    (tool, args): (&str, Value),
    kind: &str,
    told: &str,
) {
    let (_root, builder) = scratch(&[("a.txt", "a")]);
    let mut spec = spec.clone();
    spec.grants = grants(&["**"], &["**"]);
    if kind != "timeout" {
        let host = builder.clone().plugin(spec.clone()).build().unwrap();
        let unlimited = call(&host, tool, args.clone());
        assert_eq!(unlimited["status"], "ok", "{unlimited}");
    }
    for (level, result) in
        ["host", "plugin", "call"].iter().zip(at_every_level(&builder, &spec, limits, tool, &args))
    {
        assert_eq!(result["error"]["kind"], kind, "{limits} of the {level}: {result}");
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{limits} of the {level}: {message}");
    }
}

#[test]
fn time_is_limited() {
    let limits = json!({"timeout": "100ms"});
    is_enforced(&calc(), &limits, ("spin", json!({})), "timeout", "`limits.timeout`, 100ms");
}

#[test]
fn memory_is_limited() {
    let limits = json!({"memory": "1MiB"});
    let grow = ("grow_or_trap", json!({"pages": 16}));
    is_enforced(&calc(), &limits, grow, "memory", "`limits.memory`, 1.0 MiB");
}

#[test]
fn arguments_are_limited() {
    let echo = ("echo", json!({"text": "x".repeat(200)}));
    is_enforced(&calc(), &json!({"args": 100}), echo, "arguments", "`limits.args`, 100 B");
}

#[test]
fn arguments_that_come_by_reference_are_limited() {
    let text = json!({"$from": 1});
    let batch = json!({"calls": [
        {"tool": "echo", "args": {"text": "x".repeat(200)}},
        {"tool": "echo", "args": {"text": text}, "limits": {"args": 100}},
    ]});
    let report = report(&calc_host(), &batch);
    let error = &report["results"][1]["error"];
    assert_eq!(error["kind"], "arguments", "{error}");
    assert!(error["message"].as_str().unwrap().contains("`limits.args`, 100 B"), "{error}");
}

#[test]
fn results_are_limited() {
    let echo = ("echo", json!({"text": "x".repeat(200)}));
    is_enforced(&calc(), &json!({"result": 100}), echo, "output", "`limits.result`, 100 B");
}

#[test]
fn copies_are_limited() {
    let Some(probe) = guest("probe") else { return };
    // Handed over to be printed, in one go.
    let print = ("print", json!({"text": "x".repeat(1200), "times": 1}));
    is_enforced(&probe, &json!({"copies": "1KiB"}), print, "output", "`limits.copies`, 1.0 KiB");
}

#[test]
fn captured_output_is_limited() {
    let Some(probe) = guest("probe") else { return };
    let print = ("print", json!({"text": "0123456789", "times": 200}));
    is_enforced(&probe, &json!({"output": "1KiB"}), print, "output", "`limits.output`, 1.0 KiB");
}

#[test]
fn handles_are_limited() {
    let Some(probe) = guest("probe") else { return };
    let open = ("open_many", json!({"path": "a.txt", "count": 100}));
    is_enforced(&probe, &json!({"handles": 50}), open, "handles", "`limits.handles`, 50");
}

#[test]
fn staged_changes_are_limited() {
    let Some(probe) = guest("probe") else { return };
    let write = ("write", json!({"path": "b.txt", "content": "x".repeat(2000)}));
    is_enforced(&probe, &json!({"staged": "1KiB"}), write, "staged", "`limits.staged`, 1.0 KiB");
}

#[test]
fn random_requests_are_limited() {
    let Some(probe) = guest("probe") else { return };
    let random = ("random", json!({"n": 200}));
    is_enforced(&probe, &json!({"random": 100}), random, "random", "`limits.random`, 100 B");
}

#[test]
fn a_call_can_not_raise_its_limits() {
    let batch = json!({"calls": [
        {"tool": "add", "args": {"a": 1, "b": 1}, "limits": {"timeout": "1m"}},
        {"tool": "add", "args": {"a": 1, "b": 1}, "limits": {"timeout": "30s", "memory": "1MiB"}},
    ]});
    let report = report(&calc_host(), &batch);
    let error = &report["results"][0]["error"];
    assert_eq!(error["kind"], "denied");
    assert_eq!(
        error["message"],
        "the call asks for `limits.timeout` of 1m, and policy gives it 30s: a call can only lower its limits"
    );
    assert_eq!(report["results"][1]["value"], 2);
}

#[test]
fn limits_that_mean_nothing_are_not_ignored() {
    for (limits, says) in [
        (json!({"fuel": 1}), "`calls[0].limits.fuel`: unknown field"),
        (json!({"timeout": "1"}), "is not a time"),
        (json!({"handles": 0}), "is zero"),
        (json!({"memory": "5GiB"}), "at most 4GiB"),
    ] {
        let batch = json!({"calls": [{"tool": "add", "limits": limits}]}).to_string();
        let error = Batch::from_json(batch.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{limits}: {error}");
    }
}

/// Grows its memory by 1 MiB, and never ends.
fn holder() -> PluginSpec {
    text_plugin(
        "holder",
        r#"(component
            (core module $m (memory (export "memory") 1)
              (func (export "hold") (drop (memory.grow (i32.const 16))) (loop $again (br $again))))
            (core instance $i (instantiate $m))
            (func (export "hold") (canon lift (core func $i "hold"))))"#,
    )
}

fn batch(calls: usize, tool: &str) -> Batch {
    let call = json!({"tool": tool, "args": if tool == "add" { json!({"a": 1, "b": 1}) } else { json!({}) }});
    Batch::from_json(json!({"calls": vec![call; calls]}).to_string().as_bytes()).unwrap()
}

/// Runs calls that do not end while `meanwhile` goes on, from when one has been started for a moment.
async fn while_busy<T>(
    host: &Host,
    (calls, tool): (usize, &str),
    tenant: Tenant,
    meanwhile: impl Future<Output = T>,
) -> T {
    let (progress, mut started) = tokio::sync::mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        progress: Some(progress),
        tenant,
        ..RunOptions::default()
    };
    let plan = host.plan(batch(calls, tool)).unwrap();
    let (report, done) = tokio::join!(host.execute(plan, options), async {
        // Whichever gets a thread first.
        let first = started.recv().await;
        assert!(matches!(first, Some(Progress::Started(_))), "{first:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let done = meanwhile.await;
        cancel.cancel();
        done
    });
    assert_eq!(report.results.len(), calls);
    done
}

#[test]
fn all_calls_together_hold_no_more_memory_than_the_host_may() {
    let builder = Host::builder().plugin(holder()).plugin(calc());
    let host = builder.max_memory(2 << 20).build().unwrap();
    let grow = json!({"calls": [{"tool": "grow_or_trap", "args": {"pages": 16}}]}).to_string();
    let grow = || host.run(Batch::from_json(grow.as_bytes()).unwrap());
    block_on(async {
        let alone = grow().await.unwrap();
        assert_eq!(alone.results[0].result, Ok(json!(17).into()));
        let beside = while_busy(&host, (1, "hold"), Tenant::default(), grow()).await.unwrap();
        let error = beside.results[0].result.as_ref().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Memory);
        assert!(error.message.contains("`max-memory`, 2.0 MiB"), "{error}");
        // What was held is free again.
        let alone = grow().await.unwrap();
        assert_eq!(alone.results[0].result, Ok(json!(17).into()));
    });
}

#[test]
fn results_that_wait_to_be_handed_over_are_memory_of_the_host_too() {
    let (dir, builder) = scratch(&[]);
    std::fs::write(dir.path().join("f"), "x".repeat(1 << 20)).unwrap();
    let files = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(files).max_memory(64 << 20).build().unwrap();
    let call = json!({ "tool": "read_text_file", "args": { "path": "f" } });
    let many = json!({ "calls": vec![call.clone(); 200] });
    for _ in 0..2 {
        let report = report(&host, &many);
        let results = report["results"].as_array().unwrap();
        let (ok, failed): (Vec<_>, Vec<_>) = results.iter().partition(|it| it["status"] == "ok");
        assert!((10..64).contains(&ok.len()), "{}", ok.len());
        for result in failed {
            assert_eq!(result["error"]["kind"], "memory", "{result}");
            assert!(result["error"]["message"].as_str().unwrap().contains("`max-memory`"));
        }
    }
}

#[test]
fn results_that_a_program_keeps_are_its_own() {
    let (dir, builder) = scratch(&[]);
    std::fs::write(dir.path().join("f"), "x".repeat(1 << 20)).unwrap();
    let files = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let host = builder.plugin(files).max_memory(64 << 20).build().unwrap();
    let call = json!({ "tool": "read_text_file", "args": { "path": "f" } });
    let batch = json!({ "calls": vec![call; 10] }).to_string();
    let session = host.session();
    block_on(async {
        let mut kept = Vec::new();
        for _ in 0..10 {
            let batch = Batch::from_json(batch.as_bytes()).unwrap();
            let loose = session.call(batch.calls[0].clone(), CancellationToken::new());
            kept.push(loose.await.unwrap());
            kept.extend(host.run(batch).await.unwrap().results);
        }
        assert!(kept.iter().all(|outcome| outcome.result.is_ok()), "{:?}", kept.last());
    });
}

#[test]
fn no_more_calls_run_at_once_than_the_host_may() {
    let Some(probe) = guest("probe") else { return };
    let host = Host::builder().plugin(probe).jobs(2).build().unwrap();
    let sleep =
        json!({"calls": vec![json!({"tool": "sleep", "args": {"ms": 100}}); 3]}).to_string();
    let sleep = || host.run(Batch::from_json(sleep.as_bytes()).unwrap());
    let began = Instant::now();
    block_on(async {
        let (one, two) = tokio::join!(sleep(), sleep());
        assert!(one.unwrap().all_ok() && two.unwrap().all_ok());
    });
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[test]
fn when_too_many_calls_wait_others_are_turned_away_at_once() {
    let host = Host::builder().plugin(calc()).jobs(2).max_waiting(5).build().unwrap();
    let is_busy = |outcome: &inorder::Outcome| {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.message.contains("`max-waiting`, 5"), "{error}");
        assert_eq!(outcome.usage.attempts, 0);
    };
    block_on(async {
        let report = host.run(batch(6, "add")).await.unwrap();
        assert_eq!(report.results.len(), 6);
        report.results.iter().for_each(is_busy);
        while_busy(&host, (4, "spin"), Tenant::default(), async {
            let began = Instant::now();
            host.run(batch(2, "add")).await.unwrap().results.iter().for_each(is_busy);
            let session = host.session();
            let add = || Call::new("add", args(1));
            // The fifth call waits, so that there is no place for a sixth.
            let waiting = session.call(add(), CancellationToken::new());
            tokio::select! {
                biased;
                outcome = waiting => panic!("there is no room: {outcome:?}"),
                outcome = session.call(add(), CancellationToken::new()) => is_busy(&outcome.unwrap()),
            }
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        })
        .await;
        assert!(host.run(batch(5, "add")).await.unwrap().all_ok());
    });
}

#[test]
fn a_loose_call_that_cannot_run_is_answered_though_there_is_no_room() {
    let host = Host::builder().plugin(calc()).jobs(1).build().unwrap();
    block_on(while_busy(&host, (1, "spin"), Tenant::default(), async {
        let session = host.session();
        for (tool, kind) in [("add", ErrorKind::Arguments), ("no_such", ErrorKind::UnknownTool)] {
            let call = Call::new(tool, serde_json::Map::new());
            let called = session.call(call, CancellationToken::new());
            let outcome = tokio::time::timeout(Duration::from_secs(20), called).await;
            assert_eq!(outcome.unwrap().unwrap().result.unwrap_err().kind, kind);
        }
    }));
}

fn args(n: u32) -> serde_json::Map<String, Value> {
    [("a".to_owned(), json!(n)), ("b".to_owned(), json!(1))].into_iter().collect()
}

#[test]
fn a_tenant_that_floods_the_host_does_not_keep_another_waiting() {
    let limits = Limits { timeout: Duration::from_millis(100), ..Limits::default() };
    let host = Host::builder().plugin(calc()).jobs(2).limits(limits).build().unwrap();
    let (flood, other) = (Tenant::new("flood", 1), Tenant::new("other", 1));
    block_on(while_busy(&host, (1000, "spin"), flood, async {
        let session = host.session_of(&other);
        for n in 0..10 {
            let began = Instant::now();
            // By turns as a batch and as a request.
            if n % 2 == 0 {
                let options = RunOptions { tenant: other.clone(), ..RunOptions::default() };
                assert!(host.execute(host.plan(batch(1, "add")).unwrap(), options).await.all_ok());
            } else {
                let call = Call::new("add", args(n));
                let outcome = session.call(call, CancellationToken::new()).await.unwrap();
                assert_eq!(outcome.result, Ok(json!(n + 1).into()));
            }
            // One spinning call has to end; the thousand take 50 seconds.
            assert!(began.elapsed() < Duration::from_secs(2), "{n}: {:?}", began.elapsed());
        }
    }));
}

/// To the end of the queue of tasks that can go on. (`yield_now` waits until the runtime looks at its timers, which
/// it does every 61 tasks.)
async fn next_turn() {
    let mut asked = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[test]
fn a_guest_that_computes_lets_others_in_at_each_tick() {
    let limits = Limits { timeout: Duration::from_secs(1), ..Limits::default() };
    let host = Host::builder().plugin(calc()).limits(limits).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let kept_waiting = runtime.block_on(async {
        let ended = CancellationToken::new();
        let mut others = tokio::task::JoinSet::new();
        others.spawn({
            let ended = ended.clone();
            async move {
                // How often the guest computed between two turns of this task.
                let mut times = 0;
                while !ended.is_cancelled() {
                    let began = Instant::now();
                    next_turn().await;
                    times += u32::from(began.elapsed() > Duration::from_millis(2));
                }
                times
            }
        });
        assert!(!host.run(batch(1, "spin")).await.unwrap().all_ok());
        ended.cancel();
        others.join_next().await.unwrap().unwrap()
    });
    // 200 ticks if the machine has nothing else to do; once if the guest kept the thread to its end.
    assert!(kept_waiting >= 10, "{kept_waiting}");
}
