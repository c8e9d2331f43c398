//! The journal of a batch: what its commits are about to do, and that they have done it.
//!
//! A line for each record: a checksum, a blank, JSON. Lines are only ever appended, and the last one may be cut off
//! anywhere by a kill: a line that does not hold together was never written. A commit whose `begin` has no end
//! is taken back (`rollback.rs`).

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::disk::{self, Kind, Made, Result, Stat, Time};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Of the batch of this number, in the folder that is `made`. `found` is what it found at the paths that it changes.
    Begin { batch: String, commit: u64, made: Made, steps: Vec<Step>, found: Vec<(String, Left)> },
    /// It is done, at `time` in milliseconds since 1970. `left` is what it left at the paths that it changed.
    Done { commit: u64, time: u64, left: Vec<(String, Left)> },
    /// It was taken back.
    RolledBack { commit: u64 },
    /// The whole batch is being taken back.
    Undo,
    /// Its folder is for another batch now: what came before is of no use.
    Emptied,
}

/// One step of a commit, with what it takes to tell whether it was done, and to take it back. Paths are beneath the
/// root, slots in the batch's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// From a path to a slot.
    Displace {
        path: String,
        slot: String,
        ino: u64,
    },
    /// From a slot to a path where nothing is.
    Place {
        slot: String,
        path: String,
        ino: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fresh: Option<Fresh>,
    },
    /// What is in the slot and what is at the path change places.
    Swap {
        slot: String,
        path: String,
        new: u64,
        old: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fresh: Option<Fresh>,
    },
    /// A file is written in place; the slot holds the old bytes of these ranges, one after another.
    InPlace {
        path: String,
        ino: u64,
        len: u64,
        modified: Time,
        slot: String,
        ranges: Vec<(u64, u64)>,
    },
    Link {
        path: String,
        ino: u64,
    },
    Times {
        path: String,
        ino: u64,
        accessed: Time,
        modified: Time,
    },
}

/// How a file is that a commit has written anew: whoever writes to it later makes it another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fresh {
    size: u64,
    /// Not of one that the same commit gives other times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<Time>,
}

impl Fresh {
    pub fn of(stat: &Stat, timed: bool) -> Fresh {
        Fresh { size: stat.size, modified: (!timed).then_some(stat.modified) }
    }

    pub fn is(&self, stat: &Stat) -> bool {
        self.size == stat.size && self.modified.is_none_or(|it| it == stat.modified)
    }
}

/// What is at a path after a commit: enough to notice a change since. When a file's attributes last changed is not in it: a
/// commit of a later batch that was taken back changes that too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    Nothing,
    Dir {
        ino: u64,
    },
    Other {
        ino: u64,
        size: u64,
        modified: Time,
        #[serde(default)]
        mode: u32,
    },
}

impl Left {
    pub fn of(stat: Option<Stat>) -> Left {
        match stat {
            None => Left::Nothing,
            Some(stat) if stat.kind == Kind::Dir => Left::Dir { ino: stat.ino },
            Some(Stat { ino, size, modified, mode, .. }) => {
                Left::Other { ino, size, modified, mode }
            }
        }
    }
}

