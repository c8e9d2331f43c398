//! Walks commits, the newest first, as git does. Knows nothing of how they are shown.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix::bstr::BStr;
use gix::{ObjectId, Repository};

use crate::repo::words;

/// What to show of a history.
#[derive(Default)]
pub struct Filter<'p> {
    pub most: Option<usize>,
    /// Seconds since 1970.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Commits that changed it, and only those lines of history that it came along.
    pub path: Option<&'p BStr>,
}

/// The commits that `tip` leads to, in the order of `git log`.
pub fn list(
    repo: &Repository,
    tip: ObjectId,
    filter: &Filter<'_>,
) -> Result<Vec<ObjectId>, String> {
    let mut found = Vec::new();
    let mut queue = Queue::new(repo)?;
    queue.push(tip)?;
    while let Some((date, id)) = queue.pop() {
        if filter.most.is_some_and(|most| found.len() >= most) {
            break;
        }
        // What leads to an older commit is older still.
        if filter.since.is_some_and(|since| date < since) {
            continue;
        }
        let mut parents = queue.parents(id)?;
        let mut shown = filter.until.is_none_or(|until| date <= until);
        if let Some(path) = filter.path {
            let own = at_path(repo, id, path)?;
            let mut same = None;
            for parent in &parents {
                if at_path(repo, *parent, path)? == own {
                    same = Some(*parent);
                    break;
                }
            }
            if let Some(same) = same {
                parents = vec![same];
                shown = false;
            } else if parents.is_empty() && own.is_none() {
                shown = false;
            }
        }
        if shown {
            found.push(id);
        }
        parents.into_iter().try_for_each(|parent| queue.push(parent))?;
    }
    Ok(found)
}

/// How many commits each of the two has that the other has not.
pub fn ahead_behind(repo: &Repository, a: ObjectId, b: ObjectId) -> Result<(usize, usize), String> {
    const A: u8 = 1;
    const B: u8 = 2;
    let mut queue = Queue::new(repo)?;
    let mut marks: HashMap<ObjectId, u8> = HashMap::new();
    for (id, mark) in [(a, A), (b, B)] {
        *marks.entry(id).or_default() |= mark;
        queue.push(id)?;
    }
    // As long as one that waits may still tell.
    while queue.waiting().any(|id| marks.get(&id).is_some_and(|mark| *mark != A | B)) {
        let Some((_, id)) = queue.pop() else { break };
        let mark = marks.get(&id).copied().unwrap_or_default();
        for parent in queue.parents(id)? {
            let known = marks.entry(parent).or_default();
            if *known | mark != *known {
                *known |= mark;
                queue.push_again(parent)?;
            }
        }
    }
    let count = |mark: u8| marks.values().filter(|it| **it == mark).count();
    Ok((count(A), count(B)))
}

/// Whether `tip` leads to `commit`.
pub fn contains(repo: &Repository, tip: ObjectId, commit: ObjectId) -> Result<bool, String> {
    Ok(ahead_behind(repo, tip, commit)?.1 == 0)
}

/// Mode and object at a path of a commit's tree.
pub fn at_path(
    repo: &Repository,
    commit: ObjectId,
    path: &BStr,
) -> Result<Option<(u32, ObjectId)>, String> {
    let tree = crate::repo::tree_of(repo, commit)?;
    let mut at = repo.find_tree(tree).map_err(|error| words(&error))?;
    let found =
        at.peel_to_entry(path.split(|byte| *byte == b'/')).map_err(|error| words(&error))?;
    Ok(found.map(|entry| (u32::from(entry.mode().value()), entry.object_id())))
}

/// Commits that wait, the newest first; of the same second, the one that came first.
pub struct Queue<'r> {
    repo: &'r Repository,
    waiting: BinaryHeap<(i64, Reverse<usize>, ObjectId)>,
    seen: HashSet<ObjectId>,
    pushed: usize,
    cut_off: HashSet<ObjectId>,
}

impl<'r> Queue<'r> {
    pub fn new(repo: &'r Repository) -> Result<Queue<'r>, String> {
        let shallow = repo.shallow_commits().map_err(|error| words(&error))?;
        let cut_off = shallow.map(|it| it.iter().copied().collect()).unwrap_or_default();
        Ok(Queue { repo, waiting: BinaryHeap::new(), seen: HashSet::new(), pushed: 0, cut_off })
    }

    /// Each commit once.
    pub fn push(&mut self, id: ObjectId) -> Result<(), String> {
        if self.seen.insert(id) { self.push_again(id) } else { Ok(()) }
    }

    pub fn push_again(&mut self, id: ObjectId) -> Result<(), String> {
        let commit = self.repo.find_commit(id).map_err(|error| words(&error))?;
        let date = commit.time().map_err(|error| words(&error))?.seconds;
        self.waiting.push((date, Reverse(self.pushed), id));
        self.pushed += 1;
        Ok(())
    }

    pub fn pop(&mut self) -> Option<(i64, ObjectId)> {
        self.waiting.pop().map(|(date, _, id)| (date, id))
    }

    pub fn waiting(&self) -> impl Iterator<Item = ObjectId> {
        self.waiting.iter().map(|(.., id)| *id)
    }

    /// None where a shallow clone ends.
    pub fn parents(&self, id: ObjectId) -> Result<Vec<ObjectId>, String> {
        if self.cut_off.contains(&id) {
            return Ok(Vec::new());
        }
        let commit = self.repo.find_commit(id).map_err(|error| words(&error))?;
        Ok(commit.parent_ids().map(gix::Id::detach).collect())
    }
}
