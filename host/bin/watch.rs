//! What is watched, files or a folder: when one of them has changed, and is whole again.
//!
//! The system tells that something happened in a folder; what, is asked of the files themselves. So a file may be replaced by
//! another, be written in several steps, be gone for a moment, or lie behind a symlink that is switched over. Where the
//! system tells nothing (a network file system, a folder that was replaced), it is looked at every now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc::{self, error::TrySendError};

/// How long files have to stay as they are, to be taken for whole.
const SETTLED: Duration = Duration::from_millis(250);

/// How long one may be gone before that is the change.
const GONE: Duration = Duration::from_secs(2);

/// Files that never stay as they are are taken as they are.
const RESTLESS: Duration = Duration::from_secs(10);

/// Where the system tells nothing.
const LOOK: Duration = Duration::from_secs(2);

/// In a folder in which a lot happens.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Watch<L> {
    look: L,
    seen: Stamps,
    /// Nothing, where the system has none to give.
    events: Option<Events>,
}

/// What is looked at.
pub trait Look {
    /// Each file by something that tells its states apart; nothing, for one that is not there.
    fn stamps(&self) -> Stamps;

    /// Those in which something happens when one of them changes.
    fn folders(&self) -> BTreeSet<PathBuf>;
}

pub type Stamps = BTreeMap<PathBuf, Option<u64>>;

/// Files by their paths, told apart without being read.
pub struct Files(Vec<PathBuf>);

impl Watch<Files> {
    /// Changes are those after this moment.
    pub fn files(files: Vec<PathBuf>) -> Watch<Files> {
        Watch::new(Files(files))
    }

    /// Watches these files instead. Of those that were watched before, changes are still to be told.
    pub fn set(&mut self, files: Vec<PathBuf>) {
        self.refine(|look| *look = Files(files));
    }
}

impl<L: Look> Watch<L> {
    /// Changes are those after this moment.
    pub fn new(look: L) -> Watch<L> {
        let events = Events::open().inspect_err(|error| {
            tracing::debug!(%error, "the system tells of no changes; files are looked at instead");
        });
        let seen = look.stamps();
        let mut watch = Watch { look, seen, events: events.ok() };
        watch.watch_folders();
        watch
    }

    /// Until a file is not as it was when this was last told, and all have settled. Gives those that are not.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            match &mut self.events {
                Some(events) => {
                    let _ = tokio::time::timeout(LOOK, events.next()).await;
                }
                None => tokio::time::sleep(LOOK).await,
            }
            if self.look.stamps() == self.seen {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let settled = self.settled().await;
            // A folder that was replaced is another one.
            self.watch_folders();
            let changed = differing(&self.seen, &settled);
            if !changed.is_empty() {
                self.seen = settled;
                return changed;
            }
        }
    }

    /// Changes what is looked at. What is no longer, or only now, has not changed.
    pub fn refine(&mut self, how: impl FnOnce(&mut L)) {
        how(&mut self.look);
        let mut seen = self.look.stamps();
        for (file, stamp) in &mut seen {
            if let Some(before) = self.seen.get(file) {
                *stamp = *before;
            }
        }
        self.seen = seen;
        self.watch_folders();
    }

    /// What is not as it was when a change was last told, right now.
    pub fn differs(&self) -> Vec<PathBuf> {
        differing(&self.seen, &self.look.stamps())
    }

    async fn settled(&self) -> Stamps {
        let (began, mut now) = (Instant::now(), self.look.stamps());
        let mut still = began;
        loop {
            tokio::time::sleep(PAUSE).await;
            let next = self.look.stamps();
            if next != now {
                (now, still) = (next, Instant::now());
            }
            let gone = now.iter().any(|(file, stamp)| {
                stamp.is_none() && self.seen.get(file).is_some_and(Option::is_some)
            });
            let wait = if gone { GONE } else { SETTLED };
            if still.elapsed() >= wait || began.elapsed() >= RESTLESS {
                return now;
            }
        }
    }

    fn watch_folders(&mut self) {
        if let Some(events) = &mut self.events {
            events.watch(&self.look.folders());
        }
    }
}

/// What the system tells: that something has happened in a folder.
struct Events {
    inotify: Arc<OwnedFd>,
    watched: BTreeMap<PathBuf, i32>,
    told: mpsc::Receiver<()>,
}

