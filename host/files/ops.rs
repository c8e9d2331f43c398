//! What a call does to names: make, remove, rename, link. Opening is `open`. Errors are those of Linux.
//!
//! The order of checks is Linux's too, as far as guests can tell.

use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{Kind, Result, Stat};
use super::listing::Listing;
use super::node::{Body, Dir, NodeId, SetTimes};
use super::resolve::{At, Last};
use super::scope::{Access, Denial, DeniedBy};
use super::shelf::INORDER;
use super::tree::{Tree, now};

impl Tree {
    pub fn mkdir(&mut self, from: NodeId, path: &str) -> Result<()> {
        let at = self.resolve_for(Access::MakeDir, from, stripped(path), Last::Keep)?;
        if at.node.is_some() {
            return Err(Errno::EXIST);
        }
        self.check_new(&at, Access::MakeDir)?;
        let (root, path) = self.path(at.dir, &at.name)?;
        let id = self.make(root, Kind::Dir, Body::Dir(Dir::new(root, path.into(), at.dir)));
        self.put(at.dir, &at.name, Some(id))
    }

    pub fn symlink(&mut self, target: &str, from: NodeId, path: &str) -> Result<()> {
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.starts_with('/') {
            return Err(Errno::PERM);
        }
        if target.contains('\0') {
            return Err(Errno::INVAL);
        }
        if target.len() >= 4096 {
            return Err(Errno::NAMETOOLONG);
        }
        let at = self.resolve_for(Access::Write, from, stripped(path), Last::Keep)?;
        if at.node.is_some() {
            return Err(Errno::EXIST);
        }
        if path.ends_with('/') {
            return Err(Errno::NOENT);
        }
        self.check_new(&at, Access::Write)?;
        self.stage(target.len() as u64)?;
        let root = self.dir(at.dir)?.root;
        let id = self.make(root, Kind::Symlink, Body::Symlink(Some(target.into())));
        self.put(at.dir, &at.name, Some(id))
    }

    pub fn link(&mut self, from: NodeId, path: &str, to: NodeId, to_path: &str) -> Result<()> {
        let old = self.resolve(from, path, Last::Keep)?;
        let id = old.node.ok_or(Errno::NOENT)?;
        if old.slash && self.node(id).kind != Kind::Dir {
            return Err(Errno::NOTDIR);
        }
        let new = self.resolve(to, stripped(to_path), Last::Keep)?;
        if new.node.is_some() {
            return Err(Errno::EXIST);
        }
        if to_path.ends_with('/') {
            return Err(Errno::NOENT);
        }
        if self.node(id).root != self.dir(new.dir)?.root {
            return Err(Errno::XDEV);
        }
        if self.node(id).kind == Kind::Dir {
            return Err(Errno::PERM);
        }
        self.check_device(id, Errno::XDEV)?;
        // Whoever may write one of the names may write the other.
        self.allow(old.dir, &old.name, Access::Write)?;
        self.check_new(&new, Access::Write)?;
        self.put(new.dir, &new.name, Some(id))
    }

    pub fn rmdir(&mut self, from: NodeId, path: &str) -> Result<()> {
        let at = self.resolve_for(Access::Write, from, stripped(path), Last::Keep)?;
        let id = at.node.ok_or(Errno::NOENT)?;
        if at.name.is_empty() {
            return Err(match stripped(path).rsplit('/').next() {
                Some("..") => Errno::NOTEMPTY,
                Some(".") => Errno::INVAL,
                _ => Errno::BUSY,
            });
        }
        if self.node(id).kind != Kind::Dir {
            return Err(Errno::NOTDIR);
        }
        self.allow(at.dir, &at.name, Access::Write)?;
        self.check_writable(at.dir)?;
        self.check_device(id, Errno::BUSY)?;
        self.check_empty(id)?;
        self.dir_mut(id)?.removed = true;
        self.put(at.dir, &at.name, None)
    }

