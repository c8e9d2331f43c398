//! `git branch`: lists branches.

use std::collections::HashSet;

use gix::bstr::ByteSlice as _;
use gix::{ObjectId, Repository};

use crate::head::{self, Head};
use crate::history;
use crate::repo::{open, resolve, text, words};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Local,
    Remote,
    All,
}

pub fn branch(
    repo_path: &str,
    which: Which,
    contains: Option<&str>,
    not_contains: Option<&str>,
) -> Result<String, String> {
    let repo = open(repo_path)?;
    let commit = |name: &str, revision: Option<&str>| -> Result<Option<ObjectId>, String> {
        let Some(revision) = revision.filter(|it| !it.is_empty()) else { return Ok(None) };
        let object = resolve(&repo, name, revision)?;
        let commit = object.peel_to_commit().map_err(|error| words(&error))?;
        Ok(Some(commit.id))
    };
    let (with, without) = (commit("contains", contains)?, commit("not_contains", not_contains)?);
    let shown = |tip: ObjectId| -> Result<bool, String> {
        let has = |commit: Option<ObjectId>, wanted: bool| -> Result<bool, String> {
            let Some(commit) = commit else { return Ok(true) };
            Ok(history::contains(&repo, tip, commit)? == wanted)
        };
        Ok(has(with, true)? && has(without, false)?)
    };
    let mut out = Vec::new();
    let mut current = None;
    match head::read(&repo)? {
        Head::Branch(name) => current = Some(name),
        Head::Detached(detached) if which != Which::Remote => {
            let tip = crate::repo::head(&repo)?;
            if tip.map_or(Ok(false), shown)? {
                let words = match (detached.from, detached.at) {
                    (Some(from), true) => format!("HEAD detached at {from}"),
                    (Some(from), false) => format!("HEAD detached from {from}"),
                    (None, _) => "no branch".to_owned(),
                };
                out.extend(format!("* ({words})\n").into_bytes());
            }
        }
        Head::Detached(_) => {}
    }
    let elsewhere = checked_out_elsewhere(&repo);
    for (kind, prefix) in [(Which::Local, "refs/heads/"), (Which::Remote, "refs/remotes/")] {
        if which != kind && which != Which::All {
            continue;
        }
        let remotes = if kind == Which::Remote && which == Which::All { "remotes/" } else { "" };
        let platform = repo.references().map_err(|error| words(&error))?;
        for reference in platform.prefixed(prefix).map_err(|error| words(&error))? {
            let mut reference = reference.map_err(|error| error.to_string())?;
            let full = reference.name().as_bstr().to_str_lossy().into_owned();
            let leads_to =
                reference.target().try_name().map(|it| it.as_bstr().to_str_lossy().into_owned());
            let Ok(tip) = reference.peel_to_id().map(gix::Id::detach) else { continue };
            if !shown(tip)? {
                continue;
            }
            let sign = if current.as_ref().is_some_and(|it| it.as_bstr() == full) {
                '*'
            } else if elsewhere.contains(&full) {
                '+'
            } else {
                ' '
            };
            let short = full.strip_prefix(prefix).unwrap_or(&full);
            out.extend(format!("{sign} {remotes}{short}").into_bytes());
            if let Some(target) = leads_to {
                let target = target.strip_prefix(prefix).unwrap_or(&target);
                out.extend(format!(" -> {target}").into_bytes());
            }
            out.push(b'\n');
        }
    }
    Ok(text(out))
}

/// The branches that other working trees of the repository are on.
pub fn checked_out_elsewhere(repo: &Repository) -> HashSet<String> {
    let common = repo.common_dir();
    let linked = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let heads = linked.map(|it| it.path()).chain([common.to_owned()]);
    heads
        .filter_map(|folder| std::fs::read_to_string(folder.join("HEAD")).ok())
        .filter_map(|text| text.trim().strip_prefix("ref: ").map(str::to_owned))
        .collect()
}
