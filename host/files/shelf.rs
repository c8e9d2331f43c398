//! `.inorder/` in a root: where what is to be committed waits, and what was replaced is kept.
//!
//! ```text
//! .inorder/.gitignore   `*`
//! .inorder/lock         held by whoever commits, over all hosts
//! .inorder/log          what the last batches did, a line each
//! .inorder/batches/N/   a folder for each batch that is running, and for the last one that ended:
//!     alive             locked for as long as its batch runs
//!     journal           what its commits do and did
//!     0, 1, ..          slots: staged files before their commit, replaced ones after it
//! ```
//!
//! Made when a call first stages something large, or a batch first commits. No guest can see it. A host keeps its
//! folders open: the one of its last batch, and the one before that, emptied, which the next batch takes. To make one for
//! each batch would cost more than a commit.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::disk::{self, Made, Result, Stat, Time};
use super::journal::{self, Record};
use super::lock::LockFile;
use super::recover;

pub const INORDER: &str = ".inorder";
pub const BATCHES: &str = "batches";
pub const ALIVE: &str = "alive";
pub const JOURNAL: &str = "journal";

/// `.inorder` of a root, and what a host keeps open in it.
pub struct Shelf {
    pub folder: OwnedFd,
    pub batches: OwnedFd,
    pub lock: LockFile,
    ino: u64,
    folders: Mutex<Folders>,
}

#[derive(Default)]
struct Folders {
    /// Of the last batch of this host that committed: what an undo needs.
    kept: Option<Arc<Folder>>,
    /// An empty one.
    spare: Option<Arc<Folder>>,
    /// When an entry of `batches` last came or went, as of when all were looked at.
    seen: Option<Time>,
}

/// A batch's folder.
pub struct Folder {
    pub dir: OwnedFd,
    pub journal: OwnedFd,
    pub name: String,
    pub made: Made,
    alive: OwnedFd,
    /// The number of the next slot, and that of the first one that may be there.
    slots: AtomicU64,
    first: AtomicU64,
}

