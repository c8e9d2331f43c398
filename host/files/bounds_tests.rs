//! What a guest can have the host keep, make and open for it: each has an end that is told.

use std::sync::Arc;

use rustix::io::Errno;

use crate::ceiling::{Ceiling, Part};

use super::bounds::{Bounds, Crowded};
use super::content::Content;
use super::disk::Result;
use super::node::NodeId;
use super::open::How;
use super::resolve::Last;
use super::scope::Scope;
use super::stage::Durability;
use super::view::View;
use super::work::{Effect, Files, Work};

const SMALL: Bounds = Bounds { kept: 1 << 20, ..LARGE };
const LARGE: Bounds = Bounds { staged: 64 << 20, kept: 256 << 20 };

fn work() -> (tempfile::TempDir, Work) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(&[dir.path().to_owned()], Durability::Kill).unwrap();
    let work = files.work(Effect::Commit);
    (dir, work)
}

fn view(work: &Work, bounds: Bounds) -> Arc<View> {
    work.view(Arc::new(Scope::everything(work.roots())), bounds)
}

fn open(view: &View, path: &str, how: How) -> Result<NodeId> {
    let mut tree = view.tree();
    let root = tree.root(0);
    tree.open(root, path, Last::Follow, how)
}

const WRITE: How = How {
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
    read: true,
    write: true,
};
const READ: How = How { create: false, write: false, ..WRITE };

/// How often `act` goes well, and what ends it.
fn until(most: usize, mut act: impl FnMut(usize) -> Result<()>) -> (usize, Errno) {
    for number in 0..most {
        if let Err(error) = act(number) {
            return (number, error);
        }
    }
    panic!("nothing ends it");
}

#[test]
fn names_that_are_not_there_are_looked_for_within_a_limit() {
    let (_dir, work) = work();
    let view = view(&work, SMALL);
    let (names, error) = until(100_000, |number| {
        let mut tree = view.tree();
        let root = tree.root(0);
        match tree.stat_at(root, &format!("{number}"), Last::Keep) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("{number} is there"),
        }
    });
    assert_eq!(error, Errno::NOMEM);
    assert!((500..5_000).contains(&names), "{names}");
    assert!(view.crowded() == Some(Crowded::Call) && !view.full());
}

#[test]
fn what_symlinks_point_to_is_counted_as_they_are_made_and_as_they_are_read() {
    let (dir, work) = work();
    let target = "t".repeat(4000);
    for number in 0..1000 {
        std::os::unix::fs::symlink(&target, dir.path().join(format!("l{number}"))).unwrap();
    }
    let read = view(&work, SMALL);
    let (links, error) = until(1000, |number| {
        let mut tree = read.tree();
        let root = tree.root(0);
        tree.readlink_at(root, &format!("l{number}")).map(drop)
    });
    assert_eq!(error, Errno::NOMEM);
    assert!((100..260).contains(&links), "{links}");
    let make = view(&work, Bounds { staged: 1 << 20, ..LARGE });
    let (links, error) = until(1000, |number| {
        let mut tree = make.tree();
        let root = tree.root(0);
        tree.symlink(&target, root, &format!("m{number}"))
    });
    assert_eq!(error, Errno::NOSPC);
    assert!((100..260).contains(&links), "{links}");
}

#[test]
fn what_is_kept_for_all_calls_together_has_an_end() {
    let (_dir, work) = work();
    let ceiling = Arc::new(Ceiling::new(1 << 20));
    let counted = || {
        let view = view(&work, LARGE);
        view.count_in(Part::new(ceiling.clone()));
        view
    };
    let look = |view: &View, name: String| {
        let mut tree = view.tree();
        let root = tree.root(0);
        match tree.stat_at(root, &name, Last::Keep) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("{name} is there"),
        }
    };
    let (one, two) = (counted(), counted());
    let (names, error) = until(100_000, |number| look(&one, format!("{number}")));
    assert_eq!((error, one.crowded()), (Errno::NOMEM, Some(Crowded::Host)));
    assert!((500..5_000).contains(&names), "{names}");
    // Nothing is left for others, neither to look nor to make.
    assert_eq!(look(&two, "x".repeat(200)), Err(Errno::NOMEM));
    let made = open(&two, &"y".repeat(200), WRITE);
    assert_eq!((made, two.crowded()), (Err(Errno::NOMEM), Some(Crowded::Host)));
    drop(one);
    assert_eq!(look(&two, "x".repeat(200)), Ok(()));
}

