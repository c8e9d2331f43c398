//! The files of a host, and of one batch: what views stand on, and the one place where they are committed.
//!
//! A commit is valid if nothing that its call read was written by a later commit of ours, and, where it writes,
//! nothing that it read has been changed from outside. Both are asked under the lock that the commit holds.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::batch::Change;

use super::bounds::Bounds;
use super::commit::{self, Changed, Failed};
use super::disk::{Kind, Stat};
use super::journal::stat_beneath;
use super::layer;
use super::ledger::{Ledger, Writes};
use super::lock::{RootLock, in_words};
use super::place::{Facets, Key, Place};
use super::plan::plans;
use super::prepare::{Leave, prepare};
use super::reads::{Observed, Reads};
use super::recover;
use super::roots::{FilesError, Roots};
use super::scope::Scope;
use super::stage::{Durability, Shelves, Stage, Stages};
use super::tree::{Lower, Tree, locked};
use super::view::{Staged, View};

/// The files of a host. Cheap to share.
pub struct Files {
    roots: Arc<Roots>,
    ledger: Arc<Ledger>,
    shelves: Arc<Shelves>,
    durability: Durability,
    /// Held by whoever commits in this host.
    turn: Mutex<()>,
}

/// What becomes of the commits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Each is made real at its turn.
    #[default]
    Commit,
    /// All are made real in one step, when every call was ok; or none.
    Atomic,
    /// None is: what would change is told.
    DryRun,
}

/// The files of one batch.
pub struct Work {
    files: Arc<Files>,
    ledger: Arc<Ledger>,
    stages: Arc<Stages>,
    layer: Option<Arc<Mutex<Tree>>>,
    layer_turn: Mutex<()>,
    /// Counts the commits that may have changed where paths lead.
    namespace: AtomicU64,
    effect: Effect,
}

impl Files {
    /// Opens the roots, and takes back what a killed host has left half done there.
    ///
    /// # Errors
    /// A root cannot be opened or put in order.
    pub fn open(paths: &[PathBuf], durability: Durability) -> Result<Arc<Files>, FilesError> {
        let roots = Arc::new(Roots::open(paths)?);
        for index in 0..roots.len() {
            let root = roots.get(index);
            recover::recover(root.fd.as_fd()).map_err(|refused| root.not_recovered(&refused))?;
        }
        let ledger: Arc<Ledger> = Arc::default();
        let shelves = Arc::new(Shelves::new(roots.clone(), ledger.clone()));
        Ok(Arc::new(Files { roots, ledger, shelves, durability, turn: Mutex::new(()) }))
    }

    pub fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    /// Whether these paths lead to its roots, in their order.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn are_of(&self, paths: &[PathBuf]) -> Result<bool, FilesError> {
        Ok(self.roots.are_those(&Roots::open(paths)?))
    }

    /// Begins a batch.
    pub fn work(self: &Arc<Files>, effect: Effect) -> Work {
        let durability =
            if effect == Effect::DryRun { Durability::Nothing } else { self.durability };
        let stages = Arc::new(Stages::new(self.shelves.clone(), durability));
        let (layer, ledger) = match effect {
            Effect::Commit => (None, self.ledger.clone()),
            Effect::Atomic | Effect::DryRun => {
                let (roots, ledger) = (self.roots.clone(), self.ledger.clone());
                let tree =
                    Tree::new(roots, stages.clone(), ledger, Lower::Disk, None, Bounds::NONE);
                (Some(Arc::new(Mutex::new(tree))), Arc::default())
            }
        };
        Work {
            files: self.clone(),
            ledger,
            stages,
            layer,
            layer_turn: Mutex::default(),
            namespace: AtomicU64::new(0),
            effect,
        }
    }
}

impl Work {
    /// What becomes of its commits.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The view of one run.
    pub fn view(&self, scope: Arc<Scope>, bounds: Bounds) -> Arc<View> {
        let lower = self.layer.clone().map_or(Lower::Disk, Lower::Layer);
        let (roots, stages) = (self.files.roots.clone(), self.stages.clone());
        let tree = Tree::new(roots, stages, self.ledger.clone(), lower, Some(scope), bounds);
        View::new(tree, self.ledger.clone())
    }

    /// Whether a commit would find what was read as it was.
    ///
    /// # Errors
    /// It would not.
    pub fn check(&self, view: &View, staged: &Staged) -> Result<(), Failed> {
        let _turn = self.turn();
        match staged {
            Staged::Disk(prepared, _) => {
                view.with_reads(|reads| self.holds(reads, Some(prepared.root))).map(drop)
            }
            Staged::Nothing | Staged::Layer(_) => {
                match view.with_reads(|reads| self.ledger.overwritten(reads)) {
                    None => Ok(()),
                    Some(key) => Err(overwritten(&key)),
                }
            }
        }
    }

