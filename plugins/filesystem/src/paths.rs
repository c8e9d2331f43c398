//! Paths as text, directories in a fixed order, and the walk below one. Knows no patterns and no
//! file contents.

use crate::errors;
use crate::files::Kind;
use std::{fs, io, vec};

/// The path that a caller gave, if it can be a path of a file here.
pub fn given(path: &str) -> Result<String, String> {
    if path.contains('\0') {
        return Err(format!("{}: a path cannot hold a NUL character", path.replace('\0', "\\0")));
    }
    let path = clean(path);
    errors::check_reachable(&path)?;
    Ok(path)
}

/// A path without what only makes it longer: `.` between slashes, and slashes that say nothing.
/// `..` stays: what it means depends on symbolic links.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// The path of an entry of a directory, as a caller would write it.
pub fn join(directory: &str, name: &str) -> String {
    match directory {
        "." => name.into(),
        "/" => format!("/{name}"),
        _ => format!("{directory}/{name}"),
    }
}

/// The directory that holds a path; none for the top.
pub fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        _ if path == "." || path == "/" || path == ".." || path.ends_with("/..") => None,
        Some(("", _)) => Some("/"),
        Some((parent, _)) => Some(parent),
        None => Some("."),
    }
}

pub fn kind(file_type: fs::FileType) -> Kind {
    if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        Kind::Symlink
    } else {
        Kind::Other
    }
}

pub struct Named {
    pub name: String,
    pub kind: Kind,
}

/// The entries of a directory by name. Hosts list in the order of the disk, which differs from one
/// machine to the next.
pub fn entries(directory: &str) -> io::Result<Vec<Named>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // WASI names are UTF-8: any other cannot be passed back, so it is no use to a caller
        let Ok(name) = entry.file_name().into_string() else { continue };
        entries.push(Named { name, kind: kind(entry.file_type()?) });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Something below the directory that a walk began at.
pub struct Step {
    pub path: String,
    /// The path below where the walk began.
    pub relative: String,
    pub name: String,
    pub kind: Kind,
    /// 0 directly in the directory where the walk began.
    pub depth: usize,
}

/// Goes through all below a directory, each directory before what is in it, by name. It enters only
/// what it is told to enter, and keeps its own stack: depth is bounded by nothing here.
pub struct Walk {
    levels: Vec<Level>,
}

struct Level {
    path: String,
    relative: String,
    entries: vec::IntoIter<Named>,
}

impl Walk {
    pub fn new(root: &str) -> io::Result<Walk> {
        let first =
            Level { path: root.into(), relative: ".".into(), entries: entries(root)?.into_iter() };
        Ok(Walk { levels: vec![first] })
    }

    pub fn enter(&mut self, directory: &Step) -> io::Result<()> {
        let entries = entries(&directory.path)?.into_iter();
        self.levels.push(Level {
            path: directory.path.clone(),
            relative: directory.relative.clone(),
            entries,
        });
        Ok(())
    }

    /// What is still to come in the directory just entered.
    pub fn rest(&self) -> &[Named] {
        self.levels.last().map_or(&[], |level| level.entries.as_slice())
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(Named { name, kind }) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let (path, relative) = (join(&level.path, &name), join(&level.relative, &name));
            return Some(Step { path, relative, name, kind, depth: self.levels.len() - 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back_as_a_caller_would_write_them() {
        for (given, name, expected) in [
            (".", "a", "a"),
            ("./", "a", "a"),
            ("", "a", "a"),
            ("./src//", "a", "src/a"),
            (".//./src", "a", "src/a"),
            ("/", "a", "/a"),
            ("/x/", "a", "/x/a"),
            ("../x", "a", "../x/a"),
            ("/x/./y//.", "a", "/x/y/a"),
            ("x/../y", "a", "x/../y/a"),
        ] {
            assert_eq!(join(&clean(given), name), expected, "{given}");
        }
    }

    #[test]
    fn parents_end_where_the_path_does() {
        for (path, expected) in [
            ("a/b", Some("a")),
            ("a", Some(".")),
            (".", None),
            ("/a", Some("/")),
            ("/", None),
            ("..", None),
        ] {
            assert_eq!(parent(path), expected, "{path}");
        }
    }
}