#[test]
fn a_directory_with_more_names_than_may_be_kept_is_not_listed() {
    let (dir, work) = work();
    for number in 0..3_000 {
        std::fs::write(dir.path().join(format!("f{number}")), "").unwrap();
    }
    let small = view(&work, SMALL);
    let root = small.tree().root(0);
    assert_eq!(small.tree().entries(root).unwrap_err(), Errno::NOMEM);
    assert_eq!(small.crowded(), Some(Crowded::Call));
    let large = view(&work, LARGE);
    assert_eq!(large.tree().entries(root).unwrap().count(), 3_000);
}

#[test]
fn names_are_made_within_what_may_be_staged_even_if_they_are_removed_again() {
    let (_dir, work) = work();
    let view = view(&work, Bounds { staged: 4 << 20, ..LARGE });
    let (files, error) = until(100_000, |number| {
        let name = format!("f{number}");
        open(&view, &name, WRITE)?;
        let mut tree = view.tree();
        let root = tree.root(0);
        tree.unlink(root, &name)
    });
    assert_eq!(error, Errno::NOSPC);
    assert!((1_000..20_000).contains(&files), "{files}");
    assert!(view.full());
}

#[test]
fn no_path_gets_longer_than_the_system_takes() {
    let (_dir, work) = work();
    let view = view(&work, LARGE);
    let mut tree = view.tree();
    let root = tree.root(0);
    let (mut at, name) = (root, "d".repeat(250));
    let dir = How { directory: true, ..READ };
    let (levels, error) = until(100, |_| {
        tree.mkdir(at, &name)?;
        at = tree.open(at, &name, Last::Keep, dir)?;
        Ok(())
    });
    assert_eq!((levels, error), (16, Errno::NAMETOOLONG));
    // What is moved takes what is in it along.
    tree.mkdir(root, "a").unwrap();
    tree.mkdir(root, "a/b").unwrap();
    assert_eq!(tree.rename(root, "a", at, "a"), Ok(()));
    tree.mkdir(root, "c").unwrap();
    tree.mkdir(root, &format!("c/{name}")).unwrap();
    assert_eq!(tree.rename(root, "c", at, "c"), Err(Errno::NAMETOOLONG));
    assert!(tree.stat_at(root, &format!("c/{name}"), Last::Keep).is_ok(), "it is where it was");
}

#[test]
fn pieces_count_for_what_they_take_and_not_for_their_bytes() {
    let (_dir, work) = work();
    let view = view(&work, LARGE);
    let file = open(&view, "f", WRITE).unwrap();
    let mut tree = view.tree();
    for at in 0..20_000 {
        tree.write(file, at * 2, b"x").unwrap();
    }
    assert!(matches!(tree.content(file), Ok(Content::Spilled(_))), "they fill the memory");
    assert_eq!(tree.read(file, 39_996, 9).unwrap().as_ref(), b"x\0x");
}

#[test]
fn a_file_that_was_large_counts_until_it_is_empty() {
    let (_dir, work) = work();
    let view = view(&work, Bounds { staged: 8 << 20, ..LARGE });
    let piece = vec![1; (1 << 20) + 1];
    let fill = |number: usize, size: u64| {
        let file = open(&view, &format!("f{number}"), WRITE)?;
        view.tree().write(file, 0, &piece)?;
        view.tree().truncate(file, size)
    };
    assert_eq!(until(100, |number| fill(number, 1)), (7, Errno::NOSPC));
    for number in 0..7 {
        let file = open(&view, &format!("f{number}"), WRITE).unwrap();
        view.tree().truncate(file, 0).unwrap();
        assert_eq!(view.tree().size(file), Ok(0));
    }
    for number in 0..100 {
        fill(number, 0).unwrap();
    }
}

