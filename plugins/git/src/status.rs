//! `git status`, in the long form that people read.

use gix::bstr::BString;

use crate::change::Change;
use crate::head::{self, Head};
use crate::names::quoted;
use crate::repo::{Repo, head as head_commit, text};
use crate::state::{self, State};
use crate::worktree::Worktree;
use crate::{rename, tree, untracked};

pub fn status(repo_path: &str) -> Result<String, String> {
    let repo = Repo::open(repo_path)?;
    let head = head_commit(&repo.git)?;
    let staged = tree::compare_index(&repo.git, repo.head_tree()?, &repo.index)?;
    let staged = rename::detect(&repo.git, staged)?;
    let found = Found {
        initial: head.is_none(),
        state: state::read(&repo.git)?,
        staged,
        conflicts: tree::conflicts(&repo.index),
        unstaged: Worktree::new(&repo)?.compare()?,
        untracked: untracked::find(&repo)?,
    };
    let mut out = Vec::new();
    match head::read(&repo.git)? {
        Head::Branch(name) => {
            out.extend(format!("On branch {}\n", name.shorten()).into_bytes());
            if let Some(head) = head {
                let tracking = head::tracking(&repo.git, &name, head)?;
                if !tracking.is_empty() {
                    out.extend(tracking.into_bytes());
                    out.push(b'\n');
                }
            }
        }
        Head::Detached(detached) => {
            let line = match detached.from {
                Some(from) if detached.at => format!("HEAD detached at {from}\n"),
                Some(from) => format!("HEAD detached from {from}\n"),
                None => "Not currently on any branch.\n".to_owned(),
            };
            out.extend(line.into_bytes());
        }
    }
    out.extend(found.state.words(!found.conflicts.is_empty()).into_bytes());
    if found.initial {
        out.extend(b"\nNo commits yet\n\n");
    }
    found.staged(&mut out);
    found.conflicts(&mut out);
    found.unstaged(&mut out);
    found.untracked(&mut out);
    found.summary(&mut out);
    Ok(text(out))
}

struct Found {
    initial: bool,
    state: State,
    staged: Vec<Change>,
    /// With the stages that the index has of each: 1 base, 2 ours, 4 theirs.
    conflicts: Vec<(BString, u8)>,
    unstaged: Vec<Change>,
    untracked: Vec<BString>,
}

impl Found {
    /// How to take something back from the index, but not in the midst of a merge.
    fn unstage(&self, out: &mut Vec<u8>) {
        match self.state {
            State::Merge | State::CherryPick { .. } => {}
            _ if self.initial => line(out, "  (use \"git rm --cached <file>...\" to unstage)"),
            _ => line(out, "  (use \"git restore --staged <file>...\" to unstage)"),
        }
    }

    fn staged(&self, out: &mut Vec<u8>) {
        if self.staged.is_empty() {
            return;
        }
        line(out, "Changes to be committed:");
        self.unstage(out);
        self.staged.iter().for_each(|change| list(out, change));
        out.push(b'\n');
    }

    fn conflicts(&self, out: &mut Vec<u8>) {
        const BOTH_DELETED: u8 = 1;
        const DELETED_BY_ONE: [u8; 2] = [3, 5];
        if self.conflicts.is_empty() {
            return;
        }
        line(out, "Unmerged paths:");
        self.unstage(out);
        let any = |is: &dyn Fn(u8) -> bool| self.conflicts.iter().any(|(_, stages)| is(*stages));
        let both_deleted = any(&|it| it == BOTH_DELETED);
        let by_one = any(&|it| DELETED_BY_ONE.contains(&it));
        let none_deleted = any(&|it| it != BOTH_DELETED && !DELETED_BY_ONE.contains(&it));
        line(
            out,
            match (both_deleted, by_one, none_deleted) {
                (false, false, _) => "  (use \"git add <file>...\" to mark resolution)",
                (true, false, false) => "  (use \"git rm <file>...\" to mark resolution)",
                _ => "  (use \"git add/rm <file>...\" as appropriate to mark resolution)",
            },
        );
        for (path, stages) in &self.conflicts {
            let label = match stages {
                1 => "both deleted:",
                2 => "added by us:",
                3 => "deleted by them:",
                4 => "added by them:",
                5 => "deleted by us:",
                6 => "both added:",
                _ => "both modified:",
            };
            out.extend(format!("\t{label:<17}").into_bytes());
            out.extend(quoted("", path.as_ref()));
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn unstaged(&self, out: &mut Vec<u8>) {
        if self.unstaged.is_empty() {
            return;
        }
        let add = if self.unstaged.iter().any(|it| it.new.is_none()) { "add/rm" } else { "add" };
        line(out, "Changes not staged for commit:");
        line(out, &format!("  (use \"git {add} <file>...\" to update what will be committed)"));
        line(out, "  (use \"git restore <file>...\" to discard changes in working directory)");
        self.unstaged.iter().for_each(|change| list(out, change));
        out.push(b'\n');
    }

    fn untracked(&self, out: &mut Vec<u8>) {
        if self.untracked.is_empty() {
            return;
        }
        line(out, "Untracked files:");
        line(out, "  (use \"git add <file>...\" to include in what will be committed)");
        for path in &self.untracked {
            out.push(b'\t');
            out.extend(quoted("", path.as_ref()));
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn summary(&self, out: &mut Vec<u8>) {
        // A merge without a conflict left can be committed even if nothing else differs.
        let merged = matches!(self.state, State::Merge) && self.conflicts.is_empty();
        if !self.staged.is_empty() || merged {
            return;
        }
        line(
            out,
            if !self.unstaged.is_empty() || !self.conflicts.is_empty() {
                "no changes added to commit (use \"git add\" and/or \"git commit -a\")"
            } else if !self.untracked.is_empty() {
                "nothing added to commit but untracked files present (use \"git add\" to track)"
            } else if self.initial {
                "nothing to commit (create/copy files and use \"git add\" to track)"
            } else {
                "nothing to commit, working tree clean"
            },
        );
    }
}

fn list(out: &mut Vec<u8>, change: &Change) {
    let label = match (&change.old, &change.new) {
        (None, _) => "new file:",
        (_, None) => "deleted:",
        _ if change.is_rename() => "renamed:",
        _ if change.is_of_type() => "typechange:",
        _ => "modified:",
    };
    out.extend(format!("\t{label:<12}").into_bytes());
    if let (Some(old), true) = (&change.old, change.is_rename()) {
        out.extend(quoted("", old.path.as_ref()));
        out.extend(b" -> ");
    }
    out.extend(quoted("", change.path().as_ref()));
    out.push(b'\n');
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(b'\n');
}
