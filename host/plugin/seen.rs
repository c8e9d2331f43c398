//! What a component file holds, known without reading it, for as long as it is the file that was read.
//!
//! Reading and hashing 26 MB takes longer than all else of a start with a plugin in Python. As git does with its index, a
//! file is taken for unchanged while inode, size and both times are what they were, and is not remembered if it was
//! written just before it was read: a clock that is too coarse could not tell the next write from that one. What is
//! remembered is a digest, and what runs is what has that digest: a file that was changed behind its times may run as
//! it was before, and no call is recorded under another digest than that of the code which ran.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cache::{Cache, SUM, hex};

/// A file is remembered when it has rested for so long: longer than a tick of any file system's clock.
const REST: Duration = Duration::from_secs(3);

/// A component file in one of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    name: String,
    changed: SystemTime,
}

/// What it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// It is for the engine with component-model concurrency.
    pub concurrent: bool,
    /// The WIT that is packed in it.
    pub wit: Option<String>,
}

impl Stamp {
    pub fn of(file: &Metadata) -> Stamp {
        let mut name = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
        for part in [file.dev(), file.ino(), file.size()] {
            name.update(part.to_le_bytes());
        }
        let times = [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())];
        let mut changed = SystemTime::UNIX_EPOCH;
        for (seconds, nanoseconds) in times {
            name.update(seconds.to_le_bytes());
            name.update(nanoseconds.to_le_bytes());
            let (seconds, nanoseconds) = (seconds.try_into(), nanoseconds.try_into());
            let since = Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0));
            changed = changed.max(SystemTime::UNIX_EPOCH + since);
        }
        Stamp { name: format!("{}.seen", hex(&name.finalize())), changed }
    }

    /// Whether what was read at `moment` is what later readers find under this stamp.
    fn had_rested(&self, moment: SystemTime) -> bool {
        moment.duration_since(self.changed).is_ok_and(|rest| rest >= REST)
    }
}

impl Cache {
    /// What the file held when it was last read, if it has not changed.
    pub fn seen(&self, stamp: &Stamp) -> Option<Seen> {
        let path = self.dir().join(&stamp.name);
        let bytes = fs::read(&path).ok()?;
        let (seen, sum) = bytes.split_last_chunk::<SUM>()?;
        if crc32fast::hash(seen).to_le_bytes() != *sum {
            return None;
        }
        // When it was last used decides what goes first; that this cannot be noted is no loss.
        let used = || fs::File::open(&path)?.set_modified(SystemTime::now());
        let _ = used();
        serde_json::from_slice(seen).ok()
    }

    /// Remembers what a file held that was read from `moment` on and had one stamp before and after.
    pub fn remember(&self, stamp: &Stamp, moment: SystemTime, seen: &Seen) {
        if !stamp.had_rested(moment) {
            return;
        }
        let kept = serde_json::to_vec(seen)
            .map_err(std::io::Error::other)
            .and_then(|seen| self.keep(&stamp.name, &seen));
        if let Err(error) = kept {
            tracing::warn!(dir = %self.dir().display(), %error, "what a plugin holds cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn stamp(path: &Path) -> Stamp {
        Stamp::of(&fs::metadata(path).unwrap())
    }

    fn seen() -> Seen {
        Seen { digest: "ab".to_owned(), concurrent: false, wit: Some("{}".to_owned()) }
    }

    /// A cache, and a file that has just been written.
    fn written() -> (tempfile::TempDir, Cache, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("made")).unwrap();
        let path = dir.path().join("plugin.wasm");
        fs::write(&path, "one").unwrap();
        (dir, cache, path)
    }

    #[test]
    fn a_file_is_known_until_it_is_written_replaced_or_has_its_time_set_back() {
        let (dir, cache, path) = written();
        let first = stamp(&path);
        assert_eq!(cache.seen(&first), None);
        cache.remember(&first, SystemTime::now() + REST * 2, &seen());
        assert_eq!(cache.seen(&stamp(&path)), Some(seen()));
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // As long as before and, as far as `mtime` tells, as old; a clock's tick later.
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "two").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
        assert_eq!(cache.seen(&stamp(&path)), None);
        let other = dir.path().join("other");
        fs::write(&other, "one").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(cache.seen(&stamp(&path)), None);
    }

    #[test]
    fn a_file_that_was_written_just_before_it_was_read_is_read_again() {
        let (_dir, cache, path) = written();
        cache.remember(&stamp(&path), SystemTime::now(), &seen());
        assert_eq!(cache.seen(&stamp(&path)), None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let (_dir, cache, path) = written();
        let stamp = stamp(&path);
        cache.remember(&stamp, SystemTime::now() + REST * 2, &seen());
        let record = cache.dir().join(&stamp.name);
        let whole = fs::read(&record).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&record, damaged).unwrap();
            assert_eq!(cache.seen(&stamp), None, "a flipped bit at {at}");
            fs::write(&record, &whole[..at]).unwrap();
            assert_eq!(cache.seen(&stamp), None, "cut at {at}");
        }
    }
}