    pub fn unlink(&mut self, from: NodeId, path: &str) -> Result<()> {
        let at = self.resolve_for(Access::Write, from, stripped(path), Last::Keep)?;
        let id = at.node.ok_or(Errno::NOENT)?;
        if self.node(id).kind == Kind::Dir {
            return Err(Errno::ISDIR);
        }
        if path.ends_with('/') {
            return Err(Errno::NOTDIR);
        }
        self.allow(at.dir, &at.name, Access::Write)?;
        self.check_writable(at.dir)?;
        self.put(at.dir, &at.name, None)
    }

    pub fn rename(&mut self, from: NodeId, path: &str, to: NodeId, to_path: &str) -> Result<()> {
        let old = self.resolve(from, stripped(path), Last::Unseen)?;
        let mut new = self.resolve(to, stripped(to_path), Last::Unseen)?;
        if old.name.is_empty() || new.name.is_empty() {
            return Err(Errno::BUSY);
        }
        let id = self.child(old.dir, &old.name)?.ok_or(Errno::NOENT)?;
        new.node = self.child(new.dir, &new.name)?;
        let is_dir = self.node(id).kind == Kind::Dir;
        if !is_dir && (path.ends_with('/') || to_path.ends_with('/')) {
            return Err(Errno::NOTDIR);
        }
        if self.dir(old.dir)?.root != self.dir(new.dir)?.root {
            return Err(Errno::XDEV);
        }
        if is_dir && self.lies_in(new.dir, id)? {
            return Err(Errno::INVAL);
        }
        if let Some(target) = new.node {
            let onto_dir = self.node(target).kind == Kind::Dir;
            if onto_dir && self.lies_in(old.dir, target)? {
                return Err(Errno::NOTEMPTY);
            }
            // Two names of one file: nothing happens.
            if self.node(id).lower.is_some() && self.node(target).lower.is_some() {
                self.mark_identity(id);
                self.mark_identity(target);
            }
            if target == id {
                return Ok(());
            }
            match (is_dir, onto_dir) {
                (true, false) => return Err(Errno::NOTDIR),
                (false, true) => return Err(Errno::ISDIR),
                _ => {}
            }
        }
        let access = if is_dir { Access::WriteTree } else { Access::Write };
        self.allow(old.dir, &old.name, access)?;
        self.check_writable(old.dir)?;
        if is_dir {
            self.check_device(id, Errno::BUSY)?;
        }
        self.check_new(&new, access)?;
        if let Some(target) = new.node.filter(|_| is_dir) {
            self.check_empty(target)?;
            self.dir_mut(target)?.removed = true;
        }
        if is_dir {
            let path = self.path(new.dir, &new.name)?.1;
            self.stage_move(id, &path)?;
        }
        self.put(old.dir, &old.name, None)?;
        self.put(new.dir, &new.name, Some(id))?;
        if is_dir {
            self.dir_mut(id)?.parent = new.dir;
            let path = self.path(new.dir, &new.name)?.1;
            self.moved(id, &path)?;
        }
        Ok(())
    }

    pub fn stat_at(&mut self, from: NodeId, path: &str, last: Last) -> Result<Stat> {
        let id = self.find(from, path, last, Access::Read)?;
        self.stat(id)
    }

    pub fn readlink_at(&mut self, from: NodeId, path: &str) -> Result<Arc<str>> {
        let id = self.find(from, path, Last::Keep, Access::Read)?;
        self.readlink(id)
    }

    pub fn set_times_at(
        &mut self,
        from: NodeId,
        path: &str,
        last: Last,
        times: SetTimes,
    ) -> Result<()> {
        let id = self.find(from, path, last, Access::Write)?;
        self.check_owner(id)?;
        self.check_other_names(id)?;
        self.set_times(id, times);
        Ok(())
    }

    /// What stands at a path. Directories on the way to what is granted may be looked at, not more.
    pub fn find(&mut self, from: NodeId, path: &str, last: Last, access: Access) -> Result<NodeId> {
        let at = self.resolve(from, path, last)?;
        let id = at.node.ok_or(Errno::NOENT)?;
        let is_dir = self.node(id).kind == Kind::Dir;
        if at.slash && !is_dir {
            return Err(Errno::NOTDIR);
        }
        let access = if is_dir && access == Access::Read { Access::Look } else { access };
        self.allow(at.dir, &at.name, access)?;
        Ok(id)
    }

