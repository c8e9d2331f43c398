//! From a tree to what a commit has to do: pure, but for looking at the nodes.
//!
//! The order makes every combination of renames work, swaps and cycles too: what leaves its place is displaced
//! first, deepest first, into slots; then what is new or was moved is placed, shallowest first; then contents are
//! replaced, further names linked and times set, all by the paths as they are by then.

use std::collections::{HashMap, HashSet};

use crate::batch::Change;

use super::content::Content;
use super::disk::{Kind, Result};
use super::ledger::Writes;
use super::node::{Body, NodeId, SetTimes};
use super::place::{Facets, Key, Place};
use super::tree::Tree;

/// What one commit does to one root, in this order.
#[derive(Debug, Default)]
pub struct Plan {
    pub root: usize,
    /// Deepest first.
    pub displaced: Vec<Displaced>,
    /// Shallowest first.
    pub placed: Vec<Placed>,
    pub contents: Vec<NewContent>,
    pub links: Vec<NewLink>,
    pub times: Vec<(String, SetTimes)>,
    pub writes: Writes,
    pub changes: Vec<Change>,
}

/// An entry that leaves its place.
#[derive(Debug)]
pub struct Displaced {
    pub path: String,
    pub node: NodeId,
    /// It will be placed again. What is not, is removed: a directory must be empty by then.
    pub moved: bool,
}

/// An entry that comes to a place.
#[derive(Debug)]
pub struct Placed {
    pub path: String,
    pub node: NodeId,
    pub what: What,
    /// A file stands there, and is to be replaced in one step: where it is before the commit.
    pub over: Option<String>,
}

#[derive(Debug)]
pub enum What {
    /// What was displaced from here.
    Moved(String),
    Dir,
    Symlink(String),
    /// A new file, of the node's content.
    File,
}

/// A file that keeps its place and its nature, with another content.
#[derive(Debug)]
pub struct NewContent {
    pub path: String,
    /// Where it is before the commit.
    pub before: String,
    pub node: NodeId,
}

/// One more name for a file.
#[derive(Debug)]
pub struct NewLink {
    pub path: String,
    pub from: String,
    /// As in [`Placed`].
    pub over: Option<String>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// The plans of a tree, one for each root in which something changes.
pub fn plans(tree: &Tree) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    if tree.is_untouched() {
        return Ok(plans);
    }
    for root in 0..tree.roots.len() {
        let plan = Planner::new(tree, root)?.plan()?;
        if !plan.is_empty() {
            plans.push(plan);
        }
    }
    Ok(plans)
}

struct Planner<'t> {
    tree: &'t Tree,
    plan: Plan,
    /// Where each node is in the end.
    paths: HashMap<NodeId, Vec<Entry>>,
    /// The paths of what is displaced and may be placed again.
    slots: HashMap<NodeId, Vec<String>>,
}

/// A name that a node has in the end.
struct Entry {
    path: String,
    /// It has had this name from the beginning.
    stays: bool,
    /// Before the commit, the path of a file that had the name and is nowhere else after it.
    over: Option<String>,
}

