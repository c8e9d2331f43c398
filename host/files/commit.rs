//! The commit: at its turn, under the root's lock, makes what was prepared real, all of it or nothing.
//!
//! Knows steps and slots. That what the call read still holds was checked by the caller, under the same lock.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::disk::{self, Kind, Result, Stat};
use super::journal::{self, Left, Record, Step, stat_beneath};
use super::ledger::{Ledger, Writes};
use super::lock::{RootLock, in_words};
use super::place::{Facets, Key, Place};
use super::prepare::{How, NewContent, Prepared, ready_like};
use super::rollback::{Rollback, keep};
use super::roots::Roots;
use super::stage::{Stages, Unsettled};
use super::steps::{Act, Commit};

/// Who changed what a call had read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A later commit of this host.
    ByUs,
    ByOthers,
}

/// Why nothing was committed. The files are as they were.
#[derive(Debug)]
pub enum Failed {
    /// Something is not as the call has seen it: it has to run again.
    Stale { what: String, by: Changed },
    /// The system refuses.
    Broken(String),
}

/// Commits, holding the root's lock; gives what was written, besides what was planned: a path may lead to another file
/// than when the call ran, one that has other names.
/// `expected` is how files were when what the call read was found to hold.
pub fn commit(
    roots: &Roots,
    stages: &Stages,
    ledger: &Ledger,
    _: &RootLock<'_>,
    mut expected: HashMap<String, Stat>,
    mut prepared: Prepared,
) -> std::result::Result<Writes, Failed> {
    let at = roots.get(prepared.root);
    let stage = stages.stage(prepared.root).map_err(|error| broken(&at.path, error))?;
    let (root, durable) = (at.fd.as_fd(), stages.durable());
    append_by_copy(&mut prepared, root, stages, &mut expected)?;
    let mut commit = Commit { root, stage: &stage, expected, durable, steps: Vec::new() };
    let mut acts = Vec::new();
    commit.resolve(&prepared, &mut acts).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::STALE => stale("a file has gone or was replaced"),
        error => broken(&at.path, error),
    })?;
    let parents = prepared.parents();
    let before: Vec<Option<Stat>> = parents.iter().map(|it| dir_stat(root, it)).collect();

    let number = stage.next_commit();
    let journal = stage.folder.journal.as_fd();
    let mut done = Ok(());
    if durable {
        // Where what is staged and saved is to be found comes before the line that tells of it.
        done = rustix::fs::fsync(&stage.folder.dir).map_err(|error| (".inorder".to_owned(), error));
    }
    let done = done.and_then(|()| {
        let changed = prepared.paths().chain(prepared.contents.iter().map(|it| it.before.as_str()));
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        for path in changed {
            if known.insert(path) {
                let there = commit.now(path).map_err(|error| (path.to_owned(), error))?;
                found.push((path.to_owned(), Left::of(there)));
            }
        }
        let begin = Record::Begin {
            batch: stage.number.clone(),
            commit: number,
            made: stage.folder.made,
            steps: commit.steps.clone(),
            found,
        };
        journal::append(journal, &begin).map_err(|error| (".inorder/journal".to_owned(), error))
    });
    if let Err((path, error)) = done {
        return Err(broken(&path, error));
    }
    // From here on the journal says that something was begun.
    let unsettled = stage.unsettled();
    if durable && let Err(error) = rustix::fs::fsync(journal) {
        end(unsettled, journal, number);
        return Err(broken(".inorder/journal", error));
    }
    let left = commit.carry_out(&acts, &prepared, &parents);
    let done = left.and_then(|left| {
        let (seconds, nanoseconds) = super::tree::now();
        let time = seconds.unsigned_abs() * 1000 + u64::from(nanoseconds / 1_000_000);
        let done = Record::Done { commit: number, time, left };
        journal::append(journal, &done).map_err(|error| (".inorder/journal".to_owned(), error))
    });
    let spills = prepared.contents.iter().filter_map(|it| match &it.how {
        How::Replace { spill, .. } => Some(spill),
        _ => None,
    });
    let spills = prepared.spills.iter().chain(spills);
    if let Err((path, error)) = done {
        let failed = format!("{path}: {error}");
        let dir = stage.folder.dir.as_fd();
        let rollback = Rollback { root, stage: dir, steps: &commit.steps, since: None };
        let kept = rollback.take_back().and_then(|theirs| {
            let kept = keep(stage.shelf.folder.as_fd(), dir, &stage.number, &theirs);
            kept.map_err(|error| (".inorder".to_owned(), error))
        });
        if let Err((path, error)) = kept {
            // The slots may hold what was in the root.
            drop(unsettled);
            let message = format!(
                "{failed}; and taking it back failed too ({path}: {error}): the next commit, or the next `inorder` that \
                 opens this root, goes on with that"
            );
            return Err(Failed::Broken(message));
        }
        end(unsettled, journal, number);
        return Err(match error {
            Errno::EXIST
            | Errno::NOENT
            | Errno::NOTDIR
            | Errno::NOTEMPTY
            | Errno::ISDIR
            | Errno::LOOP
            | Errno::STALE
            | Errno::BUSY => Failed::Stale { what: failed, by: Changed::ByOthers },
            _ => Failed::Broken(failed),
        });
    }
    unsettled.settle();
    stage.committed();
    spills.for_each(super::stage::Spill::take);
    for (place, before) in parents.iter().zip(before) {
        if let (Some(before), Some(after)) = (before, dir_stat(root, place))
            && before.id() == after.id()
        {
            ledger.follows(place, &before, after);
        }
    }
    if durable {
        // Everything is on the disk; losing this line would only take the commit back.
        let _ = rustix::fs::fdatasync(&stage.folder.journal);
    }
    Ok(commit.written(at.stat.dev))
}

