//! `.inorder/` in a root: where what is to be committed waits, and what was replaced is kept.
//!
//! ```text
//! .inorder/.gitignore   `*`
//! .inorder/lock         held by whoever commits, over all hosts
//! .inorder/log          what the last batches did, a line each
//! .inorder/batches/N/   one folder for each batch that is running, and for the last one that ended:
//!     alive             locked for as long as its host lives
//!     journal           what its commits do and did
//!     0, 1, ..          slots: staged files before their commit, replaced ones after it
//! .inorder/spare/       the folder of an earlier batch, emptied: the next one moves into it
//! ```
//!
//! Made when a call first stages something large, or a batch first commits. No guest can see it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::disk::{self, Result};
use super::ledger::Ledger;
use super::place::Place;
use super::recover;
use super::roots::Roots;

pub const INORDER: &str = ".inorder";
pub const BATCHES: &str = "batches";
pub const ALIVE: &str = "alive";
pub const JOURNAL: &str = "journal";
pub const SPARE: &str = "spare";

/// How long a commit waits for another host's.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stages of one batch, by root.
pub struct Stages {
    roots: Arc<Roots>,
    ledger: Arc<Ledger>,
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
    /// `.inorder` itself.
    pub folder: OwnedFd,
    pub dir: OwnedFd,
    pub name: String,
    pub journal: OwnedFd,
    _alive: OwnedFd,
    next: AtomicU64,
    begun: AtomicU64,
    done: AtomicBool,
}

/// A file in a slot of a stage, and how much of it counts.
#[derive(Clone, Debug)]
pub struct Spill {
    file: Arc<SpillFile>,
    pub len: u64,
}

struct SpillFile {
    fd: OwnedFd,
    /// Where it lies; nowhere, in a dry run.
    slot: Option<(String, Arc<Stage>)>,
    /// It has left its slot, or is kept there.
    taken: AtomicBool,
}

/// Holds the lock of a root.
///
/// Its file says whether a commit, or an undo, was begun and has no end: whoever finds that so, holding the lock, knows
/// that the host that began it is gone or gave up, and takes it back first.
pub struct RootLock(OwnedFd);

impl RootLock {
    pub fn is_begun(&self) -> Result<bool> {
        let mut mark = [0];
        Ok(disk::read_at(self.0.as_fd(), &mut mark, 0)? == 1 && mark[0] == b'1')
    }

    pub fn begin(&self) -> Result<()> {
        disk::write_at(self.0.as_fd(), b"1", 0)
    }

    pub fn end(&self) -> Result<()> {
        disk::write_at(self.0.as_fd(), b"0", 0)
    }
}

impl Stages {
    pub fn new(roots: Arc<Roots>, ledger: Arc<Ledger>, durability: Durability) -> Stages {
        let open = Mutex::new((0..roots.len()).map(|_| None).collect());
        Stages { roots, ledger, durability, open }
    }

    pub fn durable(&self) -> bool {
        self.durability == Durability::PowerLoss
    }

    /// The stage of a root, made if need be.
    pub fn stage(&self, root: usize) -> Result<Arc<Stage>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = &open[root] {
            return Ok(stage.clone());
        }
        let at = self.roots.get(root);
        let before = disk::stat_fd(at.fd.as_fd())?;
        let (folder, new) = make_folder(at.fd.as_fd())?;
        if new {
            // The root has a new entry, which is our own doing.
            self.ledger.follows(&Place::new(root, ""), &before, disk::stat_fd(at.fd.as_fd())?);
        }
        let stage = Arc::new(Stage::make(folder)?);
        if self.durable() {
            let batches = disk::open_beneath(
                stage.folder.as_fd(),
                BATCHES,
                OFlags::RDONLY | OFlags::DIRECTORY,
            )?;
            let top = disk::open_beneath(at.fd.as_fd(), "", OFlags::RDONLY | OFlags::DIRECTORY)?;
            for dir in [&stage.dir, &batches, &stage.folder, &top] {
                rustix::fs::fsync(dir)?;
            }
        }
        open[root] = Some(stage.clone());
        Ok(stage)
    }

    /// An empty file in a slot of its own.
    pub fn spill(&self, root: usize) -> Result<Spill> {
        let taken = AtomicBool::new(false);
        if self.durability == Durability::Nothing {
            let file = tempfile::tempfile().map_err(|error| {
                error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
            })?;
            return Ok(Spill {
                file: Arc::new(SpillFile { fd: file.into(), slot: None, taken }),
                len: 0,
            });
        }
        let stage = self.stage(root)?;
        let slot = stage.slot();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = disk::retry(|| {
            rustix::fs::openat(&stage.dir, &*slot, flags, Mode::from_raw_mode(0o666))
        })?;
        Ok(Spill { file: Arc::new(SpillFile { fd, slot: Some((slot, stage)), taken }), len: 0 })
    }

    /// The stages that were made, by root.
    pub fn made(&self) -> Vec<(usize, Arc<Stage>)> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().enumerate().filter_map(|(root, stage)| Some((root, stage.clone()?))).collect()
    }
}

