//! Compares an index with the working tree.
//!
//! WebAssembly shows no permissions of files, so that whether one is executable is taken from the index, as
//! git does with `core.fileMode = false`.

use std::fs::{self, Metadata};
use std::io::{ErrorKind, Read as _};
use std::time::UNIX_EPOCH;

use gix::bstr::{BStr, ByteSlice as _};
use gix::index::Entry;
use gix::index::entry::Flags;

use crate::change::{Change, FILE, SUBMODULE, SYMLINK, Side};
use crate::repo::{Repo, words};

/// Reads files of the working tree as git would store them.
pub struct Worktree<'r> {
    repo: &'r Repo,
    filters: gix::filter::Pipeline<'r>,
}

impl<'r> Worktree<'r> {
    pub fn new(repo: &'r Repo) -> Result<Worktree<'r>, String> {
        let (filters, _) = repo.git.filter_pipeline(None).map_err(|error| words(&error))?;
        Ok(Worktree { repo, filters })
    }

    /// What differs from the index to the working tree, sorted by path: files that are tracked, without
    /// those with conflicts. Among them may be some whose content is the same once it is converted, such as
    /// one with other line ends.
    pub fn compare(&mut self) -> Result<Vec<Change>, String> {
        let repo = self.repo;
        let mut changes = Vec::new();
        for entry in repo.index.entries() {
            if entry.stage_raw() > 0 {
                continue;
            }
            let path = entry.path(&repo.index);
            let added_later = entry.flags.contains(Flags::INTENT_TO_ADD);
            let old = (!added_later).then(|| Side::new(path, entry.mode.bits(), entry.id));
            let new = match self.look(entry)? {
                Look::Unchanged if !added_later => continue,
                Look::Unchanged => self.side(path, entry.mode.bits())?,
                Look::Changed(side) => side,
            };
            if old != new {
                changes.push(Change::new(old, new));
            }
        }
        Ok(changes)
    }

    /// All tracked files as the working tree holds them, sorted by path. Those that did not change since the
    /// index was written are not read.
    pub fn files(&mut self) -> Result<Vec<Side>, String> {
        let repo = self.repo;
        let mut files: Vec<Side> = Vec::new();
        for entry in repo.index.entries() {
            let path = entry.path(&repo.index);
            if files.last().is_some_and(|last| last.path == path) {
                continue;
            }
            let side = match entry.stage_raw() {
                0 => match self.look(entry)? {
                    Look::Unchanged => Some(Side::new(path, entry.mode.bits(), entry.id)),
                    Look::Changed(side) => side,
                },
                _ => self.side(path, entry.mode.bits())?,
            };
            files.extend(side);
        }
        Ok(files)
    }

    /// A file as it is now; none if there is none, or a folder in its place. `mode` is what the index says
    /// of it.
    pub fn side(&mut self, path: &BStr, mode: u32) -> Result<Option<Side>, String> {
        let place = self.repo.place(path)?;
        match metadata(&place)? {
            Some(found) if !found.is_dir() => self.read(path, &found, mode).map(Some),
            _ => Ok(None),
        }
    }

    fn look(&mut self, entry: &Entry) -> Result<Look, String> {
        let path = entry.path(&self.repo.index);
        let mode = entry.mode.bits();
        if mode == SUBMODULE || entry.flags.intersects(Flags::ASSUME_VALID | Flags::SKIP_WORKTREE) {
            return Ok(Look::Unchanged);
        }
        let place = self.repo.place(path)?;
        let Some(found) = metadata(&place)?.filter(|it| !it.is_dir()) else {
            return Ok(Look::Changed(None));
        };
        let kind_kept = found.is_symlink() == (mode == SYMLINK);
        if kind_kept && self.is_as_indexed(entry, &found) {
            return Ok(Look::Unchanged);
        }
        let side = self.read(path, &found, mode)?;
        // Git looks no further than at another size, unless it wrote none down to make itself look.
        let resized = entry.stat.size != 0 && entry.stat.size != found.len() as u32;
        if side.mode == mode && side.id == entry.id && !resized {
            return Ok(Look::Unchanged);
        }
        Ok(Look::Changed(Some(side)))
    }

    /// Whether size and time of a file say that it is what the index holds. A file that was written when
    /// the index was, or later, may have been written again within the same tick of the clock.
    fn is_as_indexed(&self, entry: &Entry, found: &Metadata) -> bool {
        let Some(modified) =
            found.modified().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok())
        else {
            return false;
        };
        let (seconds, nanos) = (modified.as_secs() as u32, modified.subsec_nanos());
        let stat = &entry.stat;
        let written = self.repo.index.timestamp();
        let before = (i64::from(stat.mtime.secs), stat.mtime.nsecs)
            < (written.unix_seconds(), written.nanoseconds());
        before
            && stat.mtime.secs == seconds
            && (stat.mtime.nsecs == nanos || stat.mtime.nsecs == 0)
            && stat.size == found.len() as u32
    }

    fn read(&mut self, path: &BStr, found: &Metadata, mode: u32) -> Result<Side, String> {
        let place = self.repo.place(path)?;
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let (content, mode) = if found.is_symlink() {
            let target = fs::read_link(&place).map_err(failed)?;
            (target.to_string_lossy().into_owned().into_bytes(), SYMLINK)
        } else {
            let bytes = fs::read(&place).map_err(failed)?;
            let regular = mode & 0o170000 == 0o100000;
            (self.stored(path, bytes)?, if regular { mode } else { FILE })
        };
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, &content)
            .map_err(|error| words(&error))?;
        Ok(Side { path: path.to_owned(), mode, id, content: Some(content) })
    }

    /// Line ends and the like as git stores them. A program that should filter the file cannot be run.
    fn stored(&mut self, path: &BStr, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        use gix::filter::plumbing::pipeline::convert::ToGitOutcome;
        let relative = path.to_str().map_err(|error| error.to_string())?;
        let failed =
            |why: String| format!("{path}: it cannot be converted to what git would store: {why}");
        let outcome = self
            .filters
            .convert_to_git(&*bytes, relative.as_ref(), &self.repo.index)
            .map_err(|error| failed(words(&error)))?;
        let converted = match outcome {
            ToGitOutcome::Unchanged(_) => None,
            ToGitOutcome::Buffer(buffer) => Some(buffer.to_vec()),
            ToGitOutcome::Process(mut stream) => {
                let mut buffer = Vec::new();
                stream.read_to_end(&mut buffer).map_err(|error| failed(error.to_string()))?;
                Some(buffer)
            }
        };
        Ok(converted.unwrap_or(bytes))
    }
}

enum Look {
    Unchanged,
    /// What there is instead.
    Changed(Option<Side>),
}

/// Of a path itself, not of what it leads to; none where there is nothing.
pub fn metadata(place: &std::path::Path) -> Result<Option<Metadata>, String> {
    match fs::symlink_metadata(place) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", place.display())),
    }
}