/// Says that a commit was taken back. If that cannot be said, the slots stay: it will be taken back once more, and by then
/// the inode of a file that is gone could be another's.
fn end(unsettled: Unsettled<'_>, journal: BorrowedFd<'_>, commit: u64) {
    match journal::append(journal, &Record::RolledBack { commit }) {
        Ok(()) => unsettled.settle(),
        Err(error) => {
            tracing::debug!(%error, "a commit that was taken back is looked at once more");
        }
    }
}

/// Appending to a small file that may be replaced: a new file, of what is there now and the new bytes.
fn append_by_copy(
    prepared: &mut Prepared,
    root: BorrowedFd<'_>,
    stages: &Stages,
    expected: &mut HashMap<String, Stat>,
) -> std::result::Result<(), Failed> {
    const SMALL: u64 = 1 << 20;
    let number = prepared.root;
    for content in &mut prepared.contents {
        let How::Append { tail, in_place: false } = &content.how else { continue };
        let copied = (|| {
            let file =
                disk::open_beneath(root, &content.before, OFlags::RDONLY | OFlags::NONBLOCK)?;
            let stat = disk::stat_fd(file.as_fd())?;
            if stat.kind != Kind::File || stat.nlink > 1 || stat.size > SMALL {
                return Ok(None);
            }
            let mut spill = stages.spill(number, &|| Ok(()))?;
            spill.copy(file.as_fd(), stat.size, &|| Ok(()))?;
            spill.write(tail, stat.size)?;
            let new = ready_like(&spill, file.as_fd(), &stat, stages.durable())?;
            Ok(Some((spill, new, stat)))
        })();
        match copied {
            Ok(Some((spill, new, like))) => {
                expected.insert(content.before.clone(), like);
                content.how = How::Replace { spill, new, like };
            }
            Ok(None) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(stale(&content.before)),
            Err(error) => return Err(broken(&content.before, error)),
        }
    }
    Ok(())
}

