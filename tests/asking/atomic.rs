//! An atomic batch: asked about once, when all of it is there, and not at all if it fails anyway.

use inorder::{Committed, Effect};
use serde_json::{Value, json};

use super::{asking, content, execute, host};
use crate::support::block_on;

fn write(path: &str, text: &str) -> Value {
    json!({"tool": "write_file", "args": {"path": path, "content": text}})
}

fn run(calls: &Value, answer: Option<bool>) -> (tempfile::TempDir, Committed) {
    let (root, host) = host(&[("a.txt", "old\n")], &["write:a.txt"]);
    let (options, mut questions) = asking(Effect::Atomic);
    let report = block_on(async {
        let batch = json!({ "calls": calls });
        let (report, ()) = tokio::join!(execute(&host, &batch, options), async {
            let Some(answer) = answer else { return };
            let open = questions.next().await;
            // The call that the rule is about; and all that would become real with it.
            let calls: Vec<usize> = open.question.calls.iter().map(|call| call.index).collect();
            assert_eq!(calls, [0]);
            assert!(
                open.diff().contains("-old\n+new\n") && open.diff().contains("+B"),
                "{}",
                open.diff()
            );
            assert_eq!(content(&root, "b.txt"), None);
            if answer { open.yes() } else { open.no("no") }
        });
        report
    });
    assert!(questions.are_over());
    (root, report.committed.unwrap())
}

#[test]
fn it_is_asked_about_as_a_whole_and_made_real_as_a_whole() {
    let calls = json!([write("a.txt", "new\n"), write("b.txt", "B")]);
    let (root, committed) = run(&calls, Some(true));
    assert_eq!(committed, Committed::Yes);
    assert_eq!(
        (content(&root, "a.txt").unwrap(), content(&root, "b.txt").unwrap()),
        ("new\n".into(), "B".into())
    );

    let (root, committed) = run(&calls, Some(false));
    let Committed::No { because } = committed else { panic!("it was made real") };
    assert!(
        because.contains("the answer was no") && because.contains("--ask 'write:a.txt'"),
        "{because}"
    );
    assert_eq!((content(&root, "a.txt").unwrap(), content(&root, "b.txt")), ("old\n".into(), None));
}

#[test]
fn nobody_is_asked_about_a_batch_that_fails_or_that_no_rule_is_about() {
    let calls =
        json!([write("a.txt", "new"), {"tool": "read_text_file", "args": {"path": "gone"}}]);
    let (_root, committed) = run(&calls, None);
    assert!(matches!(committed, Committed::No { .. }));
    let (_root, committed) = run(&json!([write("b.txt", "B")]), None);
    assert_eq!(committed, Committed::Yes);
}

#[test]
fn a_file_that_several_calls_change_is_named_once() {
    let (_root, host) = host(&[("a.txt", "old\n")], &["write"]);
    let (options, mut questions) = asking(Effect::Atomic);
    let calls = json!([
        write("a.txt", "new\n"),
        write("b.txt", "B"),
        write("a.txt", "newer\n"),
        write("b.txt", "BB"),
    ]);
    block_on(async {
        let batch = json!({ "calls": calls });
        let (report, ()) = tokio::join!(execute(&host, &batch, options), async {
            let open = questions.next().await;
            assert_eq!(open.changes(), ["a.txt", "b.txt"]);
            open.yes();
        });
        assert_eq!(report.committed, Some(Committed::Yes));
    });
}