    /// Only the owner of a file, or root, may set its times.
    pub fn check_owner(&mut self, id: NodeId) -> Result<()> {
        if self.node(id).lower.is_none() {
            return Ok(());
        }
        let euid = rustix::process::geteuid();
        let owner = self.lower_stat(id)?.0.uid;
        if euid.is_root() || owner == euid.as_raw() { Ok(()) } else { Err(Errno::PERM) }
    }

    /// The names in a directory, and what they are.
    pub fn entries(&mut self, id: NodeId) -> Result<Listing> {
        self.allow(id, "", Access::Look)?;
        self.allow_declared(id, Access::Read)?;
        self.list(id)?;
        let dir = self.dir(id)?;
        let mut listing = Listing::default();
        for (count, (name, child)) in dir.children.iter().enumerate() {
            self.goes_on_at(count)?;
            if let Some(id) = child.now.filter(|_| self.visible(dir, name)) {
                listing.push(name, self.node(id).kind);
            }
        }
        listing.sort(|| self.goes_on())?;
        Ok(listing)
    }

    /// Whether something new may stand at a path.
    pub(super) fn check_new(&mut self, at: &At, access: Access) -> Result<()> {
        self.allow(at.dir, &at.name, access)?;
        let dir = self.dir(at.dir)?;
        if dir.removed {
            return Err(Errno::NOENT);
        }
        if &*at.name == INORDER {
            let (root, path) = self.path(at.dir, &at.name)?;
            let path = self.roots.display(root, &path);
            return self.deny(Denial { path, access, by: DeniedBy::Policy });
        }
        self.check_writable(at.dir)?;
        self.stage_name(at.dir, &at.name)
    }

    /// Refuses what is mounted beneath the root: a commit could not move or link it.
    fn check_device(&mut self, id: NodeId, otherwise: Errno) -> Result<()> {
        if self.node(id).lower.is_none() {
            return Ok(());
        }
        let device = self.roots.get(self.node(id).root).stat.dev;
        if self.lower_stat(id)?.0.dev == device { Ok(()) } else { Err(otherwise) }
    }

    fn check_empty(&mut self, id: NodeId) -> Result<()> {
        self.list(id)?;
        let dir = self.dir(id)?;
        let empty = dir.unspoken == 0 && dir.children.values().all(|child| child.now.is_none());
        if empty { Ok(()) } else { Err(Errno::NOTEMPTY) }
    }

    /// Lets `name` in a directory be a node, or nothing.
    pub fn put(&mut self, dir: NodeId, name: &str, node: Option<NodeId>) -> Result<()> {
        let child = self.dir_mut(dir)?.children.entry(name.into()).or_default();
        let before = std::mem::replace(&mut child.now, node);
        if let Some(before) = before {
            self.node_mut(before).names -= 1;
        }
        if let Some(node) = node {
            self.node_mut(node).names += 1;
        }
        let dir = self.node_mut(dir);
        dir.written = Some(now());
        dir.times.modified = None;
        Ok(())
    }

    /// Whether a directory is another one or lies beneath it.
    fn lies_in(&self, mut dir: NodeId, above: NodeId) -> Result<bool> {
        loop {
            if dir == above {
                return Ok(true);
            }
            let parent = self.dir(dir)?.parent;
            if parent == dir {
                return Ok(false);
            }
            dir = parent;
        }
    }

    /// Tells a directory, and those beneath it, where they are now.
    pub fn moved(&mut self, id: NodeId, path: &str) -> Result<()> {
        let (mut left, mut count) = (vec![(id, path.to_owned())], 0);
        while let Some((id, path)) = left.pop() {
            self.goes_on_at(count)?;
            count += 1;
            let dir = self.dir_mut(id)?;
            dir.path = path.as_str().into();
            let children =
                dir.children.iter().filter_map(|(name, child)| Some((name.clone(), child.now?)));
            let children: Vec<_> = children.collect();
            for (name, child) in children {
                if self.node(child).kind == Kind::Dir {
                    left.push((child, format!("{path}/{name}")));
                }
            }
        }
        Ok(())
    }
}

/// A path without the slashes at its end.
pub(super) fn stripped(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => "/",
        path => path,
    }
}