#[test]
fn sizes_beyond_counting_are_refused_and_not_added_up() {
    let (_dir, work) = work();
    let view = view(&work, LARGE);
    for number in 0..4 {
        let file = open(&view, &format!("f{number}"), WRITE).unwrap();
        let mut tree = view.tree();
        tree.write(file, 0, &vec![1; (1 << 20) + 1]).unwrap();
        assert_eq!(tree.truncate(file, i64::MAX as u64), Err(Errno::NOSPC));
        assert_eq!(tree.size(file), Ok((1 << 20) + 1));
    }
}

#[test]
fn a_size_that_the_file_system_cannot_have_is_refused_where_it_is_asked_for() {
    let (dir, work) = work();
    let file = std::fs::File::create(dir.path().join("there")).unwrap();
    for shift in 30..63 {
        let size = (1 << shift) + 1;
        let view = view(&work, LARGE);
        let staged = open(&view, "new", WRITE).unwrap();
        let set = view.tree().truncate(staged, size);
        let native = file.set_len(size).map_err(|it| Errno::from_io_error(&it).unwrap());
        assert_eq!(set, native, "2^{shift}");
        assert_eq!(view.tree().write(staged, size - 1, b"x"), native, "2^{shift}");
    }
}

#[test]
fn a_large_file_is_not_copied_for_a_change_that_may_not_be_staged() {
    let (dir, work) = work();
    std::fs::File::create(dir.path().join("large")).unwrap().set_len(1 << 40).unwrap();
    let view = view(&work, LARGE);
    let file = open(&view, "large", WRITE).unwrap();
    let mut tree = view.tree();
    let piece = vec![1; 256 << 10];
    assert_eq!(until(9, |at| tree.write(file, (at as u64) << 20, &piece)), (3, Errno::NOSPC));
    assert!(tree.full);
    assert_eq!(tree.size(file), Ok(1 << 40), "what was written before is still there");
}

#[test]
fn small_files_are_kept_whole_within_a_limit_and_read_the_same_afterwards() {
    let (dir, work) = work();
    for number in 0..1_000 {
        std::fs::write(dir.path().join(format!("{number}")), vec![number as u8; 16 << 10]).unwrap();
    }
    let view = view(&work, LARGE);
    for _ in 0..2 {
        for number in 0..1_000 {
            let file = open(&view, &number.to_string(), READ).unwrap();
            let mut tree = view.tree();
            assert_eq!(tree.read(file, 100, 1).unwrap().as_ref(), [number as u8]);
            assert!(tree.whole_bytes <= 8 << 20);
        }
    }
    assert!(!view.tree().reads.torn());
}

#[test]
fn a_commit_of_many_files_has_few_of_them_open_and_can_be_undone() {
    const FILES: usize = 3_000;
    let (dir, work) = work();
    let open_now = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_now();
    let mut work = work;
    for content in ["old", "new"] {
        let view = view(&work, LARGE);
        for number in 0..FILES {
            let file = open(&view, &number.to_string(), WRITE).unwrap();
            view.tree().write(file, 0, content.as_bytes()).unwrap();
        }
        let staged = view.stage().unwrap();
        // Others of this process have some open too.
        assert!(open_now() < before + FILES / 4, "{} are open, {before} were", open_now());
        assert_eq!(work.commit(&view, staged).unwrap().len(), FILES);
        drop(view);
        drop(work);
        work =
            Files::open(&[dir.path().to_owned()], Durability::Kill).unwrap().work(Effect::Commit);
        let read = |number: usize| std::fs::read_to_string(dir.path().join(number.to_string()));
        assert!((0..FILES).all(|number| read(number).unwrap() == content));
    }
    drop(work);
    super::history::undo(dir.path()).unwrap();
    let read = |number: usize| std::fs::read_to_string(dir.path().join(number.to_string()));
    assert!((0..FILES).all(|number| read(number).unwrap() == "old"));
}
