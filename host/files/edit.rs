//! What can be changed of one node: its content, in memory or in a file of the stage, and its times.
//!
//! Knows bytes; paths and permissions have been looked after when the node was opened. What is read is `file`.

use std::os::fd::AsFd as _;

use rustix::fs::{Access as Mode, AtFlags};
use rustix::io::Errno;

use super::content::{Content, Edited, PIECE, Patches};
use super::disk::{self, Kind, Result};
use super::node::{Body, NodeId, Open, SetTimes};
use super::tree::{Tree, now};

/// Staged bytes of one file in memory; more go to a file of the stage.
const SPILL: u64 = 1 << 20;

impl Tree {
    pub fn write(&mut self, id: NodeId, at: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        at.checked_add(bytes.len() as u64)
            .filter(|end| *end <= i64::MAX as u64)
            .ok_or(Errno::FBIG)?;
        self.make_edited(id)?;
        let end = at + bytes.len() as u64;
        self.change(id, bytes.len() as u64, end, |content| {
            match content {
                Content::Edited(edited) => edited.write(at, bytes),
                Content::Spilled(spill) => spill.write(bytes, at)?,
                Content::Base | Content::Tail(_) => return Err(Errno::IO),
            }
            Ok(())
        })
    }

    /// Writes at the end, wherever that is: the old content is not read for it.
    pub fn append(&mut self, id: NodeId, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Content::Tail(tail) = self.content(id)?
            && (tail.len() + bytes.len()) as u64 > SPILL
        {
            self.make_edited(id)?;
        }
        let end = match self.content(id)? {
            Content::Edited(edited) => edited.len,
            Content::Spilled(spill) => spill.len,
            Content::Base | Content::Tail(_) => 0,
        };
        self.change(id, bytes.len() as u64, end + bytes.len() as u64, |content| {
            match content {
                Content::Base => *content = Content::Tail(bytes.to_vec()),
                Content::Tail(tail) => tail.extend_from_slice(bytes),
                Content::Edited(edited) => edited.write(edited.len, bytes),
                Content::Spilled(spill) => spill.write(bytes, spill.len)?,
            }
            Ok(())
        })
    }

    pub fn truncate(&mut self, id: NodeId, size: u64) -> Result<()> {
        if size > i64::MAX as u64 {
            return Err(Errno::FBIG);
        }
        if size > 0 {
            self.make_edited(id)?;
        }
        self.change(id, 0, size, |content| {
            match content {
                Content::Spilled(spill) if size > 0 => spill.truncate(size)?,
                Content::Edited(edited) => edited.truncate(size),
                _ => *content = Content::Edited(Edited::default()),
            }
            Ok(())
        })
    }

    /// Changes staged content by `more` bytes, the last of which is before `end`, within the limit on what may be
    /// staged.
    fn change(
        &mut self,
        id: NodeId,
        more: u64,
        end: u64,
        change: impl FnOnce(&mut Content) -> Result<()>,
    ) -> Result<()> {
        let (others, after) = {
            let content = self.content(id)?;
            (self.staged.saturating_sub(content.staged()), content.staged_with(more, end))
        };
        if others.saturating_add(after) > self.bounds.staged && after > 0 {
            self.full = true;
            return Err(Errno::NOSPC);
        }
        self.roots.get(self.node(id).root).check_size(end)?;
        let Body::File(content) = &mut self.node_mut(id).body else { return Err(Errno::BADF) };
        change(content)?;
        self.staged = others.saturating_add(content.staged());
        self.bytes.1 += more;
        let node = self.node_mut(id);
        node.written = Some(now());
        node.times.modified = None;
        if let Body::File(Content::Edited(edited)) = &node.body
            && edited.patches.held() > SPILL
        {
            self.spill(id)?;
        }
        Ok(())
    }

    /// Moves the content into a file of the stage.
    pub fn spill(&mut self, id: NodeId) -> Result<()> {
        let Content::Edited(edited) = self.content(id)? else { return Ok(()) };
        let edited = edited.clone();
        let root = self.node(id).root;
        let mut spill = self.stages.spill(root, &|| self.goes_on())?;
        if edited.kept > 0 {
            self.copy_lower(id, edited.kept, &mut spill)?;
        }
        for (count, (at, piece)) in edited.patches.iter().enumerate() {
            self.goes_on_at(count)?;
            spill.write(piece, at)?;
        }
        spill.truncate(edited.len)?;
        let others = self.staged.saturating_sub(edited.patches.held());
        let content = Content::Spilled(spill);
        self.staged = others.saturating_add(content.staged());
        self.node_mut(id).body = Body::File(content);
        Ok(())
    }

