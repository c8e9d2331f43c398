//! Queries of GraphQL, which are sent by POST and read; and what only looks like one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use inorder::{Batch, Effect, GraphqlEndpoint, Host, RunOptions};
use serde_json::{Value, json};

use super::server::{Server, ok};
use super::{Names, builder, message, spec};
use crate::support::{block_on, call, report};

const QUERY: &str = r#"{"query":"query A { viewer { id } }","operationName":"A"}"#;
const MUTATION: &str = r#"{"query":"mutation { issueDelete(id: \"x\") { success } }"}"#;

/// A host whose plugin may send requests to `at`, and whose user says that GraphQL is spoken at `/graphql` there.
fn host(at: &str) -> Option<(tempfile::TempDir, Host)> {
    let mut spec = spec(&[at])?;
    spec.grants.graphql = vec![GraphqlEndpoint::parse(&format!("{at}/graphql")).unwrap()];
    let (dir, builder) = builder(&Names::default());
    Some((dir, builder.plugin(spec).build().unwrap()))
}

fn post(url: &str, body: &str, headers: &[(&str, &str)]) -> Value {
    let json = ("content-type", "application/json");
    let given = headers.iter().any(|(name, _)| *name == "content-type");
    let headers: Vec<_> = headers.iter().chain((!given).then_some(&json)).collect();
    json!({ "url": url, "options": { "method": "POST", "body": body, "headers": headers } })
}

fn dry_run(host: &Host, args: &Value) -> Value {
    let batch = json!({ "calls": [{ "tool": "request", "args": args }] });
    let plan = host.plan(Batch::from_json(batch.to_string().as_bytes()).unwrap()).unwrap();
    let options = RunOptions { effect: Effect::DryRun, ..RunOptions::default() };
    serde_json::to_value(block_on(host.execute(plan, options))).unwrap()["results"][0].take()
}

#[test]
fn a_query_is_sent_in_a_dry_run_as_it_is() {
    let server = Server::plain(|asked, out| ok(out, &asked.body));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&at) else { return };
    // One that is as large as is looked at, and comes in many pieces.
    let long =
        format!(r#"{{"query":"{{a}}","variables":{{"x":"{}"}}}}"#, "x".repeat((64 << 10) - 37));
    assert!(long.len() <= 64 << 10);
    for body in [QUERY, &long] {
        let result = dry_run(&host, &post(&format!("http://{at}/graphql"), body, &[]));
        assert_eq!(result["value"]["body"], body, "{}", message(&result));
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("content-length"), Some(&*QUERY.len().to_string()));
}

#[test]
fn what_is_not_plainly_a_query_is_an_effect() {
    let server = Server::plain(|asked, out| ok(out, &format!("{} {}", asked.path, asked.body)));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&at) else { return };
    let url = |path: &str| format!("http://{at}{path}");
    let batch = format!("[{QUERY},{MUTATION}]");
    let long = format!(r#"{{"query":"{{a}}","variables":"{}"}}"#, "x".repeat(64 << 10));
    let tricked = r#"{"query":"query A { a } mutation B { b }","operationName":"A"}"#;
    let requests = [
        post(&url("/graphql"), MUTATION, &[]),
        post(&url("/graphql"), &batch, &[]),
        post(&url("/graphql"), tricked, &[]),
        post(&url("/graphql"), r#"{"query":"{ a }","operationName":"Stored"}"#, &[]),
        post(&url("/graphql"), r#"{"query":"delete everything"}"#, &[]),
        post(&url("/graphql"), &long, &[]),
        post(&url("/graphql"), QUERY, &[("content-type", "text/plain")]),
        post(&url("/graphql"), QUERY, &[("x-http-method-override", "DELETE")]),
        post(&url("/graphql"), QUERY, &[("x-original-url", "/rest/delete")]),
        post(&url("/graphql?query=mutation%7Bx%7D"), QUERY, &[]),
        post(&url("/rest"), QUERY, &[]),
        json!({ "url": url("/graphql"), "options": { "method": "PUT", "body": QUERY } }),
    ];
    for request in &requests {
        let result = dry_run(&host, request);
        assert_eq!(result["error"]["kind"], "denied", "{request}");
        assert!(message(&result).contains("cannot be taken back"), "{result}");
    }
    assert_eq!(server.asked().len(), 0);
    // Each of them is sent whole where effects may happen.
    for request in &requests {
        let result = call(&host, "request", request.clone());
        let body = result["value"]["body"].as_str().unwrap_or_default();
        assert!(body.ends_with(request["options"]["body"].as_str().unwrap()), "{result}");
    }
}

#[test]
fn an_endpoint_that_the_user_has_not_named_is_not_looked_into() {
    let server = Server::plain(|_, out| ok(out, ""));
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = super::host(&[&at], &Names::default()) else { return };
    let result = dry_run(&host, &post(&format!("http://{at}/graphql"), QUERY, &[]));
    assert_eq!(result["error"]["kind"], "denied", "{result}");
    assert_eq!(server.asked().len(), 0);
}

/// Queries do not wait for each other, nor for a mutation before them; mutations do.
#[test]
fn queries_of_a_batch_run_at_once_and_mutations_in_order() {
    static HERE: AtomicUsize = AtomicUsize::new(0);
    let server = Server::plain(|asked, out| {
        if !asked.body.contains("mutation") {
            HERE.fetch_add(1, Ordering::SeqCst);
        }
        // The mutation, which is first in the batch, is answered only once all queries are here.
        let begun = Instant::now();
        while HERE.load(Ordering::SeqCst) < 3 && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        ok(out, &HERE.load(Ordering::SeqCst).to_string())
    });
    let at = format!("localhost:{}", server.port);
    let Some((_dir, host)) = host(&at) else { return };
    let request = |body: &str| json!({ "tool": "request", "args": post(&format!("http://{at}/graphql"), body, &[]) });
    let calls = [MUTATION, QUERY, QUERY, QUERY, MUTATION].map(request);
    let report = report(&host, &json!({ "calls": calls }));
    for result in report["results"].as_array().unwrap() {
        assert_eq!(result["value"]["body"], "3", "{report}");
    }
    let last = &server.asked()[4];
    assert_eq!(last.body, MUTATION);
}
