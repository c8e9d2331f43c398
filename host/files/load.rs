//! Loads nodes into a tree: a name when it is asked for, all names of a directory when it is listed. What was looked at
//! is recorded, as of the commit before.

use std::collections::hash_map::Entry;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::bounds::Crowded;
use super::content::Content;
use super::disk::{self, Kind, Result, Stat};
use super::node::{Body, Child, Dir, LowerNode, Node, NodeId, Open, SetTimes};
use super::place::{Facets, Key, Place};
use super::reads::Observed;
use super::scope::Access;
use super::shelf::INORDER;
use super::tree::Tree;

/// Stands for a device, where a tree stands on a layer.
const LAYER: u64 = u64::MAX;

/// A file that has been found below.
struct Found {
    stat: Stat,
    layer: Option<NodeId>,
}

/// What is known of a name that is loaded.
struct Loaded {
    place: Place,
    kind: Kind,
    ino: u64,
    /// Its device, if it may have other names.
    dev: Option<u64>,
    stat: Option<Stat>,
    layer: Option<NodeId>,
}

impl Tree {
    /// What a name in a directory is now, if anything.
    pub fn child(&mut self, dir: NodeId, name: &str) -> Result<Option<NodeId>> {
        self.allow(dir, name, Access::Look)?;
        self.peek(dir, name)
    }

    /// [`Tree::child`], whoever asks.
    pub fn peek(&mut self, dir: NodeId, name: &str) -> Result<Option<NodeId>> {
        let at = self.dir(dir)?;
        if let Some(child) = at.children.get(name) {
            return Ok(child.now);
        }
        if name == INORDER {
            return Ok(None);
        }
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        let Some(lower) = &self.node(dir).lower else { return Ok(None) };
        if at.listed {
            return Ok(None);
        }
        let place = lower.place.child(name);
        self.keep_name(dir, name)?;
        let at = self.ledger.now();
        let found = match self.look(dir, name) {
            Ok(found) => found,
            Err(error) => {
                self.reads.note(Key::Path(place), Facets::KIND, at);
                return Err(error);
            }
        };
        let base = match found {
            None => {
                self.reads.record(&place, Facets::KIND, at, Observed::Absent);
                None
            }
            Some(found) => {
                let observed = Observed::Kind(found.stat.kind, found.stat.id());
                self.reads.record(&place, Facets::KIND, at, observed);
                let (kind, ino) = (found.stat.kind, found.stat.ino);
                let dev = (found.stat.nlink > 1).then_some(found.stat.dev);
                let (stat, layer) = (Some(found.stat), found.layer);
                Some(self.load(dir, name, at, Loaded { place, kind, ino, dev, stat, layer })?)
            }
        };
        self.dir_mut(dir)?.children.insert(name.into(), Child { base, now: base });
        Ok(base)
    }

    fn look(&mut self, dir: NodeId, name: &str) -> Result<Option<Found>> {
        let absent = |error| match error {
            Errno::NOENT => Ok(None),
            error => Err(error),
        };
        match self.below(dir) {
            Some((layer, at)) => {
                let mut layer = self.look_into(&layer)?;
                let Some(id) = layer.peek(at, name)? else { return Ok(None) };
                Ok(Some(Found { stat: layer.stat(id)?, layer: Some(id) }))
            }
            None => {
                let handle = self.dir_handle(dir)?;
                disk::stat(handle.as_fd(), name)
                    .map(|stat| Some(Found { stat, layer: None }))
                    .or_else(absent)
            }
        }
    }

    /// A node for what was found under a name; the one that it has already, if that is another name of the same
    /// file. `at` is the last commit before it was looked for.
    fn load(&mut self, dir: NodeId, name: &str, at: u64, found: Loaded) -> Result<NodeId> {
        let Loaded { place, kind, ino, dev, stat, layer } = found;
        let id = NodeId(self.nodes.len());
        let identity = match layer {
            Some(layer) => Some((LAYER, layer.0 as u64)),
            None => dev.map(|dev| (dev, ino)),
        };
        if let Some(identity) = identity.filter(|_| kind != Kind::Dir) {
            let alone = layer.is_none() && stat.is_some_and(|stat| stat.nlink < 2);
            match self.by_inode.entry(identity) {
                Entry::Vacant(vacant) => drop(vacant.insert(id)),
                // The inode of something that has gone since.
                Entry::Occupied(_) if alone => {}
                Entry::Occupied(known) => {
                    let known = *known.get();
                    // Both names are of this file, not of one that has come in its place.
                    self.mark_identity(known);
                    // What is read of it under the other name is read under this one.
                    self.reads.note(Key::Path(place.clone()), Facets::DATA | Facets::ATTR, at);
                    self.node_mut(known).also.push(place);
                    return Ok(known);
                }
            }
        }
        let stat = stat.map(|stat| (stat, at));
        let body = match kind {
            Kind::File => Body::File(Content::Base),
            Kind::Dir => {
                let (root, path) = self.path(dir, name)?;
                Body::Dir(Dir::new(root, path.into(), dir))
            }
            Kind::Symlink => Body::Symlink(None),
            Kind::Other => Body::Other,
        };
        let lower = LowerNode { place, parent: dir, found: at, stat, layer, open: Open::Not };
        let root = self.dir(dir)?.root;
        let (times, also) = (SetTimes::default(), vec![]);
        self.nodes.push(Node {
            kind,
            root,
            lower: Some(lower),
            ino,
            body,
            times,
            written: None,
            also,
            names: 0,
        });
        Ok(id)
    }