    /// Copies the first `kept` bytes of what is below.
    fn copy_lower(&mut self, id: NodeId, kept: u64, to: &mut super::stage::Spill) -> Result<()> {
        const CHUNK: usize = 256 << 10;
        if self.below(id).is_none() {
            self.open_lower(id)?;
            if let Some(lower) = &self.node(id).lower
                && let Open::File(file, _) = &lower.open
            {
                return to.copy(file.as_fd(), kept, &|| self.goes_on());
            }
        }
        let mut at = 0;
        while at < kept {
            self.goes_on()?;
            let want = usize::try_from(kept - at).unwrap_or(usize::MAX).min(CHUNK);
            let piece = self.read_lower(id, at, want)?;
            if piece.is_empty() {
                break;
            }
            to.write(&piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes the content one that can be written at any place, which needs to know where the old one ends.
    fn make_edited(&mut self, id: NodeId) -> Result<()> {
        self.settle_tail(id)?;
        if matches!(self.content(id)?, Content::Base) {
            let len = if self.node(id).lower.is_some() { self.lower_size(id)? } else { 0 };
            let edited = Edited { kept: len, len, patches: Patches::default() };
            if let Body::File(content) = &mut self.node_mut(id).body {
                *content = Content::Edited(edited);
            }
        }
        Ok(())
    }

    /// A blind append stops being blind.
    pub(super) fn settle_tail(&mut self, id: NodeId) -> Result<()> {
        if !matches!(self.content(id)?, Content::Tail(_)) {
            return Ok(());
        }
        let kept = self.lower_size(id)?;
        if let Body::File(content) = &mut self.node_mut(id).body
            && let Content::Tail(tail) = std::mem::take(content)
        {
            let mut edited = Edited { kept, len: kept, patches: Patches::default() };
            edited.write(kept, &tail);
            *content = Content::Edited(edited);
        }
        Ok(())
    }

    pub fn set_times(&mut self, id: NodeId, times: SetTimes) {
        let set = &mut self.node_mut(id).times;
        set.accessed = times.accessed.or(set.accessed);
        set.modified = times.modified.or(set.modified);
    }

    /// Whether this process may write a file or make entries in a directory of the disk.
    pub fn check_writable(&mut self, id: NodeId) -> Result<()> {
        let Some(lower) = &self.node(id).lower else { return Ok(()) };
        if let Some((layer, below)) = self.below(id) {
            return self.look_into(&layer)?.check_writable(below);
        }
        let (parent, path, root) = (lower.parent, lower.place.path.clone(), lower.place.root);
        let stat = self.lower_stat(id)?.0;
        if stat.dev != self.roots.get(root).stat.dev {
            // What is staged could not be moved there in one step.
            self.crossed = Some(self.roots.display(root, &path));
            return Err(Errno::XDEV);
        }
        let (handle, name) = match stat.kind {
            Kind::Dir => (self.dir_handle(id)?, "."),
            _ => (self.dir_handle(parent)?, disk::split(&path).1),
        };
        let mode =
            if stat.kind == Kind::Dir { Mode::WRITE_OK | Mode::EXEC_OK } else { Mode::WRITE_OK };
        rustix::fs::accessat(handle.as_fd(), name, mode, AtFlags::EACCESS)
    }
}

impl Content {
    /// Bytes that are held for it.
    pub fn staged(&self) -> u64 {
        match self {
            Content::Base => 0,
            Content::Tail(tail) => tail.len() as u64,
            Content::Edited(edited) => edited.patches.held(),
            // However little is in it: its descriptor is one of those that all calls share.
            Content::Spilled(spill) => spill.len.max(SPILL),
        }
    }

    /// What is held at most once `more` bytes are written that end before `end`.
    fn staged_with(&self, more: u64, end: u64) -> u64 {
        match self {
            Content::Edited(edited) => {
                let held = edited.patches.held() + more + u64::from(more > 0) * PIECE;
                if held > SPILL { edited.len.max(end).max(SPILL) } else { held }
            }
            // A truncation makes it shorter, too.
            Content::Spilled(_) if more == 0 => {
                if end == 0 {
                    0
                } else {
                    end.max(SPILL)
                }
            }
            Content::Spilled(spill) => spill.len.max(end).max(SPILL),
            content => content.staged() + more,
        }
    }
}
