//! How calls fail, and that whoever reads it can mend it.

use serde_json::{Value, json};

use super::{KEY, Linear, Set, USUAL};

#[test]
fn a_name_that_fits_nothing_is_told_with_what_there_is() {
    let Some(linear) = Linear::new("names") else { return };
    let states = "the team Engineering has no state \"Dno\"; it has Backlog, Todo, In Progress, In Review, Done, Canceled";
    let issue = |more: Value| {
        let mut args = json!({ "title": "x", "team": "ENG" });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    for (tool, args, says) in [
        (
            "create_issue",
            issue(json!({ "team": "Egn" })),
            "there is no team \"Egn\"; there are Engineering (ENG), Операции 🛠 (OPS)",
        ),
        ("create_issue", issue(json!({ "state": "Dno" })), states),
        ("update_issue", json!({ "id": "ENG-1", "state": "Dno" }), states),
        (
            "create_issue",
            issue(json!({ "labels": ["Bug", "Bgu"] })),
            "there is no label \"Bgu\"; there are Bug, Größe",
        ),
        (
            "create_issue",
            issue(json!({ "assignee": "nobody" })),
            "there is no user \"nobody\": list_users tells who there is",
        ),
        (
            "create_issue",
            issue(json!({ "assignee": "Sam Same" })),
            "name one by email: sam1@example.org, sam2@example.org",
        ),
        (
            "create_issue",
            issue(json!({ "project": "Wbe" })),
            "there is no project \"Wbe\"; there are Web Interface",
        ),
        ("list_issues", json!({ "team": "Egn" }), "there is no team \"Egn\""),
        ("list_issues", json!({ "team": "ENG", "state": "Dno" }), states),
        ("list_issues", json!({ "state": "Dno" }), "no team has a state \"Dno\""),
        (
            "list_issues",
            json!({ "label": "Bgu" }),
            "there is no label \"Bgu\"; there are Bug, Größe, Pager",
        ),
        ("list_issues", json!({ "assignee": "nobody" }), "there is no user \"nobody\""),
        ("search_issues", json!({ "query": "x", "team": "Egn" }), "there is no team \"Egn\""),
        ("list_issue_statuses", json!({ "team": "Egn" }), "there is no team \"Egn\""),
        ("create_issue", issue(json!({ "priority": 5 })), "priority goes from 0 (none)"),
        ("list_teams", json!({ "limit": 251 }), "limit must be from 1 to 250, not 251"),
        ("update_issue", json!({ "id": "ENG-1" }), "nothing is named that should change"),
    ] {
        let (kind, message) = linear.failure(tool, args.clone());
        assert!(kind == "arguments" && message.contains(says), "{tool} {args}: {kind}: {message}");
    }
    assert!(!linear.log().iter().any(|it| it.starts_with("mutation")));
}

#[test]
fn what_linear_refuses_is_told_in_its_words() {
    let Some(linear) = Linear::new("refused") else { return };
    let (kind, message) = linear.failure("get_issue", json!({ "id": "ENG-9999" }));
    assert!(
        kind == "not_found" && message.contains("Could not find referenced Issue"),
        "{kind} {message}"
    );
    let (kind, message) = linear.failure("update_issue", json!({ "id": "ENG-9999", "title": "x" }));
    assert_eq!(kind, "not_found", "{message}");
    let (kind, message) = linear.failure("create_issue", json!({ "title": " ", "team": "ENG" }));
    assert!(kind == "refused" && message.contains("title should not be empty"), "{kind} {message}");
    let (kind, message) = linear.failure("list_issues", json!({ "cursor": "nowhere" }));
    assert!(kind == "refused" && message.contains("not a cursor"), "{kind} {message}");
    let error = |message: &str| json!({ "message": message, "extensions": { "userPresentableMessage": format!("{message}!") } });
    let body = json!({ "data": null, "errors": [error("one"), error("two"), error("one")] });
    linear.next(json!([{ "status": 200, "body": body }]));
    assert_eq!(linear.failure("list_teams", json!({})).1, "Linear refused: one!; two!");
}

#[test]
fn a_key_that_is_not_taken_is_told_with_where_it_comes_from() {
    let Some(linear) = Linear::new("key") else { return };
    let calls = json!([{ "tool": "list_teams", "args": {} }]);
    let (report, _) = linear.run(&Set { key: "lin_api_another", ..USUAL }, &calls, &[]);
    let error = &report["results"][0]["error"];
    assert_eq!(error["value"]["kind"], "unauthorized", "{report}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("not authenticated") && message.contains("a secret for 127.0.0.1:"),
        "{message}"
    );
    linear.next(json!([{ "status": 403, "body": { "errors": [{ "message": "Read only" }] } }]));
    let (kind, message) = linear.failure("list_teams", json!({}));
    assert!(
        kind == "unauthorized" && message.ends_with("with this API key: Read only"),
        "{kind} {message}"
    );
}

#[test]
fn a_key_that_is_echoed_is_shown_to_nobody() {
    let Some(linear) = Linear::new("echo") else { return };
    let body = json!({ "errors": [{ "message": format!("bad key {KEY}") }] });
    linear.next(json!([{ "status": 400, "headers": { "x-key": KEY }, "body": body }]));
    // `run` looks for it in all that is said.
    let (_, message) = linear.failure("list_teams", json!({}));
    assert_eq!(message, "Linear refused: bad key [secret linear]");
}

#[test]
fn a_rate_limit_says_when_to_come_back() {
    let Some(linear) = Linear::new("rate") else { return };
    let limited = json!({ "errors": [{ "message": "Rate limit exceeded", "extensions": { "code": "RATELIMITED", "type": "ratelimited" } }] });
    let in_a_minute = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let in_a_minute =
        in_a_minute.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis().to_string();
    for (answer, least, most) in [
        (json!({ "status": 429, "headers": { "retry-after": "17" }, "body": "" }), 17, 17),
        (json!({ "status": 429, "headers": { "retry-after": "17" }, "body": limited }), 17, 17),
        (
            json!({ "status": 400, "body": limited, "headers": {
                "x-ratelimit-requests-remaining": "100", "x-ratelimit-requests-reset": "1",
                "x-ratelimit-complexity-remaining": "0", "x-ratelimit-complexity-reset": in_a_minute } }),
            1,
            60,
        ),
        (
            json!({ "status": 200, "body": limited, "headers": { "x-ratelimit-requests-reset": in_a_minute } }),
            1,
            60,
        ),
    ] {
        linear.next(json!([answer]));
        let result = linear.result("list_teams", &json!({}));
        let error = &result["error"]["value"];
        assert_eq!(error["kind"], "rate_limited", "{result}");
        let seconds = error["retry_after"].as_u64().unwrap();
        assert!((least..=most).contains(&seconds), "{result}");
        assert!(
            error["message"].as_str().unwrap().ends_with(&format!("try again in {seconds} s")),
            "{result}"
        );
    }
    linear.next(json!([{ "status": 429, "body": "slow down" }]));
    let result = linear.result("list_teams", &json!({}));
    assert_eq!(result["error"]["value"]["retry_after"], Value::Null);
    // A creation that was turned away was not made, and is not tried again.
    linear.log();
    linear.next(json!(["ok", { "status": 429, "headers": { "retry-after": "1" }, "body": "" }]));
    let (kind, _) =
        linear.failure("create_issue", json!({ "title": "Turned away", "team": "ENG" }));
    assert_eq!(
        (&*kind, linear.log()),
        ("rate_limited", vec!["query Names".to_owned(), "mutation CreateIssue".to_owned()])
    );
}

#[test]
fn what_is_no_answer_of_linear_s_is_told_as_such() {
    let Some(linear) = Linear::new("nonsense") else { return };
    for (answer, says) in [
        (json!({ "status": 200, "body": "<html>hello</html>" }), "is not GraphQL"),
        (json!({ "status": 200, "body": "{}" }), "is not GraphQL"),
        (json!({ "status": 503, "body": "" }), "answered with status 503"),
        (json!({ "status": 302, "body": "" }), "answered with status 302"),
        (json!("lose"), "HTTP-response-incomplete"),
    ] {
        linear.next(json!([answer]));
        let (kind, message) = linear.failure("list_teams", json!({}));
        assert!(kind == "unreachable" && message.contains(says), "{kind} {message}");
    }
    let calls = json!([{ "tool": "list_teams", "args": {} }]);
    let (report, _) = linear.run(&Set { url: Some("nowhere"), ..USUAL }, &calls, &[]);
    assert!(
        report["results"][0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("\"nowhere\" is not the URL"),
        "{report}"
    );
    // The config does not grant that host.
    let (report, _) =
        linear.run(&Set { url: Some("https://api.linear.app/graphql"), ..USUAL }, &calls, &[]);
    let error = &report["results"][0]["error"];
    assert_eq!(error["kind"], "denied", "{report}");
    assert!(
        error["message"].as_str().unwrap().contains("--allow-net 'api.linear.app'"),
        "{report}"
    );
}
