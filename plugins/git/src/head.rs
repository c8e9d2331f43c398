//! Where HEAD is, in git's words: on a branch, or detached at or from something; how a branch relates to
//! the one that it follows.

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::refs::FullName;
use gix::{ObjectId, Repository};

use crate::history::ahead_behind;
use crate::names::Abbreviation;
use crate::repo::words;

pub enum Head {
    /// There may be no commit on it yet.
    Branch(FullName),
    Detached(Detached),
}

pub struct Detached {
    /// What was checked out, if the log of HEAD tells.
    pub from: Option<String>,
    /// Whether HEAD is there still.
    pub at: bool,
}

pub fn read(repo: &Repository) -> Result<Head, String> {
    match repo.head_name().map_err(|error| words(&error))? {
        Some(name) => Ok(Head::Branch(name)),
        None => Ok(Head::Detached(detached(repo)?)),
    }
}

fn detached(repo: &Repository) -> Result<Detached, String> {
    let nowhere = Detached { from: None, at: false };
    let Some((target, id)) = last_checkout(repo)? else { return Ok(nowhere) };
    let from = match named(repo, &target, id)? {
        Some(name) => name,
        None => Abbreviation::new(repo)?.of(&id)?,
    };
    Ok(Detached { from: Some(from), at: crate::repo::head(repo)? == Some(id) })
}

/// What was checked out last, and the commit it was then.
fn last_checkout(repo: &Repository) -> Result<Option<(String, ObjectId)>, String> {
    // The log is one line for each move of HEAD, the last at its end: old, new, who, then a message.
    let Ok(log) = std::fs::read(repo.git_dir().join("logs/HEAD")) else { return Ok(None) };
    for line in log.lines().rev() {
        let Some((ids, message)) = line.split_once_str("\t") else { continue };
        let Some(moved) = message.strip_prefix(b"checkout: moving from ") else { continue };
        let Some((_, target)) = moved.split_once_str(" to ") else { continue };
        let id = ids.get(41..81).and_then(|hex| ObjectId::from_hex(hex).ok());
        return Ok(id.map(|id| (target.to_str_lossy().into_owned(), id)));
    }
    Ok(None)
}

/// The one reference that `target` stands for, if it is still at that commit.
fn named(repo: &Repository, target: &str, id: ObjectId) -> Result<Option<String>, String> {
    let rules = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
    let mut found = Vec::new();
    for name in rules.iter().map(|rule| format!("{rule}{target}")) {
        let full = name.starts_with("refs/")
            || name.chars().all(|it| it.is_ascii_uppercase() || it == '_');
        if !full || FullName::try_from(name.as_str()).is_err() {
            continue;
        }
        if let Some(reference) = exact(repo, &name)? {
            found.push(reference);
        }
    }
    let [(name, at)] = &found[..] else { return Ok(None) };
    let short = name.strip_prefix("refs/tags/").or_else(|| name.strip_prefix("refs/remotes/"));
    Ok((*at == id).then(|| short.unwrap_or(name).to_owned()))
}

/// A reference of exactly this name, and the commit that it leads to.
pub fn exact(repo: &Repository, name: &str) -> Result<Option<(String, ObjectId)>, String> {
    let Ok(full) = FullName::try_from(name) else { return Ok(None) };
    let Some(mut found) = repo.try_find_reference(&full).map_err(|error| words(&error))? else {
        return Ok(None);
    };
    if found.name().as_bstr() != name {
        return Ok(None);
    }
    let name = name.to_owned();
    Ok(found.peel_to_id().ok().map(|id| (name, id.detach())))
}

/// What `git status` says of the branch that this one follows; empty if there is none.
pub fn tracking(repo: &Repository, branch: &FullName, tip: ObjectId) -> Result<String, String> {
    let Some(upstream) = upstream(repo, branch.as_ref().shorten())? else {
        return Ok(String::new());
    };
    let name = upstream
        .strip_prefix("refs/remotes/")
        .or_else(|| upstream.strip_prefix("refs/heads/"))
        .unwrap_or(&upstream);
    let Some((_, other)) = exact(repo, &upstream)? else {
        return Ok(format!(
            "Your branch is based on '{name}', but the upstream is gone.\n  (use \"git branch --unset-upstream\" to fixup)\n"
        ));
    };
    let s = |count: usize| if count == 1 { "" } else { "s" };
    Ok(match ahead_behind(repo, tip, other)? {
        (0, 0) => format!("Your branch is up to date with '{name}'.\n"),
        (ahead, 0) => format!(
            "Your branch is ahead of '{name}' by {ahead} commit{}.\n  (use \"git push\" to publish your local commits)\n",
            s(ahead)
        ),
        (0, behind) => format!(
            "Your branch is behind '{name}' by {behind} commit{}, and can be fast-forwarded.\n  (use \"git pull\" to update your local branch)\n",
            s(behind)
        ),
        (ahead, behind) => format!(
            "Your branch and '{name}' have diverged,\nand have {ahead} and {behind} different commits each, respectively.\n  (use \"git pull\" if you want to integrate the remote branch with yours)\n"
        ),
    })
}

/// The full name of the reference that a branch follows here.
fn upstream(repo: &Repository, branch: &BStr) -> Result<Option<String>, String> {
    let config = repo.config_snapshot();
    let value = |section: &str, name: &BStr, key: &str| -> Option<BString> {
        config.plumbing().string_by(section, Some(name), key).map(|it| it.to_owned())
    };
    let (Some(remote), Some(merge)) =
        (value("branch", branch, "remote"), value("branch", branch, "merge"))
    else {
        return Ok(None);
    };
    let merge = merge.to_str_lossy().into_owned();
    if remote == "." {
        return Ok(Some(merge));
    }
    let rules = config.plumbing().strings_by("remote", Some(remote.as_ref()), "fetch");
    for rule in rules.unwrap_or_default() {
        let rule = rule.to_str_lossy().into_owned();
        let Some((from, to)) = rule.trim_start_matches('+').split_once(':') else { continue };
        match (from.split_once('*'), to.split_once('*')) {
            (Some((before, after)), Some((to_before, to_after))) => {
                let middle = merge.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                if let Some(middle) = middle {
                    return Ok(Some(format!("{to_before}{middle}{to_after}")));
                }
            }
            _ if from == merge => return Ok(Some(to.to_owned())),
            _ => {}
        }
    }
    Ok(None)
}
