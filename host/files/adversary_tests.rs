//! Views and commits against each other, as an adversary would arrange them: each was once a way to break a promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::bounds::Bounds;
use super::commit::Failed;
use super::disk::Result;
use super::node::SetTimes;
use super::open::How;
use super::place::Place;
use super::resolve::Last;
use super::scope::{Declared, Reach, Scope};
use super::stage::Durability;
use super::view::{Staged, View};
use super::work::{Effect, Files, Work};
use crate::policy::{Grants, PathGrant};

const BOUNDS: Bounds = Bounds { staged: 1 << 20, kept: 4 << 20 };

fn root(content: &[(&str, &str)]) -> (tempfile::TempDir, Arc<Files>) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in content {
        std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    let files = Files::open(&[dir.path().to_owned()], Durability::Kill).unwrap();
    (dir, files)
}

fn may_write(files: &Files, pattern: &str) -> Arc<Scope> {
    let grants = Grants { write: vec![PathGrant::parse(pattern).unwrap()], ..Grants::default() };
    Arc::new(Scope::new(files.roots(), &grants).unwrap())
}

fn read(view: &View, path: &str) -> Result<Vec<u8>> {
    let mut tree = view.tree();
    let root = tree.root(0);
    let id = tree.open(root, path, Last::Follow, How { read: true, ..How::default() })?;
    Ok(tree.read(id, 0, 1000)?.to_vec())
}

fn write(view: &View, path: &str, text: &str) -> Result<()> {
    let mut tree = view.tree();
    let root = tree.root(0);
    let how = How { create: true, write: true, truncate: true, ..How::default() };
    let id = tree.open(root, path, Last::Follow, how)?;
    tree.write(id, 0, text.as_bytes())
}

fn commit(work: &Work, view: &View) {
    let staged = view.stage().unwrap();
    work.commit(view, staged).unwrap();
}

