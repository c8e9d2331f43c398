//! `git commit`: the index becomes a commit on the current branch. No hook runs, and nothing is signed.

use gix::ObjectId;
use gix::actor::Signature;
use gix::bstr::{BString, ByteSlice as _};

use crate::head::{self, Head};
use crate::refs::{self, Update};
use crate::repo::{Repo, head as head_commit, tree_of, words};
use crate::state::{self, State};
use crate::{index, tree};

pub fn commit(repo_path: &str, message: &str, now: i64) -> Result<String, String> {
    let repo = Repo::open(repo_path)?;
    let message = clean(message);
    if message.is_empty() {
        return Err("the message is empty".to_owned());
    }
    if !tree::conflicts(&repo.index).is_empty() {
        return Err(
            "there are files with conflicts: edit them, and git_add each that is done".to_owned()
        );
    }
    let merged = match state::read(&repo.git)? {
        State::Nothing => Vec::new(),
        State::Merge => merge_heads(&repo.git)?,
        _ => {
            return Err(
                "a rebase, cherry-pick, revert or the like is in progress: only git itself can \
                        go on with it"
                    .to_owned(),
            );
        }
    };
    let config = repo.git.config_snapshot();
    if config.boolean("commit.gpgSign") == Some(true) {
        return Err(
            "commit.gpgSign is set, and signing needs a program that cannot be run here".to_owned()
        );
    }
    let head = head_commit(&repo.git)?;
    let tree = index::write_tree(&repo)?;
    let before = head.map(|head| tree_of(&repo.git, head)).transpose()?;
    let empty = ObjectId::empty_tree(gix::hash::Kind::Sha1);
    if merged.is_empty() && before.unwrap_or(empty) == tree {
        return Err("nothing to commit: stage changes with git_add first".to_owned());
    }
    let (author, committer) =
        (identity(&repo.git, "AUTHOR", now)?, identity(&repo.git, "COMMITTER", now)?);
    let parents: Vec<ObjectId> = head.into_iter().chain(merged.iter().copied()).collect();
    let subject = message.lines().next().unwrap_or_default().to_str_lossy().into_owned();
    let commit = gix::objs::Commit {
        tree,
        parents: parents.into_iter().collect(),
        author,
        committer: committer.clone(),
        encoding: None,
        message,
        extra_headers: Vec::new(),
    };
    let id = repo.git.write_object(&commit).map(gix::Id::detach).map_err(|error| words(&error))?;
    let kind = match (head, merged.is_empty()) {
        (None, _) => " (initial)",
        (_, false) => " (merge)",
        _ => "",
    };
    let update =
        Update { old: head, new: id, who: &committer, why: &format!("commit{kind}: {subject}") };
    match head::read(&repo.git)? {
        Head::Branch(name) => refs::set_current(&repo.git, &name, &update)?,
        Head::Detached(_) => refs::set_detached(&repo.git, &update)?,
    }
    state::end(&repo.git)?;
    Ok(format!("Changes committed successfully with hash {id}"))
}

fn merge_heads(repo: &gix::Repository) -> Result<Vec<ObjectId>, String> {
    let file = repo.git_dir().join("MERGE_HEAD");
    let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.lines().map(|line| ObjectId::from_hex(line).map_err(|error| error.to_string())).collect()
}

/// By the variables that git has for it, if they are granted, else by the repository's config.
pub fn identity(repo: &gix::Repository, role: &str, now: i64) -> Result<Signature, String> {
    let config = repo.config_snapshot();
    let part = |part: &str| -> Option<BString> {
        let variable = std::env::var(format!("GIT_{role}_{}", part.to_ascii_uppercase()));
        let role = role.to_ascii_lowercase();
        variable.ok().map(BString::from).or_else(|| {
            let own = config.string(format!("{role}.{part}").as_str());
            own.or_else(|| config.string(format!("user.{part}").as_str())).map(|it| it.to_owned())
        })
    };
    match (part("name"), part("email")) {
        (Some(name), Some(email)) => {
            let plain = |it: BString| -> BString {
                it.iter()
                    .copied()
                    .filter(|it| !matches!(it, b'<' | b'>' | b'\n' | 0))
                    .collect::<Vec<u8>>()
                    .into()
            };
            let time = gix::date::Time { seconds: now, offset: 0 };
            Ok(Signature { name: plain(name), email: plain(email), time })
        }
        _ => Err(format!(
            "who commits is not known: set user.name and user.email in .git/config of the repository, or grant the plugin \
             GIT_{role}_NAME and GIT_{role}_EMAIL in the config of the host"
        )),
    }
}

/// As `git commit -m` does: without spaces at line ends, without empty lines at both ends, and with no more
/// than one between others.
fn clean(message: &str) -> BString {
    let mut lines: Vec<&str> = Vec::new();
    for line in message.lines().map(str::trim_ascii_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    while lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn messages_are_cleaned_as_by_git() {
        for (message, expected) in
            [("a", "a\n"), ("\n\n a  \n\n\n# b\t\n\n", " a\n\n# b\n"), ("  \n\t\n", "")]
        {
            assert_eq!(super::clean(message), expected);
        }
    }
}
