//! The operations on a view.

use std::os::unix::fs::DirEntryExt as _;
use std::path::Path;
use std::sync::Arc;

use super::super::disk::Kind;
use super::super::node::{NodeId, SetTimes};
use super::super::open::How;
use super::super::resolve::Last;
use super::super::shelf::INORDER;
use super::super::view::View;
use super::native::told;
use super::step::{Answer, SLOTS, Step};

type Result<T> = std::result::Result<T, rustix::io::Errno>;

pub struct Viewed {
    pub view: Arc<View>,
    root: String,
    slots: Vec<Option<Held>>,
}

#[derive(Clone, Copy)]
struct Held {
    id: NodeId,
    kind: Kind,
    read: bool,
    write: bool,
}

impl Viewed {
    pub fn new(view: Arc<View>) -> Viewed {
        let tree = view.tree();
        let (id, root) = (tree.root(0), tree.roots.get(0).path.clone());
        drop(tree);
        let mut slots = vec![Some(Held { id, kind: Kind::Dir, read: true, write: true })];
        slots.resize(SLOTS, None);
        Viewed { view, root, slots }
    }

    fn dir(&self, slot: usize) -> Option<NodeId> {
        self.slots[slot].filter(|it| it.kind == Kind::Dir).map(|it| it.id)
    }

    fn file(&self, slot: usize, write: bool) -> Option<NodeId> {
        let held = self.slots[slot].filter(|it| it.kind == Kind::File)?;
        (if write { held.write } else { held.read }).then_some(held.id)
    }

    pub fn run(&mut self, step: &Step) -> Option<Result<Answer>> {
        let view = self.view.clone();
        let mut tree = view.tree();
        let done = |result: Result<()>| Some(result.map(|()| Answer::Done));
        let last = |follow: bool| if follow { Last::Follow } else { Last::Keep };
        match step {
            Step::Open { slot, dir, path, follow, how } => {
                let opened = tree.open(self.dir(*dir)?, path, last(*follow), *how);
                self.slots[*slot] = None;
                Some(opened.map(|id| {
                    let kind = tree.node(id).kind;
                    let How { read, write, .. } = *how;
                    self.slots[*slot] = Some(Held { id, kind, read: read || !write, write });
                    Answer::Text(letter(kind).to_string())
                }))
            }
            Step::Read { slot, at, length } => {
                let read = tree.read(self.file(*slot, false)?, *at, *length);
                Some(read.map(|bytes| Answer::Bytes(bytes.to_vec())))
            }
            Step::Write { slot, at, length, byte } => {
                done(tree.write(self.file(*slot, true)?, *at, &vec![*byte; *length]))
            }
            Step::Append { slot, length, byte } => {
                done(tree.append(self.file(*slot, true)?, &vec![*byte; *length]))
            }
            Step::SetSize { slot, size } => done(tree.truncate(self.file(*slot, true)?, *size)),
            Step::Stat { slot } => {
                Some(tree.stat(self.slots[*slot]?.id).map(|it| answer(&self.root, &it)))
            }
            Step::SetTimes { slot, time } => {
                tree.set_times(self.file(*slot, true)?, times(*time));
                Some(Ok(Answer::Done))
            }
            Step::StatAt { dir, path, follow } => Some(
                tree.stat_at(self.dir(*dir)?, path, last(*follow))
                    .map(|it| answer(&self.root, &it)),
            ),
            Step::SetTimesAt { dir, path, follow, time } => {
                done(tree.set_times_at(self.dir(*dir)?, path, last(*follow), times(*time)))
            }
            Step::List { slot } => {
                let entries = tree.entries(self.dir(*slot)?);
                let named = |(name, kind)| (name, letter(kind));
                Some(entries.map(|it| Answer::Names(it.map(named).collect())))
            }
            Step::Mkdir { dir, path } => done(tree.mkdir(self.dir(*dir)?, path)),
            Step::Rmdir { dir, path } => done(tree.rmdir(self.dir(*dir)?, path)),
            Step::Unlink { dir, path } => done(tree.unlink(self.dir(*dir)?, path)),
            Step::Rename { dir, path, to, to_path } => {
                done(tree.rename(self.dir(*dir)?, path, self.dir(*to)?, to_path))
            }
            Step::Link { dir, path, to, to_path } => {
                done(tree.link(self.dir(*dir)?, path, self.dir(*to)?, to_path))
            }
            Step::Symlink { target, dir, path } => {
                done(tree.symlink(target, self.dir(*dir)?, path))
            }
            Step::Readlink { dir, path } => {
                let target = tree.readlink_at(self.dir(*dir)?, path);
                Some(target.map(|it| Answer::Text(it.replace(&self.root, "ROOT"))))
            }
            Step::Commit => None,
        }
    }
}

fn times(seconds: i64) -> SetTimes {
    SetTimes { accessed: None, modified: Some((seconds, 0)) }
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => 'f',
        Kind::Dir => 'd',
        Kind::Symlink => 'l',
        Kind::Other => 'o',
    }
}

/// Names that a commit has removed are kept for an undo, and counted by the disk.
fn answer(root: &str, stat: &super::super::disk::Stat) -> Answer {
    let kept = if stat.nlink > 1 { names_of(&Path::new(root).join(INORDER), stat.ino) } else { 0 };
    told(letter(stat.kind), stat.size, stat.modified.0, stat.nlink - kept)
}

fn names_of(dir: &Path, ino: u64) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().map(|it| it.unwrap());
    let names = entries.map(|it| match it.file_type().unwrap() {
        of if of.is_dir() => names_of(&it.path(), ino),
        _ => u64::from(it.ino() == ino),
    });
    names.sum()
}
