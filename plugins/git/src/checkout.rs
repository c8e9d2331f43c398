//! `git checkout`: goes to another branch, or to a commit, with all that it holds.
//!
//! If anything is in the way, it fails: the host then drops all that the call has written.

use std::fs;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::refs::FullName;

use crate::change::{Change, EXECUTABLE, Side};
use crate::commit::identity;
use crate::head::{self, Head};
use crate::index::{self, File, check_lock};
use crate::refs::{self, Update};
use crate::repo::{Repo, head as head_commit, refuse_option, resolve, tree_of, words};
use crate::safe::{check_name, check_way};
use crate::state::{self, State};
use crate::worktree::{Worktree, metadata};
use crate::{branch, tree};

pub fn checkout(repo_path: &str, name: &str, now: i64) -> Result<String, String> {
    refuse_option("branch_name", name)?;
    let mut repo = Repo::open_to_change(repo_path)?;
    if !tree::conflicts(&repo.index).is_empty()
        || !matches!(state::read(&repo.git)?, State::Nothing)
    {
        return Err(
            "a merge or the like is in progress: conclude it, or give it up with git_reset"
                .to_owned(),
        );
    }
    let from = head_commit(&repo.git)?.ok_or("there are no commits yet")?;
    let full = format!("refs/heads/{name}");
    let found = head::exact(&repo.git, &full)?;
    let to = match &found {
        Some((_, id)) => *id,
        None => {
            let object = resolve(&repo.git, "branch_name", name)?;
            object.peel_to_commit().map_err(|error| words(&error))?.id
        }
    };
    let before = head::read(&repo.git)?;
    let current = match &before {
        Head::Branch(name) => name.shorten().to_string(),
        Head::Detached(_) => from.to_string(),
    };
    if found.is_some()
        && current != name
        && branch::checked_out_elsewhere(&repo.git).contains(&full)
    {
        return Err(format!("'{name}' is already used by another working tree"));
    }
    switch(&mut repo, from, to)?;
    let who = identity(&repo.git, "COMMITTER", now)?;
    let why = format!("checkout: moving from {current} to {name}");
    let update = Update { old: Some(from), new: to, who: &who, why: &why };
    if found.is_some() {
        let branch = FullName::try_from(full.as_str()).map_err(|error| error.to_string())?;
        refs::attach(&repo.git, &branch, &update)?;
        return Ok(format!("Switched to branch '{name}'"));
    }
    // Git notes no step from a commit to itself.
    if from != to || matches!(before, Head::Branch(_)) {
        refs::set_detached(&repo.git, &update)?;
    }
    Ok(format!("HEAD is now at {to}, on no branch"))
}

/// Changes index and working tree by what differs between two commits. What was changed meanwhile stays,
/// as long as the commits do not differ in it.
fn switch(repo: &mut Repo, from: ObjectId, to: ObjectId) -> Result<(), String> {
    check_lock(repo.git.git_dir(), "HEAD")?;
    let (old, new) = (tree_of(&repo.git, from)?, tree_of(&repo.git, to)?);
    let changes = tree::compare(&repo.git, Some(old), Some(new))?;
    let mut todo = Vec::new();
    let (mut changed, mut untracked) = (Vec::new(), Vec::new());
    let mut worktree = Worktree::new(repo)?;
    for change in changes {
        let path = change.path();
        check_name(path.as_ref())?;
        let entry = repo.index.entry_by_path(path.as_ref());
        let indexed = entry.map(|it| (it.mode.bits(), it.id));
        let side = |side: &Option<Side>| side.as_ref().map(|it| (it.mode, it.id));
        if indexed == side(&change.new) {
            continue;
        }
        if indexed != side(&change.old) {
            changed.push(path.clone());
            continue;
        }
        let there = metadata(&repo.place(path.as_ref())?)?;
        match &change.old {
            Some(old) => {
                let now = worktree.side(path.as_ref(), old.mode)?;
                if there.is_some() && now.is_none_or(|now| (now.mode, now.id) != (old.mode, old.id))
                {
                    changed.push(path.clone());
                }
            }
            // A folder may be emptied by what else is to do.
            None if there.is_some_and(|it| !it.is_dir()) => untracked.push(path.clone()),
            None => {}
        }
        check_possible(&change)?;
        todo.push(change);
    }
    refuse("changes that are not committed", &changed)?;
    refuse("files that are not tracked", &untracked)?;
    apply(repo, &todo)
}

fn refuse(what: &str, paths: &[BString]) -> Result<(), String> {
    if paths.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = paths.iter().take(20).map(ToString::to_string).collect();
    let more = paths.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(format!("these {what} would be overwritten: {}{more}", shown.join(", ")))
}

/// WebAssembly can neither make links here nor set permissions.
fn check_possible(change: &Change) -> Result<(), String> {
    let Some(new) = &change.new else { return Ok(()) };
    let same_mode = change.old.as_ref().is_some_and(|old| old.mode == new.mode);
    if !new.is_regular() || (!same_mode && (new.mode == EXECUTABLE || change.old.is_some())) {
        return Err(format!(
            "{}: it is a symbolic link, a submodule or a file that becomes executable or ceases to be, none of which can be \
             made here",
            new.path
        ));
    }
    Ok(())
}

fn apply(repo: &mut Repo, changes: &[Change]) -> Result<(), String> {
    let failed = |path: &BStr, error: std::io::Error| format!("{path}: {error}");
    for old in changes.iter().filter(|it| it.new.is_none()).filter_map(|it| it.old.as_ref()) {
        check_way(repo, old.path.as_ref())?;
        let place = repo.place(old.path.as_ref())?;
        if metadata(&place)?.is_some() {
            fs::remove_file(&place).map_err(|error| failed(old.path.as_ref(), error))?;
        }
        remove_empty(repo, old.path.as_ref())?;
    }
    let mut files = Vec::new();
    for change in changes {
        let Some(new) = &change.new else {
            files.push((change.path().clone(), None));
            continue;
        };
        check_way(repo, new.path.as_ref())?;
        let place = repo.place(new.path.as_ref())?;
        let content = in_worktree(repo, new)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(new.path.as_ref(), error))?;
        }
        fs::write(&place, content).map_err(|error| failed(new.path.as_ref(), error))?;
        let stat = metadata(&place)?.map(|it| index::stat(&it)).unwrap_or_default();
        files.push((new.path.clone(), Some(File { mode: new.mode, id: new.id, stat })));
    }
    repo.replace(&files)?;
    repo.write_index()
}

/// With line ends and the like as the working tree has them.
fn in_worktree(repo: &Repo, side: &Side) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let stored = side.bytes(&repo.git)?;
    let (mut filters, _) = repo.git.filter_pipeline(None).map_err(|error| words(&error))?;
    let mut outcome = filters
        .convert_to_worktree(&stored, side.path.as_ref(), Default::default())
        .map_err(|error| format!("{}: it cannot be converted: {}", side.path, words(&error)))?;
    let mut content = Vec::new();
    outcome.read_to_end(&mut content).map_err(|error| format!("{}: {error}", side.path))?;
    Ok(content)
}

/// The folders above a file that was removed, as far as nothing is left in them.
fn remove_empty(repo: &Repo, path: &BStr) -> Result<(), String> {
    let mut path = path;
    while let Some(slash) = path.rfind_byte(b'/') {
        path = path[..slash].as_bstr();
        if fs::remove_dir(repo.place(path)?).is_err() {
            break;
        }
    }
    Ok(())
}
