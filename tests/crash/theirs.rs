//! What somebody wrote after a commit, or an undo, was cut off outlives that it is taken back.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use inorder::{Host, PluginSpec};
use serde_json::{Value, json};

use super::Place;
use crate::support::{block_on, grants, repository};

/// A root with a batch that has ended, and its journal.
fn after(files: &[(&str, &str)], calls: &[Value]) -> (Place, PathBuf) {
    let place = Place::new();
    for (path, content) in files {
        fs::create_dir_all(place.root().join(path).parent().unwrap()).unwrap();
        fs::write(place.root().join(path), content).unwrap();
    }
    run(place, calls)
}

fn run(place: Place, calls: &[Value]) -> (Place, PathBuf) {
    let spec = PluginSpec::builtin("filesystem", grants(&[], &["**"]));
    let cache = repository().join("target/test-cache/many");
    let host = Host::builder().root(place.root()).plugin(spec).cache(cache).build().unwrap();
    let batch = json!({ "calls": calls }).to_string();
    let report = block_on(host.run(inorder::Batch::from_json(batch.as_bytes()).unwrap())).unwrap();
    assert!(report.results.iter().all(|it| it.result.is_ok()), "{report:?}");
    drop(host);
    let journal = place.journals().pop().unwrap();
    (place, journal)
}

/// As if its host had been killed before the last line.
fn cut((place, journal): (Place, PathBuf)) -> Place {
    let text = fs::read(&journal).unwrap();
    let last = text.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    let file = File::options().write(true).open(&journal).unwrap();
    file.set_len((text.len() - last.len()) as u64).unwrap();
    place
}

fn write(path: &str, content: &str) -> Value {
    json!({"tool": "write_file", "args": {"path": path, "content": content}})
}

