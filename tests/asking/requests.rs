//! Requests that change something: asked about at the call's turn, before anything goes out.

use std::time::Duration;

use inorder::{About, AskRule, Effect, Host, NetGrant, PluginSpec};
use serde_json::{Value, json};

use super::{Open, asking, content, execute, message};
use crate::net::server::{Server, ok};
use crate::support::{block_on, call, grants, guest, scratch};

/// The guest that sends requests, to a server that answers.
fn host(rule: &str) -> Option<(tempfile::TempDir, Server, Host)> {
    let server = Server::plain(|asked, out| ok(out, &asked.body));
    let mut spec: PluginSpec = guest("http")?;
    spec.grants.net = vec![NetGrant::parse(&format!("localhost:{}", server.port)).unwrap()];
    spec.ask = vec![AskRule::parse(rule).unwrap()];
    let (root, builder) = scratch(&[]);
    Some((root, server, builder.plugin(spec).build().unwrap()))
}

fn request(server: &Server, method: &str, body: &str) -> Value {
    let url = format!("http://localhost:{}/issues?n=1", server.port);
    let options = match method {
        "GET" => json!({}),
        _ => json!({"method": method, "body": body}),
    };
    json!({"tool": "request", "args": {"url": url, "options": options}})
}

fn about(open: &Open) -> (String, String) {
    match &open.question.about {
        About::Request { method, path, .. } => (method.clone(), path.clone()),
        About::Files { .. } => panic!("{:?}", open.question),
    }
}

#[test]
fn a_request_is_sent_when_it_is_agreed_to_and_in_the_batchs_order() {
    let Some((_root, server, host)) = host("net:*") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [
            request(&server, "GET", ""), request(&server, "POST", "one"), request(&server, "PUT", "two"),
        ]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert_eq!(about(&open), ("POST".to_owned(), "/issues?n=1".to_owned()));
            assert_eq!(
                (open.question.calls[0].index, &*open.question.calls[0].rules[0]),
                (1, "net:*")
            );
            // A read is not asked about, and what comes later is not sent before.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(server.asked().iter().all(|asked| asked.method == "GET"));
            open.yes();
            let open = questions.next().await;
            assert_eq!(about(&open).0, "PUT");
            open.no("not this one");
        });
        report
    });
    assert_eq!(report.results[1].result.as_ref().unwrap().value()["body"], "one");
    let said = message(&report, 2);
    assert!(
        said.starts_with("denied") && said.contains("was not sent: it is asked about first"),
        "{said}"
    );
    assert!(
        said.contains("under [plugins.http] in the config") && said.contains("not this one"),
        "{said}"
    );
    let methods: Vec<String> = server.asked().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, ["GET", "POST"]);
}

