//! Roots: the host directories that calls may see, opened once.
//!
//! This is where ambient authority over files becomes a directory handle; everything later is
//! beneath one of these.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::policy::PathGrant;

/// The roots in the order of the config. The first one is the guests' `.`.
pub struct Roots(Vec<Root>);

pub(super) struct Root {
    /// Absolute, without symlinks: the name that guests see besides `.`.
    pub(super) path: PathBuf,
    dir: Dir,
}

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("the root {} cannot be opened: {error}", path.display())]
    Root { path: PathBuf, error: std::io::Error },
    #[error("the root {} is not UTF-8, so that guests could not name it", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("the grant {pattern:?} cannot be opened: only `**` and `some/directory/**` can")]
    NotADirectory { pattern: String },
    #[error("the grant {pattern:?} is in none of the roots ({roots})")]
    Outside { pattern: String, roots: String },
    #[error(
        "the grant {pattern:?} cannot be opened in {}: {error}{}",
        root.display(),
        if error.kind() == std::io::ErrorKind::NotFound { "; make the directory first" } else { "" }
    )]
    Grant { pattern: String, root: PathBuf, error: std::io::Error },
}

impl Roots {
    /// Opens each directory of `paths`.
    ///
    /// # Errors
    /// One does not exist, is no directory or may not be read.
    #[expect(clippy::disallowed_methods, reason = "the one place where a path becomes authority")]
    pub fn open(paths: &[PathBuf]) -> Result<Roots, FilesError> {
        let open = |path: &PathBuf| {
            let failed = |error| FilesError::Root { path: path.clone(), error };
            let absolute = path.canonicalize().map_err(failed)?;
            let dir = Dir::open_ambient_dir(&absolute, ambient_authority()).map_err(failed)?;
            match absolute.to_str() {
                Some(_) => Ok(Root { path: absolute, dir }),
                None => Err(FilesError::NotUtf8 { path: absolute }),
            }
        };
        paths.iter().map(open).collect::<Result<_, _>>().map(Roots)
    }

    /// Absolute paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| root.path.as_path())
    }

    /// The directory that a grant means: its place among the roots, its path in that root, and a handle
    /// on it, reached without leaving the root.
    pub(super) fn find(&self, grant: &PathGrant) -> Result<(usize, PathBuf, Dir), FilesError> {
        let pattern = grant.pattern();
        let Some(dir) = directory(&pattern) else {
            return Err(FilesError::NotADirectory { pattern });
        };
        let inside = |(index, root): (usize, &Root)| {
            Some((index, dir.strip_prefix(&root.path).ok()?.to_owned()))
        };
        let found = if dir.is_absolute() {
            // The innermost, where one root lies in another.
            let length = |(index, _): &(usize, PathBuf)| self.0[*index].path.as_os_str().len();
            self.0.iter().enumerate().filter_map(inside).max_by_key(length)
        } else {
            self.0.first().map(|_| (0, dir.clone()))
        };
        let Some((index, relative)) = found else {
            let roots: Vec<_> = self.paths().map(|path| path.display().to_string()).collect();
            return Err(FilesError::Outside { pattern, roots: roots.join(", ") });
        };
        let root = &self.0[index];
        let here = if relative == Path::new("") { Path::new(".") } else { &relative };
        match root.dir.open_dir(here) {
            Ok(dir) => Ok((index, relative, dir)),
            Err(error) => Err(FilesError::Grant { pattern, root: root.path.clone(), error }),
        }
    }

    pub(super) fn path(&self, index: usize) -> &Path {
        &self.0[index].path
    }
}

/// The directory of a pattern that is one, `dir/**`.
fn directory(pattern: &str) -> Option<PathBuf> {
    let dir = pattern.strip_suffix("**")?;
    (!dir.contains(['*', '?', '[', ']', '{', '}', '\\'])).then(|| PathBuf::from(dir))
}
