//! What takes long in files is broken off when its call is to end, and is there to be done again.

use std::fmt::Debug;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::io::Errno;

use super::bounds::Bounds;
use super::disk::Result;
use super::lock::LockFile;
use super::node::NodeId;
use super::open::How;
use super::resolve::Last;
use super::scope::Scope;
use super::stage::Durability;
use super::tree::{Tree, locked};
use super::view::View;
use super::work::{Effect, Files, Work};

fn view(dir: &std::path::Path) -> (Work, Arc<View>) {
    view_for(Effect::Commit, dir)
}

fn view_for(effect: Effect, dir: &std::path::Path) -> (Work, Arc<View>) {
    let files = Files::open(&[dir.to_owned()], Durability::Kill).unwrap();
    let work = files.work(effect);
    let bounds = Bounds { staged: 64 << 20, kept: 256 << 20 };
    let view = work.view(Arc::new(Scope::everything(work.roots())), bounds);
    (work, view)
}

fn open(tree: &mut Tree, path: &str) -> Result<NodeId> {
    let root = tree.root(0);
    let how = How { create: true, read: true, write: true, ..How::default() };
    tree.open(root, path, Last::Follow, how)
}

/// It is broken off when the call is to end, and goes well when it is not.
fn is_broken_off<T: Debug>(view: &Arc<View>, act: impl Fn(&mut Tree, NodeId) -> Result<T>) -> T {
    let at = |view: &View| {
        let mut tree = view.tree();
        let root = tree.root(0);
        act(&mut tree, root)
    };
    let watching = view.watch(Arc::new(|| true));
    assert_eq!(at(view).unwrap_err(), Errno::INTR);
    drop(watching);
    at(view).unwrap()
}

#[test]
fn paths_and_listings_are() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for number in 0..300 {
        std::fs::write(dir.path().join("d").join(number.to_string()), "").unwrap();
    }
    for effect in [Effect::Commit, Effect::DryRun] {
        let (_work, view) = view_for(effect, dir.path());
        is_broken_off(&view, |tree, root| tree.stat_at(root, &"d/../".repeat(20), Last::Follow));
        let d = view.tree().root(0);
        let d = view.tree().find(d, "d", Last::Keep, super::scope::Access::Read).unwrap();
        assert_eq!(is_broken_off(&view, |tree, _| tree.entries(d)).count(), 300);
        // What is known by now, too.
        assert_eq!(is_broken_off(&view, |tree, _| tree.entries(d)).count(), 300);
    }
}

#[test]
fn looks_into_a_layer_while_somebody_commits_to_it_are() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "").unwrap();
    let (work, view) = view_for(Effect::DryRun, dir.path());
    let layer = work.layer().unwrap();
    let committing = locked(layer);
    let watching = view.watch(Arc::new(|| true));
    let stat = |view: &View| {
        let mut tree = view.tree();
        let root = tree.root(0);
        tree.stat_at(root, "f", Last::Keep)
    };
    assert_eq!(stat(&view).unwrap_err(), Errno::INTR);
    drop((committing, watching));
    assert_eq!(stat(&view).unwrap().size, 0);
    assert!(locked(layer).watch.is_none(), "commits are not broken off");
}

#[test]
fn moves_of_many_directories_are() {
    let dir = tempfile::tempdir().unwrap();
    let (_work, view) = view(dir.path());
    let root = view.tree().root(0);
    view.tree().mkdir(root, "d").unwrap();
    for number in 0..100 {
        view.tree().mkdir(root, &format!("d/{number}")).unwrap();
    }
    is_broken_off(&view, |tree, root| tree.rename(root, "d", root, "longer"));
    assert!(view.tree().stat_at(root, "longer/99", Last::Keep).is_ok());
}

#[test]
fn what_is_moved_to_a_file_of_the_stage_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("large"), vec![b'l'; 3 << 20]).unwrap();
    let (_work, view) = view(dir.path());
    let file = open(&mut view.tree(), "pieces").unwrap();
    let held =
        |from: u64, to: u64| (from..to).try_for_each(|at| view.tree().write(file, at * 128, b"x"));
    // Pieces up to the last one that is kept in memory: each is counted with what it takes beside its bytes.
    let most = (1..).find(|most| {
        held(most - 1, *most).unwrap();
        matches!(view.tree().content(file), Ok(super::content::Content::Spilled(_)))
    });
    let most = most.unwrap();
    let file = open(&mut view.tree(), "pieces again").unwrap();
    (0..most - 1).try_for_each(|at| view.tree().write(file, at * 128, b"x")).unwrap();
    is_broken_off(&view, |tree, _| tree.write(file, (most - 1) * 128, b"x"));
    assert_eq!(view.tree().read(file, (most - 1) * 128, 2).unwrap(), &b"x"[..]);
    let large = open(&mut view.tree(), "large").unwrap();
    is_broken_off(&view, |tree, _| tree.write(large, 0, &vec![b'n'; (1 << 20) + 1]));
    assert_eq!(view.tree().read(large, 3 << 20, 2).unwrap().len(), 0);
}

#[test]
fn a_look_for_other_names_of_a_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::write(root.join("file"), "f").unwrap();
    std::fs::hard_link(root.join("file"), root.join("a/b/other")).unwrap();
    let (_work, view) = view(&root);
    let file =
        |tree: &mut Tree, root| tree.find(root, "file", Last::Keep, super::scope::Access::Read);
    is_broken_off(&view, |tree, root| {
        let id = file(tree, root)?;
        tree.check_other_names(id)
    });
}

#[test]
fn waiting_for_another_host_s_commit_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = std::fs::File::open(dir.path()).unwrap();
    let [here, there] = [(); 2].map(|()| LockFile::open(folder.as_fd()).unwrap());
    let held = there.lock().unwrap();
    for by_thread in [false, true] {
        let own = by_thread.then(|| there.lock_while(&|| Err(Errno::INTR)));
        assert!(own.is_none_or(|own| matches!(own, Err(Errno::INTR))));
        assert!(matches!(here.lock_while(&|| Err(Errno::INTR)), Err(Errno::INTR)));
    }
    drop(held);
    assert!(here.lock_while(&|| Err(Errno::INTR)).is_ok());
}