impl Stage {
    fn make(folder: OwnedFd) -> Result<Stage> {
        let _lock = lock(folder.as_fd())?;
        let batches = make_dir(folder.as_fd(), BATCHES)?;
        let newest = disk::list(batches.as_fd())?
            .0
            .iter()
            .filter_map(|it| it.name.parse::<u64>().ok())
            .max();
        let name = format!("{:08}", newest.unwrap_or(0) + 1);
        // What there is to move into has neither slots nor a word in its journal.
        let moved =
            rustix::fs::renameat_with(&folder, SPARE, &batches, &*name, RenameFlags::NOREPLACE);
        let dir = match moved {
            Ok(()) => {
                disk::open_beneath(batches.as_fd(), &name, OFlags::RDONLY | OFlags::DIRECTORY)?
            }
            Err(_) => make_dir(batches.as_fd(), &name)?,
        };
        let file = |name: &str, flags: OFlags| {
            let flags = flags | OFlags::CREATE | OFlags::CLOEXEC;
            rustix::fs::openat(&dir, name, flags, Mode::from_raw_mode(0o600))
        };
        let alive = file(ALIVE, OFlags::RDWR)?;
        rustix::fs::flock(&alive, FlockOperation::NonBlockingLockExclusive)?;
        let journal = file(JOURNAL, OFlags::WRONLY | OFlags::APPEND)?;
        let (next, begun, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Ok(Stage { folder, dir, name, journal, _alive: alive, next, begun, done })
    }

    /// A name that nothing in the folder has.
    pub fn slot(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

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

    /// The batch has ended: it lets go of what earlier ones have kept; or of its own folder, if nothing was
    /// committed from it.
    pub fn leave(&self) {
        if !self.has_committed() {
            recover::remove_batch(self.folder.as_fd(), &self.name);
        } else if let Ok(_lock) = lock(self.folder.as_fd()) {
            recover::forget_others(self.folder.as_fd(), &self.name);
        }
    }
}

impl Spill {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.fd.as_fd()
    }

    pub fn slot(&self) -> &str {
        self.file.slot.as_ref().map_or("", |(slot, _)| slot)
    }

    pub fn write(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        disk::write_at(self.fd(), bytes, at)?;
        self.len = self.len.max(at + bytes.len() as u64);
        Ok(())
    }

    pub fn truncate(&mut self, len: u64) -> Result<()> {
        if len != self.len {
            rustix::fs::ftruncate(self.fd(), len)?;
        }
        self.len = len;
        Ok(())
    }

    /// Begins it with the first `length` bytes of a file.
    pub fn copy(&mut self, from: BorrowedFd<'_>, length: u64) -> Result<()> {
        disk::copy(from, self.fd(), length)?;
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
        {
            // What cannot be removed goes with the folder.
            let _ = rustix::fs::unlinkat(&stage.dir, &**slot, AtFlags::empty());
        }
    }
}

impl std::fmt::Debug for SpillFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slot {:?}", self.slot.as_ref().map(|(slot, _)| slot))
    }
}

/// `.inorder` of a root, made if need be, with what keeps it out of version control; and whether it is new.
fn make_folder(root: BorrowedFd<'_>) -> Result<(OwnedFd, bool)> {
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
    Ok((folder, new))
}

/// `.inorder` of a root, if it is there.
pub fn open_folder(root: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    match disk::open_beneath(root, INORDER, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn make_dir(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    disk::open_beneath(parent, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Waits for the lock of a root: a moment, as commits are short.
///
/// # Errors
/// `DEADLK`: somebody has held it for longer than any commit takes.
pub fn lock(folder: BorrowedFd<'_>) -> Result<RootLock> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, "lock", flags, Mode::from_raw_mode(0o600))?;
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(RootLock(file)),
            Err(Errno::WOULDBLOCK) if began.elapsed() > PATIENCE => return Err(Errno::DEADLK),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_micros(100)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
