//! `.inorder/log`: what the last batches of a root did, a line of JSON each; and `undo`, which takes the last one back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::batch::{Change, Outcome, Report};

use super::disk::{self, Kind};
use super::journal::{self, Left, Record, Step, stat_beneath};
use super::lock::LockFile;
use super::recover::{
    self, Dead, dead_batches, last_commit, open_journal, remove_batch, take_back,
};
use super::rollback::Refused;
use super::roots::{FilesError, Roots};
use super::shelf::{BATCHES, INORDER, open_folder};
use super::stage::Stage;
use super::work::Work;

/// A batch that changed files, or the undo of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in this root.
    pub batch: String,
    /// Seconds since 1970.
    pub time: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<LoggedCall>,
    /// It is the undo of the batch of this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedCall {
    pub id: String,
    pub tool: String,
    /// `ok`, or the kind of its error.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("there is nothing to undo in {}: no batch has changed files there, or the last one was undone", root.display())]
    Nothing { root: PathBuf },
    #[error(
        "not undone, since these have been changed by somebody else after the batch wrote them: {}; what the batch has \
         replaced or removed is kept in {kept} until the next batch that writes: take from there what you need",
        paths.join(", ")
    )]
    Changed { paths: Vec<String>, kept: String },
    #[error("not undone: an `inorder` is at work in {}; wait for it to end", root.display())]
    Busy { root: PathBuf },
    #[error("not undone: {}: {error}", path.display())]
    Failed { path: PathBuf, error: std::io::Error },
    #[error(
        "undone in part only, since {} cannot be taken back: {error}; once it can be, the next `inorder` here goes on with it",
        path.display()
    )]
    InPart { path: PathBuf, error: std::io::Error },
}

const LOG: &str = "log";
/// The log is cut to its newer half when it is larger than this.
const MOST: usize = 1 << 20;
/// Read of a log: the entry of one batch may be larger than the log is to be.
const MOST_READ: usize = 32 << 20;

impl Work {
    /// Writes down what a batch did in each root where it changed files. A log that cannot be written costs
    /// nothing but the log.
    pub fn log(&self, report: &Report) {
        for (_, stage) in self.stages().made() {
            if stage.has_committed() {
                let time = super::tree::now().0.unsigned_abs();
                let calls = report.results.iter().map(LoggedCall::of).collect();
                let entry = Entry { batch: stage.number.clone(), time, calls, undoes: None };
                if let Err(error) = write(&stage, &entry) {
                    tracing::warn!(%error, "the log of batches cannot be written");
                }
            }
        }
    }
}

impl LoggedCall {
    fn of(outcome: &Outcome) -> LoggedCall {
        let ended = outcome.result.as_ref().map_or_else(|error| error.kind.as_str(), |_| "ok");
        LoggedCall {
            id: outcome.id.clone(),
            tool: outcome.tool.clone(),
            outcome: ended.to_owned(),
            changes: outcome.changes.clone(),
        }
    }
}

fn write(stage: &Stage, entry: &Entry) -> disk::Result<()> {
    let _lock = stage.shelf.lock.lock()?;
    append(stage.shelf.folder.as_fd(), entry)
}

fn append(folder: BorrowedFd<'_>, entry: &Entry) -> disk::Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NONBLOCK;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let log = rustix::fs::openat(folder, LOG, flags, Mode::from_raw_mode(0o600))?;
    let mut line = serde_json::to_string(entry).map_err(|_| Errno::INVAL)?;
    line.push('\n');
    if size(log.as_fd())? > MOST as u64 {
        let text = end(log.as_fd(), MOST / 2)?;
        rustix::fs::ftruncate(&log, 0)?;
        disk::retry(|| rustix::io::write(&log, &text))?;
    }
    disk::retry(|| rustix::io::write(&log, line.as_bytes()))?;
    Ok(())
}

/// Of a log, in whose place there may be anything: a root may come from somebody else.
fn size(log: BorrowedFd<'_>) -> disk::Result<u64> {
    let stat = disk::stat_fd(log)?;
    if stat.kind == Kind::File { Ok(stat.size) } else { Err(Errno::INVAL) }
}

/// The lines of which a log's last bytes are.
fn end(log: BorrowedFd<'_>, most: usize) -> disk::Result<Vec<u8>> {
    let from = size(log)?.saturating_sub(most as u64);
    let mut text = disk::read_up_to(log, most, from)?;
    if from > 0 {
        let cut = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
        text.drain(..cut);
    }
    Ok(text)
}

