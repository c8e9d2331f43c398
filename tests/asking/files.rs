//! Changes of files: asked about at the call's turn, and made real as they were agreed to, or not at all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use inorder::{
    AuditRecord, AuditSink, Batch, Call, CancellationToken, Effect, ErrorKind, RunOptions,
};
use serde_json::{Value, json};

use super::{asking, builder, content, execute, host, loosely, message};
use crate::support::{block_on, report};

fn write(path: &str, text: &str) -> Value {
    json!({"tool": "write_file", "args": {"path": path, "content": text}})
}

fn read(path: &str) -> Value {
    json!({"tool": "read_text_file", "args": {"path": path}})
}

fn edit(path: &str, from: &str, to: &str) -> Value {
    let edits = json!([{"old_text": from, "new_text": to}]);
    json!({"tool": "edit_file", "args": {"path": path, "edits": edits}})
}

fn loose(call: &Value) -> Call {
    let batch = json!({ "calls": [call] });
    Batch::from_json(batch.to_string().as_bytes()).unwrap().calls.remove(0)
}

#[test]
fn what_is_agreed_to_becomes_real_and_the_question_shows_it() {
    let (root, host) = host(&[("a.txt", "one\ntwo\n")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [read("a.txt"), edit("a.txt", "two", "three")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            let call = &open.question.calls[0];
            assert_eq!((call.index, &*call.id, &*call.tool), (1, "2", "edit_file"));
            assert_eq!((&*call.plugin, &*call.rules), ("filesystem", &["write".to_owned()][..]));
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            assert_eq!(arguments, edit("a.txt", "two", "three")["args"]);
            assert_eq!(open.changes(), ["a.txt"]);
            let diff = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";
            assert_eq!(open.diff(), diff);
            assert_eq!(content(&root, "a.txt").unwrap(), "one\ntwo\n", "nothing is real yet");
            open.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(report.results[1].usage.attempts, 1);
    assert_eq!(content(&root, "a.txt").unwrap(), "one\nthree\n");
    assert!(questions.are_over());
}

#[test]
fn what_is_refused_leaves_no_trace_and_later_calls_see_none() {
    let (root, host) = host(&[("a.txt", "old")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let first =
            json!({"id": "w", "tool": "write_file", "args": {"path": "a.txt", "content": "new"}});
        let after = json!({"tool": "read_text_file", "args": {"path": "a.txt"}, "after": ["w"]});
        let calls = json!({"calls": [first, read("a.txt"), after]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            questions.next().await.no("not today");
        });
        report
    });
    let said = message(&report, 0);
    assert!(
        said.starts_with("denied: nothing that it did to files (\"a.txt\") was done"),
        "{said}"
    );
    assert!(said.contains("`ask = [\"write\"]` in the config, or --ask 'write'"), "{said}");
    assert!(said.ends_with("the answer was no: not today"), "{said}");
    assert_eq!(report.results[0].changes, []);
    for call in [1, 2] {
        assert_eq!(report.results[call].result, Ok(json!("old").into()));
    }
    assert_eq!(content(&root, "a.txt").unwrap(), "old");
}

#[test]
fn where_there_is_nobody_to_ask_the_answer_is_no_and_reads_are_never_asked_about() {
    let (root, host) = host(&[("a.txt", "old")], &["write", "net"]);
    let report = report(&host, &json!({"calls": [write("b.txt", "x"), read("a.txt")]}));
    assert_eq!(report["results"][0]["error"]["kind"], "denied", "{report}");
    let said = report["results"][0]["error"]["message"].as_str().unwrap();
    assert!(said.contains("there was nobody to ask") && said.contains("--ask 'write'"), "{said}");
    assert_eq!(report["results"][1]["value"], "old");
    assert_eq!(content(&root, "b.txt"), None);
}

#[test]
fn while_somebody_is_asked_later_calls_run_but_are_not_committed_before() {
    let (root, host) = host(&[("a.txt", "a"), ("c.txt", "c")], &["write:a.txt"]);
    let (mut options, mut questions) = asking(Effect::Commit);
    let (told, mut progress) = tokio::sync::mpsc::unbounded_channel();
    options.progress = Some(told);
    let session = host.session();
    block_on(async {
        let calls = json!({"calls": [write("a.txt", "A"), write("b.txt", "B"), read("c.txt")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            // A call that it has nothing to do with, of nobody's batch, is written meanwhile.
            let other = loose(&write("d.txt", "D"));
            let other = session.call(other, CancellationToken::new()).await.unwrap();
            assert!(other.result.is_ok(), "{other:?}");
            let mut ran = std::collections::BTreeSet::new();
            while ran.len() < 3 {
                match progress.recv().await.unwrap() {
                    inorder::Progress::Started(call) => drop(ran.insert(call)),
                    inorder::Progress::Ended(call, _) => assert_eq!(call, 2, "a write has ended"),
                    inorder::Progress::Said(..) => {}
                }
            }
            assert_eq!(
                (content(&root, "b.txt"), content(&root, "d.txt").unwrap()),
                (None, "D".into())
            );
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
    });
    assert_eq!(
        (content(&root, "a.txt").unwrap(), content(&root, "b.txt").unwrap()),
        ("A".into(), "B".into())
    );
}

#[test]
fn what_has_changed_while_it_was_asked_about_is_asked_about_again_as_it_is_by_then() {
    let (root, host) = host(&[("a.txt", "one\ntwo\n")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [edit("a.txt", "two", "three")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            std::fs::write(root.path().join("a.txt"), "zero\none\ntwo\n").unwrap();
            open.yes();
            let again = questions.next().await;
            assert!(again.diff().contains(" zero\n one\n-two\n+three\n"), "{}", again.diff());
            again.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(report.results[0].usage.attempts, 2);
    assert_eq!(content(&root, "a.txt").unwrap(), "zero\none\nthree\n");
}

#[test]
fn what_is_still_the_same_when_it_runs_again_is_not_asked_about_twice() {
    let (root, host) = host(&[("a.txt", "one\ntwo\n")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [edit("a.txt", "two", "three")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            std::fs::write(root.path().join("a.txt"), "one\ntwo\n").unwrap();
            open.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(report.results[0].usage.attempts, 2);
    assert!(questions.are_over());
    assert_eq!(content(&root, "a.txt").unwrap(), "one\nthree\n");
}

#[test]
fn what_is_overwritten_unread_is_what_was_shown() {
    let (root, host) = host(&[("a.txt", "old\n")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let calls = json!({"calls": [write("a.txt", "new\n")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert!(open.diff().contains("-old\n+new\n"), "{}", open.diff());
            std::fs::write(root.path().join("a.txt"), "precious\n").unwrap();
            open.yes();
            let again = questions.next().await;
            assert!(again.diff().contains("-precious\n+new\n"), "{}", again.diff());
            again.no("");
        });
        assert!(!report.all_ok());
    });
    assert_eq!(content(&root, "a.txt").unwrap(), "precious\n");
}

#[test]
fn cancelling_a_batch_ends_the_question_and_nothing_of_it_is_done() {
    let (root, host) = host(&[], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let cancel = options.cancel.clone();
    block_on(async {
        let calls = json!({"calls": [write("a.txt", "A"), write("b.txt", "B")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let mut open = questions.next().await;
            cancel.cancel();
            open.answer.closed().await;
        });
        for outcome in &report.results {
            let error = outcome.result.as_ref().unwrap_err();
            assert_eq!(error.kind, ErrorKind::Cancelled, "{error:?}");
        }
    });
    assert_eq!((content(&root, "a.txt"), content(&root, "b.txt")), (None, None));
}

#[test]
fn the_time_of_a_question_is_nobodys() {
    let (_root, host) = host(&[], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    let waited = Duration::from_millis(700);
    let report = block_on(async {
        let mut call = write("a.txt", "A");
        // Less than the question takes.
        call["limits"] = json!({"timeout": "600ms"});
        let calls = json!({"calls": [call]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            tokio::time::sleep(waited).await;
            open.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    let usage = &report.results[0].usage;
    assert!(usage.run + usage.commit < waited, "{usage:?}");
    assert!(report.elapsed >= waited);
}

#[test]
fn an_approver_that_panics_has_said_no() {
    #[derive(Debug)]
    struct Panics;
    impl inorder::Approver for Panics {
        fn decide<'a>(
            &'a self,
            _: &'a inorder::Question,
        ) -> std::pin::Pin<Box<dyn Future<Output = inorder::Decision> + Send + 'a>> {
            panic!("no idea")
        }
    }
    let (root, host) = host(&[], &["write"]);
    let options = RunOptions { approver: Some(Arc::new(Panics)), ..RunOptions::default() };
    let calls = json!({"calls": [write("a.txt", "A"), read("a.txt")]});
    let report = block_on(execute(&host, &calls, options));
    assert!(message(&report, 0).contains("whoever was asked has failed"), "{report:?}");
    assert_eq!(content(&root, "a.txt"), None);
}

#[test]
fn a_loose_call_is_asked_about_while_others_go_on() {
    let (root, host) = host(&[("a.txt", "old")], &["write:a.txt"]);
    let session = host.session();
    let (options, mut questions) = loosely();
    block_on(async {
        let asked = session.issue(loose(&write("a.txt", "new")), options).unwrap();
        let reads = session.issue(loose(&read("a.txt")), Default::default()).unwrap();
        let (asked, reads, ()) = tokio::join!(asked.ended(), reads.ended(), async {
            let open = questions.next().await;
            let other = loose(&write("b.txt", "B"));
            let other = session.call(other, CancellationToken::new()).await.unwrap();
            assert!(other.result.is_ok(), "{other:?}");
            assert_eq!(
                (content(&root, "a.txt").unwrap(), content(&root, "b.txt").unwrap()),
                ("old".into(), "B".into())
            );
            open.yes();
        });
        assert!(asked.unwrap().result.is_ok());
        // It was sent after the write that it waits for.
        assert_eq!(reads.unwrap().result, Ok(json!("new").into()));
    });
}

#[test]
fn in_a_dry_run_nothing_is_asked_as_nothing_becomes_real() {
    let (root, host) = host(&[], &["write"]);
    let (options, mut questions) = asking(Effect::DryRun);
    let report = block_on(execute(&host, &json!({"calls": [write("a.txt", "A")]}), options));
    assert!(report.all_ok() && report.diff.unwrap().contains("+A"));
    assert!(questions.are_over());
    assert_eq!(content(&root, "a.txt"), None);
}

/// The paths of the questions about calls, each of which is agreed to.
fn asked_about(files: &[(&str, &str)], rules: &[&str], calls: &[Value]) -> Vec<Vec<String>> {
    let (root, host) = host(files, rules);
    if files.iter().any(|(path, _)| *path == "docs/a.txt") {
        std::fs::hard_link(root.path().join("docs/a.txt"), root.path().join("other.txt")).unwrap();
    }
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let calls = json!({ "calls": calls });
        let answers = async {
            let mut asked = Vec::new();
            while let Some(open) = questions.0.recv().await {
                asked.push(open.changes().into_iter().map(str::to_owned).collect());
                open.yes();
            }
            asked
        };
        let run = async { execute(&host, &calls, options).await };
        let (report, asked) = tokio::join!(run, answers);
        assert!(report.all_ok(), "{report:?}");
        asked
    })
}

#[test]
fn a_rule_of_paths_asks_about_what_touches_them_under_whatever_name() {
    let files = [("docs/a.txt", "a"), ("src/x.txt", "x")];
    let moved = |from: &str, to: &str| json!({"tool": "move_file", "args": {"source": from, "destination": to}});
    let cases: [(&str, Value, &[&[&str]]); 9] = [
        ("write:docs/**", write("docs/b.txt", "b"), &[&["docs/b.txt"]]),
        ("write:docs/**", write("src/x.txt", "y"), &[]),
        // The new name, then the old one.
        ("write:docs/**", moved("docs/a.txt", "src/a.txt"), &[&["src/a.txt", "docs/a.txt"]]),
        // With all that is in it.
        ("write:docs/**", moved("docs", "papers"), &[&["papers", "docs"]]),
        ("write:new/**", moved("src", "new"), &[&["new", "src"]]),
        ("write:*.md", moved("docs", "papers"), &[]),
        ("write:**/*.txt", moved("docs", "papers"), &[&["papers", "docs"]]),
        // It is the same file as docs/a.txt, and told by that name.
        ("write:docs/**", edit("other.txt", "a", "b"), &[&["docs/a.txt"]]),
        ("write", json!({"tool": "create_directory", "args": {"path": "d"}}), &[&["d"]]),
    ];
    for (rule, call, asked) in cases {
        assert_eq!(
            asked_about(&files, &[rule], std::slice::from_ref(&call)),
            asked,
            "{rule}: {call}"
        );
    }
}

#[test]
fn a_rule_that_names_paths_by_way_of_a_symlink_asks_about_what_is_there() {
    for (rule, call) in [
        ("write:docs/**", write("docs/y.txt", "y")),
        ("write:docs/**", write("real/y.txt", "y")),
        ("write:docs/new/**", write("docs/new/y.txt", "y")),
        ("write:docs/x.txt", write("docs/x.txt", "y")),
        // From then on it would name something else.
        ("write:later/**", json!({"tool": "create_directory", "args": {"path": "later"}})),
    ] {
        let (root, host) = host(&[("real/x.txt", "x")], &[rule]);
        std::os::unix::fs::symlink("real", root.path().join("docs")).unwrap();
        let calls = json!({ "calls": [call] });
        let report = block_on(execute(&host, &calls, RunOptions::default()));
        assert!(message(&report, 0).starts_with("denied"), "{rule}: {}", message(&report, 0));
        assert_eq!(content(&root, "real/y.txt"), None);
        let other = json!({"calls": [write("other.txt", "y")]});
        assert!(block_on(execute(&host, &other, RunOptions::default())).all_ok(), "{rule}");
    }
}

#[test]
fn a_diff_has_lines_where_other_programs_have_them() {
    let (_root, host) = host(&[], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let calls = json!({"calls": [write("a.py", "# a\rprint('b')\r\nc\n")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert!(
                open.diff().contains("@@ -0,0 +1,2 @@\n+# a\rprint('b')\r\n+c\n"),
                "{:?}",
                open.diff()
            );
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
    });
}

#[test]
fn a_name_cannot_pass_for_lines_of_the_diff() {
    let (_root, host) = host(&[], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let path = "a\n+++ b/harmless\u{1b}[2J";
        let calls = json!({"calls": [write(path, "x\n")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            let lines: Vec<&str> = open.diff().lines().collect();
            // The directory that it lies in is made, too.
            assert_eq!(lines[0], r#"# + "a\n+++ b"/"#);
            let name = r"a\n+++ b/harmless\033[2J";
            assert_eq!(lines[1], format!(r#"diff --git "a/{name}" "b/{name}""#));
            assert_eq!(lines.len(), 7, "{lines:?}");
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
    });
}

#[test]
fn a_large_diff_is_cut_and_says_so() {
    let (root, host) = host(&[("a.txt", "a")], &["write"]);
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let big = "a line of text\n".repeat(100_000);
        let calls = json!({"calls": [edit("a.txt", "a", "b"), write("big.txt", &big)]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            questions.next().await.yes();
            let open = questions.next().await;
            assert!(open.diff().len() < 300_000, "{}", open.diff().len());
            assert!(open.diff().ends_with("# the rest of this is not shown\n"));
            open.yes();
        });
        assert!(report.all_ok(), "{report:?}");
    });
    assert_eq!(content(&root, "big.txt").unwrap().len(), 1_500_000);
}

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<AuditRecord>>>);

impl AuditSink for Kept {
    fn record(&self, record: &AuditRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

#[test]
fn the_audit_log_tells_what_was_asked_and_what_was_answered() {
    let kept = Kept::default();
    let (_root, builder) = builder(&[("a.txt", "a")], &["write", "write:b.txt"]);
    let host = builder.audit(kept.clone()).build().unwrap();
    let (options, mut questions) = asking(Effect::Commit);
    block_on(async {
        let calls = json!({"calls": [write("b.txt", "B"), write("c.txt", "C"), read("a.txt")]});
        tokio::join!(execute(&host, &calls, options), async {
            questions.next().await.yes();
            questions.next().await.no("");
        });
        execute(&host, &json!({"calls": [write("d.txt", "D")]}), RunOptions::default()).await;
    });
    let mut records: Vec<Value> =
        kept.0.lock().unwrap().iter().map(|it| serde_json::to_value(it).unwrap()).collect();
    records.sort_by_key(|it| (it["batch"].to_string(), it["call"].to_string()));
    let asked: Vec<&Value> = records.iter().map(|record| &record["asked"]).collect();
    let one = |rule: &str, answer: &str| json!({"rule": rule, "answer": answer});
    assert_eq!(*asked[0], json!([one("write", "yes"), one("write:b.txt", "yes")]));
    assert_eq!(*asked[1], json!([one("write", "no")]));
    assert_eq!(*asked[2], Value::Null);
    assert_eq!(*asked[3], json!([one("write", "nobody")]));
    assert_eq!(records[1]["outcome"], "denied");
}

#[test]
fn a_rule_that_could_never_ask_is_an_error() {
    let (_root, builder) = builder(&[], &["write:/elsewhere/**"]);
    let error = builder.build().err().unwrap().to_string();
    assert!(
        error.contains("write:/elsewhere/**") && error.contains("none of the roots"),
        "{error}"
    );
}
