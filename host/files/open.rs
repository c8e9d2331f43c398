//! Opening a path, and making the file that it names. Errors are those of Linux, in its order of checks, as far as guests can
//! tell.

use rustix::io::Errno;

use super::content::{Content, Edited};
use super::disk::{Kind, Result};
use super::node::{Body, NodeId};
use super::ops::stripped;
use super::resolve::{At, Last};
use super::scope::Access;
use super::tree::Tree;

/// How to open a path.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub directory: bool,
    pub read: bool,
    pub write: bool,
}

impl Tree {
    pub fn open(&mut self, from: NodeId, path: &str, last: Last, how: How) -> Result<NodeId> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::INVAL);
        }
        let exclusive = how.create && how.exclusive;
        if how.create && path.ends_with('/') {
            // Whatever is there: no file has such a name.
            let at = self.resolve(from, stripped(path), Last::Unseen)?;
            if !at.name.is_empty() {
                return Err(Errno::ISDIR);
            }
        }
        let last = if exclusive { Last::Keep } else { last };
        let writes = how.create || how.write || how.truncate;
        let access = if writes { Access::Write } else { Access::Read };
        let at = self.resolve_for(access, from, path, last)?;
        let Some(id) = at.node else {
            return if how.create { self.create(&at) } else { Err(Errno::NOENT) };
        };
        if exclusive {
            return Err(Errno::EXIST);
        }
        match self.node(id).kind {
            Kind::Dir if how.write || how.truncate || how.create => return Err(Errno::ISDIR),
            Kind::Dir => return Ok(id),
            Kind::Symlink => return Err(if how.directory { Errno::NOTDIR } else { Errno::LOOP }),
            _ if at.slash && how.create => return Err(Errno::ISDIR),
            _ if how.directory || at.slash => return Err(Errno::NOTDIR),
            Kind::Other => return Err(Errno::NOTSUP),
            Kind::File => {}
        }
        if how.read || !(how.write || how.truncate) {
            self.allow(at.dir, &at.name, Access::Read)?;
        }
        if how.write || how.truncate {
            self.allow(at.dir, &at.name, Access::Write)?;
            self.check_writable(id)?;
            self.check_other_names(id)?;
        }
        if how.truncate {
            self.truncate(id, 0)?;
        } else if how.read
            && self.below(id).is_none()
            && self.node(id).lower.is_some()
            && matches!(self.content(id)?, Content::Base)
        {
            // That it may not be read is told now, as it is everywhere.
            self.open_lower(id)?;
        }
        Ok(id)
    }

    fn create(&mut self, at: &At) -> Result<NodeId> {
        if at.slash {
            return Err(Errno::ISDIR);
        }
        self.check_new(at, Access::Write)?;
        let root = self.dir(at.dir)?.root;
        let id = self.make(root, Kind::File, Body::File(Content::Edited(Edited::default())));
        self.put(at.dir, &at.name, Some(id))?;
        Ok(id)
    }
}