impl Commit<'_> {
    /// The files that were changed without being replaced.
    fn written(&self, dev: u64) -> Writes {
        let file = |step: &Step| match step {
            Step::InPlace { ino, .. } => Some((Key::Inode(dev, *ino), Facets::DATA | Facets::ATTR)),
            Step::Times { ino, .. } => Some((Key::Inode(dev, *ino), Facets::ATTR)),
            _ => None,
        };
        self.steps.iter().filter_map(file).collect()
    }

    fn act(&self, step: &Step, act: &Act<'_>) -> Result<()> {
        let stage = self.stage.folder.dir.as_fd();
        match (step, act) {
            (Step::Displace { path, slot, ino }, Act::Displace { must_be_empty }) => {
                let (parent, name) = disk::split(path);
                let parent = disk::open_dir(self.root, parent)?;
                rustix::fs::renameat_with(
                    &parent,
                    name,
                    stage,
                    &**slot,
                    rustix::fs::RenameFlags::NOREPLACE,
                )?;
                let moved = disk::stat(stage, slot)?;
                if moved.ino != *ino {
                    // It was replaced a moment ago; what came instead goes back where it was.
                    journal::rename(stage, slot, self.root, path)?;
                    return Err(Errno::STALE);
                }
                if *must_be_empty {
                    let dir = disk::open_dir(stage, slot)?;
                    let (names, others) = disk::list(dir.as_fd())?;
                    if others > 0 || !names.is_empty() {
                        return Err(Errno::NOTEMPTY);
                    }
                }
                Ok(())
            }
            (Step::Place { slot, path, .. }, Act::Place) => {
                journal::rename(stage, slot, self.root, path)
            }
            (Step::Swap { slot, path, .. }, Act::Swap { old, new }) => {
                self.swap(slot, path, old, *new)
            }
            (Step::Swap { path, .. }, Act::Link { from, over: Some((slot, old)) }) => {
                self.link(from, stage, slot)?;
                self.swap(slot, path, old, None)
            }
            (Step::Link { path, .. }, Act::Link { from, over: None }) => {
                let (parent, name) = disk::split(path);
                let parent = disk::open_dir(self.root, parent)?;
                self.link(from, parent.as_fd(), name)
            }
            (Step::InPlace { path, ino, len, .. }, Act::Write(how)) => {
                self.write(path, *ino, *len, how)
            }
            (Step::Times { path, .. }, Act::Times { set }) => {
                journal::set_times(self.root, path, set.accessed, set.modified)
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// All steps, and what they leave at each changed path.
    fn carry_out<'p>(
        &self,
        acts: &[Act<'_>],
        prepared: &'p Prepared,
        parents: &[Place],
    ) -> std::result::Result<Vec<(String, Left)>, (String, Errno)> {
        let open = |place: &Place| {
            disk::open_beneath(self.root, &place.path, OFlags::RDONLY | OFlags::DIRECTORY).ok()
        };
        // Some have another path afterwards.
        let mut dirs: Vec<OwnedFd> = Vec::new();
        if self.durable {
            dirs.extend(parents.iter().filter_map(open));
        }
        for (step, act) in self.steps.iter().zip(acts) {
            self.act(step, act).map_err(|error| (step.path().to_owned(), error))?;
        }
        if self.durable {
            dirs.extend(parents.iter().filter_map(open));
            self.sync(&dirs).map_err(|(path, error)| (path.to_owned(), error))?;
        }
        let timed: HashSet<&str> = prepared.times.iter().map(|(path, _)| path.as_str()).collect();
        // Whoever has changed it since did not do so for us.
        let new = |it: &'p NewContent| match &it.how {
            How::Replace { new, .. } if !timed.contains(it.path.as_str()) => {
                Some((it.path.as_str(), *new))
            }
            _ => None,
        };
        let new: HashMap<&str, Stat> = prepared.contents.iter().filter_map(new).collect();
        let (mut left, mut known) = (Vec::new(), HashSet::new());
        for path in prepared.paths() {
            if known.insert(path) {
                let found = match new.get(path) {
                    Some(new) => Some(*new),
                    None => {
                        stat_beneath(self.root, path).map_err(|error| (path.to_owned(), error))?
                    }
                };
                left.push((path.to_owned(), Left::of(found)));
            }
        }
        Ok(left)
    }

    /// Waits until what was done is on the disk.
    fn sync(&self, dirs: &[OwnedFd]) -> std::result::Result<(), (&str, Errno)> {
        for step in &self.steps {
            if let Step::InPlace { path, .. } | Step::Times { path, .. } = step {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                match disk::open_beneath(self.root, path, flags)
                    .and_then(|file| rustix::fs::fsync(&file))
                {
                    // Of a symlink, whose times are not worth it, or of what may not be read.
                    Ok(()) | Err(Errno::LOOP) => {}
                    Err(Errno::ACCESS) if matches!(step, Step::Times { .. }) => {}
                    Err(error) => return Err((path, error)),
                }
            }
        }
        let dirs = dirs.iter().map(|dir| dir.as_fd()).chain([self.stage.folder.dir.as_fd()]);
        dirs.into_iter().try_for_each(rustix::fs::fsync).map_err(|error| (".", error))
    }

    fn swap(&self, slot: &str, path: &str, old: &Stat, new: Option<Stat>) -> Result<()> {
        let (parent, name) = disk::split(path);
        let parent = disk::open_dir(self.root, parent)?;
        let stage = self.stage.folder.dir.as_fd();
        let new = new.map_or_else(|| disk::stat(stage, slot), Ok)?;
        journal::swap(stage, slot, parent.as_fd(), name)?;
        if disk::stat(stage, slot)?.is_content_of(old) {
            return Ok(());
        }
        // It was written or replaced a moment ago, and goes back with that. Ours is looked at anew: some file systems change
        // the times of a file after its last write.
        journal::swap(stage, slot, parent.as_fd(), name)?;
        if disk::stat(stage, slot)?.is_content_of(&new) {
            return Err(Errno::STALE);
        }
        // And so was ours by now, which is newer still: it stays.
        journal::swap(stage, slot, parent.as_fd(), name)
    }

    fn link(&self, from: &str, to: BorrowedFd<'_>, name: &str) -> Result<()> {
        let (parent, old) = disk::split(from);
        let parent = disk::open_dir(self.root, parent)?;
        rustix::fs::linkat(&parent, old, to, name, AtFlags::empty())
    }

    fn write(&self, path: &str, ino: u64, len: u64, how: &How) -> Result<()> {
        let file = disk::open_beneath(self.root, path, OFlags::RDWR | OFlags::NONBLOCK)?;
        if disk::stat_fd(file.as_fd())?.ino != ino {
            return Err(Errno::STALE);
        }
        match how {
            How::Append { tail, .. } => {
                // Behind what others may just have appended.
                let file = disk::open_beneath(
                    self.root,
                    path,
                    OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK,
                )?;
                if disk::stat_fd(file.as_fd())?.ino != ino {
                    return Err(Errno::STALE);
                }
                disk::write_at(file.as_fd(), tail, len)
            }
            How::Patch { patches, kept, len } => {
                rustix::fs::ftruncate(&file, (*kept).min(*len))?;
                rustix::fs::ftruncate(&file, *len)?;
                patches.iter().try_for_each(|(at, piece)| disk::write_at(file.as_fd(), piece, at))
            }
            How::Overwrite { spill } => {
                rustix::fs::ftruncate(&file, 0)?;
                spill.with(|new| disk::copy(new, file.as_fd(), spill.len, &|| Ok(())))?;
                rustix::fs::ftruncate(&file, spill.len)
            }
            How::Replace { .. } => Err(Errno::INVAL),
        }
    }
}

fn dir_stat(root: BorrowedFd<'_>, place: &Place) -> Option<Stat> {
    if place.path.is_empty() {
        return disk::stat_fd(root).ok();
    }
    disk::open_dir(root, &place.path).and_then(|dir| disk::stat_fd(dir.as_fd())).ok()
}

fn stale(what: &str) -> Failed {
    Failed::Stale { what: what.to_owned(), by: Changed::ByOthers }
}

fn broken(path: &str, error: Errno) -> Failed {
    Failed::Broken(format!("{path}: {}", in_words(error)))
}
