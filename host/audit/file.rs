//! A file of records, one JSON line each, which any number of processes may add to.
//!
//! A line is one write at the end of the file. When the file is full it becomes `.1`, in place of the one before, by whoever
//! gets its lock alone; the others, who share that lock as they look, notice that the name is another file's now. Who has just
//! looked writes without: for a moment its lines may still go to the file that has become `.1`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::aside::aside;

use super::record::{AuditRecord, AuditSink};

/// A file that is full with this many bytes.
const FULL: u64 = 16 << 20;

/// How long a look at the name of a file holds. Looking takes four times as long as writing.
const LOOKED: Duration = Duration::from_millis(50);

/// An audit log in a file: made when it is first needed, closed to other users, its directory too.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    full: u64,
    looked: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// When the file was seen to have the name, and what room there is in it since.
    seen: Option<(Instant, u64)>,
    /// The last line was cut short.
    torn: bool,
    warned: bool,
}

impl AuditFile {
    /// A log at `path`, absolute or of the working directory.
    pub fn new(path: impl Into<PathBuf>) -> AuditFile {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        AuditFile { path, full: FULL, looked: LOOKED, state: Mutex::default() }
    }

    /// The size at which a file is full; 16 MiB by default. There are two of them at most.
    #[must_use]
    pub fn full_at(mut self, bytes: u64) -> AuditFile {
        self.full = bytes;
        // Lines are lost if others fill it twice while a look holds: by 320 MB/s, whatever its size.
        self.looked = LOOKED.mul_f64((bytes as f64 / FULL as f64).min(1.0));
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn older(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }

    /// Adds a line to the file that has the name.
    fn add(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        let seen = state.seen.take();
        if let (Some(file), Some((when, room))) = (&state.file, seen)
            && when.elapsed() < self.looked
            && let Some(room) = room.checked_sub(line.len() as u64)
        {
            state.torn = file_line(file, line)? < line.len();
            state.seen = Some((when, room));
            return state.whole();
        }
        loop {
            let file = match state.file.take() {
                Some(file) => file,
                None => self.open()?,
            };
            // What is locked is unlocked when it is closed.
            shared(&file)?;
            let Some(length) = self.named(&file)? else { continue };
            if length > 0 && length + line.len() as u64 > self.full && self.turn_page(&file)? {
                continue;
            }
            let written = file_line(&file, line)?;
            flock(&file, FlockOperation::Unlock)?;
            state.file = Some(file);
            state.torn = written < line.len();
            let room = self.full.saturating_sub(length + written as u64);
            state.seen = Some((Instant::now(), room));
            return state.whole();
        }
    }

    /// Moves a full file away, if nobody is writing. Gives whether another file is to be opened.
    fn turn_page(&self, file: &File) -> io::Result<bool> {
        if flock(file, FlockOperation::NonBlockingLockExclusive).is_err() {
            // By whoever comes when nobody writes.
            shared(file)?;
            return Ok(self.named(file)?.is_none());
        }
        // Somebody else may have been first.
        if self.named(file)?.is_some() {
            fs::rename(&self.path, self.older())?;
        }
        Ok(true)
    }

    /// How long an open file is, if it still has the name.
    fn named(&self, file: &File) -> io::Result<Option<u64>> {
        let opened = file.metadata()?;
        let named = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            named => named?,
        };
        let same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
        Ok(same.then_some(opened.len()))
    }

    fn open(&self) -> io::Result<File> {
        if let Some(dir) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        // Not to wait for whoever reads a pipe.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nonblocking)
            .open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(file)
    }
}

impl AuditSink for AuditFile {
    fn record(&self, record: &AuditRecord) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = if state.torn { vec![b'\n'] } else { vec![] };
        let added = serde_json::to_writer(&mut line, record).map_err(io::Error::from);
        line.push(b'\n');
        let added = added.and_then(|()| self.add(&mut state, &line));
        if let Err(error) = added
            && !std::mem::replace(&mut state.warned, true)
        {
            tracing::warn!(path = %self.path.display(), %error, "the audit log cannot be written");
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        // As they are found by whoever writes there: the directory may be behind a symlink.
        let real = |path: &Path| {
            let dir = path.parent()?;
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            Some(dir.canonicalize().ok()?.join(path.file_name()?))
        };
        [&self.path, &self.older()].map(|path| real(path).unwrap_or_else(|| path.clone())).into()
    }
}