#[test]
fn a_read_that_saw_half_of_another_batchs_commit_is_not_valid() {
    let (_dir, files) = root(&[("a", "0"), ("b", "0")]);
    let all = may_write(&files, "**");
    let stop = AtomicBool::new(false);
    let (mut torn, mut valid) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let work = files.work(Effect::Commit);
            for n in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let view = work.view(all.clone(), BOUNDS);
                write(&view, "a", &n.to_string()).unwrap();
                write(&view, "b", &n.to_string()).unwrap();
                commit(&work, &view);
            }
        });
        let work = files.work(Effect::Commit);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(500) {
            let view = work.view(all.clone(), BOUNDS);
            let (Ok(a), Ok(b)) = (read(&view, "a"), read(&view, "b")) else { continue };
            if work.commit(&view, Staged::Nothing).is_ok() {
                valid += 1;
                torn += usize::from(a != b);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(valid > 0 && torn == 0, "{torn} of {valid} valid reads were torn");
}

#[test]
fn a_call_may_not_list_the_directories_above_what_it_declares() {
    let (_dir, files) = root(&[("d/x", "0")]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::Commit);
    let declared = Declared { reads: vec![Place::new(0, "d/x")], writes: vec![] };
    let view = work.view(all, BOUNDS);
    view.declare(declared);
    let mut tree = view.tree();
    let top = tree.root(0);
    let how = How { directory: true, ..How::default() };
    let dir = tree.open(top, "d", Last::Follow, how).unwrap();
    assert_eq!(tree.entries(dir).unwrap_err(), Errno::PERM);
}

#[test]
fn a_read_of_a_file_with_several_names_waits_for_whoever_may_write_another_of_them() {
    for effect in [Effect::Commit, Effect::DryRun, Effect::Atomic] {
        let (dir, files) = root(&[("x", "old")]);
        std::fs::hard_link(dir.path().join("x"), dir.path().join("y")).unwrap();
        let all = may_write(&files, "**");
        let work = files.work(effect);
        let declared = Declared { reads: vec![], writes: vec![Place::new(0, "y")] };
        let later = work.view(all.clone(), BOUNDS);
        read(&later, "x").unwrap();
        let reach = Reach { scope: &all, declared: Some(&declared), writes: true };
        assert!(reach.may_conflict(&later, &Staged::Nothing), "{effect:?}");
    }
}

#[test]
fn a_name_that_an_earlier_call_has_linked_is_no_way_around_a_grant() {
    for (effect, fresh) in [
        (Effect::Commit, false),
        (Effect::Commit, true),
        (Effect::Atomic, false),
        (Effect::Atomic, true),
    ] {
        let (_dir, files) = root(if fresh { &[] } else { &[("f", "old")] });
        let work = files.work(effect);
        let one = work.view(may_write(&files, "**"), BOUNDS);
        if fresh {
            write(&one, "f", "old").unwrap();
        }
        let top = one.tree().root(0);
        one.tree().link(top, "f", top, "secret").unwrap();
        commit(&work, &one);
        let two = work.view(may_write(&files, "f"), BOUNDS);
        assert_eq!(write(&two, "f", "evil").unwrap_err(), Errno::PERM, "{effect:?}, {fresh}");
    }
}

#[test]
fn a_name_that_decides_about_a_grant_does_not_go_ahead_of_who_asks_for_it() {
    let (dir, files) = root(&[("in/f", "old"), ("sub/h", "")]);
    std::fs::hard_link(dir.path().join("in/f"), dir.path().join("sub/g")).unwrap();
    let (one, two) = (may_write(&files, "in/f"), may_write(&files, "sub/g"));
    let work = files.work(Effect::Commit);
    assert_eq!(write(&work.view(one.clone(), BOUNDS), "in/f", "z").unwrap_err(), Errno::PERM);
    let later = work.view(two, BOUNDS);
    let top = later.tree().root(0);
    later.tree().unlink(top, "sub/g").unwrap();
    let staged = later.stage().unwrap();
    assert!(Reach { scope: &one, declared: None, writes: true }.may_conflict(&later, &staged));
}

#[test]
fn a_commit_that_fails_does_not_cost_the_undo_of_the_batch_before() {
    let (dir, files) = root(&[("f", "old")]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::Commit);
    let view = work.view(all.clone(), BOUNDS);
    write(&view, "f", "new").unwrap();
    commit(&work, &view);
    drop((view, work));
    let work = files.work(Effect::Commit);
    let view = work.view(all, BOUNDS);
    let top = view.tree().root(0);
    // No guest gets as far with such a time.
    let times = SetTimes { accessed: None, modified: Some((1, 2_000_000_000)) };
    view.tree().set_times_at(top, "f", Last::Follow, times).unwrap();
    let staged = view.stage().unwrap();
    assert!(matches!(work.commit(&view, staged), Err(Failed::Broken(_))));
    drop((view, work));
    super::history::undo(dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "old");
}

#[test]
fn what_is_written_in_an_atomic_batch_after_its_time_was_set_has_changed_now() {
    let (dir, files) = root(&[("f", "old")]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::Atomic);
    let view = work.view(all.clone(), BOUNDS);
    let top = view.tree().root(0);
    let times = SetTimes { accessed: None, modified: Some((1, 0)) };
    view.tree().set_times_at(top, "f", Last::Follow, times).unwrap();
    commit(&work, &view);
    let view = work.view(all, Bounds { staged: 16 << 20, ..BOUNDS });
    // So much that it is staged on the disk.
    write(&view, "f", &"x".repeat(4 << 20)).unwrap();
    commit(&work, &view);
    work.flush().unwrap();
    let modified = std::fs::metadata(dir.path().join("f")).unwrap().modified().unwrap();
    assert!(modified.elapsed().unwrap().as_secs() < 3600, "{modified:?}");
}

#[test]
fn a_directory_that_took_the_place_of_a_removed_one_goes_back_with_what_is_in_it() {
    let (dir, files) = root(&[("d/a", "old"), ("e/a", "moved")]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::Commit);
    let view = work.view(all.clone(), BOUNDS);
    let top = view.tree().root(0);
    view.tree().unlink(top, "d/a").unwrap();
    view.tree().rmdir(top, "d").unwrap();
    commit(&work, &view);
    let view = work.view(all, BOUNDS);
    let top = view.tree().root(0);
    view.tree().rename(top, "e", top, "d").unwrap();
    commit(&work, &view);
    drop((view, work));
    super::history::undo(dir.path()).unwrap();
    for (path, text) in [("d/a", "old"), ("e/a", "moved")] {
        assert_eq!(std::fs::read_to_string(dir.path().join(path)).unwrap(), text);
    }
}

#[test]
fn a_file_that_is_replaced_between_its_name_and_its_content_is_read_whole() {
    let (_dir, files) = root(&[("f", &"a".repeat(20_000))]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::Commit);
    let view = work.view(all.clone(), BOUNDS);
    let top = view.tree().root(0);
    let id = view.tree().child(top, "f").unwrap().unwrap();
    let other = work.view(all, BOUNDS);
    write(&other, "f", &"b".repeat(60_000)).unwrap();
    commit(&work, &other);
    let read = view.tree().read(id, 0, 100_000).unwrap();
    assert_eq!(read.len(), 60_000);
    work.still_holds(&view).unwrap();
}

/// Another call moves `from` onto `to`.
fn moved_onto(work: &Work, scope: &Arc<Scope>, from: &str, to: &str) {
    let view = work.view(scope.clone(), BOUNDS);
    let top = view.tree().root(0);
    view.tree().rename(top, from, top, to).unwrap();
    commit(work, &view);
}

#[test]
fn what_a_name_of_a_layer_led_to_before_it_was_moved_over_is_not_valid() {
    let (_dir, files) = root(&[("a", "new"), ("b", "old")]);
    let all = may_write(&files, "**");
    let work = files.work(Effect::DryRun);
    let view = work.view(all.clone(), BOUNDS);
    let top = view.tree().root(0);
    let id = view.tree().child(top, "b").unwrap().unwrap();
    moved_onto(&work, &all, "a", "b");
    // It is the file that the name led to, which the name no longer does.
    assert_eq!(&view.tree().read(id, 0, 10).unwrap()[..], b"old");
    work.still_holds(&view).unwrap_err();
}

#[test]
fn times_of_a_file_with_two_names_are_not_set_after_one_of_them_was_moved_over() {
    let (dir, files) = root(&[("a", "new"), ("b", "old")]);
    std::fs::hard_link(dir.path().join("b"), dir.path().join("h")).unwrap();
    let all = may_write(&files, "**");
    let work = files.work(Effect::Commit);
    let view = work.view(all.clone(), BOUNDS);
    let top = view.tree().root(0);
    view.tree().child(top, "h").unwrap().unwrap();
    moved_onto(&work, &all, "a", "h");
    let times = SetTimes { accessed: None, modified: Some((1_000_000_000, 0)) };
    view.tree().set_times_at(top, "h", Last::Follow, times).unwrap();
    let staged = view.stage().unwrap();
    assert!(matches!(work.commit(&view, staged), Err(Failed::Stale { .. })));
}

#[test]
fn whoever_was_told_how_many_names_a_file_has_is_told_again_when_it_gets_or_loses_one() {
    for effect in [Effect::Commit, Effect::DryRun] {
        let (_dir, files) = root(&[("a", "1")]);
        let all = may_write(&files, "**");
        let work = files.work(effect);
        let names = |view: &View, path: &str| {
            let mut tree = view.tree();
            let top = tree.root(0);
            tree.stat_at(top, path, Last::Keep).unwrap().nlink
        };
        let before = work.view(all.clone(), BOUNDS);
        assert_eq!(names(&before, "a"), 1);
        let links = work.view(all.clone(), BOUNDS);
        let top = links.tree().root(0);
        links.tree().link(top, "a", top, "b").unwrap();
        assert_eq!((names(&links, "a"), names(&links, "b")), (2, 2));
        commit(&work, &links);
        assert!(work.still_holds(&before).is_err(), "{effect:?}");

        let between = work.view(all.clone(), BOUNDS);
        assert_eq!(names(&between, "a"), 2);
        let removes = work.view(all.clone(), BOUNDS);
        let top = removes.tree().root(0);
        removes.tree().unlink(top, "b").unwrap();
        assert_eq!(names(&removes, "a"), 1);
        commit(&work, &removes);
        assert!(work.still_holds(&between).is_err(), "{effect:?}");
    }
}

#[test]
fn a_directory_changes_when_a_call_makes_or_removes_a_name_in_it() {
    let (dir, files) = root(&[("d/a", "1")]);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    std::fs::File::open(dir.path().join("d")).unwrap().set_modified(old).unwrap();
    let work = files.work(Effect::Commit);
    let view = work.view(may_write(&files, "**"), BOUNDS);
    let mut tree = view.tree();
    let root = tree.root(0);
    let time = |tree: &mut super::tree::Tree| tree.stat_at(root, "d", Last::Keep).unwrap().modified;
    assert_eq!(time(&mut tree), (1000, 0));
    tree.mkdir(root, "d/b").unwrap();
    let made = time(&mut tree);
    assert!(made > (1000, 0));
    tree.unlink(root, "d/a").unwrap();
    assert!(time(&mut tree) > made);
    let times = SetTimes { accessed: None, modified: Some((2000, 0)) };
    tree.set_times_at(root, "d", Last::Keep, times).unwrap();
    assert_eq!(time(&mut tree), (2000, 0));
    tree.mkdir(root, "d/c").unwrap();
    assert!(time(&mut tree) > made, "what was set is of no meaning any more");
}

#[test]
fn a_view_of_many_directories_and_large_files_holds_few_handles() {
    let (dir, files) = root(&[]);
    let large = vec![b'x'; 100_000];
    for n in 0..300 {
        std::fs::create_dir(dir.path().join(format!("d{n}"))).unwrap();
        std::fs::write(dir.path().join(format!("d{n}/large")), &large).unwrap();
    }
    let work = files.work(Effect::Commit);
    let view = work.view(may_write(&files, "**"), BOUNDS);
    for n in 0..300 {
        assert_eq!(read(&view, &format!("d{n}/large")).unwrap().len(), 1000);
    }
    assert!(view.tree().held.len() <= 64, "{}", view.tree().held.len());
    assert_eq!(read(&view, "d0/large").unwrap().len(), 1000);
}
