//! Finds what lies in the working tree, is not tracked and not ignored, as `git status` lists it: a folder
//! in which nothing is tracked is one entry, if there is a file in it.

use std::fs;

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::entry::Mode;

use crate::repo::{Repo, words};
use crate::worktree::metadata;

/// Sorted by path; folders end with `/`.
pub fn find(repo: &Repo) -> Result<Vec<BString>, String> {
    let mut walk = Walk::new(repo)?;
    walk.folder("".into())?;
    walk.found.sort();
    Ok(walk.found)
}

/// Each file by itself: the path, or those below it.
pub fn files(repo: &Repo, path: &BStr) -> Result<Vec<BString>, String> {
    let mut walk = Walk::new(repo)?;
    let found = if path.is_empty() { None } else { metadata(&repo.place(path)?)? };
    let is_folder = path.is_empty() || found.as_ref().is_some_and(std::fs::Metadata::is_dir);
    let item = Item { path: path.to_owned(), is_folder };
    if is_folder || found.is_some() {
        walk.all(item)?;
    }
    walk.found.sort();
    Ok(walk.found)
}

pub fn is_ignored(repo: &Repo, path: &BStr, is_folder: bool) -> Result<bool, String> {
    Walk::new(repo)?.is_ignored(&Item { path: path.to_owned(), is_folder })
}

struct Walk<'r> {
    repo: &'r Repo,
    rules: gix::AttributeStack<'r>,
    found: Vec<BString>,
}

struct Item {
    path: BString,
    is_folder: bool,
}

impl<'r> Walk<'r> {
    fn new(repo: &'r Repo) -> Result<Walk<'r>, String> {
        use gix::worktree::stack::state::ignore::Source;
        let source = Source::WorktreeThenIdMappingIfNotSkipped;
        let rules = repo.git.excludes(&repo.index, None, source).map_err(|error| words(&error))?;
        Ok(Walk { repo, rules, found: Vec::new() })
    }

    fn all(&mut self, item: Item) -> Result<(), String> {
        let path = item.path.as_bstr();
        let index = &self.repo.index;
        let tracked = index.entry_range(path).map(|range| &index.entries()[range.start]);
        // What is in a folder that is in the place of a tracked file is new.
        let known = tracked.is_some_and(|it| !item.is_folder || it.mode == Mode::COMMIT);
        if known || (!path.is_empty() && self.is_ignored(&item)?) {
            return Ok(());
        }
        if !item.is_folder {
            self.found.push(item.path);
            return Ok(());
        }
        if !path.is_empty() && self.repo.place(path)?.join(".git").symlink_metadata().is_ok() {
            return Err(format!(
                "{path}: it is a repository of its own, which cannot be added here"
            ));
        }
        self.items(path)?.into_iter().try_for_each(|item| self.all(item))
    }

    /// Lists the folder's own, in which something is tracked.
    fn folder(&mut self, folder: &BStr) -> Result<(), String> {
        for item in self.items(folder)? {
            let path = item.path.as_bstr();
            let index = &self.repo.index;
            // A submodule too, and a folder in the place of a tracked file.
            if index.entry_range(path).is_some() {
                continue;
            }
            let mut below = item.path.clone();
            below.push(b'/');
            if item.is_folder && index.prefixed_entries(below.as_ref()).is_some() {
                if !self.is_ignored(&item)? {
                    self.folder(item.path.as_ref())?;
                }
                continue;
            }
            if self.is_ignored(&item)? {
                continue;
            }
            if !item.is_folder {
                self.found.push(item.path);
            } else if self.holds_files(path)? {
                self.found.push(below);
            }
        }
        Ok(())
    }

    /// Whether there is a file below that is not ignored, or a repository.
    fn holds_files(&mut self, folder: &BStr) -> Result<bool, String> {
        if self.repo.place(folder)?.join(".git").symlink_metadata().is_ok() {
            return Ok(true);
        }
        for item in self.items(folder)? {
            if self.is_ignored(&item)? {
                continue;
            }
            if !item.is_folder || self.holds_files(item.path.as_ref())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_ignored(&mut self, item: &Item) -> Result<bool, String> {
        let mode = if item.is_folder { Mode::DIR } else { Mode::FILE };
        let found = self.rules.at_entry(item.path.as_bstr(), Some(mode));
        Ok(found.map_err(|error| words(&error))?.is_excluded())
    }

    fn items(&self, folder: &BStr) -> Result<Vec<Item>, String> {
        let place = self.repo.place(folder)?;
        let failed = |error: std::io::Error| format!("{}: {error}", place.display());
        let mut items = Vec::new();
        for entry in fs::read_dir(&place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type().map_err(failed)?;
            // Sockets and the like are no more seen than by git.
            if name == ".git" || !(kind.is_dir() || kind.is_file() || kind.is_symlink()) {
                continue;
            }
            let mut path = folder.to_owned();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            items.push(Item { path, is_folder: kind.is_dir() });
        }
        items.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(items)
    }
}
