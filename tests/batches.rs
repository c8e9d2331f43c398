//! Batches as hostile or careless callers send them. What the calls answer is `cases`.

use inorder::{Batch, Host, PluginSpec};
use serde_json::json;

use crate::support::{block_on, calc_host, grants, report, scratch};

fn parse(text: &str) -> String {
    Batch::from_json(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn what_is_not_json_is_refused_with_line_and_column() {
    assert_eq!(parse(""), "the batch is not JSON: EOF while parsing a value at line 1 column 0");
    assert!(parse("{\n  \"calls\": [,]").contains("line 2"));
    assert!(parse("{\"calls\": []} trailing").contains("trailing characters"));
    assert!(parse(r#"{"calls": [{"tool": "add", "args": {"a": NaN}}]}"#).contains("not JSON"));
    assert!(parse(r#"{"calls": [{"tool": "add", "args": {"a": 1e999}}]}"#).contains("not JSON"));
}

#[test]
fn lone_surrogates_and_broken_utf8_are_refused() {
    assert!(parse(r#"{"calls": [{"tool": "\ud800"}]}"#).contains("not JSON"));
    assert!(
        parse(r#"{"calls": [{"tool": "echo", "args": {"text": "\udc00x"}}]}"#).contains("not JSON")
    );
    let broken = Batch::from_json(b"{\"calls\": [{\"tool\": \"\xff\"}]}").unwrap_err();
    assert!(broken.to_string().contains("not JSON"), "{broken}");
}

#[test]
fn a_wrong_shape_names_the_field() {
    for (text, at) in [
        ("{}", "missing field `calls`"),
        (r#"{"calls": 3}"#, "at `calls`"),
        (r#"{"calls": [{}]}"#, "at `calls[0]`: missing field `tool`"),
        (
            r#"{"calls": [["id", "tool"]]}"#,
            "at `calls[0]`: invalid type: sequence, expected an object",
        ),
        (r#"{"calls": [{"tool": "a"}, {"tool": 3}]}"#, "at `calls[1].tool`"),
        (
            r#"{"calls": [{"tool": "a", "args": []}]}"#,
            "at `calls[0].args`: invalid type: sequence, expected a map",
        ),
        (r#"{"calls": [{"tool": "a", "arguments": {}}]}"#, "unknown field `arguments`"),
        (
            r#"{"calls": [{"tool": "a", "after": [true]}]}"#,
            "expected the id (a string) or the 1-based place",
        ),
        (r#"{"calls": [], "atomic": true}"#, "unknown field `atomic`"),
    ] {
        let error = parse(text);
        assert!(error.contains(at), "{text}: {error}");
    }
}

#[test]
fn what_is_no_batch_at_all_is_told_what_one_is() {
    for text in [
        r#"[{"tool": "a"}]"#,
        // Its fields in their order.
        r#"[[{"tool": "a"}]]"#,
        r#"{"tool": "a"}"#,
        r#"{"calls": {"tool": "a"}}"#,
        r#""a""#,
        "3",
        "null",
    ] {
        let error = parse(text);
        assert!(error.starts_with("the batch has the wrong shape at "), "{text}: {error}");
        assert!(error.contains(r#"a batch is {"calls": [{"tool""#), "{text}: {error}");
    }
    assert!(parse("[]").contains("at the top: invalid type: sequence, expected an object"));
    assert!(!parse(r#"{"calls": [{"tool": 3}]}"#).contains("a batch is"));
}

#[test]
fn of_an_argument_that_is_named_twice_the_last_counts() {
    let host = calc_host();
    let text = br#"{"calls": [{"tool": "add", "args": {"a": "no number", "b": 2, "a": 5}}]}"#;
    let report = block_on(host.run(Batch::from_json(text).unwrap())).unwrap();
    assert_eq!(serde_json::to_value(report).unwrap()["results"][0]["value"], 7);
}

#[test]
fn an_argument_of_ten_mebibytes_fails_its_call_alone() {
    let host = calc_host();
    let batch = json!({"calls": [
        {"tool": "echo", "args": {"text": "x".repeat(10 << 20)}},
        {"tool": "add", "args": {"a": 1, "b": 1}},
    ]});
    let report = report(&host, &batch);
    assert_eq!(report["results"][0]["error"]["kind"], "arguments");
    let message = report["results"][0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("`limits.args`, 4.0 MiB"), "{message}");
    assert_eq!(report["results"][1]["value"], 2);
}

#[test]
fn references_cannot_multiply_a_result_past_the_limit() {
    let filesystem = PluginSpec::builtin("filesystem", grants(&["**"], &[]));
    let (_root, builder) = scratch(&[("big.txt", &"x".repeat(3 << 20))]);
    let host = builder.plugin(filesystem).build().unwrap();
    let paths = vec![json!({"$from": 1}); 50_000];
    let batch = json!({"calls": [
        {"tool": "read_text_file", "args": {"path": "big.txt"}},
        {"tool": "read_multiple_files", "args": {"paths": paths}},
    ]});
    let began = std::time::Instant::now();
    let report = report(&host, &batch);
    assert_eq!(report["results"][1]["error"]["kind"], "arguments", "{}", report["results"][1]);
    // Copying first would take 150 GB.
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_name_of_many_megabytes_costs_no_time() {
    let host = calc_host();
    let report = report(&host, &json!({"calls": [{"tool": "x".repeat(20 << 20)}]}));
    let message = report["results"][0]["error"]["message"].as_str().unwrap();
    assert!(message.len() < 300);
}

#[test]
fn a_hundred_thousand_calls_all_get_their_outcome_in_order() {
    let host = calc_host();
    let calls: Vec<_> = (0..100_000u32)
        .map(|n| match n % 4 {
            0 => json!({"tool": "add", "args": {"a": n, "b": 1}}),
            1 => json!({"tool": "add", "args": {"a": {"$from": n}, "b": 1}}),
            2 => json!({"tool": "half", "args": {"number": 1}}),
            _ => json!({"tool": "half", "args": {"number": {"$from": n}}}),
        })
        .collect();
    let batch = Batch::from_json(json!({ "calls": calls }).to_string().as_bytes()).unwrap();
    let report = block_on(host.run(batch)).unwrap();
    assert_eq!(report.results.len(), 100_000);
    for (n, outcome) in report.results.iter().enumerate() {
        assert_eq!(outcome.id, (n + 1).to_string());
        match n % 4 {
            0 => assert_eq!(outcome.result.as_ref().unwrap().value(), &json!(n + 1)),
            1 => assert_eq!(outcome.result.as_ref().unwrap().value(), &json!(n - 1 + 2)),
            2 => assert_eq!(outcome.result.as_ref().unwrap_err().kind.as_str(), "tool"),
            _ => assert_eq!(outcome.result.as_ref().unwrap_err().kind.as_str(), "skipped"),
        }
    }
}

#[test]
fn a_chain_of_ten_thousand_references_is_followed() {
    let host = calc_host();
    let calls: Vec<_> = (0..10_000u32)
        .map(|n| match n {
            0 => json!({"tool": "add", "args": {"a": 0, "b": 1}}),
            _ => json!({"tool": "add", "args": {"a": {"$from": n}, "b": 1}}),
        })
        .collect();
    let report = report(&host, &json!({ "calls": calls }));
    assert_eq!(report["results"][9_999]["value"], 10_000);
}

#[test]
fn an_empty_batch_has_an_empty_report() {
    let report = report(&calc_host(), &json!({"calls": []}));
    assert_eq!(report["results"], json!([]));
    assert!(report["elapsed_ms"].is_number());
}

#[test]
fn a_host_runs_many_batches_at_once() {
    fn assert_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let host = calc_host();
    assert_shareable(&host);
    block_on(async {
        let mut batches = tokio::task::JoinSet::new();
        for n in 0..50u32 {
            let host: Host = host.clone();
            batches.spawn(async move {
                let batch = json!({"calls": [{"tool": "add", "args": {"a": n, "b": n}}]});
                let batch = Batch::from_json(batch.to_string().as_bytes()).unwrap();
                let report = host.run(batch).await.unwrap();
                assert_eq!(report.results[0].result, Ok(json!(2 * n).into()));
            });
        }
        while let Some(joined) = batches.join_next().await {
            joined.unwrap();
        }
    });
}
