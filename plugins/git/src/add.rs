//! `git add` and `git reset`: what the next commit will hold.

use std::collections::BTreeSet;

use gix::bstr::{BStr, BString};

use crate::change::{SUBMODULE, Side};
use crate::index::File;
use crate::repo::{Repo, refuse_option, words};
use crate::safe::check_name;
use crate::worktree::{Worktree, metadata};
use crate::{index, refs, tree, untracked};

pub fn add(repo_path: &str, files: &[String]) -> Result<String, String> {
    let mut repo = Repo::open_to_change(repo_path)?;
    if files.is_empty() {
        return Err("files: name at least one file or folder, `.` for all".to_owned());
    }
    let mut paths: BTreeSet<BString> = BTreeSet::new();
    for file in files {
        refuse_option("file", file)?;
        paths.extend(below(&repo, file)?);
    }
    let mut changes: Vec<(BString, Option<File>)> = Vec::new();
    let mut worktree = Worktree::new(&repo)?;
    for path in paths {
        check_name(path.as_ref())?;
        let mode = mode(&repo, path.as_ref());
        if mode == Some(SUBMODULE) {
            continue;
        }
        let side = worktree.side(path.as_ref(), mode.unwrap_or(crate::change::FILE))?;
        let found = metadata(&repo.place(path.as_ref())?)?;
        let file = match (side, found) {
            (Some(side), Some(found)) => {
                let content = side.content.unwrap_or_default();
                repo.git.write_blob(content).map_err(|error| words(&error))?;
                Some(File { mode: side.mode, id: side.id, stat: index::stat(&found) })
            }
            _ => None,
        };
        changes.push((path, file));
    }
    repo.replace(&changes)?;
    repo.write_index()?;
    Ok("Files staged successfully".to_owned())
}

/// The files that a path names: itself, or all below it that are tracked or could be.
fn below(repo: &Repo, file: &str) -> Result<Vec<BString>, String> {
    if file.split('/').any(|part| part == "..") || file.starts_with('/') {
        return Err(format!("{file}: a path within the repository is meant"));
    }
    let path = crate::log::normal(file);
    if path.split(|it| *it == b'/').any(|part| part.eq_ignore_ascii_case(b".git")) {
        return Err(format!("{file}: what is in .git cannot be added"));
    }
    let within = |it: &BStr| {
        path.is_empty()
            || it == path.as_slice()
            || it.strip_prefix(path.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
    };
    let entries = repo.index.entries().iter().map(|entry| entry.path(&repo.index));
    let mut found: Vec<BString> = entries.filter(|it| within(it)).map(ToOwned::to_owned).collect();
    // One that is tracked needs no look at the rules of what is ignored.
    let there = metadata(&repo.place(path.as_ref())?)?;
    let listed =
        found.len() == 1 && found[0] == path && there.as_ref().is_none_or(|it| !it.is_dir());
    if !listed {
        let new = untracked::files(repo, path.as_ref())?;
        if found.is_empty() && new.is_empty() && !path.is_empty() {
            return match there {
                None => Err(format!("pathspec '{file}' did not match any files")),
                Some(found)
                    if found.is_dir() && !untracked::is_ignored(repo, path.as_ref(), true)? =>
                {
                    Ok(Vec::new())
                }
                Some(_) => Err(format!("{file}: it is ignored by one of the .gitignore files")),
            };
        }
        found.extend(new);
    }
    Ok(found)
}

/// What the index says of it, in any version.
fn mode(repo: &Repo, path: &BStr) -> Option<u32> {
    let range = repo.index.entry_range(path)?;
    let entries = &repo.index.entries()[range];
    // Of a conflict, what we had.
    let ours = entries.iter().find(|it| matches!(it.stage_raw(), 0 | 2));
    ours.or(entries.first()).map(|it| it.mode.bits())
}

/// `git reset`: the index becomes what the current commit holds.
pub fn reset(repo_path: &str) -> Result<String, String> {
    let mut repo = Repo::open_to_change(repo_path)?;
    let files = tree::files(&repo.git, repo.head_tree()?)?;
    let mut changes = Vec::new();
    for Side { path, mode, id, .. } in files {
        let entry = repo.index.entry_by_path(path.as_ref());
        let same = entry.filter(|it| it.id == id && it.mode.bits() == mode);
        let stat = same.map(|it| it.stat).unwrap_or_default();
        changes.push((path, Some(File { mode, id, stat })));
    }
    repo.index.remove_entries(|_, _, _| true);
    repo.replace(&changes)?;
    repo.write_index()?;
    crate::state::end(&repo.git)?;
    if let Some(head) = crate::repo::head(&repo.git)? {
        // As git does, for a way back.
        refs::remember(&repo.git, head)?;
    }
    Ok("All staged changes reset".to_owned())
}
