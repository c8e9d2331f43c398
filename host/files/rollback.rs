//! Takes back the steps of a commit that was cut off, or of a batch that is undone.
//!
//! Works from any state that a kill can leave, its own included, since every step tells by inodes whether it was done. What
//! somebody else has changed since is not touched; what the commit had replaced there is kept beside the batches.
//! A file that was written in place is what it was again, and theirs is kept: a kill may have left half of ours in it.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::disk::{self, Kind, Result, Stat, Time};
use super::journal::{Fresh, Step, ino_at, kept, rename, set_times, stat_beneath, swap};
use super::shelf::INORDER;

/// Where things lie that nobody else has any more.
const KEPT: &str = "kept";

/// What could not be taken back as it was.
#[derive(Debug)]
pub struct Theirs {
    pub path: String,
    /// Holds what is to be kept, if anything is.
    slot: Option<String>,
    /// It is what was theirs, since the path holds the old again.
    restored: bool,
}

/// At which path the system refuses.
pub type Refused = (String, Errno);

/// One commit that is taken back.
pub struct Rollback<'r> {
    pub root: BorrowedFd<'r>,
    /// The folder of its batch.
    pub stage: BorrowedFd<'r>,
    pub steps: &'r [Step],
    /// What was written in place, and written after this, may have been written by somebody else.
    pub since: Option<Time>,
}

impl Rollback<'_> {
    /// Takes back the steps that were done, last first; gives what others have changed.
    ///
    /// # Errors
    /// A step that was done cannot be taken back. Nothing after it was touched; trying again goes on from there.
    pub fn take_back(&self) -> std::result::Result<Vec<Theirs>, Refused> {
        let mut theirs = Vec::new();
        for step in self.steps.iter().rev() {
            theirs.extend(self.step(step).map_err(|error| (step.path().to_owned(), error))?);
        }
        Ok(theirs)
    }

    fn step(&self, step: &Step) -> Result<Option<Theirs>> {
        let &Rollback { root, stage, .. } = self;
        match step {
            Step::Displace { path, slot, ino } => {
                if ino_at(stage, slot)? != Some(*ino) {
                    return Ok(None);
                }
                match rename(stage, slot, root, path) {
                    // Something else is there by now, or its directory is gone.
                    Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                        Ok(Some(Theirs::at(path, Some(slot.clone()))))
                    }
                    done => done.map(|()| None),
                }
            }
            Step::Place { slot, path, ino, fresh } => self.place(slot, path, *ino, *fresh),
            Step::Swap { slot, path, new, old, fresh } => {
                self.swap(slot, path, (*new, *old), *fresh)
            }
            Step::InPlace { path, ino, len, modified, slot, ranges } => {
                let Some(found) = stat_beneath(root, path)?.filter(|it| it.ino == *ino) else {
                    return Ok(None);
                };
                let mut theirs = None;
                if self.since.is_some_and(|since| found.modified > since) {
                    let copy = format!("{slot}.theirs");
                    self.copy(path, &copy, found.size)?;
                    theirs = Some(Theirs { restored: true, ..Theirs::at(path, Some(copy)) });
                }
                restore(root, path, *len, stage, slot, ranges)?;
                set_times(root, path, None, Some(*modified))?;
                Ok(theirs)
            }
            Step::Link { path, ino } => {
                let found = stat_beneath(root, path)?.filter(|it| it.ino == *ino);
                if found.is_some_and(|it| it.nlink == 1) {
                    // The file that it was another name of is gone.
                    return Ok(Some(Theirs::at(path, None)));
                }
                if found.is_some() {
                    let (parent, name) = disk::split(path);
                    let parent = disk::open_dir(root, parent)?;
                    rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
                }
                Ok(None)
            }
            Step::Times { path, ino, accessed, modified } => {
                if self.ino(path)? == Some(*ino) {
                    set_times(root, path, Some(*accessed), Some(*modified))?;
                }
                Ok(None)
            }
        }
    }

    fn ino(&self, path: &str) -> Result<Option<u64>> {
        Ok(stat_beneath(self.root, path)?.map(|stat| stat.ino))
    }

    fn place(
        &self,
        slot: &str,
        path: &str,
        ino: u64,
        fresh: Option<Fresh>,
    ) -> Result<Option<Theirs>> {
        let Some(found) = stat_beneath(self.root, path)?.filter(|it| it.ino == ino) else {
            return Ok(None);
        };
        // What was removed may have left its inode to something else.
        let theirs = match (self.moved_from(slot), found.kind, fresh) {
            (Some(from), ..) => self.is_taken(from)?,
            (None, Kind::Dir, None) => !self.is_empty(path)?,
            (None, Kind::File, Some(fresh)) => !fresh.is(&found),
            (None, kind, fresh) => kind == Kind::File || fresh.is_some(),
        };
        if theirs {
            return Ok(Some(Theirs::at(path, None)));
        }
        let (parent, name) = disk::split(path);
        let parent = disk::open_dir(self.root, parent)?;
        rename(parent.as_fd(), name, self.stage, slot)?;
        Ok(None)
    }

    /// Where it was before, and goes back to with all that it holds.
    fn moved_from(&self, slot: &str) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Displace { slot: it, path, .. } if it == slot => Some(path.as_str()),
            _ => None,
        })
    }

    /// Whether something is at a path that this commit has not put there.
    fn is_taken(&self, path: &str) -> Result<bool> {
        let Some(found) = stat_beneath(self.root, path)? else { return Ok(false) };
        let ours = |step: &Step| match step {
            Step::Place { path: it, ino, .. }
            | Step::Link { path: it, ino }
            | Step::Swap { path: it, new: ino, .. } => it == path && *ino == found.ino,
            _ => false,
        };
        Ok(!self.steps.iter().any(ours))
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        let (names, others) = disk::list(disk::open_dir(self.root, path)?.as_fd())?;
        Ok(names.is_empty() && others == 0)
    }

    /// Gives a path whose new file is there the old one back, which waits in the slot.
    fn swap(
        &self,
        slot: &str,
        path: &str,
        (new, old): (u64, u64),
        fresh: Option<Fresh>,
    ) -> Result<Option<Theirs>> {
        let (stage, (parent, name)) = (self.stage, disk::split(path));
        let waits = |slot: String| Ok(Some(slot).filter(|_| new != old));
        let held = || -> Result<Option<String>> {
            for slot in [slot.to_owned(), kept(slot)] {
                if ino_at(stage, &slot)? == Some(old) {
                    return waits(slot);
                }
            }
            Ok(None)
        };
        let parent = match disk::open_dir(self.root, parent) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return Ok(held()?.map(|slot| Theirs::at(path, Some(slot))));
            }
            Err(error) => return Err(error),
        };
        let found = match disk::stat(parent.as_fd(), name) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error),
        };
        let is = |found: &Option<Stat>, ino: u64| found.is_some_and(|it| it.ino == ino);
        if is(&found, old) && new != old {
            // Nothing was done, or all of it taken back.
            return Ok(None);
        }
        let in_slot = ino_at(stage, slot)?;
        if is(&found, new) && in_slot == Some(new) && new != old {
            // Nothing was done: both are names of one file.
            return Ok(None);
        }
        let theirs =
            !is(&found, new) || fresh.zip(found).is_some_and(|(fresh, found)| !fresh.is(&found));
        if theirs {
            return Ok(held()?.map(|slot| Theirs::at(path, Some(slot))));
        }
        if in_slot.is_some() {
            // The old one; or what had come in its place a moment before.
            return swap(stage, slot, parent.as_fd(), name).map(|()| None);
        }
        // Killed inside of `swap`, where it takes several steps.
        match rustix::fs::renameat(stage, kept(slot), &parent, name) {
            Err(Errno::NOENT) => Ok(None),
            done => done.map(|()| None),
        }
    }

    fn copy(&self, path: &str, to: &str, length: u64) -> Result<()> {
        let file = disk::open_beneath(self.root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let copy = rustix::fs::openat(self.stage, to, flags | OFlags::NOFOLLOW, mode)?;
        disk::copy(file.as_fd(), copy.as_fd(), length, &|| Ok(()))
    }
}

