//! Creates, replaces and moves. Knows nothing of what is in a file.

use crate::errors::{Access, describe};
use crate::paths::{given, parent};
use std::{fs, io};

pub fn file(path: &str, content: &str) -> Result<(), String> {
    let path = &given(path)?;
    with_parents(path, || fs::write(path, content)).map_err(|error| {
        // WASI reports a directory in several ways, depending on what is asked for when it is
        // opened
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return format!("{path}: is a directory");
        }
        describe(path, Access::Write, &error)
    })
}

pub fn directory(path: &str) -> Result<(), String> {
    let path = &given(path)?;
    fs::create_dir_all(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{path}: already exists and is not a directory"),
        _ => describe(path, Access::Write, &error),
    })
}

pub fn moved(source: &str, destination: &str) -> Result<(), String> {
    let (source, destination) = (&given(source)?, &given(destination)?);
    fs::symlink_metadata(source).map_err(|error| describe(source, Access::Read, &error))?;
    if destination.strip_prefix(source).is_some_and(|rest| rest.starts_with('/')) {
        return Err(format!(
            "{destination}: lies within {source}, and a directory cannot be moved into itself"
        ));
    }
    // a link that leads nowhere is in the way as well, so the destination is not followed
    match fs::symlink_metadata(destination) {
        Ok(found) if found.is_dir() => {
            return Err(format!(
                "{destination}: already exists; to move into that directory, give the whole new path"
            ));
        }
        Ok(_) => return Err(format!("{destination}: already exists")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(describe(destination, Access::Write, &error)),
    }
    with_parents(destination, || fs::rename(source, destination))
        .map_err(|error| describe(destination, Access::Write, &error))
        .map_err(|message| format!("{source}: cannot be moved: {message}"))
}

/// Does something; if a directory was missing for it, creates the parents of the path and does it
/// again.
fn with_parents(path: &str, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match (act(), parent(path)) {
        (Err(error), Some(parent))
            if error.kind() == io::ErrorKind::NotFound && fs::metadata(parent).is_err() =>
        {
            // the first error names what the caller asked for; the second would name a directory it
            // never mentioned
            fs::create_dir_all(parent).map_err(|second| {
                if second.kind() == io::ErrorKind::NotFound { error } else { second }
            })?;
            act()
        }
        (result, _) => result,
    }
}
