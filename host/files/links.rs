//! Files with several names: one that is to be written must have all of them where the call may write.
//!
//! Such a file is written in place, so that its other names see it. If one of those lies outside of the root, or of
//! what was granted, writing would reach out.

use std::os::fd::AsFd as _;

use super::disk::{self, Kind, Result, Stat};
use super::node::NodeId;
use super::place::{Facets, Key};
use super::plan::join;
use super::scope::{Access, Denial, DeniedBy, Scope, beneath};
use super::shelf::INORDER;
use super::tree::{Tree, ask_at};

/// Directories to look through before a file's other names count as not found.
const MOST_DIRS: usize = 100_000;

impl Tree {
    /// Refuses to write a file that has names which the call may not write. Loads its other names: what is written
    /// is to be seen there, even if the name that it was opened by goes.
    pub fn check_other_names(&mut self, id: NodeId) -> Result<()> {
        if self.node(id).kind != Kind::File {
            return Ok(());
        }
        let on_layer = self.below(id);
        if let Some((layer, below)) = &on_layer {
            let at = self.ledger.now();
            let names = self.look_into(layer)?.names(*below)?;
            if !names.is_empty() {
                self.mark_identity(id);
            }
            let root = self.node(id).root;
            names.iter().try_for_each(|path| self.load_at(root, path))?;
            let scope = self.scope.clone();
            let refused = |path: &&String| {
                scope.as_ref().is_some_and(|scope| !scope.allows(root, path, Access::Write))
            };
            if names.iter().any(|path| refused(&path)) {
                self.reads.note(Key::Names(root), Facets::KIND, at);
                let path = names.iter().find(|path| !refused(path)).cloned().unwrap_or_default();
                let path = self.roots.display(root, &path);
                return self.deny(Denial { path, access: Access::Write, by: DeniedBy::OtherNames });
            }
        }
        let Some(scope) = self.scope.clone() else { return Ok(()) };
        let Some(lower) = &self.node(id).lower else { return Ok(()) };
        if let Some((layer, below)) = &on_layer
            && self.look_into(layer)?.node(*below).lower.is_none()
        {
            return Ok(());
        }
        let (root, path) = (lower.place.root, lower.place.path.clone());
        // How many names it has on the disk: those that a layer has given it were asked about above.
        let (stat, _) = match &on_layer {
            Some((layer, below)) => self.look_into(layer)?.lower_stat(*below)?,
            None => self.lower_stat(id)?,
        };
        if stat.nlink < 2 {
            return Ok(());
        }
        self.mark_identity(id);
        let at = self.ledger.now();
        let found = find(self, root, Some(&scope), &stat, &|| self.goes_on())?;
        if on_layer.is_none() {
            found.names.iter().try_for_each(|path| self.load_at(root, path))?;
        }
        if found.count >= stat.nlink {
            return Ok(());
        }
        // A commit that moves one of them may have hidden it.
        self.reads.note(Key::Names(root), Facets::KIND, at);
        let path = self.roots.display(root, &path);
        self.deny(Denial { path, access: Access::Write, by: DeniedBy::OtherNames })
    }

    /// In a layer: every name that a file has now; none, if it has one.
    fn names(&mut self, id: NodeId) -> Result<Vec<String>> {
        let root = self.node(id).root;
        let stat = if self.node(id).lower.is_some() { Some(self.lower_stat(id)?.0) } else { None };
        let stat = stat.filter(|stat| stat.nlink > 1);
        let node = self.node(id);
        if stat.is_none() && node.names <= i64::from(node.lower.is_none()) {
            return Ok(vec![]);
        }
        if let Some(stat) = stat {
            let found = find(self, root, None, &stat, &|| self.goes_on())?;
            found.names.iter().try_for_each(|path| self.load_at(root, path))?;
        }
        let (mut names, mut dirs) = (Vec::new(), vec![self.root(root)]);
        while let Some(at) = dirs.pop() {
            self.goes_on()?;
            let dir = self.dir(at)?;
            for (count, (name, child)) in dir.children.iter().enumerate() {
                self.goes_on_at(count)?;
                let Some(now) = child.now else { continue };
                if now == id {
                    names.push(join(&dir.path, name));
                } else if self.node(now).kind == Kind::Dir {
                    dirs.push(now);
                }
            }
        }
        Ok(names)
    }

    /// Loads what stands at a path below, wherever it has been moved to since.
    fn load_at(&mut self, root: usize, path: &str) -> Result<()> {
        let mut at = self.root(root);
        for name in path.split('/') {
            let Some(dir) = self.node(at).dir() else { return Ok(()) };
            let base = match dir.children.get(name) {
                Some(child) => child.base,
                None => self.peek(at, name)?,
            };
            let Some(base) = base else { return Ok(()) };
            at = base;
        }
        Ok(())
    }
}

/// Names of a file on the disk.
#[derive(Default)]
struct Found {
    names: Vec<String>,
    /// With those that a commit has replaced and keeps for an undo: nobody reads them.
    count: u64,
}

/// The names beneath a root, which the scope may write, of a file; no further than it has, and for as long as `go_on` says.
fn find(
    tree: &Tree,
    root: usize,
    scope: Option<&Scope>,
    file: &Stat,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Found> {
    let top = rustix::io::dup(&tree.roots.get(root).fd)?;
    let allows = |path: &str, access| scope.is_none_or(|scope| scope.allows(root, path, access));
    let mut found = Found::default();
    let mut dirs = vec![String::new()];
    let mut seen = 0;
    while let Some(path) = dirs.pop() {
        seen += 1;
        if seen > MOST_DIRS {
            break;
        }
        go_on()?;
        let Ok(dir) = disk::open_dir(top.as_fd(), &path) else { continue };
        let Ok(listed) = disk::list_up_to(dir.as_fd(), usize::MAX, go_on) else {
            go_on()?;
            continue;
        };
        let (names, _) = listed.unwrap_or_default();
        for (count, it) in names.into_iter().enumerate() {
            ask_at(count, go_on)?;
            let at = join(&path, &it.name);
            let ours = beneath(&at, INORDER);
            let kind = match it.kind {
                Some(kind) => kind,
                None => disk::stat(dir.as_fd(), &it.name).map_or(Kind::Other, |stat| stat.kind),
            };
            if kind == Kind::Dir && (ours || allows(&at, Access::Look)) {
                dirs.push(at);
            } else if kind == Kind::File
                && it.ino == file.ino
                && (ours || allows(&at, Access::Write))
            {
                let same =
                    disk::stat(dir.as_fd(), &it.name).is_ok_and(|stat| stat.id() == file.id());
                if same {
                    found.count += 1;
                    if !ours {
                        found.names.push(at);
                    }
                }
                if found.count >= file.nlink {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}
