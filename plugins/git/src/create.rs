//! `git branch NAME`: makes a branch.

use gix::refs::FullName;

use crate::commit::identity;
use crate::head::{self, Head};
use crate::refs::{self, Update};
use crate::repo::{open, refuse_option, resolve, words};

pub fn create_branch(
    repo_path: &str,
    name: &str,
    base: Option<&str>,
    now: i64,
) -> Result<String, String> {
    refuse_option("branch_name", name)?;
    let repo = open(repo_path)?;
    let full = format!("refs/heads/{name}");
    let branch = FullName::try_from(full.as_str())
        .ok()
        .filter(|_| name != "HEAD")
        .ok_or_else(|| format!("'{name}' is not a valid branch name"))?;
    if head::exact(&repo, &full)?.is_some() {
        return Err(format!("a branch named '{name}' already exists"));
    }
    // One is a file where the other would need a folder.
    let platform = repo.references().map_err(|error| words(&error))?;
    for other in platform.prefixed("refs/heads/").map_err(|error| words(&error))? {
        let other = other.map_err(|error| error.to_string())?.name().as_bstr().to_string();
        let within = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        if within(&full, &other) || within(&other, &full) {
            return Err(format!("'{other}' exists; cannot create '{full}'"));
        }
    }
    let base = match base.filter(|it| !it.is_empty()) {
        Some(base) => base.to_owned(),
        None => match head::read(&repo)? {
            Head::Branch(name) => name.shorten().to_string(),
            Head::Detached(_) => "HEAD".to_owned(),
        },
    };
    let object = resolve(&repo, "base_branch", &base)?;
    let new = object.peel_to_commit().map_err(|error| words(&error))?.id;
    let who = identity(&repo, "COMMITTER", now)?;
    let why = format!("branch: Created from {base}");
    refs::set_branch(&repo, &branch, &Update { old: None, new, who: &who, why: &why })?;
    Ok(format!("Created branch '{name}' from '{base}'"))
}