impl<'t> Planner<'t> {
    fn new(tree: &'t Tree, root: usize) -> Result<Planner<'t>> {
        let plan = Plan { root, ..Plan::default() };
        let mut planner = Planner { tree, plan, paths: HashMap::new(), slots: HashMap::new() };
        planner.walk(root)?;
        Ok(planner)
    }

    /// Finds where everything is in the end.
    fn walk(&mut self, root: usize) -> Result<()> {
        let mut reachable: HashSet<NodeId> = HashSet::new();
        let mut dirs = vec![self.tree.root(root)];
        let mut found = Vec::new();
        while let Some(id) = dirs.pop() {
            let dir = self.tree.dir(id)?;
            for (name, child) in &dir.children {
                let Some(now) = child.now else { continue };
                let path = if dir.path.is_empty() {
                    name.to_string()
                } else {
                    format!("{}/{name}", dir.path)
                };
                reachable.insert(now);
                if self.tree.node(now).kind == Kind::Dir {
                    dirs.push(now);
                }
                let before = dir_before(self.tree, id, name);
                found.push((now, path, child.base, before));
            }
        }
        for (now, path, base, before) in found {
            let stays = base == Some(now);
            let is_file = |id: NodeId| self.tree.node(id).kind == Kind::File;
            let over = !stays
                && is_file(now)
                && base.is_some_and(|base| is_file(base) && !reachable.contains(&base));
            let over = before.filter(|_| over);
            // A directory or a symlink that stays and is not changed needs no entry of its own.
            self.paths.entry(now).or_default().push(Entry { path, stays, over });
        }
        for entries in self.paths.values_mut() {
            entries.sort_by(|one, two| (!one.stays, &one.path).cmp(&(!two.stays, &two.path)));
        }
        Ok(())
    }

    fn plan(mut self) -> Result<Plan> {
        self.displace()?;
        let mut nodes: Vec<NodeId> = self.paths.keys().copied().collect();
        nodes.sort_unstable();
        for id in nodes {
            self.place(id);
        }
        let depth = |path: &str| path.matches('/').count();
        self.plan
            .displaced
            .sort_by(|one, two| (depth(&two.path), &two.path).cmp(&(depth(&one.path), &one.path)));
        self.plan
            .placed
            .sort_by(|one, two| (depth(&one.path), &one.path).cmp(&(depth(&two.path), &two.path)));
        if self.plan.writes.iter().any(|(_, facets)| facets.intersects(Facets::KIND)) {
            self.plan.writes.push((Key::Names(self.plan.root), Facets::KIND));
            let several = |it: &Displaced| {
                let node = self.tree.node(it.node);
                let stat = node.lower.as_ref().and_then(|lower| lower.stat);
                node.kind == Kind::File && stat.is_none_or(|(stat, _)| stat.nlink > 1)
            };
            if !self.plan.links.is_empty() || self.plan.displaced.iter().any(several) {
                self.plan.writes.push((Key::Links(self.plan.root), Facets::KIND));
            }
        }
        self.tell();
        Ok(self.plan)
    }

    /// What no longer is where it was below.
    fn displace(&mut self) -> Result<()> {
        let mut overs: HashSet<Place> = HashSet::new();
        for entry in self.paths.values().flatten().filter(|entry| entry.over.is_some()) {
            overs.insert(Place::new(self.plan.root, &entry.path));
        }
        for id in self.tree.ids() {
            let node = self.tree.node(id);
            let (Some(lower), Some(dir)) = (&node.lower, node.dir()) else { continue };
            if dir.root != self.plan.root {
                continue;
            }
            for (name, child) in &dir.children {
                let Some(base) = child.base.filter(|_| child.base != child.now) else { continue };
                let now = Place::new(dir.root, &join(&dir.path, name));
                self.loses_a_name(base);
                if !dir.removed && child.now.is_some() && overs.contains(&now) && self.is_at(id) {
                    continue;
                }
                let place = lower.place.child(name);
                let moved = self.paths.contains_key(&base);
                if moved {
                    self.slots.entry(base).or_default().push(place.path.to_string());
                }
                self.wrote(place.clone(), Facets::KIND | Facets::DATA | Facets::ATTR);
                self.wrote(lower.place.clone(), Facets::LIST);
                self.plan.displaced.push(Displaced {
                    path: place.path.to_string(),
                    node: base,
                    moved,
                });
            }
        }
        for slots in self.slots.values_mut() {
            slots.sort();
        }
        Ok(())
    }

    /// Who was told how many names a file has, was told of this one too.
    fn loses_a_name(&mut self, id: NodeId) {
        let node = self.tree.node(id);
        let stat = node.lower.as_ref().and_then(|lower| lower.stat).map(|(stat, _)| stat);
        if node.kind == Kind::File && stat.is_none_or(|stat| stat.nlink > 1) {
            let dev = stat.map_or(self.tree.roots.get(node.root).stat.dev, |stat| stat.dev);
            self.plan.writes.push((Key::Inode(dev, node.ino), Facets::ATTR));
        }
    }

    /// Whether a directory is somewhere in the end.
    fn is_at(&self, dir: NodeId) -> bool {
        self.paths.contains_key(&dir) || self.tree.root(self.plan.root) == dir
    }

    /// Names, content and times of one node.
    fn place(&mut self, id: NodeId) {
        let Some(entries) = self.paths.remove(&id) else { return };
        let node = self.tree.node(id);
        let Some(first) = entries.first() else { return };
        let first = first.path.clone();
        let mut slots = self.slots.remove(&id).unwrap_or_default().into_iter();
        let mut linked = false;
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.stays) {
            let place = Place::new(self.plan.root, &entry.path);
            if entry.over.is_some() {
                self.wrote(place.clone(), Facets::DATA | Facets::ATTR);
            } else {
                self.wrote(place.clone(), Facets::KIND | Facets::DATA | Facets::ATTR);
                self.wrote(place.parent(), Facets::LIST);
            }
            let what = match slots.next() {
                Some(slot) => What::Moved(slot),
                None if index > 0 || node.lower.is_some() => {
                    linked = true;
                    let (path, from, over) =
                        (entry.path.clone(), first.clone(), entry.over.clone());
                    self.plan.links.push(NewLink { path, from, over });
                    continue;
                }
                None => match &node.body {
                    Body::Dir(_) => What::Dir,
                    Body::Symlink(target) => {
                        What::Symlink(target.as_deref().unwrap_or_default().to_owned())
                    }
                    Body::File(_) => What::File,
                    Body::Other => continue,
                },
            };
            let (path, over) = (entry.path.clone(), entry.over.clone());
            self.plan.placed.push(Placed { path, node: id, what, over });
        }
        let Some(lower) = &node.lower else {
            if node.times != SetTimes::default() {
                self.plan.times.push((first, node.times));
            }
            return;
        };
        let mut facets = Facets::default();
        if let Body::File(content) = &node.body
            && !matches!(content, Content::Base)
        {
            facets.insert(Facets::DATA | Facets::ATTR);
            let (path, before) = (first.clone(), lower.place.path.to_string());
            self.plan.contents.push(NewContent { path, before, node: id });
        }
        if node.times != SetTimes::default() {
            facets.insert(Facets::ATTR);
            self.plan.times.push((first.clone(), node.times));
        }
        if linked {
            // Whoever staged a replacement of it has to write it in place instead, and it has one more name.
            facets.insert(Facets::KIND | Facets::ATTR);
        }
        if facets == Facets::default() {
            return;
        }
        if let Some((stat, _)) = lower.stat {
            self.plan.writes.push((Key::Inode(stat.dev, stat.ino), facets));
        }
        self.wrote(lower.place.clone(), facets);
        self.wrote(Place::new(self.plan.root, &first), facets);
        for also in &node.also {
            self.wrote(also.clone(), facets);
        }
    }