impl Shelf {
    /// Opens `.inorder`, or makes it, with what keeps it out of version control; says whether it is new.
    pub fn open(root: BorrowedFd<'_>) -> Result<(Shelf, bool)> {
        let new = match rustix::fs::mkdirat(root, INORDER, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        let folder = disk::open_beneath(root, INORDER, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, ".gitignore", flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => disk::write_at(file.as_fd(), b"*\n", 0)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let lock = LockFile::open(folder.as_fd())?;
        let batches = make_dir(folder.as_fd(), BATCHES)?;
        let ino = disk::stat_fd(folder.as_fd())?.ino;
        Ok((Shelf { folder, batches, lock, ino, folders: Mutex::default() }, new))
    }

    /// Whether it is still what the root has.
    pub fn is_in(&self, root: BorrowedFd<'_>) -> bool {
        disk::stat(root, INORDER).is_ok_and(|stat| stat.ino == self.ino)
    }

    /// A folder for a batch, and its number; it is waited for as long as `go_on` says.
    pub fn take(&self, go_on: &dyn Fn() -> Result<()>) -> Result<(Arc<Folder>, String)> {
        let lock = self.lock.lock_while(go_on)?;
        let mut number = lock.next_number()?;
        let spare = self.folders().spare.take();
        if let Some(folder) = spare.filter(|it| self.has(it) && it.begin_life()) {
            return Ok((folder, name_of(number)));
        }
        loop {
            match Folder::make(self.batches.as_fd(), name_of(number)) {
                // Its file was removed by hand.
                Err(Errno::EXIST) => number = lock.next_number()?,
                made => return Ok((Arc::new(made?), name_of(number))),
            }
        }
    }

    /// Its batch has ended, and something was committed from it: it is kept in the place of those of earlier batches,
    /// which are of no use any more.
    pub fn keep(&self, folder: &Arc<Folder>, durable: bool) -> Result<()> {
        let lock = self.lock.lock()?;
        let mut folders = self.folders();
        if let Some(old) = folders.kept.take().filter(|it| self.has(it)) {
            match old.empty(durable) {
                Ok(()) if folders.spare.is_none() => folders.spare = Some(old),
                _ => recover::remove_batch(self.folder.as_fd(), &old.name),
            }
        }
        if folders.seen != Some(self.changed()?.modified) {
            let spare = folders.spare.as_ref().map(|it| it.name.as_str());
            recover::forget_others(self.folder.as_fd(), &lock, &[Some(&*folder.name), spare]);
            folders.seen = Some(self.changed()?.modified);
        }
        folder.end_life();
        folders.kept = Some(folder.clone());
        Ok(())
    }

    fn changed(&self) -> Result<Stat> {
        disk::stat_fd(self.batches.as_fd())
    }

    /// Another host may have removed it.
    fn has(&self, folder: &Folder) -> bool {
        disk::stat(self.batches.as_fd(), &folder.name).is_ok_and(|stat| stat.ino == folder.made.0)
    }

    fn folders(&self) -> std::sync::MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(spare) = self.folders().spare.take().filter(|it| self.has(it)) {
            recover::remove_batch(self.folder.as_fd(), &spare.name);
        }
    }
}

impl Folder {
    fn make(batches: BorrowedFd<'_>, name: String) -> Result<Folder> {
        rustix::fs::mkdirat(batches, &*name, Mode::from_raw_mode(0o700))?;
        let dir = disk::open_beneath(batches, &name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let file = |name: &str, flags: OFlags| {
            let flags = flags | OFlags::CREATE | OFlags::CLOEXEC;
            rustix::fs::openat(&dir, name, flags, Mode::from_raw_mode(0o600))
        };
        let alive = file(ALIVE, OFlags::RDWR)?;
        rustix::fs::flock(&alive, FlockOperation::NonBlockingLockExclusive)?;
        let journal = file(JOURNAL, OFlags::WRONLY | OFlags::APPEND)?;
        let made = disk::made(dir.as_fd())?;
        let (slots, first) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Folder { dir, journal, name, made, alive, slots, first })
    }

    /// A name that nothing in the folder has, or ever had.
    pub fn slot(&self) -> String {
        self.slots.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn begin_life(&self) -> bool {
        rustix::fs::flock(&self.alive, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    fn end_life(&self) {
        // Closing the file does it too.
        let _ = rustix::fs::flock(&self.alive, FlockOperation::Unlock);
    }

    /// Makes it one that has never been used.
    fn empty(&self, durable: bool) -> Result<()> {
        // Slots are removed by name: to list them takes longer. Beyond this, a journal is begun anew.
        const LONG: u64 = 64 << 10;
        // The journal first: nothing of a half-emptied folder may be taken for a commit.
        if disk::stat_fd(self.journal.as_fd())?.size > LONG {
            rustix::fs::ftruncate(&self.journal, 0)?;
        } else {
            journal::append(self.journal.as_fd(), &Record::Emptied)?;
        }
        if durable {
            rustix::fs::fdatasync(&self.journal)?;
        }
        let next = self.slots.load(Ordering::Relaxed);
        for slot in self.first.load(Ordering::Relaxed)..next {
            let (dir, slot) = (self.dir.as_fd(), slot.to_string());
            match recover::remove(dir, &slot, false) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => recover::remove(dir, &slot, true)?,
                Err(error) => return Err(error),
            }
        }
        self.first.store(next, Ordering::Relaxed);
        Ok(())
    }

    pub fn remove_slot(&self, slot: &str) {
        // What cannot be removed goes with the folder.
        let _ = rustix::fs::unlinkat(&self.dir, slot, AtFlags::empty());
    }
}

/// `.inorder` of a root, if it is there.
pub fn open_folder(root: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    match disk::open_beneath(root, INORDER, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_dir(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    disk::open_beneath(parent, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

fn name_of(number: u64) -> String {
    format!("{number:08}")
}
