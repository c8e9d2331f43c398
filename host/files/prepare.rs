//! Before its turn: everything of a commit that needs no lock. Staged files are written out, new directories and
//! symlinks wait in slots, so that the commit itself only renames.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::batch::Change;

use super::content::{Content, Patches};
use super::disk::{self, Kind, Result, Stat};
use super::node::{Body, NodeId, SetTimes};
use super::place::Place;
use super::plan::{NewLink, Plan, What};
use super::stage::Spill;
use super::tree::Tree;

/// A plan whose parts wait in slots.
pub struct Prepared {
    pub root: usize,
    /// Path, slot, inode, and whether it is a directory that is removed.
    pub displaced: Vec<Displaced>,
    pub placed: Vec<Placed>,
    pub contents: Vec<NewContent>,
    pub links: Vec<NewLink>,
    pub times: Vec<(String, SetTimes)>,
    pub changes: Vec<Change>,
    /// Keeps the slots of staged files until they are placed.
    pub spills: Vec<Spill>,
}

pub struct Displaced {
    pub path: String,
    pub slot: String,
    pub ino: u64,
    /// A directory that goes for good, and must be empty by then.
    pub must_be_empty: bool,
}

pub struct Placed {
    pub path: String,
    pub slot: String,
    pub ino: u64,
    /// A file that is new.
    pub fresh: Option<Stat>,
    pub over: Option<String>,
}

pub struct NewContent {
    pub path: String,
    /// Where the file is before the commit.
    pub before: String,
    pub how: How,
}

/// How a file gets its new content.
pub enum How {
    /// By a new file in its place, which was given the attributes that the old one had.
    Replace { spill: Spill, new: Stat, like: Stat },
    /// By bytes at its end. `in_place` if it must stay the same file, whatever its size.
    Append { tail: Vec<u8>, in_place: bool },
    /// By bytes written over it: the file must stay the same one, or is too large to be copied for a few bytes.
    Patch { patches: Patches, kept: u64, len: u64 },
    /// All of it, in place.
    Overwrite { spill: Spill },
}

/// Above this size, a small change is written in place instead of into a copy.
const LARGE: u64 = 1 << 20;

/// Whether the tree is still looked at afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Nothing,
    /// It keeps what is staged of contents, to be told as a diff.
    Contents,
}

pub fn prepare(tree: &mut Tree, plan: Plan, leave: Leave) -> Result<Prepared> {
    let stages = tree.stages.clone();
    let stage = stages.stage(plan.root)?;
    let mut spills = Vec::new();
    let mut slots: std::collections::HashMap<String, (String, u64)> =
        std::collections::HashMap::new();
    let mut displaced = Vec::new();
    for it in plan.displaced {
        let slot = stage.folder.slot();
        let node = tree.node(it.node);
        let ino =
            node.lower.as_ref().and_then(|lower| lower.stat).map_or(node.ino, |(stat, _)| stat.ino);
        slots.insert(it.path.clone(), (slot.clone(), ino));
        let must_be_empty = !it.moved && node.kind == Kind::Dir;
        displaced.push(Displaced { path: it.path, slot, ino, must_be_empty });
    }
    let mut placed = Vec::new();
    for it in plan.placed {
        let mut fresh = None;
        let (slot, ino) = match it.what {
            What::Moved(from) => slots.get(&from).cloned().ok_or(Errno::INVAL)?,
            What::Dir => {
                let slot = stage.folder.slot();
                rustix::fs::mkdirat(&stage.folder.dir, &*slot, Mode::from_raw_mode(0o777))?;
                let ino = disk::stat(stage.folder.dir.as_fd(), &slot)?.ino;
                (slot, ino)
            }
            What::Symlink(target) => {
                let slot = stage.folder.slot();
                rustix::fs::symlinkat(&*target, &stage.folder.dir, &*slot)?;
                let ino = disk::stat(stage.folder.dir.as_fd(), &slot)?.ino;
                (slot, ino)
            }
            What::File => {
                let spill = whole(tree, it.node)?;
                let new = ready(&spill, tree.stages.durable())?;
                let slot = spill.slot().to_owned();
                spills.push(spill);
                fresh = Some(new);
                (slot, new.ino)
            }
        };
        placed.push(Placed { path: it.path, slot, ino, fresh, over: it.over });
    }
    let mut contents = Vec::new();
    for it in plan.contents {
        let how = content(tree, it.node, leave)?;
        contents.push(NewContent { path: it.path, before: it.before, how });
    }
    let (root, links, times, changes) = (plan.root, plan.links, plan.times, plan.changes);
    Ok(Prepared { root, displaced, placed, contents, links, times, changes, spills })
}

