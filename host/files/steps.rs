//! From what was prepared to the steps of one commit, with the inodes by which each can be told to be done.
//!
//! Looks at the root as it is under the lock; changes nothing in it, and saves in slots what is to be written over.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::disk::{self, Kind, Result, Stat};
use super::journal::{Fresh, Step, stat_beneath};
use super::node::SetTimes;
use super::prepare::{How, NewContent, Prepared};
use super::stage::Stage;

/// One commit, from the steps on.
pub struct Commit<'c> {
    pub root: BorrowedFd<'c>,
    pub stage: &'c Stage,
    /// What was looked at under this lock already: files as they were when what the call read was found to hold, and since.
    pub expected: HashMap<String, Stat>,
    pub durable: bool,
    pub steps: Vec<Step>,
}

/// A step with what it needs besides the journal's line.
pub enum Act<'c> {
    Displace {
        must_be_empty: bool,
    },
    Place,
    /// `new` is how what waits in the slot is, where that is known.
    Swap {
        old: Stat,
        new: Option<Stat>,
    },
    Write(&'c How),
    Link {
        from: &'c str,
        over: Option<(String, Stat)>,
    },
    Times {
        set: SetTimes,
    },
}

/// What is moved, by the slot that it passes through: which of them it is, and its path before.
type BySlot<'p> = HashMap<&'p str, (usize, &'p str)>;

/// Where files are once the steps are done, as far as that is another place than before.
struct Inodes<'p> {
    by_path: HashMap<String, u64>,
    by_slot: &'p BySlot<'p>,
}

impl<'c> Commit<'c> {
    /// The steps, with the inodes by which each can be told to be done.
    pub fn resolve(&mut self, prepared: &'c Prepared, acts: &mut Vec<Act<'c>>) -> Result<()> {
        let by_slot = by_slot(prepared);
        let timed: HashSet<&str> = prepared.times.iter().map(|(path, _)| path.as_str()).collect();
        for it in &prepared.displaced {
            let found = stat_beneath(self.root, &it.path)?.ok_or(Errno::NOENT)?;
            if found.kind == Kind::Dir && found.ino != it.ino {
                return Err(Errno::STALE);
            }
            let (path, slot) = (it.path.clone(), it.slot.clone());
            self.steps.push(Step::Displace { path, slot, ino: found.ino });
            acts.push(Act::Displace { must_be_empty: it.must_be_empty });
        }
        for it in &prepared.placed {
            // A file that was moved may have been replaced by another one since, and goes as that.
            let from = by_slot.get(it.slot.as_str());
            let ino = match from.map(|(index, _)| &self.steps[*index]) {
                Some(Step::Displace { ino, .. }) => *ino,
                _ => it.ino,
            };
            let (path, slot) = (it.path.clone(), it.slot.clone());
            let fresh = it.fresh.map(|new| Fresh::of(&new, timed.contains(it.path.as_str())));
            match &it.over {
                Some(before) => {
                    let old = self.file(before)?;
                    self.steps.push(Step::Swap { slot, path, new: ino, old: old.ino, fresh });
                    acts.push(Act::Swap { old, new: None });
                }
                None => {
                    self.steps.push(Step::Place { slot, path, ino, fresh });
                    acts.push(Act::Place);
                }
            }
        }
        for it in &prepared.contents {
            let (step, old) = self.content(it, timed.contains(it.path.as_str()))?;
            acts.push(match &it.how {
                How::Replace { new, .. } => Act::Swap { old, new: Some(*new) },
                how => Act::Write(how),
            });
            self.steps.push(step);
        }
        let mut after = Inodes { by_path: HashMap::new(), by_slot: &by_slot };
        if !(prepared.links.is_empty() && prepared.times.is_empty()) {
            after.by_path.extend(self.steps.iter().filter_map(new_inode));
        }
        for it in &prepared.links {
            let ino = self.ino_after(prepared, &after, &it.from)?;
            after.by_path.insert(it.path.clone(), ino);
            let path = it.path.clone();
            match &it.over {
                Some(before) => {
                    let old = self.file(before)?;
                    let slot = self.stage.folder.slot();
                    self.steps.push(Step::Swap {
                        slot: slot.clone(),
                        path,
                        new: ino,
                        old: old.ino,
                        fresh: None,
                    });
                    acts.push(Act::Link { from: &it.from, over: Some((slot, old)) });
                }
                None => {
                    self.steps.push(Step::Link { path, ino });
                    acts.push(Act::Link { from: &it.from, over: None });
                }
            }
        }
        for (path, set) in &prepared.times {
            let ino = self.ino_after(prepared, &after, path)?;
            let old = stat_beneath(self.root, path)?.filter(|stat| stat.ino == ino);
            let (accessed, modified) =
                old.map_or(((0, 0), (0, 0)), |stat| (stat.accessed, stat.modified));
            self.steps.push(Step::Times { path: path.clone(), ino, accessed, modified });
            acts.push(Act::Times { set: *set });
        }
        Ok(())
    }

