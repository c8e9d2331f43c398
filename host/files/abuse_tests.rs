//! What a guest may ask for without end: each ends in an error, or in time and memory that grow with what it did.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::bounds::Bounds;
use super::disk::Result;
use super::node::NodeId;
use super::open::How;
use super::resolve::Last;
use super::scope::Scope;
use super::stage::Durability;
use super::view::View;
use super::work::{Effect, Files, Work};

const LIMIT: u64 = 64 << 20;

fn view() -> (tempfile::TempDir, Work, Arc<View>) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(&[dir.path().to_owned()], Durability::Kill).unwrap();
    let work = files.work(Effect::Commit);
    let view = work.view(
        Arc::new(Scope::everything(files.roots())),
        Bounds { staged: LIMIT, kept: 4 * LIMIT },
    );
    (dir, work, view)
}

fn open(view: &View, path: &str) -> Result<NodeId> {
    let how = How { create: true, read: true, write: true, ..How::default() };
    let mut tree = view.tree();
    let root = tree.root(0);
    tree.open(root, path, Last::Follow, how)
}

fn within(most: u64, what: &str, work: impl FnOnce()) {
    let began = Instant::now();
    work();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(most), "{what} took {took:?}");
}

#[test]
fn offsets_and_sizes_without_bound_take_no_memory() {
    let (dir, work, view) = view();
    let file = open(&view, "f").unwrap();
    let mut tree = view.tree();
    assert_eq!(tree.write(file, u64::MAX, b"x"), Err(Errno::FBIG));
    assert_eq!(tree.write(file, i64::MAX as u64, b"x"), Err(Errno::FBIG));
    assert_eq!(tree.truncate(file, u64::MAX), Err(Errno::FBIG));
    let _ = tree.write(file, 1 << 62, b"x");
    // The largest that the disk takes.
    assert!((30..62).rev().any(|shift| tree.truncate(file, 1 << shift).is_ok()));
    assert!(tree.read(file, 1 << 61, 1 << 20).unwrap().is_empty());
    assert_eq!(tree.read(file, 0, 1 << 20).unwrap().len(), 1 << 20);
    drop(tree);
    view.stage().unwrap();
    drop((view, work));
    assert_eq!(
        dir.path()
            .read_dir()
            .unwrap()
            .filter(|it| it.as_ref().unwrap().file_name() != ".inorder")
            .count(),
        0
    );
}

#[test]
fn what_is_staged_is_bounded_in_memory_and_in_spills() {
    let (_dir, _work, view) = view();
    let piece = vec![1; 1 << 20];
    let mut staged = 0;
    'all: for number in 0..100 {
        let file = open(&view, &format!("f{number}")).unwrap();
        for at in 0..3 {
            match view.tree().write(file, at << 20, &piece) {
                Ok(()) => staged += 1u64 << 20,
                Err(error) => {
                    assert_eq!(error, Errno::NOSPC);
                    break 'all;
                }
            }
        }
    }
    assert!((LIMIT - (2 << 20)..=LIMIT).contains(&staged), "{staged}");
    assert!(view.full());
}

#[test]
fn a_call_that_makes_thousands_of_files_holds_few_handles() {
    const FILES: usize = 3000;
    let (dir, work, view) = view();
    for n in 0..FILES / 2 {
        std::fs::write(dir.path().join(format!("f{n}")), "old").unwrap();
    }
    for n in 0..FILES {
        let file = open(&view, &format!("f{n}")).unwrap();
        view.tree().write(file, 0, b"new").unwrap();
    }
    let handles = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let staged = view.stage().unwrap();
    // Other tests run beside this one, and hold a thousand.
    assert!(handles() < FILES * 2 / 3, "{}", handles());
    assert_eq!(work.commit(&view, staged).unwrap().len(), FILES);
    assert_eq!(std::fs::read_to_string(dir.path().join("f7")).unwrap(), "new");
    assert_eq!(std::fs::read_to_string(dir.path().join("f2999")).unwrap(), "new");
}

#[test]
fn many_small_writes_take_time_that_grows_with_them() {
    let (_dir, work, view) = view();
    let one = open(&view, "one").unwrap();
    let other = open(&view, "other").unwrap();
    within(20, "a million small writes", || {
        for at in 0..300_000u64 {
            view.tree().write(one, at * 2, b"x").unwrap();
            view.tree().append(other, b"y").unwrap();
        }
        for at in (0..300_000u64).rev() {
            view.tree().write(one, at * 2 + 1, b"z").unwrap();
        }
    });
    within(10, "a commit of them", || {
        let staged = view.stage().unwrap();
        work.commit(&view, staged).unwrap();
    });
}

#[test]
fn a_deep_tree_is_made_moved_and_removed() {
    const DEPTH: usize = 1_500;
    let (dir, work, view) = view();
    let mut tree = view.tree();
    let mut at = vec![tree.root(0)];
    within(20, "a deep tree", || {
        for _ in 0..DEPTH {
            let dir = *at.last().unwrap();
            tree.mkdir(dir, "d").unwrap();
            let how = How { directory: true, ..How::default() };
            at.push(tree.open(dir, "d", Last::Keep, how).unwrap());
        }
        tree.rename(at[0], "d", at[0], "e").unwrap();
        assert_eq!(tree.rename(at[0], "e", at[DEPTH], "f"), Err(Errno::INVAL));
    });
    drop(tree);
    within(20, "a commit of it", || {
        let staged = view.stage().unwrap();
        work.commit(&view, staged).unwrap();
    });
    assert!(dir.path().join("e/d/d").is_dir());
}

#[test]
fn a_large_directory_is_listed() {
    let (dir, _work, view) = view();
    for number in 0..20_000 {
        std::fs::write(dir.path().join(format!("f{number}")), "").unwrap();
    }
    within(5, "a listing", || {
        let mut tree = view.tree();
        let root = tree.root(0);
        assert_eq!(tree.entries(root).unwrap().count(), 20_000);
        assert_eq!(tree.entries(root).unwrap().count(), 20_000);
    });
}

#[test]
fn a_sparse_file_of_any_size_is_read_in_pieces() {
    let (dir, _work, view) = view();
    std::fs::File::create(dir.path().join("s")).unwrap().set_len(4 << 30).unwrap();
    let file = open(&view, "s").unwrap();
    let mut tree = view.tree();
    assert_eq!(tree.read(file, (4 << 30) - 5, 1 << 20).unwrap(), vec![0; 5]);
    tree.write(file, 3 << 30, b"x").unwrap();
    assert_eq!(tree.read(file, (3 << 30) - 1, 3).unwrap(), vec![0, b'x', 0]);
}
