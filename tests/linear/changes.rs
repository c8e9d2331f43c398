//! What is changed in Linear, once each.

use serde_json::{Value, json};

use super::{Linear, USUAL};
use crate::support::matches;

const ID: &str = "0f9c8b7a-6d5e-4c3b-9a21-0123456789ab";

fn titled(linear: &Linear, title: &str) -> usize {
    let page = linear.call("search_issues", json!({ "query": title }));
    page["issues"].as_array().unwrap().len()
}

#[test]
fn an_issue_is_created_with_all_that_it_has() {
    let Some(linear) = Linear::new("create") else { return };
    let title = "A \"quoted\" \\ title,\n„so“ 日本語 🎉";
    let issue = linear.call(
        "create_issue",
        json!({
            "title": title, "team": "engineering", "description": "# Why\n\n```js\n\"x\"\n```", "state": "started",
            "labels": ["größe", "BUG"], "assignee": "zoe@example.org", "priority": 2, "project": "web interface",
            "due_date": "2026-12-01", "estimate": 3, "parent_id": "ENG-1",
        }),
    );
    let expected = json!({
        "title": title, "identifier": "ENG-121", "description": "# Why\n\n```js\n\"x\"\n```", "status": "In Progress",
        "labels": ["Größe", "Bug"], "assignee": "Zoë Müller", "priority": { "value": 2, "name": "High" },
        "project": "Web Interface", "due_date": "2026-12-01", "estimate": 3.0,
        "parent_id": "00000006-0000-4000-8000-000000000001",
    });
    assert!(matches(&issue, &expected), "{issue}");
    assert_eq!(linear.log(), ["query Names", "mutation CreateIssue"]);
    let children = linear.call("list_issues", json!({ "parent_id": "ENG-1" }));
    assert_eq!(children["issues"][0]["identifier"], "ENG-121");
    let plain = linear.call("create_issue", json!({ "title": "Plain", "team": "OPS" }));
    assert_eq!((&plain["identifier"], &plain["status"]), (&json!("OPS-2"), &json!("Backlog")));
}

#[test]
fn an_issue_is_updated_in_what_is_named() {
    let Some(linear) = Linear::new("update") else { return };
    let issue = linear.call(
        "update_issue",
        json!({ "id": "ENG-2", "state": "In Review", "assignee": "me", "labels": ["Größe"], "priority": 4, "project": "Web Interface",
            "due_date": "2026-12-24", "parent_id": "ENG-1", "title": "New" }),
    );
    let expected = json!({ "status": "In Review", "assignee": "Ada Example", "labels": ["Größe"], "priority": { "value": 4 }, "title": "New",
        "project": "Web Interface", "due_date": "2026-12-24", "parent_id": "00000006-0000-4000-8000-000000000001" });
    assert!(matches(&issue, &expected), "{issue}");
    let removed = linear.call(
        "update_issue",
        json!({ "id": "ENG-2", "assignee": "null", "labels": [], "project": "null", "due_date": "null", "parent_id": "null" }),
    );
    let expected = json!({ "status": "In Review", "assignee": null, "labels": [], "project": null, "due_date": null, "parent_id": null,
        "title": "New" });
    assert!(matches(&removed, &expected), "{removed}");
    linear.log();
    // What needs no name to be found is one request.
    linear.call("update_issue", json!({ "id": "ENG-2", "priority": 1 }));
    assert_eq!(linear.log(), ["mutation UpdateIssue"]);
    let moved = linear.call(
        "update_issue",
        json!({ "id": "ENG-3", "team": "OPS", "state": "todo", "labels": ["pager"] }),
    );
    assert_eq!((&moved["team"], &moved["status"]), (&json!("Операции 🛠"), &json!("Todo")));
}

#[test]
fn comments_are_written_and_read() {
    let Some(linear) = Linear::new("comments") else { return };
    let first =
        linear.call("create_comment", json!({ "issue_id": "ENG-1", "body": "Hé \"you\" 🎉\n" }));
    assert_eq!(
        (&first["body"], &first["user"]),
        (&json!("Hé \"you\" 🎉\n"), &json!("Ada Example"))
    );
    let answer = json!({ "issue_id": "eng-1", "body": "Yes?", "parent_id": first["id"] });
    assert_eq!(linear.call("create_comment", answer)["parent_id"], first["id"]);
    let page = linear.call("list_comments", json!({ "issue_id": "ENG-1", "limit": 1 }));
    assert_eq!(page["comments"][0]["body"], "Yes?");
    let page = linear.call(
        "list_comments",
        json!({ "issue_id": "ENG-1", "limit": 1, "cursor": page["cursor"] }),
    );
    assert_eq!((&page["comments"][0]["id"], &page["cursor"]), (&first["id"], &Value::Null));
}

