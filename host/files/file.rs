//! What can be read of one node: what it is, how large, and its content.
//!
//! Knows bytes; paths and permissions have been looked after when the node was opened. What is written is `edit`.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;

use super::content::Content;
use super::disk::{self, Kind, Result, Stat};
use super::node::{Body, NodeId, Open};
use super::place::Facets;
use super::tree::Tree;

/// Files up to this size are read whole at once: a second read is in memory, and sees the same. What is kept is
/// copied once more on its way to the guest, which would be felt for larger ones.
const SMALL: u64 = 16 << 10;

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
        if node.kind != Kind::Dir {
            stat.nlink = stat.nlink.saturating_add_signed(node.names);
        }
        stat.ino = node.ino;
        if let Some(written) = node.written {
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
            nlink: u64::from(node.kind == Kind::Dir),
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

    pub(super) fn lower_size(&mut self, id: NodeId) -> Result<u64> {
        if let Some(lower) = &self.node(id).lower
            && let Open::Whole(whole) = &lower.open
        {
            return Ok(whole.len() as u64);
        }
        if let Some((layer, below)) = self.below(id) {
            self.mark(id, Facets::DATA, self.ledger.now());
            return self.look_into(&layer)?.size(below);
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

    pub(super) fn read_lower(&mut self, id: NodeId, at: u64, length: usize) -> Result<Bytes> {
        if let Some((layer, below)) = self.below(id) {
            self.mark(id, Facets::KIND | Facets::DATA, self.ledger.now());
            return self.look_into(&layer)?.read(below, at, length);
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
}
