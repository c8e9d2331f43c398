//! Compares trees with each other and with an index. Reads no working tree.

use std::cmp::Ordering;

use gix::bstr::{BStr, BString};
use gix::objs::tree::EntryMode;
use gix::{ObjectId, Repository, index};

use crate::change::{Change, Side};
use crate::repo::words;

struct Entry {
    name: BString,
    mode: u32,
    id: ObjectId,
}

const TREE: u32 = 0o040000;

/// What differs from one tree to another, sorted by path. None stands for an empty tree.
pub fn compare(
    repo: &Repository,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    walk(repo, &BString::default(), old, new, &mut changes)?;
    crate::change::sort(&mut changes);
    Ok(changes)
}

/// All files of a tree, sorted by path.
pub fn files(repo: &Repository, tree: Option<ObjectId>) -> Result<Vec<Side>, String> {
    Ok(compare(repo, None, tree)?.into_iter().filter_map(|change| change.new).collect())
}

/// What differs from a tree to the index, sorted by path. Paths with conflicts are left out.
pub fn compare_index(
    repo: &Repository,
    tree: Option<ObjectId>,
    index: &index::File,
) -> Result<Vec<Change>, String> {
    let conflicts = conflicts(index);
    let tracked = index
        .entries()
        .iter()
        .filter(|entry| entry.stage_raw() == 0)
        .filter(|entry| !entry.flags.contains(index::entry::Flags::INTENT_TO_ADD))
        .map(|entry| Side::new(entry.path(index), entry.mode.bits(), entry.id));
    let changes = pair(files(repo, tree)?, tracked.collect());
    Ok(changes
        .into_iter()
        .filter(|it| !conflicts.iter().any(|(path, _)| path == it.path()))
        .collect())
}

/// The paths with conflicts, each with a mask of the stages that it has: 1 base, 2 ours, 4 theirs.
pub fn conflicts(index: &index::File) -> Vec<(BString, u8)> {
    let mut found: Vec<(BString, u8)> = Vec::new();
    for entry in index.entries().iter().filter(|entry| entry.stage_raw() > 0) {
        let (path, stage) = (entry.path(index), 1u8 << (entry.stage_raw() - 1));
        match found.last_mut() {
            Some((last, stages)) if last == path => *stages |= stage,
            _ => found.push((path.to_owned(), stage)),
        }
    }
    found
}

/// The changes between two sorted lists of files.
pub fn pair(old: Vec<Side>, new: Vec<Side>) -> Vec<Change> {
    let both = side_by_side(old, new, |a, b| a.path.cmp(&b.path));
    let changed = both.filter(
        |(old, new)| !matches!((old, new), (Some(a), Some(b)) if a.mode == b.mode && a.id == b.id),
    );
    changed.map(|(old, new)| Change::new(old, new)).collect()
}

/// What is in either of two sorted lists, with what equals it in the other.
fn side_by_side<T>(
    old: impl IntoIterator<Item = T>,
    new: impl IntoIterator<Item = T>,
    order: impl Fn(&T, &T) -> Ordering,
) -> impl Iterator<Item = (Option<T>, Option<T>)> {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        Some(match order {
            Ordering::Less => (old.next(), None),
            Ordering::Greater => (None, new.next()),
            Ordering::Equal => (old.next(), new.next()),
        })
    })
}

fn walk(
    repo: &Repository,
    folder: &BString,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    changes: &mut Vec<Change>,
) -> Result<(), String> {
    if old == new {
        return Ok(());
    }
    let (old, new) = (entries(repo, old)?, entries(repo, new)?);
    // By plain name: a file and a folder of one name are two entries that meet nowhere.
    for (a, b) in side_by_side(&old, &new, |a, b| a.name.cmp(&b.name)) {
        let path = join(folder, a.or(b).map_or(BStr::new(""), |it| it.name.as_ref()));
        let subtree = |it: Option<&Entry>| it.filter(|it| it.mode == TREE).map(|it| it.id);
        let file = |it: Option<&Entry>| {
            it.filter(|it| it.mode != TREE).map(|it| Side::new(path.clone(), it.mode, it.id))
        };
        walk(repo, &path, subtree(a), subtree(b), changes)?;
        let (a, b) = (file(a), file(b));
        if a != b {
            changes.push(Change::new(a, b));
        }
    }
    Ok(())
}

fn entries(repo: &Repository, tree: Option<ObjectId>) -> Result<Vec<Entry>, String> {
    let Some(tree) = tree else { return Ok(Vec::new()) };
    let tree = repo.find_tree(tree).map_err(|error| words(&error))?;
    let mut entries = Vec::new();
    for entry in tree.iter() {
        let entry = entry.map_err(|error| words(&error))?;
        let (name, mode) = (entry.filename().to_owned(), mode(entry.mode()));
        entries.push(Entry { name, mode, id: entry.object_id() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// As git reads it: of a file's permissions it knows executable or not.
fn mode(mode: EntryMode) -> u32 {
    match u32::from(mode.value()) {
        it if it & 0o170000 == 0o100000 => {
            if it & 0o100 != 0 {
                crate::change::EXECUTABLE
            } else {
                crate::change::FILE
            }
        }
        it => it & 0o170000,
    }
}

fn join(folder: &BString, name: &BStr) -> BString {
    let mut path = folder.clone();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
