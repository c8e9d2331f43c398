//! Changes the index, and writes it whole.
//!
//! Neither the lock file of git nor a temporary one is made: the host stages what a call writes and makes it
//! real at once, or not at all if another program changed it meanwhile. A lock of git's own is respected.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::time::UNIX_EPOCH;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::entry::{Flags, Mode, Stat, stat::Time};
use gix::index::write::{Extensions, Options};

use crate::repo::{Repo, words};
use crate::worktree::metadata;

/// What the index says of a file.
pub struct File {
    pub mode: u32,
    pub id: ObjectId,
    pub stat: Stat,
}

/// Refuses to go on where another program is at work.
pub fn check_lock(folder: &std::path::Path, name: &str) -> Result<(), String> {
    let lock = folder.join(format!("{name}.lock"));
    match lock.symlink_metadata() {
        Ok(_) => Err(format!(
            "{}: it is there: another git process is at work in this repository, or one was stopped and left it",
            lock.display()
        )),
        Err(_) => Ok(()),
    }
}

impl Repo {
    /// Opens a repository whose index is going to be written anew.
    ///
    /// What was written in the tick of the clock in which the old index was, or later, may differ from what
    /// the index says although its time and size do not. The new index will be younger, and could not
    /// tell: without a size, everybody looks at the content.
    pub fn open_to_change(path: &str) -> Result<Repo, String> {
        let mut repo = Repo::open(path)?;
        // In whole seconds, since most builds of git compare no more of the time.
        let written = repo.index.timestamp().unix_seconds();
        let mut places = Vec::new();
        for (place, entry) in repo.index.entries().iter().enumerate() {
            let (stat, path) = (&entry.stat, entry.path(&repo.index));
            if i64::from(stat.mtime.secs) < written || entry.mode == Mode::COMMIT {
                continue;
            }
            // One of another size tells by that.
            let found = metadata(&repo.place(path)?)?;
            if found.is_some_and(|found| found.len() as u32 == stat.size) {
                places.push(place);
            }
        }
        for place in places {
            repo.index.entries_mut()[place].stat.size = 0;
        }
        Ok(repo)
    }

    /// Puts files into the index, in place of all versions of them that are there, or takes them out. A file
    /// goes in the place of a folder too, and the other way round.
    pub fn replace(&mut self, files: &[(BString, Option<File>)]) -> Result<(), String> {
        let named: HashSet<BString> = files.iter().map(|(path, _)| path.clone()).collect();
        let added: HashSet<&BString> =
            files.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path).collect();
        let above = |path: &BStr| -> Vec<BString> {
            path.find_iter("/").map(|slash| path[..slash].into()).collect()
        };
        let folders: HashSet<BString> = added.iter().flat_map(|it| above(it.as_ref())).collect();
        self.index.remove_entries(|_, path, _| {
            named.contains(path)
                || folders.contains(path)
                || above(path).iter().any(|folder| added.contains(folder))
        });
        for (path, file) in files {
            let Some(File { mode, id, stat }) = file else { continue };
            let mode = Mode::from_bits(*mode).ok_or_else(|| format!("{path}: mode {mode:o}"))?;
            self.index.dangerously_push_entry(*stat, *id, Flags::empty(), mode, path.as_ref());
        }
        self.index.sort_entries();
        Ok(())
    }

    pub fn write_index(&mut self) -> Result<(), String> {
        let file = self.git.index_path();
        let folder = file.parent().unwrap_or(self.git.git_dir());
        check_lock(folder, "index")?;
        // Trees that it names for folders may be others now.
        self.index.remove_tree();
        self.index.remove_resolve_undo();
        let mut bytes = Vec::new();
        let options = Options { extensions: Extensions::None, skip_hash: false };
        self.index.write_to(&mut bytes, options).map_err(|error| words(&error))?;
        fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// What the index remembers of a file. Of what WebAssembly does not show it has zeros, at which git looks
/// at the content once more.
pub fn stat(found: &Metadata) -> Stat {
    let modified = found.modified().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    let mtime = modified
        .map_or(Time::default(), |it| Time { secs: it.as_secs() as u32, nsecs: it.subsec_nanos() });
    Stat { mtime, size: found.len() as u32, ..Stat::default() }
}

/// Writes the trees of an index, and answers the one at the root.
pub fn write_tree(repo: &Repo) -> Result<ObjectId, String> {
    let files: Vec<(&BStr, Mode, ObjectId)> = repo
        .index
        .entries()
        .iter()
        .filter(|entry| !entry.flags.contains(Flags::INTENT_TO_ADD))
        .map(|entry| (entry.path(&repo.index), entry.mode, entry.id))
        .collect();
    folder(repo, &files, 0)
}

/// The tree of files that have the first `skip` bytes of their paths in common.
fn folder(repo: &Repo, files: &[(&BStr, Mode, ObjectId)], skip: usize) -> Result<ObjectId, String> {
    use gix::objs::tree::{Entry, EntryMode};
    let mut tree = gix::objs::Tree::empty();
    let mut rest = files;
    while let Some((path, mode, id)) = rest.first() {
        let name = &path[skip..];
        let Some(slash) = name.find_byte(b'/') else {
            let mode = u16::try_from(mode.bits()).map_err(|error| error.to_string())?;
            let mode = EntryMode::try_from(u32::from(mode))
                .map_err(|mode| format!("{path}: mode {mode:o}"))?;
            tree.entries.push(Entry { mode, filename: name.into(), oid: *id });
            rest = &rest[1..];
            continue;
        };
        let prefix = &path[..skip + slash + 1];
        let count = rest.iter().take_while(|(path, ..)| path.starts_with(prefix)).count();
        let (below, later) = rest.split_at(count);
        let oid = folder(repo, below, prefix.len())?;
        let mode = gix::objs::tree::EntryKind::Tree.into();
        tree.entries.push(Entry { mode, filename: name[..slash].into(), oid });
        rest = later;
    }
    tree.entries.sort();
    repo.git.write_object(&tree).map(gix::Id::detach).map_err(|error| words(&error))
}
