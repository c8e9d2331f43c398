//! What is asked of Linear: one issue, lists of all kinds, pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Linear, Set, USUAL};
use crate::support::matches;

fn identifiers(page: &Value) -> Vec<&str> {
    page["issues"].as_array().unwrap().iter().map(|it| it["identifier"].as_str().unwrap()).collect()
}

#[test]
fn an_issue_is_read_by_its_identifier_or_its_id() {
    let Some(linear) = Linear::new("get") else { return };
    let issue = linear.call("get_issue", json!({ "id": "eng-1", "include_relations": true }));
    let expected = json!({
        "identifier": "ENG-1", "title": "Issue number 1", "description": null, "priority": { "value": 1, "name": "Urgent" },
        "status": "Backlog", "status_type": "backlog", "team": "Engineering", "created_by": "Ada Example", "labels": [],
        "git_branch_name": "ada/eng-1", "attachments": [{ "title": "PR 7", "url": "https://example.org/7" }],
        "relations": {
            "blocks": [{ "identifier": "ENG-2", "title": "Issue number 2" }], "blocked_by": [], "related_to": [],
            "duplicate_of": { "identifier": "ENG-3" },
        },
    });
    assert!(matches(&issue, &expected), "{issue}");
    let same = linear.call("get_issue", json!({ "id": issue["id"] }));
    assert_eq!((&same["identifier"], &same["relations"]), (&json!("ENG-1"), &Value::Null));
    let blocked = linear.call("get_issue", json!({ "id": "ENG-2", "include_relations": true }));
    assert_eq!(blocked["relations"]["blocked_by"][0]["identifier"], "ENG-1");
    let title = linear.call("get_issue", json!({ "id": "ENG-7" }))["title"].take();
    assert_eq!(title, "Ein „Titel“ \"mit\" 日本語 🎉");
}

