//! What earlier hosts have left in `.inorder/`: commits of a killed one are taken back, an interrupted undo is
//! finished, and what nobody needs any more is removed.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::disk::{self, Kind, Made, Result, Time};
use super::history::undone;
use super::journal::{self, Record, Step};
use super::lock::{LockFile, RootLock};
use super::rollback::{self, Refused, Rollback};
use super::shelf::{ALIVE, BATCHES, INORDER, JOURNAL, open_folder};

/// Bytes of a journal that is read: a line takes some hundred, and a batch some lines for each file that it changes.
const MOST_OF_A_JOURNAL: u64 = 256 << 20;

/// A batch whose host is gone.
pub struct Dead {
    pub name: String,
    pub dir: OwnedFd,
    pub records: Vec<Record>,
    /// How much of its journal holds together.
    whole: u64,
    /// What has been written later than this was hardly written by it.
    written: Time,
    alive: bool,
}

/// After a host's last line, its commit may go on for so long.
const A_COMMIT: i64 = 2;

/// Puts a root in order before it is used.
///
/// # Errors
/// A commit that was cut off cannot be taken back, because of what is at that path.
pub fn recover(root: BorrowedFd<'_>) -> std::result::Result<(), Refused> {
    let Some(folder) = open_folder(root).map_err(of_ours)? else { return Ok(()) };
    let file = LockFile::open(folder.as_fd()).map_err(of_ours)?;
    let lock = file.lock().map_err(of_ours)?;
    recover_locked(root, folder.as_fd(), &lock)
}

fn of_ours(error: Errno) -> Refused {
    (INORDER.to_owned(), error)
}

/// [`recover`], holding the lock. A commit without an end is taken back even if its host is alive: it does not hold
/// the lock, so it has given up.
///
/// # Errors
/// As [`recover`].
pub fn recover_locked(
    root: BorrowedFd<'_>,
    folder: BorrowedFd<'_>,
    _: &RootLock<'_>,
) -> std::result::Result<(), Refused> {
    let mut keep: Option<((u64, u64), String)> = None;
    for dead in batches(folder).map_err(of_ours)? {
        if dead.records.contains(&Record::Undo) {
            tracing::warn!(batch = ?dead.name, "going on with an undo that was cut off");
            take_back(root, folder, &dead, Some(dead.written))?;
            undone(folder, &dead);
            continue;
        }
        if let Some((commit, steps)) = unfinished(&dead.records) {
            tracing::warn!(batch = ?dead.name, commit, "taking back a commit of a host that was killed");
            let rollback = dead.rollback(root, steps, Some(dead.written));
            let theirs = rollback.take_back()?;
            let put_down = || {
                rollback::keep(folder, dead.dir.as_fd(), dead.number(), &theirs)?;
                // Before the line that says so, whatever becomes of the machine. It is seldom, and may take a moment.
                rustix::fs::syncfs(&dead.dir)?;
                let journal = open_journal(&dead)?;
                journal::append(journal.as_fd(), &Record::RolledBack { commit })
            };
            put_down().map_err(of_ours)?;
        }
        if dead.alive {
            continue;
        }
        match last_commit(&dead.records) {
            Some(last) if keep.as_ref().is_none_or(|(newest, _)| last >= *newest) => {
                if let Some((_, older)) = keep.replace((last, dead.name.clone())) {
                    remove_batch(folder, &older);
                }
                remove_leftovers(&dead);
            }
            _ => remove_batch(folder, &dead.name),
        }
    }
    Ok(())
}

/// Whether anybody has left half a commit, or half an undo. The root's lock must be held.
pub fn any_unfinished(folder: BorrowedFd<'_>) -> Result<bool> {
    let half =
        |records: &[Record]| records.contains(&Record::Undo) || unfinished(records).is_some();
    Ok(batches(folder)?.iter().any(|it| half(&it.records)))
}

impl Dead {
    /// The number of the batch, or that of its folder before it began a commit.
    pub fn number(&self) -> &str {
        let begun = self.records.iter().find_map(|record| match record {
            Record::Begin { batch, .. } => Some(batch.as_str()),
            _ => None,
        });
        begun.unwrap_or(&self.name)
    }

    /// The steps of its commits that were not taken back, the last first.
    pub fn commits(&self) -> impl Iterator<Item = &[Step]> {
        let rolled_back = |commit| self.records.contains(&Record::RolledBack { commit });
        self.records.iter().rev().filter_map(move |record| match record {
            Record::Begin { commit, steps, .. } if !rolled_back(*commit) => Some(steps.as_slice()),
            _ => None,
        })
    }

    fn rollback<'r>(
        &'r self,
        root: BorrowedFd<'r>,
        steps: &'r [Step],
        since: Option<Time>,
    ) -> Rollback<'r> {
        Rollback { root, stage: self.dir.as_fd(), steps, since }
    }
}