/// What the last batches changed in a root, oldest first.
///
/// # Errors
/// The root, or its log, cannot be opened.
pub fn log(root: &Path) -> Result<Vec<Entry>, FilesError> {
    let roots = Roots::open(&[root.to_owned()])?;
    let failed = |error: Errno| FilesError::Root { path: root.to_owned(), error: error.into() };
    let unread = |error: Errno| {
        let error = std::io::Error::other(format!("its {INORDER}/{LOG}: {error}"));
        FilesError::Root { path: root.to_owned(), error }
    };
    let Some(folder) = open_folder(roots.get(0).fd.as_fd()).map_err(failed)? else {
        return Ok(vec![]);
    };
    let text = match disk::open_beneath(folder.as_fd(), LOG, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => end(file.as_fd(), MOST_READ).map_err(unread)?,
        Err(Errno::NOENT) => vec![],
        Err(error) => return Err(unread(error)),
    };
    // A line that a kill cut off says nothing.
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Takes back everything that the last batch changed in a root, and gives the paths.
///
/// # Errors
/// There is nothing to undo; or something was changed since: then nothing is.
pub fn undo(root: &Path) -> Result<Vec<String>, UndoError> {
    let roots = Roots::open(&[root.to_owned()])?;
    let at = roots.get(0);
    let failed = |error: Errno| UndoError::Failed { path: root.to_owned(), error: error.into() };
    let nothing = || UndoError::Nothing { root: root.to_owned() };
    recover::recover(at.fd.as_fd()).map_err(|refused| at.not_recovered(&refused))?;
    let folder = open_folder(at.fd.as_fd()).map_err(failed)?.ok_or_else(nothing)?;
    let file = LockFile::open(folder.as_fd()).map_err(failed)?;
    let lock = file.lock().map_err(failed)?;
    // A host that has just ended may have left its lock to a child process, for the moment until that is a program of
    // its own.
    let mut patience = 200;
    while recover::any_alive(folder.as_fd()).map_err(failed)? {
        if patience == 0 {
            return Err(UndoError::Busy { root: root.to_owned() });
        }
        patience -= 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    let dead = dead_batches(folder.as_fd()).map_err(failed)?;
    let last = dead
        .iter()
        .filter_map(|it| Some((last_commit(&it.records)?, it)))
        .max_by(|(one, _), (two, _)| one.cmp(two));
    let (_, batch) = last.ok_or_else(nothing)?;
    let left = left(batch);
    let changed = changed_since(at.fd.as_fd(), &left).map_err(failed)?;
    if !changed.is_empty() {
        let kept = root.join(INORDER).join(BATCHES).join(&batch.name).display().to_string();
        return Err(UndoError::Changed { paths: changed, kept });
    }
    possible(at.fd.as_fd(), batch).map_err(|(path, error)| UndoError::Failed {
        path: root.join(path),
        error: error.into(),
    })?;
    let journal = open_journal(batch).map_err(failed)?;
    lock.claim().and_then(|()| journal::append(journal.as_fd(), &Record::Undo)).map_err(failed)?;
    take_back(at.fd.as_fd(), folder.as_fd(), batch, None).map_err(|(path, error)| {
        UndoError::InPart { path: root.join(path), error: error.into() }
    })?;
    undone(folder.as_fd(), batch);
    Ok(left.into_keys().collect())
}

/// Whether the system will let an undo change what it has to: half of one is worse than none.
fn possible(root: BorrowedFd<'_>, batch: &Dead) -> Result<(), Refused> {
    let mut looked_at = HashSet::new();
    for step in batch.commits().flatten() {
        let path = match step {
            Step::InPlace { path, .. } => path,
            Step::Times { .. } => continue,
            step => disk::split(step.path()).0,
        };
        if looked_at.insert(path)
            && let Err(error @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) = writable(root, path)
        {
            return Err((path.to_owned(), error));
        }
    }
    Ok(())
}

fn writable(root: BorrowedFd<'_>, path: &str) -> disk::Result<()> {
    let (parent, name) = disk::split(path);
    let parent = disk::open_dir(root, parent)?;
    let name = if name.is_empty() { "." } else { name };
    let access = match disk::stat(parent.as_fd(), name)?.kind {
        Kind::Dir => Access::WRITE_OK | Access::EXEC_OK,
        Kind::File => Access::WRITE_OK,
        // It is another one by now.
        Kind::Symlink | Kind::Other => return Ok(()),
    };
    rustix::fs::accessat(&parent, name, access, AtFlags::EACCESS)
}

/// Lets go of what a batch has kept, as all of it was taken back, and notes that. The root's lock must be held.
pub fn undone(folder: BorrowedFd<'_>, batch: &Dead) {
    let time = super::tree::now().0.unsigned_abs();
    let number = batch.number().to_owned();
    let entry = Entry { batch: number.clone(), time, calls: vec![], undoes: Some(number) };
    remove_batch(folder, &batch.name);
    if let Err(error) = append(folder, &entry) {
        tracing::warn!(%error, "the log of batches cannot be written");
    }
}

/// What a batch left at a path.
struct Now {
    left: Left,
    /// A directory that the batch has made, and that goes away again.
    made: bool,
    /// Somebody else changed it between two commits of the batch.
    changed: bool,
}

/// What a batch left at each path that it changed: by the paths as they are after all of its commits.
fn left(batch: &Dead) -> BTreeMap<String, Now> {
    let mut paths: BTreeMap<String, Now> = BTreeMap::new();
    let (mut steps, mut found): (&[Step], &[(String, Left)]) = (&[], &[]);
    for record in &batch.records {
        match record {
            Record::Begin { steps: these, found: there, .. } => (steps, found) = (these, there),
            Record::Done { left, .. } => {
                for (path, found) in found {
                    if let Some(now) = paths.get_mut(path).filter(|now| now.left != *found) {
                        now.changed = true;
                    }
                }
                let made = follow(&mut paths, steps);
                for (path, left) in left {
                    let made = made.contains(path.as_str()) && matches!(left, Left::Dir { .. });
                    if let Left::Other { ino, .. } = left {
                        // Under each of its names.
                        let same = |now: &&mut Now| matches!(now.left, Left::Other { ino: it, .. } if it == *ino);
                        paths.values_mut().filter(same).for_each(|now| now.left = *left);
                    }
                    let made =
                        made || paths.get(path).is_some_and(|now| now.made && now.left == *left);
                    let changed = paths.get(path).is_some_and(|now| now.changed);
                    paths.insert(path.clone(), Now { left: *left, made, changed });
                }
            }
            Record::RolledBack { .. } | Record::Undo | Record::Emptied => {}
        }
    }
    paths
}

/// Lets what lies in directories go where a commit has moved them; gives the paths of what is new.
fn follow<'s>(paths: &mut BTreeMap<String, Now>, steps: &'s [Step]) -> HashSet<&'s str> {
    let (mut new, mut moving) = (HashSet::new(), HashMap::new());
    for step in steps {
        match step {
            Step::Displace { path, slot, .. } => {
                let beneath: Vec<String> =
                    paths.keys().filter(|it| is_at_or_in(it, path)).cloned().collect();
                let taken = beneath
                    .into_iter()
                    .filter_map(|it| Some((it[path.len()..].to_owned(), paths.remove(&it)?)));
                moving.insert(slot, taken.collect::<Vec<_>>());
            }
            Step::Place { slot, path, .. } => match moving.remove(slot) {
                Some(moved) => {
                    // What was removed there was in a directory that was removed too: another one has come.
                    let inside = format!("{path}/");
                    paths.retain(|it, _| !it.starts_with(&inside));
                    let moved = moved.into_iter();
                    paths.extend(moved.map(|(rest, now)| (format!("{path}{rest}"), now)));
                }
                None => {
                    new.insert(path.as_str());
                }
            },
            Step::Swap { .. } | Step::InPlace { .. } | Step::Link { .. } | Step::Times { .. } => {}
        }
    }
    new
}

fn is_at_or_in(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Paths that are no longer as the batch left them.
fn changed_since(root: BorrowedFd<'_>, left: &BTreeMap<String, Now>) -> disk::Result<Vec<String>> {
    let mut changed = Vec::new();
    for (path, now) in left {
        if now.changed || Left::of(stat_beneath(root, path)?) != now.left {
            changed.push(path.clone());
        }
    }
    // A directory that goes away again must hold nothing but what goes with it.
    for (path, now) in left {
        if !now.made || changed.contains(path) {
            continue;
        }
        let opened = disk::open_dir(root, path)?;
        for entry in disk::list(opened.as_fd())?.0 {
            let inner = format!("{path}/{}", entry.name);
            if left.get(&inner).is_none_or(|now| now.left == Left::Nothing)
                && !changed.contains(&inner)
            {
                changed.push(inner);
            }
        }
    }
    Ok(changed)
}
