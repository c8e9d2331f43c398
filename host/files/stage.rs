//! The stages of a batch: in each root that it writes to, a folder with its staged files and its journal.
//!
//! Where the folder comes from, and what becomes of it, is `shelf`'s to say.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::aside::lock_aside_while;

use super::disk::{self, Result};
use super::ledger::Ledger;
use super::place::Place;
use super::recover;
use super::roots::Roots;
use super::shelf::{Folder, Shelf};

/// What a host has open of `.inorder`, by root.
pub struct Shelves {
    roots: Arc<Roots>,
    ledger: Arc<Ledger>,
    open: Mutex<Vec<Option<Arc<Shelf>>>>,
}

/// The stages of one batch, by root.
pub struct Stages {
    shelves: Arc<Shelves>,
    durability: Durability,
    open: Mutex<Vec<Option<Arc<Stage>>>>,
}

/// What is to outlive what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing outlives the batch: what is staged lies in nameless files elsewhere.
    Nothing,
    /// A commit outlives a kill of the host.
    #[default]
    Kill,
    /// A commit outlives a loss of power: it waits for the disk.
    PowerLoss,
}

/// One batch's folder in one root.
pub struct Stage {
    pub shelf: Arc<Shelf>,
    pub folder: Arc<Folder>,
    /// The batch's number in this root.
    pub number: String,
    begun: AtomicU64,
    done: AtomicBool,
    stuck: AtomicBool,
}

/// A file in a slot of a stage, and how much of it counts.
#[derive(Clone, Debug)]
pub struct Spill {
    file: Arc<SpillFile>,
    pub len: u64,
}

struct SpillFile {
    /// Closed where a call has got many ready: opened again by its slot.
    file: Mutex<Option<OwnedFd>>,
    /// Where it lies; nowhere, in a dry run.
    slot: Option<(String, Arc<Stage>)>,
    /// It has left its slot, or is kept there.
    taken: AtomicBool,
}

impl Shelves {
    pub fn new(roots: Arc<Roots>, ledger: Arc<Ledger>) -> Shelves {
        let open = Mutex::new((0..roots.len()).map(|_| None).collect());
        Shelves { roots, ledger, open }
    }

    fn get(&self, root: usize) -> Result<Arc<Shelf>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.roots.get(root);
        if let Some(shelf) = open[root].as_ref().filter(|shelf| shelf.is_in(at.fd.as_fd())) {
            return Ok(shelf.clone());
        }
        let before = disk::stat_fd(at.fd.as_fd())?;
        let (shelf, new) = Shelf::open(at.fd.as_fd())?;
        if new {
            // The root has a new entry, which is our own doing.
            self.ledger.follows(&Place::new(root, ""), &before, disk::stat_fd(at.fd.as_fd())?);
        }
        let shelf = Arc::new(shelf);
        open[root] = Some(shelf.clone());
        Ok(shelf)
    }
}

impl Stages {
    pub fn new(shelves: Arc<Shelves>, durability: Durability) -> Stages {
        let open = Mutex::new((0..shelves.roots.len()).map(|_| None).collect());
        Stages { shelves, durability, open }
    }

    pub fn durable(&self) -> bool {
        self.durability == Durability::PowerLoss
    }

    /// The stage of a root, made if need be.
    pub fn stage(&self, root: usize) -> Result<Arc<Stage>> {
        self.stage_while(root, &|| Ok(()))
    }

    /// [`Stages::stage`], for as long as `go_on` says.
    fn stage_while(&self, root: usize, go_on: &dyn Fn() -> Result<()>) -> Result<Arc<Stage>> {
        // The first one waits for the lock of the root.
        let mut open = lock_aside_while(&self.open, go_on)?;
        if let Some(stage) = &open[root] {
            return Ok(stage.clone());
        }
        let shelf = self.shelves.get(root)?;
        let (folder, number) = shelf.take(go_on)?;
        if self.durable() {
            let at = self.shelves.roots.get(root);
            let top = disk::open_beneath(at.fd.as_fd(), "", OFlags::RDONLY | OFlags::DIRECTORY)?;
            for dir in [&folder.dir, &shelf.batches, &shelf.folder, &top] {
                rustix::fs::fsync(dir)?;
            }
        }
        let (begun, done, stuck) =
            (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
        let stage = Arc::new(Stage { shelf, folder, number, begun, done, stuck });
        open[root] = Some(stage.clone());
        Ok(stage)
    }

    /// An empty file in a slot of its own; it is waited for as long as `go_on` says.
    pub fn spill(&self, root: usize, go_on: &dyn Fn() -> Result<()>) -> Result<Spill> {
        let taken = AtomicBool::new(false);
        if self.durability == Durability::Nothing {
            let file = tempfile::tempfile().map_err(|error| {
                error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
            })?;
            return Ok(Spill {
                file: Arc::new(SpillFile {
                    file: Mutex::new(Some(file.into())),
                    slot: None,
                    taken,
                }),
                len: 0,
            });
        }
        let stage = self.stage_while(root, go_on)?;
        let slot = stage.folder.slot();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = disk::retry(|| {
            rustix::fs::openat(&stage.folder.dir, &*slot, flags, Mode::from_raw_mode(0o666))
        })?;
        let (file, slot) = (Mutex::new(Some(fd)), Some((slot, stage)));
        Ok(Spill { file: Arc::new(SpillFile { file, slot, taken }), len: 0 })
    }

    /// The stages that were made, by root.
    pub fn made(&self) -> Vec<(usize, Arc<Stage>)> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().enumerate().filter_map(|(root, stage)| Some((root, stage.clone()?))).collect()
    }
}