impl Events {
    /// On a thread of their own, since reading them blocks. It ends with the folders that are listened to.
    fn open() -> std::io::Result<Events> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC)?);
        let (sender, told) = mpsc::channel(1);
        let read = inotify.clone();
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let mut events = [0; 4096];
            loop {
                match rustix::io::read(&read, &mut events) {
                    Ok(0) => return,
                    Err(Errno::INTR) => {}
                    Err(error) => {
                        tracing::debug!(%error, "the system tells of no more changes");
                        return;
                    }
                    // One that waits says as much as many.
                    Ok(_) => {
                        if let Err(TrySendError::Closed(())) = sender.try_send(()) {
                            return;
                        }
                    }
                }
            }
        })?;
        Ok(Events { inotify, watched: BTreeMap::new(), told })
    }

    /// Listens to these folders, as they are now under these names.
    fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let happens = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF;
        let mut watched = BTreeMap::new();
        for folder in folders {
            // One that is listened to already keeps its number.
            match inotify::add_watch(&self.inotify, folder, happens | WatchFlags::ONLYDIR) {
                Ok(number) => {
                    watched.insert(folder.clone(), number);
                }
                Err(error) => tracing::debug!(
                    folder = %folder.display(), %error, "a folder is looked at instead of listened to"
                ),
            }
        }
        for number in self.watched.values().filter(|it| !watched.values().any(|new| new == *it)) {
            // That of a folder that is gone is gone too.
            let _ = inotify::remove_watch(&self.inotify, *number);
        }
        self.watched = watched;
    }

    /// Until something has happened.
    async fn next(&mut self) {
        if self.told.recv().await.is_none() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.told.close();
        // Of each the thread is told, which then ends.
        self.watch(&BTreeSet::new());
    }
}

impl Look for Files {
    fn stamps(&self) -> Stamps {
        self.0.iter().map(|file| (file.clone(), stamp(file))).collect()
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        // Where it is, and where it is said to be.
        let real = self.0.iter().filter_map(|file| file.canonicalize().ok());
        let places: Vec<PathBuf> = real.chain(self.0.iter().cloned()).collect();
        places.iter().filter_map(|place| place.parent()).map(Path::to_owned).collect()
    }
}

fn differing(before: &Stamps, after: &Stamps) -> Vec<PathBuf> {
    let other = after.iter().filter(|(file, stamp)| before.get(*file) != Some(*stamp));
    let gone = before.iter().filter(|(file, _)| !after.contains_key(*file));
    other.chain(gone).map(|(file, _)| file.clone()).collect()
}

fn stamp(file: &Path) -> Option<u64> {
    let found = std::fs::metadata(file).ok()?;
    let mut hasher = DefaultHasher::new();
    (found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()).hash(&mut hasher);
    (found.ctime(), found.ctime_nsec()).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a change is told within so long.
    async fn told(watch: &mut Watch<Files>, within: Duration) -> bool {
        tokio::time::timeout(within, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn changes_of_every_kind_are_told_once_and_when_they_are_done() {
        const LONG: Duration = Duration::from_secs(30);
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&file, "one").unwrap();
        let mut watch = Watch::files(vec![file.clone(), other.clone()]);
        // Written in place, in steps.
        std::fs::write(&file, "").unwrap();
        let steps = async {
            for text in ["t", "tw", "two"] {
                std::fs::write(&file, text).unwrap();
                tokio::time::sleep(SETTLED / 3).await;
            }
        };
        let (told_of_it, ()) = tokio::join!(told(&mut watch, LONG), steps);
        assert!(told_of_it);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        // Replaced.
        std::fs::write(dir.path().join("new"), "three").unwrap();
        std::fs::rename(dir.path().join("new"), &file).unwrap();
        assert!(told(&mut watch, LONG).await);
        // Gone for a moment.
        std::fs::remove_file(&file).unwrap();
        let back = async {
            tokio::time::sleep(SETTLED * 2).await;
            std::fs::write(&file, "four").unwrap();
        };
        let (told_of_it, ()) = tokio::join!(told(&mut watch, LONG), back);
        assert!(told_of_it && file.exists());
        // One that was not there.
        std::fs::write(&other, "").unwrap();
        assert!(told(&mut watch, LONG).await);
        // With its folder.
        let moved = dir.path().with_extension("moved");
        std::fs::rename(dir.path(), &moved).unwrap();
        std::fs::create_dir(dir.path()).unwrap();
        std::fs::write(&file, "five").unwrap();
        std::fs::remove_dir_all(&moved).unwrap();
        assert!(told(&mut watch, LONG).await);
        std::fs::write(&file, "six").unwrap();
        assert!(told(&mut watch, LONG).await);
        // Others beside it are nobody's business.
        std::fs::write(dir.path().join("c"), "").unwrap();
        assert!(!told(&mut watch, LOOK + SETTLED * 2).await);
    }
}