/// Takes back all commits of a batch, the last first.
///
/// # Errors
/// What is at a path cannot be taken back.
pub fn take_back(
    root: BorrowedFd<'_>,
    folder: BorrowedFd<'_>,
    dead: &Dead,
    since: Option<Time>,
) -> std::result::Result<(), Refused> {
    for steps in dead.commits() {
        let theirs = dead.rollback(root, steps, since).take_back()?;
        rollback::keep(folder, dead.dir.as_fd(), dead.number(), &theirs).map_err(of_ours)?;
    }
    Ok(())
}

/// To go on writing a journal, behind the last line that holds together.
pub fn open_journal(dead: &Dead) -> Result<OwnedFd> {
    let journal = disk::open_beneath(dead.dir.as_fd(), JOURNAL, OFlags::WRONLY | OFlags::APPEND)?;
    rustix::fs::ftruncate(&journal, dead.whole)?;
    Ok(journal)
}

/// When a batch last committed, in milliseconds since 1970, and its number, which tells between two of one moment;
/// nothing, if it never did.
pub fn last_commit(records: &[Record]) -> Option<(u64, u64)> {
    let mut number = None;
    let mut last = None;
    for record in records {
        match record {
            Record::Begin { batch, .. } => number = Some(batch),
            Record::Done { time, .. } => last = last.max(Some(*time)),
            _ => {}
        }
    }
    Some((last?, number?.parse().unwrap_or(0)))
}

/// A commit that was begun and has no end.
fn unfinished(records: &[Record]) -> Option<(u64, &[Step])> {
    let (number, steps) = records.iter().rev().find_map(|record| match record {
        Record::Begin { commit, steps, .. } => Some((*commit, steps.as_slice())),
        _ => None,
    })?;
    let ended = records.iter().any(|record| {
        matches!(record, Record::Done { commit, .. } | Record::RolledBack { commit } if *commit == number)
    });
    (!ended).then_some((number, steps))
}

/// The batches whose hosts are gone, oldest first. The root's lock must be held.
pub fn dead_batches(folder: BorrowedFd<'_>) -> Result<Vec<Dead>> {
    let mut dead = batches(folder)?;
    dead.retain(|it| !it.alive);
    Ok(dead)
}