impl State {
    /// # Errors
    /// The last line is not whole.
    fn whole(&self) -> io::Result<()> {
        if self.torn { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// In one write, so that lines of several processes do not mix. Gives how much of it was written.
fn file_line(mut file: &File, line: &[u8]) -> io::Result<usize> {
    file.write(line)
}

/// Locks it for writing, beside others that write; who moves it away is waited for.
fn shared(file: &File) -> io::Result<()> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => aside(|| flock(file, FlockOperation::LockShared)),
        locked => locked,
    }
    .map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Listed;

    fn record(call: &str) -> AuditRecord {
        AuditRecord {
            time: "2000-01-01T00:00:00.000Z".to_owned(),
            batch: "b".to_owned(),
            tenant: String::new(),
            call: call.to_owned(),
            tool: "t".to_owned(),
            plugin: None,
            arguments: None,
            outcome: "ok".to_owned(),
            effect: "commit",
            committed: None,
            read: Listed::new(std::iter::empty()),
            wrote: Listed::new(std::iter::empty()),
            denied: Listed::new(std::iter::empty()),
            requested: Listed::new(std::iter::empty()),
            denied_requests: Listed::new(std::iter::empty()),
            asked: Listed::in_order(vec![]),
            attempts: 1,
            queued: Duration::ZERO,
            run: Duration::ZERO,
        }
    }

    fn calls(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let line = |line: &str| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            json["call"].as_str().unwrap().to_owned()
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn the_file_and_its_directory_are_closed_to_others_and_a_call_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/inorder/audit.jsonl");
        let log = AuditFile::new(&path);
        log.record(&record("one\ntwo\u{1b}[31m"));
        log.record(&record("three"));
        assert_eq!(calls(&path), ["one\ntwo\u{1b}[31m", "three"]);
        assert!(!fs::read_to_string(&path).unwrap().contains('\u{1b}'));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn several_writers_turn_the_page_together_and_lose_nothing_of_the_last_two() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let line = serde_json::to_vec(&record("0-000")).unwrap().len() as u64 + 1;
        // As processes do, each has a file of its own.
        std::thread::scope(|threads| {
            for writer in 0..4 {
                let log = AuditFile::new(&path).full_at(100 * line);
                threads.spawn(move || {
                    (0..250).for_each(|n| log.record(&record(&format!("{writer}-{n:03}"))));
                });
            }
        });
        let older = dir.path().join("audit.jsonl.1");
        let (last, before) = (calls(&path), calls(&older));
        for writer in 0..4 {
            let own = |calls: &[String]| {
                let own = calls.iter().filter(|call| call.starts_with(&format!("{writer}-")));
                own.cloned().collect::<Vec<_>>()
            };
            let kept = [own(&before), own(&last)].concat();
            let from = 250 - kept.len();
            let all: Vec<_> = (from..250).map(|n| format!("{writer}-{n:03}")).collect();
            assert_eq!(kept, all);
        }
    }

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let line = serde_json::to_vec(&record("000")).unwrap().len() as u64 + 1;
        let log = AuditFile::new(&path).full_at(100 * line);
        let of = |calls: std::ops::Range<u32>| calls.map(|n| format!("{n:03}")).collect::<Vec<_>>();
        of(0..250).iter().for_each(|call| log.record(&record(call)));
        assert_eq!(calls(&path), of(200..250));
        assert_eq!(calls(&dir.path().join("audit.jsonl.1")), of(100..200));
    }

    #[test]
    fn a_log_that_is_moved_away_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let log = AuditFile::new(&path);
        log.record(&record("one"));
        fs::rename(&path, dir.path().join("kept")).unwrap();
        let moved = Instant::now();
        while !path.exists() {
            log.record(&record("two"));
            assert!(moved.elapsed() < LOOKED + Duration::from_secs(60));
        }
        assert_eq!(calls(&path), ["two"]);
    }
}
