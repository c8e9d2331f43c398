//! The lock of a root, which whoever commits there holds, over all hosts; and the number of the last batch.

use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::aside::{BETWEEN, aside, lock_aside, lock_aside_while};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::disk::{self, Result};
use super::shelf::INORDER;

/// How long a commit waits for another host's.
const PATIENCE: Duration = Duration::from_secs(10);

/// `.inorder/lock`, open.
///
/// ```text
/// 5f0c…9a     who has committed last, in 16 digits
/// 0…051       the last number that was given to a batch, in 20 digits
/// ```
///
/// Whoever commits writes its name first. As long as it finds it there, nobody else has committed, and what it has done
/// itself it knows; else it looks whether the other one was killed in the midst of a commit. To mark the beginning and
/// the end of each commit instead took 4 us of the 22 that one takes.
pub struct LockFile {
    file: OwnedFd,
    name: [u8; NAME],
    /// Whether all that was begun in this name has come to an end.
    settled: AtomicBool,
    /// The lock on a file is its handle's, so that threads of one host need another one among themselves.
    here: Mutex<()>,
}

const NAME: usize = 16;

/// Holds the lock of a root.
pub struct RootLock<'l> {
    of: &'l LockFile,
    _here: MutexGuard<'l, ()>,
}

impl LockFile {
    pub fn open(folder: BorrowedFd<'_>) -> Result<LockFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open =
            |more| rustix::fs::openat(folder, "lock", flags | more, Mode::from_raw_mode(0o600));
        // To note that it was read, which each commit does, takes the file system longer than to read it. Only its owner
        // may leave that out.
        let file = match open(OFlags::NOATIME) {
            Err(Errno::PERM | Errno::INVAL) => open(OFlags::empty()),
            opened => opened,
        }?;
        // Keys at random, which no other handle has; the process and the moment, should they ever be the same.
        let name = RandomState::new().hash_one((std::process::id(), super::tree::now()));
        let mut name_in_digits = [0; NAME];
        name_in_digits.copy_from_slice(format!("{name:016x}").as_bytes());
        let settled = AtomicBool::new(false);
        Ok(LockFile { file, name: name_in_digits, settled, here: Mutex::new(()) })
    }

    /// Waits for the lock: a moment, as commits are short.
    ///
    /// # Errors
    /// `DEADLK`: somebody has held it for longer than any commit takes.
    pub fn lock(&self) -> Result<RootLock<'_>> {
        self.with(lock_aside(&self.here), &|| Ok(()))
    }

    /// [`LockFile::lock`], for as long as `go_on` says.
    pub fn lock_while(&self, go_on: &dyn Fn() -> Result<()>) -> Result<RootLock<'_>> {
        self.with(lock_aside_while(&self.here, go_on)?, go_on)
    }

    fn with<'l>(
        &'l self,
        here: MutexGuard<'l, ()>,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<RootLock<'l>> {
        match lock(&self.file) {
            Err(Errno::WOULDBLOCK) => aside(|| self.wait(go_on))?,
            done => done?,
        }
        Ok(RootLock { of: self, _here: here })
    }

    /// A commit in this name has come to no end: the next one looks for it.
    pub fn unsettle(&self) {
        self.settled.store(false, Ordering::Relaxed);
    }

    fn wait(&self, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        loop {
            go_on()?;
            match lock(&self.file) {
                Err(Errno::WOULDBLOCK) if began.elapsed() > PATIENCE => return Err(Errno::DEADLK),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN),
                done => return done,
            }
        }
    }
}

/// What is wrong with a root, in words: the system's for [`LockFile::lock`] say nothing.
pub fn in_words(error: Errno) -> String {
    match error {
        Errno::DEADLK => {
            format!("another process has held its lock, `{INORDER}/lock`, for {PATIENCE:?}")
        }
        error => std::io::Error::from(error).to_string(),
    }
}

fn lock(file: &OwnedFd) -> Result<()> {
    disk::retry(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive))
}

impl RootLock<'_> {
    /// Whether whoever holds it committed last, and has nothing left to end.
    pub fn is_settled(&self) -> Result<bool> {
        let mut last = [0; NAME];
        let read = disk::read_at(self.of.file.as_fd(), &mut last, 0)?;
        Ok(self.of.settled.load(Ordering::Relaxed) && last[..read] == self.of.name)
    }

    /// Writes the name of whoever is about to commit. That nobody has left half a commit was found just before.
    pub fn claim(&self) -> Result<()> {
        disk::write_at(self.of.file.as_fd(), &self.of.name, 0)?;
        self.of.settled.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A number for a batch, which no other one has had.
    pub fn next_number(&self) -> Result<u64> {
        let file = self.of.file.as_fd();
        let mut text = [0; 20];
        let read = disk::read_at(file, &mut text, NAME as u64 + 1)?;
        let text = std::str::from_utf8(&text[..read]).unwrap_or_default();
        let number = text.parse().unwrap_or(0_u64).wrapping_add(1);
        disk::write_at(file, format!("\n{number:020}\n").as_bytes(), NAME as u64)?;
        Ok(number)
    }
}

impl Drop for RootLock<'_> {
    fn drop(&mut self) {
        // Closing the file does it too.
        let _ = rustix::fs::flock(&self.of.file, FlockOperation::Unlock);
    }
}
