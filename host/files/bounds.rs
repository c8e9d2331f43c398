//! What a call may have the host keep for it: names and listings that it has looked at, and names that it has made.
//!
//! A guest pays for what it holds in its own memory; this is what it has the host hold, which costs it nothing but
//! time. Costs are those of the structures, roughly.

use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{Kind, Result};
use super::node::{Node, NodeId, Open};
use super::tree::Tree;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What is staged at once, in memory or on disk.
    pub staged: u64,
    /// What is kept of what was looked at.
    pub kept: u64,
}

impl Bounds {
    /// For trees that no guest fills by itself.
    pub const NONE: Bounds = Bounds { staged: u64::MAX, kept: u64::MAX };
}

/// What stood in the way of keeping more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// The call's own bound.
    Call,
    /// What all calls of the host hold together.
    Host,
}

/// A node, its entry in a directory, and what the read set has of it; the texts come on top.
const NAME: u64 = size_of::<Node>() as u64 + 384;

/// As long as the system takes paths, which every commit hands to it.
const MOST_PATH: usize = 4095;

/// Small files that are kept whole, all together.
const MOST_WHOLE: u64 = 8 << 20;

impl Tree {
    /// Counts what is to be kept of something that was looked at.
    pub fn keep(&mut self, bytes: u64) -> Result<()> {
        let kept = self.kept.saturating_add(bytes);
        if kept > self.bounds.kept {
            self.crowded = Some(Crowded::Call);
            return Err(Errno::NOMEM);
        }
        if !self.counts(kept, self.names_made) {
            return Err(Errno::NOMEM);
        }
        self.kept = kept;
        self.peak = self.peak.max(kept);
        Ok(())
    }

    /// Whether all calls together may hold what is kept for this one, and the names that it makes.
    fn counts(&mut self, kept: u64, made: u64) -> bool {
        let may = self.part.as_mut().is_none_or(|part| part.hold(kept.saturating_add(made)));
        if !may {
            self.crowded = Some(Crowded::Host);
        }
        may
    }

    /// [`Tree::keep`] for a name in a directory.
    pub fn keep_name(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let path = self.dir(dir)?.path.len() + name.len();
        self.keep(NAME + (2 * path + name.len()) as u64)
    }

    /// How many more names can be kept.
    pub fn names_left(&self) -> usize {
        usize::try_from(self.bounds.kept.saturating_sub(self.kept) / NAME).unwrap_or(usize::MAX)
    }

    /// Counts a name that is to be made, for as long as the call runs: whatever becomes of it, the tree remembers.
    pub fn stage_name(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let path = self.dir(dir)?.path.len() + 1 + name.len();
        if path > MOST_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        self.stage(NAME + (2 * path + name.len()) as u64)
    }

    /// Counts what is made that is kept in memory, for as long as the call runs.
    pub(super) fn stage(&mut self, bytes: u64) -> Result<()> {
        let staged = self.staged.saturating_add(bytes);
        if staged > self.bounds.staged {
            self.full = true;
            return Err(Errno::NOSPC);
        }
        let made = self.names_made.saturating_add(bytes);
        if !self.counts(self.kept, made) {
            return Err(Errno::NOMEM);
        }
        (self.staged, self.names_made) = (staged, made);
        Ok(())
    }

    /// Whether a directory with all that is loaded beneath it may get the path `to`: each of them keeps its own.
    pub fn stage_move(&mut self, id: NodeId, to: &str) -> Result<()> {
        let from = self.dir(id)?.path.len();
        let longer = to.len().saturating_sub(from);
        if longer == 0 {
            return Ok(());
        }
        let (mut dirs, mut longest, mut left) = (0, 0, vec![id]);
        while let Some(at) = left.pop() {
            self.goes_on_at(dirs)?;
            let dir = self.dir(at)?;
            dirs += 1;
            longest = longest.max(dir.path.len());
            let children = dir.children.iter().filter_map(|(name, child)| Some((name, child.now?)));
            for (name, child) in children {
                longest = longest.max(dir.path.len() + 1 + name.len());
                if self.node(child).kind == Kind::Dir {
                    left.push(child);
                }
            }
        }
        if longest + longer > MOST_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        self.stage((dirs * longer) as u64)
    }

    /// Keeps a small file whole, and lets go of the oldest where a view keeps many. One that is read again then counts
    /// as changed, if it was.
    pub fn keep_whole(&mut self, id: NodeId, content: bytes::Bytes) {
        self.whole_bytes += content.len() as u64;
        if let Some(lower) = &mut self.node_mut(id).lower {
            lower.open = Open::Whole(content);
        }
        self.whole.push_back(id);
        while self.whole_bytes > MOST_WHOLE
            && let Some(oldest) = self.whole.pop_front()
            && let Some(lower) = &mut self.node_mut(oldest).lower
        {
            if let Open::Whole(content) = std::mem::take(&mut lower.open) {
                self.whole_bytes -= content.len() as u64;
            }
        }
    }
}

/// A listing that a guest holds open, counted until it is dropped.
pub struct Held {
    view: Arc<super::view::View>,
    bytes: u64,
}

impl Held {
    /// # Errors
    /// The call keeps too much already.
    pub fn new(view: &Arc<super::view::View>, bytes: u64) -> Result<Held> {
        view.tree().keep(bytes)?;
        Ok(Held { view: view.clone(), bytes })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut tree = self.view.tree();
        tree.kept = tree.kept.saturating_sub(self.bytes);
    }
}