fn batches(folder: BorrowedFd<'_>) -> Result<Vec<Dead>> {
    let batches = match disk::open_beneath(folder, BATCHES, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(batches) => batches,
        Err(Errno::NOENT) => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> =
        disk::list(batches.as_fd())?.0.iter().map(|it| it.name.to_string()).collect();
    names.sort();
    let mut dead = Vec::new();
    for name in names {
        let dir =
            match disk::open_beneath(batches.as_fd(), &name, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => dir,
                // Gone by now, or none of ours. Any other may hold half a commit.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(error),
            };
        let alive = is_alive(&dir)?;
        let (text, (seconds, nanoseconds)) = read(&dir, JOURNAL)?;
        let (records, whole) = (journal::parse(&text), journal::whole(&text));
        if !belongs(&records, disk::made(dir.as_fd())?) {
            // It stays: in a copy of a root whose host was killed, it may hold what a commit had moved away.
            tracing::warn!(
                batch = ?name,
                "a journal in .inorder/batches that no host has written here is not believed: look whether its folder holds \
                 anything of yours, and remove it"
            );
            continue;
        }
        let written = (seconds + A_COMMIT, nanoseconds);
        dead.push(Dead { name, dir, records, whole, written, alive });
    }
    Ok(dead)
}

/// Whether a host has written this in this very folder. One that came with a repository, or a copy of the root, speaks of
/// inodes that are others by now; or it was made up, to have recovery put something into `.git/hooks`.
fn belongs(records: &[Record], folder: Made) -> bool {
    let here = |record: &Record| !matches!(record, Record::Begin { made, .. } if *made != folder);
    records.iter().all(here)
}

/// Whether a host is at work.
pub fn any_alive(folder: BorrowedFd<'_>) -> Result<bool> {
    let batches = match disk::open_beneath(folder, BATCHES, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(batches) => batches,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error),
    };
    let names = disk::list(batches.as_fd())?.0;
    for it in names {
        match disk::open_beneath(batches.as_fd(), &it.name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(dir) if is_alive(&dir)? => return Ok(true),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn is_alive(dir: &OwnedFd) -> Result<bool> {
    let alive = match disk::open_beneath(dir.as_fd(), ALIVE, OFlags::RDWR) {
        Ok(alive) => alive,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error),
    };
    match disk::retry(|| rustix::fs::flock(&alive, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error),
    }
}

/// What is in a file, and when it was last written.
fn read(dir: &OwnedFd, name: &str) -> Result<(Vec<u8>, Time)> {
    let file = match disk::open_beneath(dir.as_fd(), name, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok((vec![], (0, 0))),
        Err(error) => return Err(error),
    };
    let disk::Stat { size, modified, .. } = disk::stat_fd(file.as_fd())?;
    if size > MOST_OF_A_JOURNAL {
        return Err(Errno::FBIG);
    }
    let size = usize::try_from(size).unwrap_or(0);
    let mut text = vec![0; size];
    let read = disk::read_at(file.as_fd(), &mut text, 0)?;
    text.truncate(read);
    Ok((text, modified))
}

/// Removes what was staged and never committed.
fn remove_leftovers(dead: &Dead) {
    let mut needed: Vec<&str> = vec![ALIVE, JOURNAL];
    for record in &dead.records {
        let Record::Begin { steps, .. } = record else { continue };
        needed.extend(steps.iter().filter_map(|step| match step {
            Step::Displace { slot, .. }
            | Step::Place { slot, .. }
            | Step::Swap { slot, .. }
            | Step::InPlace { slot, .. } => Some(slot.as_str()),
            Step::Link { .. } | Step::Times { .. } => None,
        }));
    }
    if let Ok((names, _)) = disk::list(dead.dir.as_fd()) {
        for it in names.iter().filter(|it| !needed.contains(&&*it.name)) {
            let _ = remove(dead.dir.as_fd(), &it.name, it.kind == Some(Kind::Dir));
        }
    }
}

/// Removes all batches but `keep` whose hosts are gone: what they kept for an undo is of no use after another batch.
/// The root's lock must be held.
pub fn forget_others(folder: BorrowedFd<'_>, _: &RootLock<'_>, keep: &[Option<&str>]) {
    let Ok(dead) = dead_batches(folder) else { return };
    for it in dead.iter().filter(|it| unfinished(&it.records).is_none()) {
        if !keep.contains(&Some(&it.name)) {
            remove_batch(folder, &it.name);
        }
    }
}

/// Removes a batch's folder. What cannot be removed only takes room, and is tried again by the next host.
pub fn remove_batch(folder: BorrowedFd<'_>, name: &str) {
    if let Ok(batches) = disk::open_beneath(folder, BATCHES, OFlags::RDONLY | OFlags::DIRECTORY)
        && let Err(error) = remove(batches.as_fd(), name, true)
    {
        tracing::debug!(batch = name, %error, "a folder of an earlier batch cannot be removed");
    }
}

pub fn remove(parent: BorrowedFd<'_>, name: &str, is_dir: bool) -> Result<()> {
    if !is_dir {
        return rustix::fs::unlinkat(parent, name, AtFlags::empty());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let (names, _) = disk::list(dir.as_fd())?;
    // The journal first: without it, nothing of a half-removed batch is taken for a commit.
    for it in names
        .iter()
        .filter(|it| &*it.name == JOURNAL)
        .chain(names.iter().filter(|it| &*it.name != JOURNAL))
    {
        let is_dir = match it.kind {
            Some(kind) => kind == Kind::Dir,
            None => disk::stat(dir.as_fd(), &it.name)?.kind == Kind::Dir,
        };
        remove(dir.as_fd(), &it.name, is_dir)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_journal_is_believed_only_in_the_folder_that_it_was_written_in() {
        for (seconds, believed) in [(0, true), (1, false)] {
            let root = tempfile::tempdir().unwrap();
            let batch = root.path().join(".inorder/batches/00000001");
            std::fs::create_dir_all(&batch).unwrap();
            std::fs::write(batch.join("0"), "#!/bin/sh").unwrap();
            let open = |path: &std::path::Path| std::fs::File::open(path).unwrap();
            let (ino, birth) = disk::made(open(&batch).as_fd()).unwrap();
            let made = match birth {
                Some((at, nanoseconds)) => (ino, Some((at + seconds, nanoseconds))),
                None => (ino + seconds.unsigned_abs(), None),
            };
            let slot = "0".to_owned();
            let ino = std::fs::metadata(batch.join("0")).unwrap().ino();
            let steps = vec![Step::Displace { path: "hook".to_owned(), slot, ino }];
            let begin =
                Record::Begin { batch: String::new(), commit: 1, made, steps, found: vec![] };
            let journal = std::fs::File::create(batch.join("journal")).unwrap();
            journal::append(journal.as_fd(), &begin).unwrap();
            recover(open(root.path()).as_fd()).unwrap();
            assert_eq!(root.path().join("hook").exists(), believed, "{made:?}");
            assert_eq!(batch.join("0").exists(), !believed, "{made:?}");
        }
    }
}
