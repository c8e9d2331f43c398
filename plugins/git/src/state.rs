//! What a repository is in the midst of: a merge, a cherry-pick ..

use gix::Repository;
use gix::state::InProgress;

use crate::names::Abbreviation;

pub enum State {
    Nothing,
    Merge,
    /// With the commit, abbreviated.
    CherryPick {
        commit: String,
    },
    Revert {
        commit: String,
    },
    /// One whose steps these tools do not follow, by its name.
    Other(&'static str),
}

pub fn read(repo: &Repository) -> Result<State, String> {
    let commit = |file: &str| -> Result<String, String> {
        let text = std::fs::read_to_string(repo.git_dir().join(file)).unwrap_or_default();
        let id =
            gix::ObjectId::from_hex(text.trim().as_bytes()).map_err(|error| error.to_string())?;
        Abbreviation::new(repo)?.of(&id)
    };
    if repo.git_dir().join("MERGE_HEAD").is_file() {
        return Ok(State::Merge);
    }
    Ok(match repo.state() {
        None => State::Nothing,
        Some(InProgress::Merge) => State::Merge,
        Some(InProgress::CherryPick | InProgress::CherryPickSequence) => {
            State::CherryPick { commit: commit("CHERRY_PICK_HEAD")? }
        }
        Some(InProgress::Revert | InProgress::RevertSequence) => {
            State::Revert { commit: commit("REVERT_HEAD")? }
        }
        Some(InProgress::Rebase | InProgress::RebaseInteractive) => State::Other("rebase"),
        Some(InProgress::ApplyMailbox | InProgress::ApplyMailboxRebase) => State::Other("am"),
        Some(InProgress::Bisect) => State::Other("bisect"),
    })
}

impl State {
    /// What `git status` says of it.
    pub fn words(&self, conflicts: bool) -> String {
        match self {
            State::Nothing => String::new(),
            State::Merge if conflicts => "You have unmerged paths.\n  (fix conflicts and run \"git commit\")\n  (use \"git \
                                          merge --abort\" to abort the merge)\n\n"
                .to_owned(),
            State::Merge => "All conflicts fixed but you are still merging.\n  (use \"git commit\" to conclude merge)\n\n"
                .to_owned(),
            State::CherryPick { commit } => steps("cherry-picking", "cherry-pick", commit, conflicts),
            State::Revert { commit } => steps("reverting", "revert", commit, conflicts),
            State::Other(name) => format!("A {name} is in progress.\n\n"),
        }
    }
}

fn steps(doing: &str, command: &str, commit: &str, conflicts: bool) -> String {
    let next = if conflicts { "fix conflicts and" } else { "all conflicts fixed:" };
    format!(
        "You are currently {doing} commit {commit}.\n  ({next} run \"git {command} --continue\")\n  (use \"git {command} \
         --skip\" to skip this patch)\n  (use \"git {command} --abort\" to cancel the {command} operation)\n\n"
    )
}

/// Once there is a commit of it, or nothing of it is staged, a merge is over.
pub fn end(repo: &Repository) -> Result<(), String> {
    for name in [
        "MERGE_HEAD",
        "MERGE_MSG",
        "MERGE_MODE",
        "AUTO_MERGE",
        "SQUASH_MSG",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
    ] {
        let file = repo.git_dir().join(name);
        if file.is_file() {
            std::fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    Ok(())
}
