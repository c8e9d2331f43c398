//! The files as one run of a call sees them, and what is left of it when the run has ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use crate::batch::Change;
use crate::ceiling::Part;

use super::bounds::Crowded;
use super::diff::Told;
use super::ledger::{Ledger, Writes};
use super::place::{Facets, Key, Place};
use super::plan::{Plan, plans};
use super::prepare::{Leave, Prepared, prepare};
use super::reads::Reads;
use super::roots::Roots;
use super::scope::{Declared, Denial};
use super::touched::{Touched, touched};
use super::tree::{Lower, Tree, Watch, locked};

/// Is shown which paths a run touches, and says whether somebody will want to know how they change.
pub type Look<'a> = &'a mut dyn FnMut(&[Touched]) -> bool;

/// One run's view. Shared with the streams that its guest opens.
pub struct View {
    tree: Mutex<Tree>,
    ledger: Arc<Ledger>,
    began: u64,
    /// The last commit that was looked at by [`View::overtaken`].
    checked: AtomicU64,
}

/// What a run has staged.
pub enum Staged {
    Nothing,
    /// Waits in slots of the disk.
    Disk(Box<Prepared>, Writes),
    /// Waits in the view's own tree, for a layer.
    Layer(Box<Plan>),
}

/// Why what was staged cannot be committed, whenever its turn comes.
#[derive(Debug)]
pub enum Unfit {
    /// Two roots cannot change in one step.
    TwoRoots,
    Refused(Errno),
}