pub fn append(journal: BorrowedFd<'_>, record: &Record) -> Result<()> {
    let json = serde_json::to_string(record).map_err(|_| Errno::INVAL)?;
    let line = format!("{:016x} {json}\n", checksum(json.as_bytes()));
    let mut left = line.as_bytes();
    while !left.is_empty() {
        match disk::retry(|| rustix::io::write(journal, left)) {
            Ok(wrote) => left = &left[wrote..],
            Err(error) => {
                // Half a line would hide all that come after it.
                let written = (line.len() - left.len()) as u64;
                let size = disk::stat_fd(journal)?.size;
                rustix::fs::ftruncate(journal, size.saturating_sub(written))?;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// How much of a journal [`parse`] understands: what comes after it has to be cut off before a line is appended.
pub fn whole(text: &[u8]) -> u64 {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.take_while(|line| parse_line(line).is_some()).map(|line| line.len() as u64).sum()
}

/// The records of a journal's last batch, up to the first line that does not hold together.
pub fn parse(text: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match parse_line(line) {
            Some(Record::Emptied) => records.clear(),
            Some(record) => records.push(record),
            None => break,
        }
    }
    records
}

fn parse_line(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, json) = line.split_once(' ')?;
    let sum = u64::from_str_radix(sum, 16).ok()?;
    if sum != checksum(json.as_bytes()) {
        return None;
    }
    // It may have come with somebody's repository: one that leads out of the root is none of ours.
    serde_json::from_str(json).ok().filter(Record::stays_inside)
}

/// Whether a path is one beneath the root, as we write them: plain names, and none of ours.
fn is_plain_path(path: &str) -> bool {
    path.split('/').all(is_plain_name) && path.split('/').next() != Some(super::shelf::INORDER)
}

fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

impl Record {
    fn stays_inside(&self) -> bool {
        let left_inside = |left: &[(String, Left)]| {
            left.iter().all(|(path, _)| path.is_empty() || is_plain_path(path))
        };
        match self {
            Record::Begin { steps, found, .. } => {
                left_inside(found) && steps.iter().all(Step::stays_inside)
            }
            Record::Done { left, .. } => left_inside(left),
            Record::RolledBack { .. } | Record::Undo | Record::Emptied => true,
        }
    }
}

/// FNV-1a: against torn writes, not against anybody.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl Step {
    pub fn path(&self) -> &str {
        match self {
            Step::Displace { path, .. }
            | Step::Place { path, .. }
            | Step::Swap { path, .. }
            | Step::InPlace { path, .. }
            | Step::Link { path, .. }
            | Step::Times { path, .. } => path,
        }
    }

    fn stays_inside(&self) -> bool {
        match self {
            Step::Displace { path, slot, .. }
            | Step::Place { slot, path, .. }
            | Step::Swap { slot, path, .. }
            | Step::InPlace { path, slot, .. } => is_plain_path(path) && is_plain_name(slot),
            Step::Link { path, .. } => is_plain_path(path),
            // Those of the root itself, too.
            Step::Times { path, .. } => path.is_empty() || is_plain_path(path),
        }
    }
}

/// Where `swap` keeps the old file for a moment.
pub fn kept(slot: &str) -> String {
    format!("{slot}.kept")
}

/// Lets two files change places in one step; where the file system cannot, puts the first in the place of the second,
/// which keeps another name.
pub fn swap(stage: BorrowedFd<'_>, slot: &str, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    match rustix::fs::renameat_with(stage, slot, dir, name, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            // At no moment is the path absent.
            let kept = kept(slot);
            // Of a try that was cut off before it changed anything.
            let _ = rustix::fs::unlinkat(stage, &*kept, AtFlags::empty());
            rustix::fs::linkat(dir, name, stage, &*kept, AtFlags::empty())?;
            rustix::fs::renameat(stage, slot, dir, name)?;
            rustix::fs::renameat(stage, &*kept, stage, slot)
        }
        done => done,
    }
}

/// Moves to a path where nothing is.
pub fn rename(from: BorrowedFd<'_>, name: &str, root: BorrowedFd<'_>, path: &str) -> Result<()> {
    let (parent, to) = disk::split(path);
    let parent = disk::open_dir(root, parent)?;
    match rustix::fs::renameat_with(from, name, &parent, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            if ino_at(parent.as_fd(), to)?.is_some() {
                return Err(Errno::EXIST);
            }
            rustix::fs::renameat(from, name, &parent, to)
        }
        done => done,
    }
}

pub fn set_times(
    root: BorrowedFd<'_>,
    path: &str,
    accessed: Option<Time>,
    modified: Option<Time>,
) -> Result<()> {
    let time = |time: Option<Time>| match time {
        Some((seconds, nanoseconds)) => Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
        None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
    };
    let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    let (parent, name) = disk::split(path);
    let parent = disk::open_dir(root, parent)?;
    let name = if name.is_empty() { "." } else { name };
    rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

pub fn ino_at(dir: BorrowedFd<'_>, name: &str) -> Result<Option<u64>> {
    match disk::stat(dir, name) {
        Ok(stat) => Ok(Some(stat.ino)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is at a path, if anything; through no symlink.
pub fn stat_beneath(root: BorrowedFd<'_>, path: &str) -> Result<Option<Stat>> {
    let (parent, name) = disk::split(path);
    if name.is_empty() {
        return disk::stat_fd(root).map(Some);
    }
    let found = match parent {
        "" => disk::stat(root, name),
        parent => disk::open_dir(root, parent).and_then(|parent| disk::stat(parent.as_fd(), name)),
    };
    match found {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}
