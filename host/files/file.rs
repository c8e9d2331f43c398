//! What can be done with one node: read, write, append, truncate, stat, set times.
//!
//! Knows bytes; paths and permissions have been looked after when the node was opened.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Access as Mode, AtFlags};
use rustix::io::Errno;

use super::content::{Content, Edited, PIECE, Patches};
use super::disk::{self, Kind, Result, Stat};
use super::node::{Body, NodeId, Open, SetTimes};
use super::place::Facets;
use super::tree::{Tree, locked, now};

/// Files up to this size are read whole at once: a second read is in memory, and sees the same. What is kept is
/// copied once more on its way to the guest, which would be felt for larger ones.
const SMALL: u64 = 16 << 10;
/// Staged bytes of one file in memory; more go to a file of the stage.
const SPILL: u64 = 1 << 20;

impl Tree {
    /// What a guest is told of a node.
    pub fn stat(&mut self, id: NodeId) -> Result<Stat> {
        let mut stat = match self.node(id).lower {
            Some(_) => {
                let (stat, at) = self.lower_stat(id)?;
                match self.node(id).kind {
                    Kind::File if self.below(id).is_none() => {
                        self.observe(id, Facets::KIND | Facets::DATA | Facets::ATTR, at, stat);
                    }
                    Kind::File => self.mark(id, Facets::KIND | Facets::DATA | Facets::ATTR, at),
                    // The times and the size of a directory change with whatever is made in it.
                    _ => self.mark(id, Facets::KIND | Facets::ATTR, at),
                }
                stat
            }
            None => self.new_stat(id),
        };
        if self.node(id).kind == Kind::File {
            stat.size = self.size(id)?;
        }
        let node = self.node(id);
        if node.linked || !node.also.is_empty() {
            stat.nlink = stat.nlink.max(2);
        }
        stat.ino = node.ino;
        if let Some(written) = node.written.filter(|_| node.lower.is_none() || node.changed()) {
            (stat.modified, stat.changed) = (written, written);
        }
        stat.accessed = node.times.accessed.unwrap_or(stat.accessed);
        stat.modified = node.times.modified.unwrap_or(stat.modified);
        Ok(stat)
    }

    fn new_stat(&self, id: NodeId) -> Stat {
        let node = self.node(id);
        let time = node.written.unwrap_or_default();
        let size = match &node.body {
            Body::Symlink(Some(target)) => target.len() as u64,
            _ => 0,
        };
        Stat {
            kind: node.kind,
            dev: self.roots.get(node.root).stat.dev,
            ino: node.ino,
            nlink: 1,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            accessed: time,
            modified: time,
            changed: time,
        }
    }

    pub fn size(&mut self, id: NodeId) -> Result<u64> {
        self.settle_tail(id)?;
        match self.content(id)? {
            Content::Base | Content::Tail(_) => self.lower_size(id),
            Content::Edited(edited) => Ok(edited.len),
            Content::Spilled(spill) => Ok(spill.len),
        }
    }

    fn lower_size(&mut self, id: NodeId) -> Result<u64> {
        if let Some(lower) = &self.node(id).lower
            && let Open::Whole(whole) = &lower.open
        {
            return Ok(whole.len() as u64);
        }
        if let Some((layer, below)) = self.below(id) {
            self.mark(id, Facets::DATA, self.ledger.now());
            return locked(&layer).size(below);
        }
        let (stat, at) = self.lower_stat(id)?;
        self.observe(id, Facets::KIND | Facets::DATA, at, stat);
        Ok(stat.size)
    }

    pub fn content(&self, id: NodeId) -> Result<&Content> {
        match &self.node(id).body {
            Body::File(content) => Ok(content),
            Body::Dir(_) => Err(Errno::ISDIR),
            _ => Err(Errno::BADF),
        }
    }

