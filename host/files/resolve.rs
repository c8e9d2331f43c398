//! Paths to nodes: one component at a time, symlinks by the rules of POSIX, never out of the roots.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{self, Kind, Result};
use super::node::{Body, NodeId};
use super::place::Facets;
use super::scope::{Access, Denial, DeniedBy};
use super::tree::Tree;

/// Where a path leads.
#[derive(Debug)]
pub struct At {
    /// The directory of the last component, and its name; empty if the path is that directory itself
    /// (`.`, `a/..`).
    pub dir: NodeId,
    pub name: Box<str>,
    pub node: Option<NodeId>,
    /// The path ended in a slash.
    pub slash: bool,
}

/// What becomes of a symlink at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    Follow,
    Keep,
    /// Nobody has looked yet what is there: `node` is none.
    Unseen,
}

/// As Linux has it.
const MOST_LINKS: usize = 40;
const MOST_BYTES: usize = 4096;

impl Tree {
    /// Follows `path` from a directory.
    ///
    /// # Errors
    /// `NOENT`, `NOTDIR`, `LOOP`, `NAMETOOLONG` as on any POSIX system; `PERM` where the path leads out of the
    /// roots or the grants.
    pub fn resolve(&mut self, from: NodeId, path: &str, last: Last) -> Result<At> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.contains('\0') {
            return Err(Errno::INVAL);
        }
        if path.len() >= MOST_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        if path.starts_with('/') {
            return self.leads_out(from, path);
        }
        let mut slash = path.ends_with('/');
        let mut rest = Cow::Borrowed(path);
        let mut next = 0;
        let (mut links, mut steps) = (0, 0);
        let mut dir = from;
        self.dir(dir)?;
        while let Some(part) = component(&rest, next) {
            // Symlinks can make it very long.
            steps += 1;
            self.goes_on_at(steps)?;
            let (name, end) = (&rest[part.clone()], component(&rest, part.end).is_none());
            next = part.end;
            match name {
                "." => {}
                ".." => {
                    let at = self.dir(dir)?;
                    if at.path.is_empty() {
                        return self.leads_out(from, path);
                    }
                    dir = at.parent;
                }
                _ => {
                    if end && last == Last::Unseen {
                        return Ok(At { dir, name: name.into(), node: None, slash });
                    }
                    let node = self.child(dir, name)?;
                    let Some(id) = node else {
                        return if end {
                            Ok(At { dir, name: name.into(), node, slash })
                        } else {
                            Err(Errno::NOENT)
                        };
                    };
                    match self.node(id).kind {
                        Kind::Symlink if !end || last == Last::Follow || slash => {
                            links += 1;
                            if links > MOST_LINKS {
                                return Err(Errno::LOOP);
                            }
                            let target = self.readlink(id)?;
                            slash |= end && target.ends_with('/');
                            let inside;
                            (dir, inside) = match self.enter(dir, &target)? {
                                Some(entered) => entered,
                                None => return self.leads_out(from, path),
                            };
                            rest = Cow::Owned(format!("{inside}/{}", &rest[next..]));
                            next = 0;
                        }
                        _ if end => return Ok(At { dir, name: name.into(), node, slash }),
                        Kind::Dir => dir = id,
                        _ => return Err(Errno::NOTDIR),
                    }
                }
            }
        }
        self.allow(dir, "", Access::Look)?;
        Ok(At { dir, name: "".into(), node: Some(dir), slash })
    }

    /// [`Tree::resolve`] on the way to something: a path that may not even be looked at is refused for that.
    pub(super) fn resolve_for(
        &mut self,
        access: Access,
        from: NodeId,
        path: &str,
        last: Last,
    ) -> Result<At> {
        let known = self.denials.len();
        let at = self.resolve(from, path, last);
        if let Some(denial) = self.denials.get_mut(known)
            && denial.access == Access::Look
        {
            // A directory on the way, rather than what it leads to.
            let name =
                |path: &str| path.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
            denial.access = match access {
                // Of these the path is told as it was given.
                access if denial.by == DeniedBy::Outside => access,
                Access::Write if name(&denial.path) != name(path) => Access::MakeDir,
                Access::Read if name(&denial.path) != name(path) => Access::Pass,
                access => access,
            };
        }
        at
    }

    /// A path of which some step is out of the roots.
    fn leads_out<T>(&mut self, from: NodeId, path: &str) -> Result<T> {
        // Not a guest's doing.
        if self.scope.is_none() {
            return Err(Errno::PERM);
        }
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => {
                let (root, path) = self.path(from, path)?;
                self.roots.display(root, &path)
            }
        };
        self.deny(Denial { path, access: Access::Look, by: DeniedBy::Outside })
    }

    /// Where a symlink in `dir` leads: from which directory, and how. An absolute one counts from the root that it points
    /// into; if that is none, it leads nowhere.
    fn enter<'t>(&self, dir: NodeId, target: &'t str) -> Result<Option<(NodeId, &'t str)>> {
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.len() >= MOST_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        if !target.starts_with('/') {
            return Ok(Some((dir, target)));
        }
        let containing = self.roots.containing(target);
        Ok(containing.map(|(root, inside)| (self.root(root), inside)))
    }

    /// Where a symlink points. A symlink never changes: another one in its place is another node.
    pub fn readlink(&mut self, id: NodeId) -> Result<Arc<str>> {
        match &self.node(id).body {
            Body::Symlink(Some(target)) => return Ok(target.clone()),
            Body::Symlink(None) => {}
            _ => return Err(Errno::INVAL),
        }
        let at = self.ledger.now();
        let target: Arc<str> = match self.below(id) {
            Some((layer, below)) => self.look_into(&layer)?.readlink(below)?,
            None => {
                let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
                let (parent, name) = (lower.parent, lower.place.path.clone());
                let handle = self.dir_handle(parent)?;
                disk::readlink(std::os::fd::AsFd::as_fd(&handle), disk::split(&name).1)?.into()
            }
        };
        self.keep(target.len() as u64)?;
        self.mark(id, Facets::KIND, at);
        if let Body::Symlink(known) = &mut self.node_mut(id).body {
            *known = Some(target.clone());
        }
        Ok(target)
    }
}

/// The first component of `path` from a place onward.
fn component(path: &str, from: usize) -> Option<Range<usize>> {
    let start = from + path[from..].bytes().position(|byte| byte != b'/')?;
    let length = path[start..].bytes().position(|byte| byte == b'/');
    Some(start..length.map_or(path.len(), |length| start + length))
}
