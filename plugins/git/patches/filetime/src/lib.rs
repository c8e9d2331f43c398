//! A point in time of a file, under the names that gix-index uses of the crate `filetime`, whose getters
//! panic on WebAssembly.
//!
//! Sets no times.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970, rounded down, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime {
    seconds: i64,
    nanos: u32,
}

impl FileTime {
    pub const fn zero() -> FileTime {
        FileTime { seconds: 0, nanos: 0 }
    }

    pub fn now() -> FileTime {
        FileTime::from_system_time(SystemTime::now())
    }

    pub const fn from_unix_time(seconds: i64, nanos: u32) -> FileTime {
        FileTime { seconds, nanos }
    }

    /// The time of the last change of a file; 1970 where none is known, which is older than any entry.
    pub fn from_last_modification_time(metadata: &Metadata) -> FileTime {
        metadata.modified().map(FileTime::from_system_time).unwrap_or(FileTime::zero())
    }

    pub fn from_system_time(time: SystemTime) -> FileTime {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => FileTime { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let up = before.subsec_nanos() > 0;
                let nanos = if up { 1_000_000_000 - before.subsec_nanos() } else { 0 };
                FileTime { seconds: -(before.as_secs() as i64) - i64::from(up), nanos }
            }
        }
    }

    pub const fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    pub const fn seconds(&self) -> i64 {
        self.seconds
    }

    pub const fn nanoseconds(&self) -> u32 {
        self.nanos
    }
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> FileTime {
        FileTime::from_system_time(time)
    }
}
