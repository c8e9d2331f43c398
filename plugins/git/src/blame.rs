//! `git blame`: which commit each line of a file is from.
//!
//! gix has a blame of its own; this one goes by the same differences and renames as the other tools here, and
//! so comes to git's answers.

use std::collections::HashMap;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice as _};
use gix::diff::blob::{Algorithm, Diff, InternedInput};

use crate::history::{Queue, at_path};
use crate::hunks::{lines, without_common_end};
use crate::message::Messages;
use crate::names::Abbreviation;
use crate::repo::{open, refuse_option, text, tree_of, words};
use crate::{dates, rename, tree};

/// A line that waits for its commit: its place in the file that was asked for, and in the version at hand.
type Line = (usize, usize);

struct Origin {
    commit: ObjectId,
    path: BString,
    boundary: bool,
}

pub fn blame(
    repo_path: &str,
    path: &str,
    from: Option<u32>,
    to: Option<u32>,
) -> Result<String, String> {
    refuse_option("path", path)?;
    let repo = open(repo_path)?;
    let path = crate::log::normal(path);
    let head = crate::repo::head(&repo)?.ok_or("there are no commits yet")?;
    let content =
        blob(&repo, head, &path)?.ok_or_else(|| format!("no such path '{path}' in HEAD"))?.1;
    let all = lines(&content);
    let first = from.unwrap_or(1).max(1) as usize;
    let last = to.map_or(all.len(), |to| (to as usize).min(all.len()));
    if first > all.len() && !all.is_empty() {
        return Err(format!("file {path} has only {} lines", all.len()));
    }
    if first > last && !all.is_empty() {
        return Err(format!("from {first} is after to {last}"));
    }
    let wanted: Vec<Line> = (first.saturating_sub(1)..last).map(|line| (line, line)).collect();
    let origins = trace(&repo, head, &path, wanted)?;
    show(&repo, &path, &all, &origins)
}

/// By line; the lines in order.
fn trace(
    repo: &gix::Repository,
    head: ObjectId,
    path: &BString,
    wanted: Vec<Line>,
) -> Result<Vec<(usize, Origin)>, String> {
    let mut found: Vec<(usize, Origin)> = Vec::new();
    let mut waiting: HashMap<ObjectId, HashMap<BString, Vec<Line>>> = HashMap::new();
    waiting.entry(head).or_default().insert(path.clone(), wanted);
    let mut queue = Queue::new(repo)?;
    queue.push_again(head)?;
    while let Some((_, commit)) = queue.pop() {
        let parents = queue.parents(commit)?;
        for (path, mut lines) in waiting.remove(&commit).unwrap_or_default() {
            for (parent, old_path, kept) in pass(repo, commit, &path, &parents, &mut lines)? {
                waiting.entry(parent).or_default().entry(old_path).or_default().extend(kept);
                queue.push_again(parent)?;
            }
            let boundary = parents.is_empty();
            let origin = |line: Line| (line.0, Origin { commit, path: path.clone(), boundary });
            found.extend(lines.into_iter().map(origin));
        }
    }
    found.sort_by_key(|(line, _)| *line);
    Ok(found)
}

/// Takes from `lines` those that a parent already has, with the parent and the path there.
fn pass(
    repo: &gix::Repository,
    commit: ObjectId,
    path: &BString,
    parents: &[ObjectId],
    lines: &mut Vec<Line>,
) -> Result<Vec<(ObjectId, BString, Vec<Line>)>, String> {
    let Some((id, content)) = blob(repo, commit, path)? else { return Ok(Vec::new()) };
    let mut olds: Vec<Option<(BString, ObjectId)>> = Vec::new();
    for parent in parents {
        let old = at_path(repo, *parent, path.as_ref())?.map(|(_, id)| (path.clone(), id));
        if old.as_ref().is_some_and(|(_, old)| *old == id) {
            return Ok(vec![(*parent, path.clone(), std::mem::take(lines))]);
        }
        olds.push(old);
    }
    for (old, parent) in olds.iter_mut().zip(parents) {
        if old.is_none() {
            *old = renamed(repo, *parent, commit, path)?;
            if let Some((old_path, _)) = old.as_ref().filter(|(_, old)| *old == id) {
                return Ok(vec![(*parent, old_path.clone(), std::mem::take(lines))]);
            }
        }
    }
    let mut passed = Vec::new();
    for (old, parent) in olds.into_iter().zip(parents) {
        let Some((old_path, old)) = old else { continue };
        if lines.is_empty() {
            break;
        }
        let before = repo.find_object(old).map_err(|error| words(&error))?.detach().data;
        let mut kept = Vec::new();
        let map = unchanged(&before, &content);
        lines.retain(|(line, at)| match map.get(*at).copied().flatten() {
            Some(was) => {
                kept.push((*line, was));
                false
            }
            None => true,
        });
        if !kept.is_empty() {
            passed.push((*parent, old_path, kept));
        }
    }
    Ok(passed)
}

