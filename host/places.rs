//! The places that lead to a file: whoever may write at one of them may have another file opened by that path.
//!
//! Looks, and opens nothing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the system itself follows.
const MOST_LINKS: usize = 40;

/// Each symlink that is met on the way, where it lies, and last the file itself, whether it exists or not. All are absolute,
/// and none has a symlink above it.
pub(crate) fn places(path: &Path) -> Vec<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (mut found, mut at) = (Vec::new(), PathBuf::from("/"));
    let mut left: VecDeque<OsString> = parts(&path).collect();
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&part);
        match here.read_link() {
            Ok(target) if found.len() < MOST_LINKS => {
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                parts(&target)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .for_each(|it| left.push_front(it));
                found.push(here);
            }
            _ => at = here,
        }
    }
    found.push(at);
    found
}

/// The file that a path leads to, whether it exists or not.
pub(crate) fn real(path: &Path) -> PathBuf {
    places(path).pop().unwrap_or_else(|| path.to_owned())
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_symlink_on_the_way_is_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/conf")).unwrap();
        symlink("real", root.join("one")).unwrap();
        symlink(root.join("one/conf"), root.join("two")).unwrap();
        symlink("../file", root.join("real/conf/last")).unwrap();
        let expected = ["two", "one", "real/conf/last", "real/file"].map(|it| root.join(it));
        assert_eq!(places(&root.join("two/last")), expected);
        assert_eq!(real(&root.join("one/../one/new/file")), root.join("real/new/file"));
        symlink("round", root.join("round")).unwrap();
        assert_eq!(places(&root.join("round")).len(), MOST_LINKS + 1);
    }
}
