//! The lock of a root, which whoever commits there holds, over all hosts; and the number of the last batch.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::disk::{self, Result};

/// How long a commit waits for another host's.
const PATIENCE: Duration = Duration::from_secs(10);

/// `.inorder/lock`, open.
///
/// ```text
/// 0           whether a commit, or an undo, was begun and has no end
/// 0…051       the last number that was given to a batch, in 20 digits
/// ```
pub struct LockFile {
    file: OwnedFd,
    /// The lock on a file is its handle's, so that threads of one host need another one among themselves.
    here: Mutex<()>,
}

/// Holds the lock of a root.
///
/// Whoever finds it begun, holding the lock, knows that the host that began is gone or gave up, and takes back what it
/// did first.
pub struct RootLock<'l> {
    file: BorrowedFd<'l>,
    _here: MutexGuard<'l, ()>,
}

impl LockFile {
    pub fn open(folder: BorrowedFd<'_>) -> Result<LockFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(folder, "lock", flags, Mode::from_raw_mode(0o600))?;
        Ok(LockFile { file, here: Mutex::new(()) })
    }

    /// Waits for the lock: a moment, as commits are short.
    ///
    /// # Errors
    /// `DEADLK`: somebody has held it for longer than any commit takes.
    pub fn lock(&self) -> Result<RootLock<'_>> {
        let here = match self.here.try_lock() {
            Ok(here) => here,
            Err(_) => aside(|| self.here.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        match lock(&self.file) {
            Err(Errno::WOULDBLOCK) => aside(|| self.wait())?,
            done => done?,
        }
        Ok(RootLock { file: self.file.as_fd(), _here: here })
    }

    fn wait(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            match lock(&self.file) {
                Err(Errno::WOULDBLOCK) if began.elapsed() > PATIENCE => return Err(Errno::DEADLK),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_micros(100)),
                done => return done,
            }
        }
    }
}

fn lock(file: &OwnedFd) -> Result<()> {
    disk::retry(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive))
}

/// Waits where that does not keep other tasks of the runtime from their worker thread.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

impl RootLock<'_> {
    pub fn is_begun(&self) -> Result<bool> {
        let mut mark = [0];
        Ok(disk::read_at(self.file, &mut mark, 0)? == 1 && mark[0] == b'1')
    }

    pub fn begin(&self) -> Result<()> {
        disk::write_at(self.file, b"1", 0)
    }

    pub fn end(&self) -> Result<()> {
        disk::write_at(self.file, b"0", 0)
    }

    /// A number for a batch, which no other one has had.
    pub fn next_number(&self) -> Result<u64> {
        let mut text = [0; 20];
        let read = disk::read_at(self.file, &mut text, 2)?;
        let text = std::str::from_utf8(&text[..read]).unwrap_or_default();
        let number = text.parse().unwrap_or(0) + 1;
        disk::write_at(self.file, format!("\n{number:020}\n").as_bytes(), 1)?;
        Ok(number)
    }
}

impl Drop for RootLock<'_> {
    fn drop(&mut self) {
        // Closing the file does it too.
        let _ = rustix::fs::flock(self.file, FlockOperation::Unlock);
    }
}
