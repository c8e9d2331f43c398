//! Which paths of a commit may be made in a working tree. Commits are anybody's: one that could write into `.git`, or
//! through a link, would have what it likes run by the next `git status`.

use gix::bstr::{BStr, ByteSlice as _};
use gix::validate::path::component;

use crate::repo::Repo;
use crate::worktree::metadata;

/// Refuses what git itself takes for no path, in the spellings of all file systems: a disk may be shared.
pub fn check_name(path: &BStr) -> Result<(), String> {
    let options =
        component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    let backslash = path.contains(&b'\\');
    let wrong = path.split(|it| *it == b'/').find(|part| {
        part.contains(&0) || gix::validate::path::component(part.as_bstr(), None, options).is_err()
    });
    if wrong.is_some() || backslash {
        return Err(format!("invalid path '{path}': it may not be made in a working tree"));
    }
    Ok(())
}

/// Refuses a path that leads through a symbolic link, or into a folder that is another repository's.
pub fn check_way(repo: &Repo, path: &BStr) -> Result<(), String> {
    for end in path.find_iter("/") {
        let above = path[..end].as_bstr();
        let place = repo.place(above)?;
        if metadata(&place)?.is_some_and(|it| it.is_symlink()) {
            return Err(format!("'{path}' is beyond a symbolic link"));
        }
        if metadata(&place.join(".git"))?.is_some() {
            return Err(format!("'{path}' is in another repository"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lead_into_the_repository_is_no_path() {
        for path in [
            ".git/hooks/post-checkout",
            ".git",
            ".GIT/config",
            "a/.Git/config",
            "git~1/config",
            ".git./x",
            ".git /x",
            ".g\u{200c}it/config",
            "../x",
            "a/../b",
            "a//b",
            "/a",
            "",
            "a/",
            ".git\\config",
            "a\\..\\b",
            "a\0b",
            ".git::$INDEX_ALLOCATION/x",
        ] {
            assert!(check_name(path.into()).is_err(), "{path:?}");
        }
        for path in ["a", "a/b.rs", ".gitignore", ".github/x", "git/x", "con", "a:b", ".gitmodules"]
        {
            assert!(check_name(path.into()).is_ok(), "{path:?}");
        }
    }
}