#[test]
fn changes_of_one_batch_happen_in_its_order() {
    let Some(linear) = Linear::new("order") else { return };
    let update =
        |title: &str| json!({ "tool": "update_issue", "args": { "id": "ENG-5", "title": title } });
    let calls: Vec<Value> = ["one", "two", "three", "four"].map(update).into();
    let (report, _) = linear.run(&USUAL, &json!(calls), &[]);
    assert!(
        report["results"].as_array().unwrap().iter().all(|it| it["status"] == "ok"),
        "{report}"
    );
    assert_eq!(linear.call("get_issue", json!({ "id": "ENG-5" }))["title"], "four");
}

#[test]
fn an_answer_that_is_lost_makes_no_second_issue() {
    let Some(linear) = Linear::new("lost") else { return };
    // The names, then the creation, whose answer is lost; it is tried again.
    linear.next(json!(["ok", "drop"]));
    linear.log();
    let issue = linear.call("create_issue", json!({ "title": "Only once", "team": "ENG" }));
    assert_eq!(issue["title"], "Only once");
    assert_eq!(
        linear.log(),
        ["query Names", "mutation CreateIssue", "mutation CreateIssue", "query Issue"]
    );
    assert_eq!(titled(&linear, "Only once"), 1);
    linear.next(json!(["drop"]));
    linear.call("create_comment", json!({ "issue_id": "ENG-1", "body": "Only once" }));
    let comments = linear.call("list_comments", json!({ "issue_id": "ENG-1" }));
    assert_eq!(comments["comments"].as_array().unwrap().len(), 1);
    // A request that never arrived.
    linear.next(json!(["ok", "lose"]));
    linear.call("create_issue", json!({ "title": "At last", "team": "ENG" }));
    assert_eq!(titled(&linear, "At last"), 1);
}

#[test]
fn a_creation_that_stays_without_an_answer_can_be_tried_again_by_its_id() {
    let Some(linear) = Linear::new("unknown") else { return };
    for (next, count) in [
        (json!(["ok", "drop", "drop"]), 1),
        (json!(["ok", { "status": 502, "body": "<html>" }]), 0),
    ] {
        linear.next(next);
        let title = format!("Without an answer {count}");
        let mut args = json!({ "title": title, "team": "ENG" });
        let result = linear.result("create_issue", &args);
        let error = &result["error"]["value"];
        assert_eq!(error["kind"], "unknown_outcome", "{result}");
        let id = error["client_id"].as_str().unwrap();
        assert!(
            error["message"].as_str().unwrap().contains(&format!("client_id = \"{id}\"")),
            "{error}"
        );
        assert_eq!(titled(&linear, &title), count);
        args["client_id"] = id.into();
        assert_eq!(linear.call("create_issue", args)["id"], id);
        assert_eq!(titled(&linear, &title), 1);
    }
}

#[test]
fn a_client_id_makes_one_issue_however_often_it_is_created() {
    let Some(linear) = Linear::new("client_id") else { return };
    let args = json!({ "title": "Mine", "team": "ENG", "client_id": ID.to_uppercase() });
    let first = linear.call("create_issue", args.clone());
    assert_eq!(first["id"], ID);
    assert_eq!(linear.call("create_issue", args)["identifier"], first["identifier"]);
    assert_eq!(titled(&linear, "Mine"), 1);
    let (kind, message) =
        linear.failure("create_issue", json!({ "title": "Other", "team": "ENG", "client_id": ID }));
    assert!(
        kind == "arguments" && message.contains("another issue, ENG-121 \"Mine\""),
        "{kind} {message}"
    );
    let comment = |issue: &str| json!({ "issue_id": issue, "body": "x", "client_id": ID });
    let first = linear.call("create_comment", comment("ENG-1"));
    assert_eq!(linear.call("create_comment", comment("eng-1"))["created_at"], first["created_at"]);
    let (kind, message) = linear.failure("create_comment", comment("ENG-2"));
    assert!(kind == "arguments" && message.contains("on ENG-1"), "{kind} {message}");
    let wrong = json!({ "title": "x", "team": "ENG", "client_id": "42" });
    assert!(linear.failure("create_issue", wrong).1.contains("must be a UUID"));
}