    /// What is at a path now.
    pub fn now(&mut self, path: &str) -> Result<Option<Stat>> {
        if let Some(stat) = self.expected.get(path) {
            return Ok(Some(*stat));
        }
        let found = stat_beneath(self.root, path)?;
        if let Some(stat) = found {
            self.expected.insert(path.to_owned(), stat);
        }
        Ok(found)
    }

    fn file(&mut self, path: &str) -> Result<Stat> {
        self.now(path)?.filter(|stat| stat.kind == Kind::File).ok_or(Errno::STALE)
    }

    /// The inode that a path will have once it is placed and has its content.
    fn ino_after(&self, prepared: &Prepared, after: &Inodes<'_>, path: &str) -> Result<u64> {
        if let Some(ino) = after.by_path.get(path) {
            return Ok(*ino);
        }
        if after.by_slot.is_empty() {
            return stat_beneath(self.root, path)?.map(|stat| stat.ino).ok_or(Errno::NOENT);
        }
        // In a directory that is moved, it is still elsewhere.
        let mut before = path.to_owned();
        for it in prepared.placed.iter().rev() {
            let from = after.by_slot.get(it.slot.as_str());
            if let (Some((_, from)), Some(rest)) = (from, before.strip_prefix(&it.path))
                && rest.starts_with('/')
            {
                before = format!("{from}{rest}");
            }
        }
        stat_beneath(self.root, &before)?.map(|stat| stat.ino).ok_or(Errno::NOENT)
    }

    /// The step that gives a file its new content, and how the file is now.
    fn content(&mut self, it: &NewContent, timed: bool) -> Result<(Step, Stat)> {
        let found = self.file(&it.before)?;
        let path = it.path.clone();
        let (len, ino) = (found.size, found.ino);
        let ranges = match &it.how {
            How::Replace { spill, new, like } => {
                let attributes = |stat: &Stat| (stat.mode, stat.uid, stat.gid);
                if found.nlink > 1 || attributes(&found) != attributes(like) {
                    return Err(Errno::STALE);
                }
                let slot = spill.slot().to_owned();
                let fresh = Some(Fresh::of(new, timed));
                return Ok((Step::Swap { slot, path, new: new.ino, old: ino, fresh }, found));
            }
            How::Append { .. } => vec![],
            How::Overwrite { .. } => vec![(0, len)],
            How::Patch { patches, kept, .. } => {
                let mut ranges: Vec<(u64, u64)> = patches
                    .iter()
                    .filter(|(at, _)| *at < len)
                    .map(|(at, piece)| (at, (piece.len() as u64).min(len - at)))
                    .collect();
                if *kept < len {
                    // What is cut off, and what is zero for a while between.
                    ranges = vec![(0, len)];
                }
                ranges
            }
        };
        let slot = self.save(&it.before, &ranges)?;
        Ok((Step::InPlace { path, ino, len, modified: found.modified, slot, ranges }, found))
    }

    /// Copies ranges of a file into a slot.
    fn save(&self, path: &str, ranges: &[(u64, u64)]) -> Result<String> {
        let slot = self.stage.folder.slot();
        if ranges.is_empty() {
            return Ok(slot);
        }
        let file = disk::open_beneath(self.root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let saved = rustix::fs::openat(&self.stage.folder.dir, &*slot, flags, mode)?;
        let (mut to, mut buffer) = (0, vec![0; 256 << 10]);
        for &(at, length) in ranges {
            let mut done = 0;
            while done < length {
                let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(buffer.len());
                let read = disk::read_at(file.as_fd(), &mut buffer[..want], at + done)?;
                if read == 0 {
                    return Err(Errno::STALE);
                }
                disk::write_at(saved.as_fd(), &buffer[..read], to)?;
                done += read as u64;
                to += read as u64;
            }
        }
        if self.durable {
            rustix::fs::fsync(&saved)?;
        }
        Ok(slot)
    }
}

fn by_slot(prepared: &Prepared) -> BySlot<'_> {
    let slots = prepared.displaced.iter().enumerate();
    slots.map(|(index, it)| (it.slot.as_str(), (index, it.path.as_str()))).collect()
}

fn new_inode(step: &Step) -> Option<(String, u64)> {
    match step {
        Step::Swap { path, new: ino, .. }
        | Step::Place { path, ino, .. }
        | Step::Link { path, ino } => Some((path.clone(), *ino)),
        _ => None,
    }
}