    /// Up to `length` bytes from `at` on; fewer only at the end of the file.
    pub fn read(&mut self, id: NodeId, at: u64, length: usize) -> Result<Bytes> {
        self.settle_tail(id)?;
        let read = match self.content(id)? {
            Content::Base | Content::Tail(_) => self.read_lower(id, at, length)?,
            Content::Spilled(spill) => {
                let left = usize::try_from(spill.len.saturating_sub(at)).unwrap_or(usize::MAX);
                let mut buffer = BytesMut::zeroed(length.min(left));
                let read = spill.with(|file| disk::read_at(file, &mut buffer, at))?;
                buffer.truncate(read);
                buffer.freeze()
            }
            Content::Edited(edited) => {
                let left = usize::try_from(edited.len.saturating_sub(at)).unwrap_or(usize::MAX);
                let mut buffer = BytesMut::zeroed(length.min(left));
                let kept = usize::try_from(edited.kept.saturating_sub(at)).unwrap_or(usize::MAX);
                let kept = kept.min(buffer.len());
                if kept > 0 {
                    let below = self.read_lower(id, at, kept)?;
                    buffer[..below.len()].copy_from_slice(&below);
                }
                if let Content::Edited(edited) = self.content(id)? {
                    edited.patches.overlay(at, &mut buffer);
                }
                buffer.freeze()
            }
        };
        self.bytes.0 += read.len() as u64;
        Ok(read)
    }

    fn read_lower(&mut self, id: NodeId, at: u64, length: usize) -> Result<Bytes> {
        if let Some((layer, below)) = self.below(id) {
            self.mark(id, Facets::KIND | Facets::DATA, self.ledger.now());
            return locked(&layer).read(below, at, length);
        }
        self.open_lower(id)?;
        let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
        match &lower.open {
            Open::Whole(whole) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
                Ok(whole.slice(from..from + length.min(whole.len() - from)))
            }
            Open::File(file, size) => {
                // It ends where it did when it was opened, though others may have appended since.
                let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
                Ok(disk::read_up_to(file.as_fd(), length.min(left), at)?.into())
            }
            Open::Not | Open::Handle(_) => Err(Errno::IO),
        }
    }

    /// Opens a file of the disk, and reads it if it is small.
    pub fn open_lower(&mut self, id: NodeId) -> Result<()> {
        let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
        if !matches!(lower.open, Open::Not) {
            return Ok(());
        }
        let (parent, path) = (lower.parent, lower.place.path.clone());
        let directory = self.dir_handle(parent)?;
        let at = self.ledger.now();
        let opened = disk::open_file(directory.as_fd(), disk::split(&path).1);
        if opened.is_err() {
            self.mark(id, Facets::KIND | Facets::DATA, at);
        }
        let file = opened?;
        let stat = disk::stat_fd(file.as_fd())?;
        if stat.kind != Kind::File {
            return Err(Errno::NOTSUP);
        }
        self.observe(id, Facets::KIND | Facets::DATA, at, stat);
        let mut whole = None;
        if stat.size <= SMALL {
            let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
            let bytes = disk::read_whole(file.as_fd(), size)?;
            // One that grew while it was read is read on from its handle.
            if bytes.len() <= size {
                whole = Some(bytes.into());
            }
        }
        if let Some(lower) = &mut self.node_mut(id).lower {
            lower.stat.get_or_insert((stat, at));
        }
        match whole {
            Some(content) => self.keep_whole(id, content),
            None => {
                // One without a size may have content all the same, as those of /proc have.
                let size = if stat.size == 0 { u64::MAX } else { stat.size };
                self.hold(id, Open::File(Arc::new(file), size));
            }
        }
        Ok(())
    }

    /// A handle on the old content, to copy it from.
    pub fn lower_file(&mut self, id: NodeId) -> Result<std::os::fd::OwnedFd> {
        let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
        let (parent, path) = (lower.parent, lower.place.path.clone());
        let directory = self.dir_handle(parent)?;
        disk::open_file(directory.as_fd(), disk::split(&path).1)
    }

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
        let mut spill = self.stages.spill(root)?;
        if edited.kept > 0 {
            self.copy_lower(id, edited.kept, &mut spill)?;
        }
        for (at, piece) in edited.patches.iter() {
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
                return to.copy(file.as_fd(), kept);
            }
        }
        let mut at = 0;
        while at < kept {
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
    fn settle_tail(&mut self, id: NodeId) -> Result<()> {
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
            return locked(&layer).check_writable(below);
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