impl View {
    pub(super) fn new(tree: Tree, ledger: Arc<Ledger>) -> Arc<View> {
        let began = ledger.enter();
        Arc::new(View { tree: Mutex::new(tree), ledger, began, checked: AtomicU64::new(began) })
    }

    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        locked(&self.tree)
    }

    /// The directories that the guest is handed: each root of which it may reach anything, under its own absolute path,
    /// and as `.` if it is the first. In this order, since Go takes the name of the first for its working directory, and
    /// finds nothing relative to one that is not absolute.
    pub fn preopens(&self) -> Vec<(usize, String)> {
        let mut tree = self.tree();
        let reached = |root: &usize| tree.scope.as_ref().is_none_or(|scope| scope.reaches(*root));
        let named = |root: usize| {
            let dot = (root == 0).then(|| (root, ".".to_owned()));
            [(root, tree.roots.get(root).path.clone())].into_iter().chain(dot)
        };
        let directories: Vec<_> = (0..tree.roots.len()).filter(reached).flat_map(named).collect();
        tree.bare = directories.is_empty() && tree.roots.len() > 0;
        directories
    }

    /// Names the paths that the call has declared to touch, and with them those that they lead to.
    pub fn declare(&self, mut declared: Declared) {
        let mut tree = self.tree();
        let scope = tree.scope.take();
        for places in [&mut declared.reads, &mut declared.writes] {
            let found = places.iter().filter_map(|place| {
                let top = tree.root(place.root);
                let at = tree.resolve(top, &place.path, super::resolve::Last::Follow).ok()?;
                let (root, path) = tree.path(at.dir, &at.name).ok()?;
                Some(Place::new(root, &path))
            });
            let found: Vec<Place> = found.collect();
            places.extend(found);
        }
        tree.scope = scope;
        tree.declared = Some(declared);
    }

    /// Whether something that was read has been overwritten by a commit since.
    pub fn overtaken(&self) -> bool {
        let now = self.ledger.now();
        let checked = self.checked.load(Ordering::Relaxed);
        if now == checked {
            return false;
        }
        let stale = self.ledger.overwritten_since(checked, &self.tree().reads);
        if !stale {
            self.checked.store(now, Ordering::Relaxed);
        }
        stale
    }

    /// Whether nothing was looked at, nor refused.
    pub fn is_unused(&self) -> bool {
        let tree = self.tree();
        tree.reads.is_empty() && tree.denials.is_empty()
    }

    /// [`View::stage_to_tell`], where nobody looks.
    #[cfg(test)]
    pub fn stage(&self) -> Result<Staged, Unfit> {
        self.stage_to_tell(None)
    }

    /// Gets what the run has staged ready for its commit; `look` is shown which paths are touched, if any are, and says whether somebody will want to know
    /// what [`View::tell`] tells.
    pub fn stage_to_tell(&self, look: Option<Look<'_>>) -> Result<Staged, Unfit> {
        let mut tree = self.tree();
        let mut plans = plans(&tree).map_err(Unfit::Refused)?;
        match (plans.len(), plans.pop()) {
            (0 | 1, None) => Ok(Staged::Nothing),
            (1, Some(plan)) => {
                let wanted = look.is_some_and(|look| look(&touched(&mut tree, &plan)));
                let leave = if wanted { Leave::Contents } else { Leave::Nothing };
                if let Lower::Layer(_) = tree.lower {
                    return Ok(Staged::Layer(Box::new(plan)));
                }
                let writes = plan.writes.clone();
                let prepared = prepare(&mut tree, plan, leave).map_err(Unfit::Refused)?;
                Ok(Staged::Disk(Box::new(prepared), writes))
            }
            _ => Err(Unfit::TwoRoots),
        }
    }

    /// Whether something is staged here that another view has read.
    pub fn has_staged_what(&self, other: &View) -> bool {
        let plans = plans(&self.tree()).unwrap_or_default();
        other.with_reads(|reads| {
            plans.iter().flat_map(|plan| &plan.writes).any(|(key, facets)| {
                reads.at(key).is_some_and(|seen| Reads::facets(seen).intersects(*facets))
            })
        })
    }

    /// What a commit of what was staged by [`View::stage_to_tell`] would change, against the files as they are now. May take
    /// seconds.
    pub fn tell(&self, staged: &Staged) -> Told {
        match staged {
            Staged::Nothing => Told::default(),
            Staged::Disk(prepared, _) => {
                Told::of(&self.tree, [(prepared.root, &*prepared.changes)])
            }
            Staged::Layer(plan) => Told::of(&self.tree, [(plan.root, &*plan.changes)]),
        }
    }

    /// Lets what was told count as read by the call: if it has changed by the time of the commit, there is none.
    pub fn rely_on(&self, told: Told) {
        self.tree().reads.add(told.reads);
    }

    pub fn denials(&self) -> Vec<Denial> {
        self.tree().denials.clone()
    }

    /// Whether a write was refused since too much was staged.
    pub fn full(&self) -> bool {
        self.tree().full
    }

    /// Why a look was refused, if too much is kept of earlier ones.
    pub fn crowded(&self) -> Option<Crowded> {
        self.tree().crowded
    }

    /// What is kept for it counts with what all calls hold.
    pub fn count_in(&self, part: Part) {
        self.tree().part = Some(part);
    }

    /// The most that the host held for it, in bytes: names that were looked at, and what is staged.
    pub fn held(&self) -> u64 {
        let tree = self.tree();
        tree.peak.saturating_add(tree.staged)
    }

    /// A path that was not written, since it is on another file system than its root.
    pub fn crossed(&self) -> Option<String> {
        self.tree().crossed.clone()
    }

    /// Whether the guest looked for files, and was granted none at all: it cannot even be refused one.
    pub fn bare(&self) -> bool {
        self.tree().bare
    }

    /// Has what takes long ask whether the call is to end; until what is given is dropped.
    pub fn watch(self: &Arc<View>, watch: Watch) -> Watching {
        self.tree().watch = Some(watch);
        Watching(self.clone())
    }

    /// Bytes of files that were read, and written.
    pub fn bytes(&self) -> (u64, u64) {
        self.tree().bytes
    }

    /// The paths of which more was read than whether they are there.
    pub fn looked_into(&self) -> Vec<Place> {
        let inside = Facets::DATA | Facets::ATTR | Facets::LIST;
        self.with_reads(|reads| {
            let paths = reads.seen().filter_map(|(key, seen)| match key {
                Key::Path(place) if Reads::facets(seen).intersects(inside) => Some(place.clone()),
                _ => None,
            });
            paths.collect()
        })
    }

    /// Looks at the read set.
    pub fn with_reads<T>(&self, look: impl FnOnce(&Reads) -> T) -> T {
        look(&self.tree().reads)
    }
}

/// A watch on a view.
#[must_use]
pub struct Watching(Arc<View>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.tree().watch = None;
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.ledger.leave(self.began);
    }
}

/// Of what is written, at a few microseconds each.
const MUCH: usize = 1000;

impl Staged {
    /// The changes of a commit that waits for the disk, as policy and messages write paths.
    pub fn changes(&self, roots: &Roots) -> Vec<Change> {
        let Staged::Disk(prepared, _) = self else { return vec![] };
        let shown = |path: &String| roots.display(prepared.root, path);
        let change = |change: &Change| match change {
            Change::Created(path) => Change::Created(shown(path)),
            Change::Modified(path) => Change::Modified(shown(path)),
            Change::Removed(path) => Change::Removed(shown(path)),
            Change::Renamed { from, to } => Change::Renamed { from: shown(from), to: shown(to) },
        };
        prepared.changes.iter().map(change).collect()
    }

    /// Whether to commit it takes long enough for others to notice: a hundredth of a second, or more.
    pub fn is_much(&self) -> bool {
        self.writes().len() > MUCH
    }

    pub fn writes(&self) -> &[(super::place::Key, super::place::Facets)] {
        match self {
            Staged::Nothing => &[],
            Staged::Disk(_, writes) => writes,
            Staged::Layer(plan) => &plan.writes,
        }
    }
}