    fn wrote(&mut self, place: Place, facets: Facets) {
        self.plan.writes.push((Key::Path(place), facets));
    }

    /// What is lost comes first, by where it was; then what has another name; then the rest.
    fn tell(&mut self) {
        let plan = &mut self.plan;
        let mut moved: HashSet<&str> = HashSet::new();
        for placed in &plan.placed {
            match &placed.what {
                What::Moved(from) if *from != placed.path => {
                    moved.insert(from);
                    // That something has come here by another name does not say what it has replaced.
                    plan.changes.extend(placed.over.clone().map(Change::Removed));
                    let (from, to) = (from.clone(), placed.path.clone());
                    plan.changes.push(Change::Renamed { from, to });
                }
                _ => plan.changes.push(appeared(&placed.path, placed.over.as_ref())),
            }
        }
        let removed =
            plan.displaced.iter().map(|it| &it.path).filter(|path| !moved.contains(path.as_str()));
        let removed: Vec<Change> = removed.map(|path| Change::Removed(path.clone())).collect();
        plan.changes.extend(removed);
        plan.changes.extend(plan.links.iter().map(|it| appeared(&it.path, it.over.as_ref())));
        let touched =
            plan.contents.iter().map(|it| &it.path).chain(plan.times.iter().map(|(path, _)| path));
        let mut modified: Vec<&String> = touched.collect();
        modified.sort();
        modified.dedup();
        // What was removed had its path before the commit, which something else may have after it.
        let there = plan.changes.iter().filter(|it| !matches!(it, Change::Removed(_)));
        let told: HashSet<&str> = there.map(Change::path).collect();
        let modified = modified.into_iter().filter(|path| !told.contains(path.as_str()));
        let modified: Vec<Change> = modified.map(|path| Change::Modified(path.clone())).collect();
        plan.changes.extend(modified);
        let rank = |change: &Change| match change {
            Change::Removed(_) => 0,
            Change::Renamed { .. } => 1,
            Change::Created(_) | Change::Modified(_) => 2,
        };
        plan.changes.sort_by(|one, two| (rank(one), one.path()).cmp(&(rank(two), two.path())));
    }
}

/// A file at a path where there was none, or another one.
fn appeared(path: &str, over: Option<&String>) -> Change {
    match over {
        Some(_) => Change::Modified(path.to_owned()),
        None => Change::Created(path.to_owned()),
    }
}

/// Where a name of a directory is before the commit, if the directory is there by then.
pub fn dir_before(tree: &Tree, dir: NodeId, name: &str) -> Option<String> {
    Some(tree.node(dir).lower.as_ref()?.place.child(name).path.to_string())
}

pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}