#[test]
fn the_time_of_a_question_does_not_count_for_a_call_that_waits_in_it() {
    let Some((_root, server, host)) = host("net:localhost") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let waited = Duration::from_millis(1500);
    let report = block_on(async {
        let mut call = request(&server, "POST", "x");
        call["limits"] = json!({"timeout": "1s"});
        let calls = json!({"calls": [call]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            tokio::time::sleep(waited).await;
            open.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    assert!(report.results[0].usage.run < waited, "{:?}", report.results[0].usage);
}

#[test]
fn cancelling_ends_the_question_of_a_call_that_waits_in_it() {
    let Some((_root, server, host)) = host("net") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let cancel = options.cancel.clone();
    block_on(async {
        let calls = json!({"calls": [request(&server, "POST", "x")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let mut open = questions.next().await;
            cancel.cancel();
            open.answer.closed().await;
        });
        assert!(message(&report, 0).starts_with("cancelled"), "{report:?}");
    });
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn where_there_is_nobody_to_ask_nothing_is_sent_and_other_hosts_are_not_asked_about() {
    let Some((_root, server, host)) = host("net:localhost") else { return };
    let refused = call(&host, "request", request(&server, "POST", "x")["args"].clone());
    assert_eq!(refused["error"]["kind"], "denied", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("nobody to ask"), "{refused}");
    assert_eq!(server.asked().len(), 0);
    let Some((_root, server, host)) = self::host("net:example.org") else { return };
    let sent = call(&host, "request", request(&server, "POST", "x")["args"].clone());
    assert_eq!(sent["value"]["body"], "x", "{sent}");
}

fn headers_and_body(open: &Open) -> (Vec<String>, String) {
    match &open.question.about {
        About::Request { headers, body, .. } => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}"));
            (headers.collect(), body.clone())
        }
        About::Files { .. } => panic!("{:?}", open.question),
    }
}

#[test]
fn what_is_agreed_to_is_the_headers_and_the_body_too() {
    let Some((_root, server, host)) = host("net") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let mut call = request(&server, "POST", "a body");
        call["args"]["options"]["headers"] =
            json!([["x-http-method-override", "DELETE"], ["user-agent", "x"]]);
        let calls = json!({"calls": [call]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            let (headers, body) = headers_and_body(&open);
            assert_eq!(headers, ["user-agent: x", "x-http-method-override: DELETE"]);
            assert_eq!(body, "a body");
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
    });
    assert_eq!(server.asked()[0].body, "a body");
}

#[test]
fn a_long_body_is_told_in_part_and_sent_whole() {
    let Some((_root, server, host)) = host("net") else { return };
    let long = "0123456789abcdef".repeat(20_000);
    // All of the second has come when it is found to be long.
    for (index, long) in [&*long, &long[..90_000]].into_iter().enumerate() {
        let (options, mut questions) = asking(Effect::Commit);
        block_on(async {
            let mut call = request(&server, "PUT", long);
            call["args"]["options"]["headers"] =
                json!([["content-length", long.len().to_string()]]);
            let calls = json!({ "calls": [call] });
            let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
                let open = questions.next().await;
                let (_, body) = headers_and_body(&open);
                let told = body.strip_suffix("\n.. and what more there is of the body").unwrap();
                assert!(told.len() == 64 << 10 && long.starts_with(told), "{}", told.len());
                open.yes();
            });
            assert!(report.all_ok(), "{report:?}");
        });
        assert_eq!(server.asked()[index].body, long);
    }
}

#[test]
fn another_body_is_asked_about_again_and_the_same_is_not() {
    let server = Server::plain(|_, out| ok(out, "done"));
    let Some(mut spec) = guest("http") else { return };
    spec.grants = grants(&[], &["**"]);
    spec.grants.net = vec![NetGrant::parse(&format!("localhost:{}", server.port)).unwrap()];
    spec.ask = vec![AskRule::parse("net").unwrap()];
    let (root, builder) = scratch(&[("a", "one"), ("other", "x")]);
    let host = builder.plugin(spec).build().unwrap();
    let url = format!("http://localhost:{}/", server.port);
    let args = json!({"path": "a", "url": url, "into": "b"});
    let calls = json!({"calls": [{"tool": "post_file", "args": args}]});
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert_eq!(headers_and_body(&open).1, "one");
            // What was agreed to is not what the call would send by now.
            std::fs::write(root.path().join("a"), "two").unwrap();
            open.yes();
            let Some(open) = questions.0.recv().await else { return };
            assert_eq!(headers_and_body(&open).1, "two");
            assert_eq!(server.asked().len(), 0);
            // Another file of the same content: run again, and the same request.
            std::fs::write(root.path().join("new"), "two").unwrap();
            std::fs::rename(root.path().join("new"), root.path().join("a")).unwrap();
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
        assert!(report.results[0].usage.attempts >= 2, "{report:?}");
    });
    assert!(questions.are_over());
    let sent: Vec<String> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(sent, ["two"]);
    assert_eq!(content(&root, "b").as_deref(), Some("done"));
}

#[test]
fn a_body_is_not_cut_off_behind_what_was_shown_of_it() {
    let Some((_root, server, host)) = host("net") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let body = format!("DELETE FROM users{}", " WHERE id = 7".repeat(10_000));
    block_on(async {
        let mut call = request(&server, "POST", &body);
        call["args"]["options"]["headers"] = json!([["content-length", "17"]]);
        call["args"]["options"]["unfinished"] = json!(true);
        let calls = json!({"calls": [call]});
        tokio::select! {
            report = execute(&host, &calls, options) => {
                assert!(!report.all_ok(), "{report:?}");
            }
            open = questions.next() => panic!("it was asked about: {:?}", headers_and_body(&open)),
        }
    });
    assert!(questions.are_over());
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_body_that_goes_on_after_the_answer_is_asked_about_as_far_as_it_came() {
    let Some((_root, server, host)) = host("net") else { return };
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let mut call = request(&server, "POST", "begun");
        call["args"]["options"]["unfinished"] = json!(true);
        call["limits"] = json!({"timeout": "10s"});
        let calls = json!({"calls": [call]});
        let ((), _) = tokio::join!(
            async {
                let open = questions.next().await;
                assert!(headers_and_body(&open).1.starts_with("begun\n.. and what more"));
                open.no("enough");
            },
            execute(&host, &calls, options)
        );
    });
    assert_eq!(server.asked().len(), 0);
}