    /// Whether all that a run has read so far is still as it was.
    ///
    /// # Errors
    /// It is not.
    pub fn still_holds(&self, view: &View) -> Result<(), Failed> {
        let _turn = self.turn();
        view.with_reads(|reads| match self.layer {
            Some(_) => self.ledger.overwritten(reads).map_or(Ok(()), |key| Err(overwritten(&key))),
            None => self.holds(reads, None).map(drop),
        })
    }

    /// Commits what a run has staged, if what it read still holds. Gives what was changed.
    ///
    /// # Errors
    /// It has to run again, or the files cannot be changed. Nothing was.
    pub fn commit(&self, view: &View, staged: Staged) -> Result<Vec<Change>, Failed> {
        match staged {
            // Nothing is lost if something changed from outside meanwhile: it ran just before.
            Staged::Nothing => {
                // Half of a commit may have been read that is not in the ledger yet: it is when this is free.
                let _turn = self.turn();
                match view.with_reads(|reads| self.ledger.overwritten(reads)) {
                    None => Ok(vec![]),
                    Some(key) => Err(overwritten(&key)),
                }
            }
            Staged::Layer(plan) => {
                let _turn = self.turn();
                let mut tree = view.tree();
                if let Some(key) = self.ledger.overwritten(&tree.reads) {
                    return Err(overwritten(&key));
                }
                let Some(layer) = &self.layer else {
                    return Err(Failed::Broken("there is no layer".into()));
                };
                layer::apply(&mut locked(layer), &mut tree, &plan).map_err(broken)?;
                self.redirected(&plan.writes);
                self.ledger.publish(plan.writes);
                Ok(plan.changes)
            }
            Staged::Disk(prepared, writes) => {
                let stage = self.stages.stage(prepared.root).map_err(broken)?;
                // Another host may keep this waiting, which need not hold up those who only read.
                let lock = self.lock(prepared.root, &stage).map_err(broken)?;
                let _turn = self.turn();
                let expected = view.with_reads(|reads| self.holds(reads, Some(prepared.root)))?;
                let changes = prepared.changes.clone();
                let (roots, stages) = (&self.files.roots, &self.stages);
                let committed =
                    commit::commit(roots, stages, &self.ledger, &lock, expected, *prepared);
                // What was rolled back may have been read, too.
                let (more, ended) = outcome(committed, changes);
                self.redirected(&writes);
                self.ledger.publish(writes.into_iter().chain(more).collect());
                ended
            }
        }
    }

    /// Makes real what the layer of an atomic batch has gathered.
    ///
    /// # Errors
    /// The batch has to run again, or the files cannot be changed. Nothing was.
    pub fn flush(&self) -> Result<Vec<Change>, Failed> {
        let Some(layer) = &self.layer else { return Ok(vec![]) };
        let mut layer = locked(layer);
        let mut plans = plans(&layer).map_err(broken)?;
        let plan = match (plans.len(), plans.pop()) {
            (_, None) => {
                let _turn = self.files.turn.lock().unwrap_or_else(PoisonError::into_inner);
                return match self.files.ledger.overwritten(&layer.reads) {
                    None => Ok(vec![]),
                    Some(key) => Err(overwritten(&key)),
                };
            }
            (1, Some(plan)) => plan,
            _ => return Err(Failed::Broken("two roots cannot be changed in one step".into())),
        };
        let writes = plan.writes.clone();
        let prepared = prepare(&mut layer, plan, Leave::Nothing).map_err(broken)?;
        let stage = self.stages.stage(prepared.root).map_err(broken)?;
        let lock = self.lock(prepared.root, &stage).map_err(broken)?;
        let _turn = self.files.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = &self.files.ledger;
        if let Some(key) = ledger.overwritten(&layer.reads) {
            return Err(overwritten(&key));
        }
        let expected = self.outside(&layer.reads, Some(prepared.root))?;
        let changes = prepared.changes.clone();
        let (roots, stages) = (&self.files.roots, &self.stages);
        let committed = commit::commit(roots, stages, ledger, &lock, expected, prepared);
        let (more, ended) = outcome(committed, changes);
        ledger.publish(writes.into_iter().chain(more).collect());
        ended
    }

    /// Changes whenever a commit of this batch may have changed where paths lead.
    pub fn namespace(&self) -> u64 {
        self.namespace.load(Ordering::Relaxed)
    }