/// Lets go of a file that is as it shall be; and tells how it is.
pub fn ready(spill: &Spill, durable: bool) -> Result<Stat> {
    let stat = spill.with(|file| {
        if durable {
            rustix::fs::fsync(file)?;
        }
        disk::stat_fd(file)
    })?;
    spill.close();
    Ok(stat)
}

/// [`ready`], with the attributes of the file that it is to replace.
pub fn ready_like(spill: &Spill, old: BorrowedFd<'_>, like: &Stat, durable: bool) -> Result<Stat> {
    let stat = spill.with(|file| {
        let stat = disk::copy_attributes(old, like, file)?;
        if durable {
            rustix::fs::fsync(file)?;
        }
        Ok(stat)
    })?;
    spill.close();
    Ok(stat)
}

/// All of a new file, in a slot.
fn whole(tree: &mut Tree, id: NodeId) -> Result<Spill> {
    tree.spill(id)?;
    match tree.content(id)? {
        Content::Spilled(spill) => Ok(spill.clone()),
        _ => Err(Errno::IO),
    }
}

fn content(tree: &mut Tree, id: NodeId, leave: Leave) -> Result<How> {
    let (stat, _) = tree.lower_stat(id)?;
    let in_place = must_stay(tree, id, &stat)?;
    if let Body::File(content) = &mut tree.node_mut(id).body {
        match content {
            Content::Tail(tail) => {
                return Ok(How::Append { tail: taken(tail, leave), in_place });
            }
            Content::Edited(edited)
                if in_place
                    || (edited.kept > LARGE && edited.patches.bytes() < edited.kept / 4) =>
            {
                let (patches, kept, len) =
                    (taken(&mut edited.patches, leave), edited.kept, edited.len);
                return Ok(How::Patch { patches, kept, len });
            }
            _ => {}
        }
    }
    let spill = whole(tree, id)?;
    if in_place {
        return Ok(How::Overwrite { spill });
    }
    let old = tree.lower_file(id)?;
    let new = ready_like(&spill, old.as_fd(), &stat, tree.stages.durable())?;
    Ok(How::Replace { spill, new, like: stat })
}

fn taken<T: Clone + Default>(from: &mut T, leave: Leave) -> T {
    match leave {
        Leave::Nothing => std::mem::take(from),
        Leave::Contents => from.clone(),
    }
}

/// Whether a file cannot be replaced by another one in its place: it has other names, its owner cannot be
/// given to a new file, or its directory takes none.
fn must_stay(tree: &mut Tree, id: NodeId, stat: &Stat) -> Result<bool> {
    let euid = rustix::process::geteuid();
    if stat.nlink > 1
        || !tree.node(id).also.is_empty()
        || (stat.uid != euid.as_raw() && !euid.is_root())
    {
        return Ok(true);
    }
    let Some(parent) = tree.node(id).lower.as_ref().map(|lower| lower.parent) else {
        return Ok(false);
    };
    match tree.check_writable(parent) {
        Ok(()) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => Ok(true),
        Err(error) => Err(error),
    }
}

impl Prepared {
    /// Every path that the commit changes, as it is beneath the root.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let displaced = self.displaced.iter().map(|it| it.path.as_str());
        let placed = self.placed.iter().map(|it| it.path.as_str());
        let contents = self.contents.iter().map(|it| it.path.as_str());
        let links = self.links.iter().map(|it| it.path.as_str());
        displaced
            .chain(placed)
            .chain(contents)
            .chain(links)
            .chain(self.times.iter().map(|it| it.0.as_str()))
    }

    /// The directories in which entries come and go, each once.
    pub fn parents(&self) -> Vec<Place> {
        let mut parents: Vec<Place> =
            self.paths().map(|path| Place::new(self.root, disk::split(path).0)).collect();
        parents.sort();
        parents.dedup();
        parents
    }
}