    /// Loads all names of a directory, and records that it was listed.
    pub fn list(&mut self, dir: NodeId) -> Result<()> {
        let listed = self.list_up_to(dir, self.names_left());
        if matches!(listed, Err(Errno::NOMEM)) {
            self.crowded.get_or_insert(Crowded::Call);
        }
        listed
    }

    fn list_up_to(&mut self, dir: NodeId, most: usize) -> Result<()> {
        if self.dir(dir)?.listed || self.node(dir).lower.is_none() {
            return Ok(());
        }
        let at = self.ledger.now();
        let (dev, names): (_, Vec<_>) = match self.below(dir) {
            Some((layer, below)) => {
                let mut layer = self.look_into(&layer)?;
                layer.list_up_to(below, most)?;
                let dir_below = layer.dir(below)?;
                let (unspoken, mut found) = (dir_below.unspoken, Vec::new());
                for (count, (name, child)) in dir_below.children.iter().enumerate() {
                    self.goes_on_at(count)?;
                    let Some(id) = child.now else { continue };
                    let node = layer.node(id);
                    found.push((name.clone(), Some(node.kind), node.ino, Some(id)));
                }
                drop(layer);
                self.dir_mut(dir)?.unspoken = unspoken;
                self.mark(dir, Facets::LIST, at);
                (None, found)
            }
            None => {
                let handle = self.dir_handle(dir)?;
                let stat = disk::stat_fd(handle.as_fd())?;
                self.observe(dir, Facets::LIST, at, stat);
                let found = disk::list_up_to(handle.as_fd(), most, &|| self.goes_on())?;
                let (names, not_utf8) = found.ok_or(Errno::NOMEM)?;
                self.dir_mut(dir)?.unspoken = not_utf8;
                let names = names.into_iter().map(|it| (it.name, it.kind, it.ino, None));
                (Some(stat.dev), names.collect())
            }
        };
        let top = self.dir(dir)?.path.is_empty();
        for (count, (name, kind, ino, layer)) in names.into_iter().enumerate() {
            self.goes_on_at(count)?;
            if &*name == INORDER {
                // Of the root, or of one that lies in it: still, a directory with it is not empty.
                self.dir_mut(dir)?.unspoken += usize::from(!top);
                continue;
            }
            if self.dir(dir)?.children.contains_key(&name) {
                continue;
            }
            let Some(place) = self.node(dir).lower.as_ref().map(|it| it.place.child(&name)) else {
                continue;
            };
            self.keep_name(dir, &name)?;
            let known = |dev: u64| self.by_inode.contains_key(&(dev, ino));
            let (kind, stat) = match kind {
                Some(kind) if kind == Kind::Dir || !dev.is_some_and(known) => (kind, None),
                // Not told, or perhaps another name of something known.
                _ => {
                    let stat = disk::stat(self.dir_handle(dir)?.as_fd(), &name)?;
                    (stat.kind, Some(stat))
                }
            };
            let id = self.load(dir, &name, at, Loaded { place, kind, ino, dev, stat, layer })?;
            self.dir_mut(dir)?.children.insert(name, Child { base: Some(id), now: Some(id) });
        }
        self.dir_mut(dir)?.listed = true;
        Ok(())
    }

    /// What is known of a node below, asked for if need be, and as of which commit. It is not recorded: the
    /// caller knows what of it the guest sees.
    pub fn lower_stat(&mut self, id: NodeId) -> Result<(Stat, u64)> {
        let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
        if let Some(stat) = lower.stat {
            return Ok(stat);
        }
        let at = self.ledger.now();
        let stat = match self.below(id) {
            Some((layer, below)) => self.look_into(&layer)?.stat(below)?,
            None => {
                let (parent, name) = (lower.parent, lower.place.path.clone());
                let handle = self.dir_handle(parent)?;
                disk::stat(handle.as_fd(), disk::split(&name).1)?
            }
        };
        if stat.kind != self.node(id).kind {
            // It was something else when the directory was listed.
            return Err(Errno::NOENT);
        }
        if let Some(lower) = &mut self.node_mut(id).lower {
            lower.stat = Some((stat, at));
        }
        Ok((stat, at))
    }

    /// A handle on a directory of the disk, to look into.
    pub fn dir_handle(&mut self, id: NodeId) -> Result<Arc<OwnedFd>> {
        let lower = self.node(id).lower.as_ref().ok_or(Errno::NOENT)?;
        if let Open::Handle(handle) = &lower.open {
            return Ok(handle.clone());
        }
        let root = self.roots.get(lower.place.root);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let handle = disk::open_beneath(root.fd.as_fd(), &lower.place.path, flags)?;
        let handle = Arc::new(handle);
        self.hold(id, Open::Handle(handle.clone()));
        Ok(handle)
    }
}