    /// Held by whoever commits to what the views of this batch stand on.
    fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = if self.layer.is_some() { &self.layer_turn } else { &self.files.turn };
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redirected(&self, writes: &[(Key, Facets)]) {
        if writes.iter().any(|(_, facets)| facets.intersects(Facets::KIND)) {
            self.namespace.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there is no symlink on the way to a place, nor at it, as far as is committed.
    pub fn is_plain(&self, place: &Place) -> bool {
        let ends = place.path.match_indices('/').map(|(at, _)| at).chain([place.path.len()]);
        let kind = |path: &str| match &self.layer {
            Some(layer) => {
                let mut layer = locked(layer);
                layer::at(&mut layer, place.root, path).ok().map(|id| layer.node(id).kind)
            }
            None => {
                let root = self.files.roots.get(place.root);
                stat_beneath(root.fd.as_fd(), path).ok().flatten().map(|stat| stat.kind)
            }
        };
        for end in ends {
            match kind(&place.path[..end]) {
                Some(Kind::Symlink) => return false,
                Some(_) => {}
                None => break,
            }
        }
        true
    }

    /// The layer, to tell what would change.
    pub fn layer(&self) -> Option<&Arc<Mutex<Tree>>> {
        self.layer.as_ref()
    }

    pub fn roots(&self) -> &Arc<Roots> {
        &self.files.roots
    }

    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Takes the lock of a root. What a host that was killed meanwhile has left half done is taken back first.
    fn lock<'s>(&self, root: usize, stage: &'s Stage) -> Result<RootLock<'s>, Errno> {
        let lock = stage.shelf.lock.lock()?;
        if !lock.is_settled()? {
            let (root, folder) = (self.files.roots.get(root).fd.as_fd(), &stage.shelf.folder);
            if recover::any_unfinished(folder.as_fd())? {
                recover::recover_locked(root, folder.as_fd(), &lock).map_err(|(path, error)| {
                    tracing::warn!(path, %error, "a commit that was cut off cannot be taken back");
                    error
                })?;
            }
            lock.claim()?;
        }
        Ok(lock)
    }

    fn holds(&self, reads: &Reads, root: Option<usize>) -> Result<HashMap<String, Stat>, Failed> {
        match self.ledger.overwritten(reads) {
            Some(key) => Err(overwritten(&key)),
            None => self.outside(reads, root),
        }
    }

    /// Whether what was read is on the disk as it was, but for our own commits. Gives how the files of a root are now.
    fn outside(
        &self,
        reads: &Reads,
        in_root: Option<usize>,
    ) -> Result<HashMap<String, Stat>, Failed> {
        let changed = |what: String| Failed::Stale { what, by: Changed::ByOthers };
        if reads.torn() {
            return Err(changed("a file changed while it was read".to_owned()));
        }
        let mut files = HashMap::new();
        let ledger = &self.files.ledger;
        for (place, observed) in reads.observed() {
            let root = self.files.roots.get(place.root);
            let found = stat_beneath(root.fd.as_fd(), &place.path)
                .map_err(|error| changed(format!("{place}: {error}")))?;
            let same = match (observed, &found) {
                (Observed::Absent, None) => true,
                (Observed::Kind(kind, id), Some(found)) => {
                    *kind == found.kind && (*kind != Kind::Dir || *id == found.id())
                }
                (Observed::Stat(then), Some(found)) => {
                    then.same(found) || ledger.explains(place, then, found)
                }
                _ => false,
            };
            if !same {
                return Err(changed(place.to_string()));
            }
            if let Some(found) = found.filter(|found| found.kind == Kind::File)
                && Some(place.root) == in_root
            {
                files.insert(place.path.to_string(), found);
            }
        }
        Ok(files)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        for (_, stage) in self.stages.made() {
            stage.leave(self.stages.durable());
        }
    }
}

/// What a commit wrote besides what was planned, and how it ended.
fn outcome(
    committed: Result<Writes, Failed>,
    changes: Vec<Change>,
) -> (Writes, Result<Vec<Change>, Failed>) {
    match committed {
        Ok(more) => (more, Ok(changes)),
        Err(failed) => (vec![], Err(failed)),
    }
}

/// By a later commit of this host.
fn overwritten(key: &Key) -> Failed {
    Failed::Stale { what: format!("{key:?}"), by: Changed::ByUs }
}

fn broken(error: Errno) -> Failed {
    Failed::Broken(in_words(error))
}

/// The place that a path given to a tool names, if that can be told from its text, and lies in a root.
pub fn named(roots: &Roots, path: &str) -> Option<Place> {
    let (root, path) = if path.starts_with('/') { roots.containing(path)? } else { (0, path) };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // What it means depends on symlinks.
            ".." => return None,
            part => parts.push(part),
        }
    }
    (root < roots.len()).then(|| Place::new(root, &parts.join("/")))
}