fn append(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What is in `.inorder/kept`.
fn kept(place: &Place) -> Vec<String> {
    let Ok(dir) = fs::read_dir(place.root().join(".inorder/kept")) else { return vec![] };
    let mut kept: Vec<String> =
        dir.map(|it| fs::read_to_string(it.unwrap().path()).unwrap()).collect();
    kept.sort();
    kept
}

#[test]
fn an_edit_after_a_commit_that_was_cut_off_stays_and_what_was_replaced_is_kept() {
    type Edit = fn(&Path);
    let edits: [(Edit, &str); 3] = [
        (|file| append(file, " and theirs"), "new and theirs"),
        // As editors do that write a new file.
        (
            |file| {
                fs::write(file.with_extension("tmp"), "theirs").unwrap();
                fs::rename(file.with_extension("tmp"), file).unwrap();
            },
            "theirs",
        ),
        (|_| {}, "old"),
    ];
    for (edit, expected) in edits {
        let place = cut(after(&[("a", "old")], &[write("a", "new")]));
        edit(&place.root().join("a"));
        // The second time there is nothing more to take back.
        for _ in 0..2 {
            place.reopen().unwrap();
            assert_eq!(fs::read_to_string(place.root().join("a")).unwrap(), expected);
        }
        let nothing = expected == "old";
        assert_eq!(kept(&place), if nothing { vec![] } else { vec!["old"] }, "{expected}");
    }
}

#[test]
fn what_is_new_and_was_written_to_since_stays() {
    let place = cut(after(&[], &[write("a", "new")]));
    append(&place.root().join("a"), " and theirs");
    place.reopen().unwrap();
    assert_eq!(fs::read_to_string(place.root().join("a")).unwrap(), "new and theirs");

    let make = json!({"tool": "create_directory", "args": {"path": "made"}});
    let place = cut(after(&[], std::slice::from_ref(&make)));
    fs::write(place.root().join("made/theirs"), "theirs").unwrap();
    place.reopen().unwrap();
    assert_eq!(fs::read_to_string(place.root().join("made/theirs")).unwrap(), "theirs");

    let place = cut(after(&[], std::slice::from_ref(&make)));
    place.reopen().unwrap();
    assert!(!place.root().join("made").exists());

    // As a rule, a file gets the inode of what was removed a moment ago.
    let place = cut(after(&[], &[make]));
    fs::remove_dir(place.root().join("made")).unwrap();
    fs::write(place.root().join("made"), "theirs").unwrap();
    place.reopen().unwrap();
    assert_eq!(fs::read_to_string(place.root().join("made")).unwrap(), "theirs");
}

#[test]
fn what_was_moved_stays_where_it_is_if_its_old_place_is_taken() {
    let moves = json!({"tool": "move_file", "args": {"source": "a", "destination": "b"}});
    let place = cut(after(&[("a", "old")], &[moves]));
    fs::write(place.root().join("a"), "theirs").unwrap();
    for _ in 0..2 {
        place.reopen().unwrap();
        assert_eq!(fs::read_to_string(place.root().join("a")).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(place.root().join("b")).unwrap(), "old");
    }
    assert!(kept(&place).is_empty());
}

#[test]
fn a_file_that_was_written_in_place_is_what_it_was_and_what_was_written_since_is_kept() {
    for (later, found) in
        [(Duration::from_secs(60), vec!["new and theirs"]), (Duration::ZERO, vec![])]
    {
        let place = Place::new();
        fs::write(place.root().join("a"), "old").unwrap();
        fs::hard_link(place.root().join("a"), place.root().join("other")).unwrap();
        let place = cut(run(place, &[write("a", "new")]));
        let file = File::options().append(true).open(place.root().join("a")).unwrap();
        if later > Duration::ZERO {
            (&file).write_all(b" and theirs").unwrap();
            file.set_modified(SystemTime::now() + later).unwrap();
        }
        place.reopen().unwrap();
        assert_eq!(fs::read_to_string(place.root().join("other")).unwrap(), "old");
        assert_eq!(kept(&place), found);
    }
}

#[test]
fn an_undo_that_was_cut_off_goes_on_around_what_was_edited_since_and_is_logged() {
    let files = [("a", "old"), ("b", "old")];
    let (place, journal) = after(&files, &[write("a", "new"), write("b", "new")]);
    let json = "\"undo\"";
    let sum = json.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    append(&journal, &format!("{sum:016x} {json}\n"));
    append(&place.root().join("a"), " and theirs");
    place.reopen().unwrap();
    assert_eq!(fs::read_to_string(place.root().join("a")).unwrap(), "new and theirs");
    assert_eq!(fs::read_to_string(place.root().join("b")).unwrap(), "old");
    assert_eq!(kept(&place), ["old"]);
    let log = inorder::log(&place.root()).unwrap();
    assert!(log.last().unwrap().undoes.is_some(), "{log:?}");
    let again = inorder::undo(&place.root()).unwrap_err().to_string();
    assert!(again.starts_with("there is nothing to undo"), "{again}");
}

#[test]
fn an_undo_that_could_not_go_through_changes_nothing() {
    let files = [("one/a", "old"), ("two/b", "old")];
    let (place, _) = after(&files, &[write("one/a", "new"), write("two/b", "new")]);
    let closed = place.root().join("one");
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(&closed).output();
    let changed = chattr("+i");
    if !changed.as_ref().is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: no directory can be made immutable here: {changed:?}");
        return;
    }
    let refused = inorder::undo(&place.root());
    chattr("-i").unwrap();
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("not undone: ") && refused.contains("one"), "{refused}");
    for file in ["one/a", "two/b"] {
        assert_eq!(fs::read_to_string(place.root().join(file)).unwrap(), "new");
    }
    append(&place.root().join("one/a"), " and theirs");
    place.reopen().unwrap();
    assert_eq!(fs::read_to_string(place.root().join("one/a")).unwrap(), "new and theirs");
}

#[test]
fn an_undo_sees_a_mode_that_was_changed_since() {
    let (place, _) = after(&[("a", "old")], &[write("a", "new")]);
    fs::set_permissions(place.root().join("a"), Permissions::from_mode(0o600)).unwrap();
    let before = place.tree();
    let refused = inorder::undo(&place.root()).unwrap_err().to_string();
    assert!(refused.contains("after the batch wrote them: a;"), "{refused}");
    assert!(place.tree() == before);
}