/// For each line of `new`, its place in `old` if it was there.
fn unchanged(old: &[u8], new: &[u8]) -> Vec<Option<usize>> {
    let rest = lines(new).len();
    let (short_old, short_new) = without_common_end(old, new);
    let (old, new) = (lines(short_old), lines(short_new));
    let mut input = InternedInput::default();
    input.update_before(old.iter().copied());
    input.update_after(new.iter().copied());
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_lines(&input);
    let rest = rest - new.len();
    let mut map = vec![None; new.len() + rest];
    let (mut was, mut is) = (0, 0);
    let (old_end, end) = ((old.len() + rest) as u32, (new.len() + rest) as u32);
    let ends = (old_end..old_end, end..end);
    for (before, after) in diff.hunks().map(|it| (it.before, it.after)).chain([ends]) {
        while is < after.start as usize {
            map[is] = Some(was);
            (was, is) = (was + 1, is + 1);
        }
        (was, is) = (before.end as usize, after.end as usize);
    }
    map
}

fn renamed(
    repo: &gix::Repository,
    parent: ObjectId,
    commit: ObjectId,
    path: &BString,
) -> Result<Option<(BString, ObjectId)>, String> {
    let (old, new) = (tree_of(repo, parent)?, tree_of(repo, commit)?);
    let changes = rename::detect(repo, tree::compare(repo, Some(old), Some(new))?)?;
    let found = changes.into_iter().find(|it| it.is_rename() && it.path() == path);
    Ok(found.and_then(|it| it.old).map(|old| (old.path, old.id)))
}

fn blob(
    repo: &gix::Repository,
    commit: ObjectId,
    path: &BString,
) -> Result<Option<(ObjectId, Vec<u8>)>, String> {
    let Some((mode, id)) = at_path(repo, commit, path.as_ref())? else { return Ok(None) };
    if mode & 0o170000 == 0o040000 {
        return Err(format!("'{path}' is a folder"));
    }
    let object = repo.find_object(id).map_err(|error| words(&error))?;
    Ok(Some((id, object.detach().data)))
}

fn show(
    repo: &gix::Repository,
    path: &BString,
    all: &[&[u8]],
    origins: &[(usize, Origin)],
) -> Result<String, String> {
    let messages = Messages::new(repo)?;
    let short = Abbreviation::new(repo)?;
    let mut authors = HashMap::new();
    let mut digits = short.least;
    for (_, origin) in origins {
        if authors.contains_key(&origin.commit) {
            continue;
        }
        digits = digits.max(short.of(&origin.commit)?.len());
        let commit = repo.find_commit(origin.commit).map_err(|error| words(&error))?;
        let author = commit.author().map_err(|error| words(&error))?;
        authors.insert(origin.commit, messages.resolve(author));
    }
    // One more, for the sign of commits without parents.
    let digits = digits + 1;
    let name = |origin: &Origin| authors.get(&origin.commit).map(|it| it.name.to_str_lossy());
    let width = origins.iter().filter_map(|(_, it)| name(it)).map(|it| it.chars().count()).max();
    let paths = origins.iter().any(|(_, it)| it.path != *path);
    let longest = origins.iter().map(|(_, it)| it.path.len()).max().unwrap_or_default();
    let number = origins.last().map_or(0, |(line, _)| line + 1).to_string().len();
    let mut out = Vec::new();
    for (line, origin) in origins {
        let id = origin.commit.to_string();
        let id = if origin.boundary {
            format!("^{}", &id[..digits - 1])
        } else {
            id[..digits].to_owned()
        };
        out.extend(id.into_bytes());
        if paths {
            let path = origin.path.to_str_lossy();
            out.extend(format!(" {path:<longest$}").into_bytes());
        }
        let name = name(origin).unwrap_or_default();
        let width = width.unwrap_or_default();
        let time = authors.get(&origin.commit).map(|it| it.time).unwrap_or_default();
        let date = dates::iso(time);
        out.extend(format!(" ({name:<width$} {date} {:>number$}) ", line + 1).into_bytes());
        out.extend(all[*line]);
        if all[*line].last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
    Ok(text(out))
}
