//! The tools that show differences: `git diff` in its three forms.

use gix::bstr::BString;

use crate::change::{self, Change};
use crate::repo::{Repo, resolve, text, tree_of};
use crate::worktree::Worktree;
use crate::{patch, rename, tree};

/// As git does where nothing is asked for.
const CONTEXT: u32 = 3;

/// `git diff`
pub fn unstaged(repo_path: &str, context: Option<u32>) -> Result<String, String> {
    let repo = Repo::open(repo_path)?;
    let mut worktree = Worktree::new(&repo)?;
    let mut changes = worktree.compare()?;
    changes.retain(|change| match (&change.old, &change.new) {
        (Some(old), Some(new)) => (old.mode, old.id) != (new.mode, new.id),
        _ => true,
    });
    let conflicts = tree::conflicts(&repo.index);
    for (path, stages) in &conflicts {
        // As `--ours` shows it: git's own form compares with both sides at once.
        if stages & 2 == 0 {
            continue;
        }
        let place =
            repo.index.entry_by_path_and_stage(path.as_ref(), gix::index::entry::Stage::Ours);
        let Some(ours) = place else { continue };
        let old = change::Side::new(path.clone(), ours.mode.bits(), ours.id);
        let new = worktree.side(path.as_ref(), ours.mode.bits())?;
        if new.as_ref().is_none_or(|new| (new.mode, new.id) != (old.mode, old.id)) {
            changes.push(Change::new(Some(old), new));
        }
    }
    change::sort(&mut changes);
    let changes = rename::detect(&repo.git, changes)?;
    let paths: Vec<BString> = conflicts.into_iter().map(|(path, _)| path).collect();
    let context = context.unwrap_or(CONTEXT);
    Ok(text(patch::write_with_conflicts(&repo, context, &changes, &paths)?))
}

/// `git diff --cached`
pub fn staged(repo_path: &str, context: Option<u32>) -> Result<String, String> {
    let repo = Repo::open(repo_path)?;
    let changes = tree::compare_index(&repo.git, repo.head_tree()?, &repo.index)?;
    let changes = rename::detect(&repo.git, changes)?;
    let conflicts = tree::conflicts(&repo.index);
    let paths: Vec<BString> = conflicts.into_iter().map(|(path, _)| path).collect();
    let context = context.unwrap_or(CONTEXT);
    Ok(text(patch::write_with_conflicts(&repo, context, &changes, &paths)?))
}

/// `git diff TARGET`; `git diff A..B` and `A...B` compare two commits.
pub fn with(repo_path: &str, target: &str, context: Option<u32>) -> Result<String, String> {
    let repo = Repo::open(repo_path)?;
    crate::repo::refuse_option("target", target)?;
    let context = context.unwrap_or(CONTEXT);
    let of = |revision: &str| {
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        resolve(&repo.git, "target", revision).map(|object| object.id)
    };
    let changes = if let Some((a, b)) = target.split_once("...") {
        let (a, b) = (of(a)?, of(b)?);
        let base = repo.git.merge_base(a, b).map_err(|error| crate::repo::words(&error))?;
        let base = base.ok_or_else(|| format!("{target}: no merge base"))?.detach();
        let (base, b) = (tree_of(&repo.git, base)?, tree_of(&repo.git, b)?);
        tree::compare(&repo.git, Some(base), Some(b))?
    } else if let Some((a, b)) = target.split_once("..") {
        let (a, b) = (tree_of(&repo.git, of(a)?)?, tree_of(&repo.git, of(b)?)?);
        tree::compare(&repo.git, Some(a), Some(b))?
    } else {
        let old = tree_of(&repo.git, of(target)?)?;
        tree::pair(tree::files(&repo.git, Some(old))?, Worktree::new(&repo)?.files()?)
    };
    let changes = rename::detect(&repo.git, changes)?;
    Ok(text(patch::write(&repo.git, &repo.index, context, &changes)?))
}