impl Stage {
    /// The number of the next commit of this batch in this root, from 1.
    pub fn next_commit(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A commit is done.
    pub fn committed(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    pub fn has_committed(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Says that a commit is under way.
    pub fn unsettled(&self) -> Unsettled<'_> {
        Unsettled(Some(self))
    }

    /// The batch has ended: it lets go of what earlier ones have kept; or of its own folder, if nothing was
    /// committed from it.
    pub fn leave(&self, durable: bool) {
        if self.stuck.load(Ordering::Relaxed) {
            return;
        }
        if !self.has_committed() {
            recover::remove_batch(self.shelf.folder.as_fd(), &self.folder.name);
        } else if let Err(error) = self.shelf.keep(&self.folder, durable) {
            tracing::debug!(%error, "what earlier batches have kept stays for now");
        }
    }
}

/// A commit that is neither done nor taken back. If it is dropped as that, by a panic too, the folder and all slots in it
/// stay: they have what the next commit, or the next host, needs to take it back.
#[must_use]
pub struct Unsettled<'s>(Option<&'s Stage>);

impl Unsettled<'_> {
    pub fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(stage) = self.0 {
            stage.stuck.store(true, Ordering::Relaxed);
            stage.shelf.lock.unsettle();
        }
    }
}

impl Spill {
    /// Does something with the file.
    pub fn with<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
        let file = self.file.file.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*file, &self.file.slot) {
            (Some(file), _) => work(file.as_fd()),
            (None, Some((slot, stage))) => {
                let dir = stage.folder.dir.as_fd();
                work(disk::open_beneath(dir, slot, OFlags::RDWR)?.as_fd())
            }
            (None, None) => Err(Errno::BADF),
        }
    }

    /// Lets go of the handle: a process has few, and a call may stage many files.
    pub fn close(&self) {
        if self.file.slot.is_some() {
            *self.file.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub fn slot(&self) -> &str {
        self.file.slot.as_ref().map_or("", |(slot, _)| slot)
    }

    pub fn write(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        self.with(|file| disk::write_at(file, bytes, at))?;
        self.len = self.len.max(at + bytes.len() as u64);
        Ok(())
    }

    pub fn truncate(&mut self, len: u64) -> Result<()> {
        if len != self.len {
            self.with(|file| rustix::fs::ftruncate(file, len))?;
        }
        self.len = len;
        Ok(())
    }

    /// Begins it with the first `length` bytes of a file.
    pub fn copy(
        &mut self,
        from: BorrowedFd<'_>,
        length: u64,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        self.with(|file| disk::copy(from, file, length, go_on))?;
        self.len = self.len.max(length);
        Ok(())
    }

    /// Says that the slot is now the business of a commit.
    pub fn take(&self) {
        self.file.taken.store(true, Ordering::Relaxed);
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Some((slot, stage)) = &self.slot
            && !self.taken.load(Ordering::Relaxed)
            && !stage.stuck.load(Ordering::Relaxed)
        {
            stage.folder.remove_slot(slot);
        }
    }
}

impl std::fmt::Debug for SpillFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slot {:?}", self.slot.as_ref().map(|(slot, _)| slot))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::super::work::{Effect, Files};
    use super::*;

    #[test]
    fn a_commit_that_ends_in_a_panic_leaves_what_taking_it_back_needs() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(&[dir.path().to_owned()], Durability::Kill).unwrap();
        let slots = |panics: bool| {
            let work = files.work(Effect::Commit);
            let stage = work.stages().stage(0).unwrap();
            let spill = work.stages().spill(0, &|| Ok(())).unwrap();
            let settled = || {
                let lock = stage.shelf.lock.lock().unwrap();
                lock.is_settled().unwrap()
            };
            stage.shelf.lock.lock().unwrap().claim().unwrap();
            let slot = dir.path().join(".inorder/batches").join(&stage.number).join(spill.slot());
            assert!(slot.exists(), "{slot:?}");
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let unsettled = stage.unsettled();
                assert!(!panics, "in the midst of a commit");
                unsettled.settle();
            }));
            assert_eq!(caught.is_err(), panics);
            assert_eq!(settled(), !panics, "the next commit looks for this one");
            drop((spill, stage, work));
            slot.exists()
        };
        assert!(!slots(false));
        assert!(slots(true));
    }
}