#[test]
fn a_list_comes_in_pages_which_a_batch_may_chain() {
    let Some(linear) = Linear::new("pages") else { return };
    let page = |cursor: Value| json!({ "tool": "list_issues", "args": { "team": "ENG", "limit": 50, "cursor": cursor } });
    let from = |call: usize| json!({ "$from": call, "at": "/cursor" });
    let (report, _) =
        linear.run(&USUAL, &json!([page(Value::Null), page(from(1)), page(from(2))]), &[]);
    let pages: Vec<_> =
        report["results"].as_array().unwrap().iter().map(|it| &it["value"]).collect();
    let all: Vec<&str> = pages.iter().flat_map(|page| identifiers(page)).collect();
    assert_eq!(
        pages.iter().map(|page| identifiers(page).len()).collect::<Vec<_>>(),
        [50, 50, 20],
        "{report}"
    );
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 120);
    // The latest first, and the archived one among them.
    assert_eq!((all[0], all[119]), ("ENG-120", "ENG-1"));
    assert_eq!(pages[2]["cursor"], Value::Null);
    let unarchived = json!({ "team": "ENG", "limit": 1, "include_archived": false });
    assert_eq!(identifiers(&linear.call("list_issues", unarchived)), ["ENG-119"]);
    let mut found = vec![];
    let mut cursor = Value::Null;
    loop {
        let args = json!({ "query": "issue number 1", "limit": 7, "cursor": cursor });
        let mut page = linear.call("search_issues", args);
        found.extend(identifiers(&page).into_iter().map(str::to_owned));
        cursor = page["cursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    // With a 1 in their number: 1, 10 to 19, 21 .. 91, 100 to 119. Of these, 120 is archived.
    assert_eq!(found.len(), 39);
}

#[test]
fn issues_are_listed_by_what_people_call_things() {
    let Some(linear) = Linear::new("filters") else { return };
    for (args, count, first) in [
        (json!({ "assignee": "me" }), 12, "ENG-120"),
        (json!({ "assignee": "ADA@example.org", "label": "bug" }), 4, "ENG-120"),
        (json!({ "assignee": "null", "team": "engineering", "priority": 1 }), 24, "ENG-116"),
        (json!({ "team": "Операции 🛠" }), 1, "OPS-1"),
        (json!({ "label": "pager", "state": "backlog" }), 1, "OPS-1"),
        (json!({ "query": "日本語" }), 1, "ENG-7"),
        (json!({ "created_at": "2026-01-01T03:00:00Z" }), 1, "OPS-1"),
        (json!({ "updated_at": "-P1D", "order_by": "created_at", "limit": 250 }), 121, "OPS-1"),
        (json!({ "state": "done", "team": "ENG" }), 0, ""),
    ] {
        let page = linear.call("list_issues", args.clone());
        let found = identifiers(&page);
        assert_eq!(
            (found.len(), found.first().copied().unwrap_or_default()),
            (count, first),
            "{args}"
        );
    }
    let found = linear.call("search_issues", json!({ "query": "pager", "team": "ops" }));
    assert_eq!(identifiers(&found), ["OPS-1"]);
}

#[test]
fn what_issues_belong_to_is_listed() {
    let Some(linear) = Linear::new("lists") else { return };
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let teams = linear.call("list_teams", json!({}));
    assert_eq!(names(&teams["teams"]), ["Engineering", "Операции 🛠"]);
    let first = linear.call("list_teams", json!({ "limit": 1 }));
    let second = linear.call("list_teams", json!({ "limit": 1, "cursor": first["cursor"] }));
    assert_eq!(
        (names(&second["teams"]), &second["cursor"]),
        (vec!["Операции 🛠".to_owned()], &Value::Null)
    );
    let states = linear.call("list_issue_statuses", json!({ "team": "OPS" }));
    assert_eq!(names(&states), ["Backlog", "Todo", "In Progress", "In Review", "Done", "Canceled"]);
    assert_eq!(states[2]["type"], "started");
    let labels = linear.call("list_issue_labels", json!({ "team": "ENG" }));
    assert_eq!(names(&labels["labels"]), ["Bug", "Größe"]);
    assert_eq!(labels["labels"][1]["team"], "Engineering");
    assert_eq!(
        names(&linear.call("list_issue_labels", json!({ "name": "PAG" }))["labels"]),
        ["Pager"]
    );
    let me = linear.call("list_users", json!({ "query": "me" }));
    assert_eq!(me["users"][0]["email"], "ada@example.org");
    assert_eq!(
        names(&linear.call("list_users", json!({ "query": "zoë" }))["users"]),
        ["Zoë Müller"]
    );
    let projects = linear.call("list_projects", json!({ "team": "Engineering" }));
    assert_eq!(names(&projects["projects"]), ["Web Interface"]);
    let lead = json!({ "lead": "Zoë Müller", "status": "In Progress", "target_date": "2026-12-24", "progress": 0.25 });
    assert!(matches(&projects["projects"][0], &lead), "{projects}");
    let all = linear.call("list_projects", json!({ "query": "old", "include_archived": true }));
    assert_eq!(names(&all["projects"]), ["Old"]);
}

#[test]
fn a_dry_run_reads_where_the_user_names_the_endpoint_as_graphql() {
    let Some(linear) = Linear::new("dry") else { return };
    let calls = json!([
        { "tool": "get_issue", "args": { "id": "ENG-1" } },
        { "tool": "create_comment", "args": { "issue_id": "ENG-1", "body": "hello" } },
    ]);
    let (report, _) = linear.run(&USUAL, &calls, &["--dry-run"]);
    assert_eq!(report["results"][0]["value"]["identifier"], "ENG-1", "{report}");
    assert_eq!(report["results"][1]["error"]["kind"], "denied", "{report}");
    let message = report["results"][1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("cannot be taken back"), "{message}");
    assert_eq!(linear.log(), ["query Issue"]);
    let (report, _) = linear.run(&Set { graphql: false, ..USUAL }, &calls, &["--dry-run"]);
    assert_eq!(report["results"][0]["error"]["kind"], "denied", "{report}");
    assert!(linear.log().is_empty());
}
