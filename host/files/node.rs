//! Nodes: files, directories and symlinks as one view sees them.
//!
//! A node is what an inode is to a disk. Descriptors hold nodes, so that a call reads what it wrote, and goes on
//! writing to a file that it has renamed or removed, by construction.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::content::Content;
use super::disk::{Kind, Stat, Time};
use super::place::Place;

/// An index into the nodes of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

pub struct Node {
    pub kind: Kind,
    pub root: usize,
    /// Where it is in what the tree stands on; nothing for a node that was made here.
    pub lower: Option<LowerNode>,
    /// A number that no other node has, for guests that ask which file this is.
    pub ino: u64,
    pub body: Body,
    /// Times that the call has set, and that no later write has made meaningless.
    pub times: SetTimes,
    /// When the call last changed the content, or a directory's names.
    pub written: Option<Time>,
    /// Places where the same file may be read under other names.
    pub also: Vec<Place>,
    /// How many more names it has here than below; fewer, where it is negative.
    pub names: i64,
}

pub enum Body {
    File(Content),
    Dir(Dir),
    Symlink(Option<Arc<str>>),
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetTimes {
    pub accessed: Option<Time>,
    pub modified: Option<Time>,
}

pub struct Dir {
    pub root: usize,
    /// Where it is now, in this tree.
    pub path: Arc<str>,
    /// Itself for the root.
    pub parent: NodeId,
    pub children: HashMap<Box<str>, Child, RandomState>,
    /// Whether `children` holds all that is below.
    pub listed: bool,
    /// Names below that are not UTF-8: guests cannot see them, and still they are there.
    pub unspoken: usize,
    /// It was removed; whoever still holds it can make nothing in it.
    pub removed: bool,
}

/// One name in a directory: what it was below, and what it is now. They differ where the call changed it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Child {
    pub base: Option<NodeId>,
    pub now: Option<NodeId>,
}

/// A node of what a tree stands on: the disk, or the layer of a dry run.
pub struct LowerNode {
    pub place: Place,
    /// The directory that it is in below; itself for the root.
    pub parent: NodeId,
    /// The last commit before it was found under its name.
    pub found: u64,
    /// Everything that is known of it, and the last commit before it was asked for; a listing tells less.
    pub stat: Option<(Stat, u64)>,
    /// Its node, where the tree stands on a layer.
    pub layer: Option<NodeId>,
    pub open: Open,
}

/// What is open of a node on the disk.
#[derive(Clone, Default)]
pub enum Open {
    #[default]
    Not,
    /// A directory to look into.
    Handle(Arc<OwnedFd>),
    /// A file too large to keep, and its size when it was opened.
    File(Arc<OwnedFd>, u64),
    /// A small file, whole.
    Whole(Bytes),
}

impl Node {
    pub fn dir(&self) -> Option<&Dir> {
        match &self.body {
            Body::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    pub fn dir_mut(&mut self) -> Option<&mut Dir> {
        match &mut self.body {
            Body::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Whether there is something of its own to commit, besides where it is.
    pub fn changed(&self) -> bool {
        self.times != SetTimes::default()
            || matches!(&self.body, Body::File(content) if !matches!(content, Content::Base))
    }
}
