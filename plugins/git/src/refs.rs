//! Moves branches and HEAD, and writes their logs, as files: see `index` for why without locks.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use gix::ObjectId;
use gix::Repository;
use gix::actor::Signature;
use gix::refs::FullName;

use crate::index::check_lock;
use crate::repo::words;

pub struct Update<'u> {
    pub old: Option<ObjectId>,
    pub new: ObjectId,
    pub who: &'u Signature,
    /// For the log.
    pub why: &'u str,
}

/// Moves the branch that HEAD is on.
pub fn set_current(
    repo: &Repository,
    branch: &FullName,
    update: &Update<'_>,
) -> Result<(), String> {
    set_branch(repo, branch, update)?;
    log(repo.git_dir(), "HEAD", update)
}

pub fn set_detached(repo: &Repository, update: &Update<'_>) -> Result<(), String> {
    check(repo)?;
    check_lock(repo.git_dir(), "HEAD")?;
    write(&repo.git_dir().join("HEAD"), &format!("{}\n", update.new))?;
    log(repo.git_dir(), "HEAD", update)
}

/// Moves a branch, or makes it.
pub fn set_branch(repo: &Repository, branch: &FullName, update: &Update<'_>) -> Result<(), String> {
    check(repo)?;
    let name = branch.as_bstr().to_string();
    check_lock(repo.common_dir(), &name)?;
    write(&repo.common_dir().join(&name), &format!("{}\n", update.new))?;
    log(repo.common_dir(), &name, update)
}

/// Has HEAD be on a branch, which stays where it is.
pub fn attach(repo: &Repository, branch: &FullName, update: &Update<'_>) -> Result<(), String> {
    check_lock(repo.git_dir(), "HEAD")?;
    write(&repo.git_dir().join("HEAD"), &format!("ref: {}\n", branch.as_bstr()))?;
    log(repo.git_dir(), "HEAD", update)
}

/// Writes ORIG_HEAD.
pub fn remember(repo: &Repository, id: ObjectId) -> Result<(), String> {
    write(&repo.git_dir().join("ORIG_HEAD"), &format!("{id}\n"))
}

/// Only references that are files can be written here.
fn check(repo: &Repository) -> Result<(), String> {
    match repo.config_snapshot().string("extensions.refStorage") {
        Some(other) if &**other != b"files" => {
            Err(format!("references are stored as {other}, which this tool cannot write"))
        }
        _ => Ok(()),
    }
}

fn log(folder: &Path, name: &str, update: &Update<'_>) -> Result<(), String> {
    let file = folder.join("logs").join(name);
    make_parent(&file)?;
    let none = ObjectId::null(gix::hash::Kind::Sha1);
    let mut who = Vec::new();
    update.who.write_to(&mut who).map_err(|error| words(&error))?;
    let mut line = format!("{} {} ", update.old.unwrap_or(none), update.new).into_bytes();
    line.extend(who);
    line.extend(format!("\t{}\n", update.why).into_bytes());
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut log = fs::OpenOptions::new().append(true).create(true).open(&file).map_err(failed)?;
    log.write_all(&line).map_err(failed)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    make_parent(file)?;
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn make_parent(file: &Path) -> Result<(), String> {
    let Some(parent) = file.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))
}
