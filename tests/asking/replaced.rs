//! What a rename or a link replaces: it is told as what is lost, and asked about again if it is another by then.

use inorder::{AskRule, Committed, Effect, Host};
use serde_json::{Value, json};

use super::{asking, content, execute, message};
use crate::support::{block_on, grants, guest, scratch};

/// A host whose guest does one operation on a file per call, and is asked about all that it writes.
fn host(files: &[(&str, &str)]) -> Option<(tempfile::TempDir, Host)> {
    let mut spec = guest("fileops")?;
    spec.grants = grants(&[], &["**"]);
    let (root, builder) = scratch(files);
    let rule = AskRule::parse("write").unwrap();
    Some((root, builder.plugin(spec).ask(rule).build().unwrap()))
}

fn rename(source: &str, target: &str) -> Value {
    json!({"tool": "rename", "args": {"source": source, "target": target}})
}

const LOST: &str = "diff --git a/p b/p\ndeleted file mode 100644\n--- a/p\n+++ /dev/null\n@@ -1 +0,0 @@\n-precious\n";
const MOVED: &str = "diff --git a/a b/p\nrename from a\nrename to p\n";

#[test]
fn a_rename_tells_what_it_replaces_and_is_asked_about_again_if_that_has_changed() {
    let Some((root, host)) = host(&[("a", "1\n"), ("p", "precious\n")]) else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [rename("a", "p")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert_eq!(open.changes(), ["p", "p", "a"]);
            assert_eq!(open.diff(), format!("{LOST}{MOVED}"));
            std::fs::write(root.path().join("p"), "newer\n").unwrap();
            open.yes();
            let again = questions.next().await;
            assert!(again.diff().contains("\n-newer\n"), "{}", again.diff());
            again.yes();
        });
        report
    });
    assert!(report.all_ok(), "{report:?}");
    let changes = serde_json::to_value(&report.results[0].changes).unwrap();
    assert_eq!(changes, json!([{"removed": "p"}, {"renamed": {"from": "a", "to": "p"}}]));
    assert_eq!((content(&root, "a"), content(&root, "p").unwrap()), (None, "1\n".into()));
    assert!(questions.are_over());
}

#[test]
fn what_appears_where_something_is_to_be_renamed_to_is_asked_about() {
    for effect in [Effect::Commit, Effect::Atomic] {
        let Some((root, host)) = host(&[("a", "1\n")]) else { return };
        let (options, mut questions) = asking(effect);
        block_on(async {
            let calls = json!({"calls": [rename("a", "p")]});
            tokio::join!(execute(&host, &calls, options), async {
                let open = questions.next().await;
                assert_eq!(open.diff(), MOVED);
                std::fs::write(root.path().join("p"), "precious\n").unwrap();
                open.yes();
                let again = questions.next().await;
                assert_eq!(again.diff(), format!("{LOST}{MOVED}"));
                again.no("no");
            })
        });
        assert_eq!(content(&root, "p").unwrap(), "precious\n");
        assert!(questions.are_over());
    }
}

#[test]
fn an_atomic_batch_is_asked_about_again_if_what_it_renames_onto_has_changed() {
    let Some((root, host)) = host(&[("a", "1\n"), ("p", "precious\n")]) else { return };
    let (options, mut questions) = asking(Effect::Atomic);
    let report = block_on(async {
        let calls = json!({"calls": [rename("a", "p")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert_eq!(open.diff(), format!("{LOST}{MOVED}"));
            std::fs::write(root.path().join("p"), "newer\n").unwrap();
            open.yes();
            questions.next().await.no("no");
        });
        report
    });
    assert!(matches!(report.committed, Some(Committed::No { .. })), "{report:?}");
    assert_eq!(content(&root, "p").unwrap(), "newer\n");
}

#[test]
fn a_link_in_the_place_of_a_file_is_told_as_a_change_of_it() {
    let Some((_root, host)) = host(&[("a", "1\n"), ("p", "precious\n")]) else { return };
    let (options, mut questions) = asking(Effect::Atomic);
    block_on(async {
        let remove = json!({"tool": "remove", "args": {"path": "p"}});
        let link = json!({"tool": "hard_link", "args": {"source": "a", "target": "p"}});
        let calls = json!({"calls": [remove, link]});
        tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            let diff = "diff --git a/p b/p\n--- a/p\n+++ b/p\n@@ -1 +1 @@\n-precious\n+1\n";
            assert_eq!(open.diff(), diff);
            open.no("no");
        })
    });
}

#[test]
fn what_is_too_much_to_be_shown_is_not_written_over_if_it_has_changed() {
    let many = "a line of text\n".repeat(20_000);
    let files = [("a", "1\n"), ("big", many.as_str()), ("p", "precious\n")];
    let Some((root, host)) = host(&files) else { return };
    let (options, mut questions) = asking(Effect::Atomic);
    block_on(async {
        // What is lost comes first, by name: `p` is behind what is more than a question shows.
        let remove = json!({"tool": "remove", "args": {"path": "big"}});
        let calls = json!({"calls": [remove, rename("a", "p")]});
        tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert!(open.diff().ends_with("more changes are not shown\n"));
            std::fs::write(root.path().join("p"), "newer\n").unwrap();
            open.yes();
            questions.next().await.no("no");
        })
    });
    assert_eq!(content(&root, "p").unwrap(), "newer\n");
}

#[test]
fn what_is_too_large_to_be_compared_is_not_written_over_if_it_has_changed() {
    let Some((root, host)) = host(&[("a", "1\n"), ("p", &"x".repeat(5 << 20))]) else { return };
    let (options, mut questions) = asking(Effect::Commit);
    let report = block_on(async {
        let calls = json!({"calls": [rename("a", "p")]});
        let (report, ()) = tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            assert!(open.diff().contains("\nLarge files a/p and /dev/null differ\n"));
            std::fs::write(root.path().join("p"), "newer\n").unwrap();
            open.yes();
            let again = questions.next().await;
            assert!(again.diff().contains("\n-newer\n"), "{}", again.diff());
            again.no("no");
        });
        report
    });
    let said = message(&report, 0);
    assert!(said.contains("did to files (\"p\") was done"), "{said}");
    assert_eq!(content(&root, "p").unwrap(), "newer\n");
}

#[test]
fn a_file_that_changes_in_a_directory_that_moves_is_compared_with_what_it_was() {
    let Some((_root, host)) = host(&[("d/q", "1\n2\n"), ("d/r", "r\n")]) else { return };
    let (options, mut questions) = asking(Effect::Atomic);
    block_on(async {
        let write = json!({"tool": "write", "args": {"path": "e/q", "text": "1\n3\n"}});
        let calls = json!({"calls": [rename("d", "e"), write]});
        tokio::join!(execute(&host, &calls, options), async {
            let open = questions.next().await;
            let diff = "# renamed d/ to e/\ndiff --git a/d/q b/e/q\nrename from d/q\nrename to e/q\n\
                        --- a/d/q\n+++ b/e/q\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n";
            assert_eq!(open.diff(), diff);
            open.no("no");
        })
    });
}