impl Theirs {
    fn at(path: &str, slot: Option<String>) -> Theirs {
        Theirs { path: path.to_owned(), slot, restored: false }
    }
}

/// Moves what is to be kept out of the folder of its batch, which goes away, and says so.
pub fn keep(
    folder: BorrowedFd<'_>,
    stage: BorrowedFd<'_>,
    batch: &str,
    theirs: &[Theirs],
) -> Result<()> {
    for Theirs { path, slot, restored } in theirs {
        let kept = match slot {
            Some(slot) => out(folder, stage, batch, slot)?,
            None => String::new(),
        };
        match (restored, kept.is_empty()) {
            (false, true) => tracing::warn!(
                path,
                "somebody else has changed this after a commit that was taken back: it stays as it is"
            ),
            (false, false) => tracing::warn!(
                path,
                kept,
                "somebody else has changed this after a commit that was taken back: it stays as it is, and what was there before \
                 that commit is kept"
            ),
            (true, _) => tracing::warn!(
                path,
                kept,
                "somebody else may have changed this after a commit that was taken back: it is as it was before that commit, and \
                 what was there now is kept"
            ),
        }
    }
    Ok(())
}

fn out(folder: BorrowedFd<'_>, stage: BorrowedFd<'_>, batch: &str, slot: &str) -> Result<String> {
    match rustix::fs::mkdirat(folder, KEPT, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let dir = disk::open_beneath(folder, KEPT, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut name = format!("{batch}-{slot}");
    loop {
        match rustix::fs::renameat_with(stage, slot, &dir, &*name, RenameFlags::NOREPLACE) {
            // Of an earlier batch that had its number.
            Err(Errno::EXIST) => name.push('+'),
            Err(Errno::INVAL | Errno::NOSYS) if ino_at(dir.as_fd(), &name)?.is_none() => {
                rustix::fs::renameat(stage, slot, &dir, &*name)?;
                break;
            }
            Err(Errno::INVAL | Errno::NOSYS) => name.push('+'),
            done => {
                done?;
                break;
            }
        }
    }
    Ok(format!("{INORDER}/{KEPT}/{name}"))
}

fn restore(
    root: BorrowedFd<'_>,
    path: &str,
    len: u64,
    stage: BorrowedFd<'_>,
    slot: &str,
    ranges: &[(u64, u64)],
) -> Result<()> {
    let file = disk::open_beneath(root, path, OFlags::RDWR)?;
    if !ranges.is_empty() {
        let saved = disk::open_beneath(stage, slot, OFlags::RDONLY)?;
        let (mut from, mut buffer) = (0, vec![0; 256 << 10]);
        for &(at, length) in ranges {
            let mut done = 0;
            while done < length {
                let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(buffer.len());
                let read = disk::read_at(saved.as_fd(), &mut buffer[..want], sum(from, done)?)?;
                if read == 0 {
                    return Err(Errno::IO);
                }
                disk::write_at(file.as_fd(), &buffer[..read], sum(at, done)?)?;
                done += read as u64;
            }
            from = sum(from, length)?;
        }
    }
    rustix::fs::ftruncate(&file, len)
}

/// A place in a file, of numbers that need not be ours.
fn sum(from: u64, by: u64) -> Result<u64> {
    from.checked_add(by).ok_or(Errno::OVERFLOW)
}
