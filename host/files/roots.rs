//! Roots: the host directories that calls may see, opened once.
//!
//! This is where ambient authority over files becomes a directory handle; everything later is
//! beneath one of these.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::disk::{self, Kind, Stat};
use super::lock::in_words;
use super::rollback::Refused;
use super::shelf::INORDER;

/// The roots in the order of the config. The first one is the guests' `.`.
#[derive(Default)]
pub struct Roots(Vec<Root>);

pub struct Root {
    /// Absolute, without symlinks: the name that guests see besides `.`.
    pub path: String,
    pub fd: Arc<OwnedFd>,
    pub stat: Stat,
    /// A file can be as large as this.
    large: AtomicU64,
}

impl Root {
    /// What is told of a root that cannot be put in order.
    pub(super) fn not_recovered(&self, (path, error): &Refused) -> FilesError {
        let (root, message) = (self.path.clone(), in_words(*error));
        let ours = disk::stat(self.fd.as_fd(), INORDER).ok().filter(|_| path == INORDER);
        match ours {
            Some(Stat { uid: owner, .. }) if matches!(*error, Errno::ACCESS | Errno::PERM) => {
                FilesError::NotOurs { root, owner, message }
            }
            _ => FilesError::Recovery { root, path: path.clone(), message },
        }
    }

    /// Refuses a size that no file of the root can have. A commit would find out too late, and a limit of the process on
    /// sizes (`ulimit -f`) would have the system kill it.
    pub fn check_size(&self, size: u64) -> disk::Result<()> {
        // What every file system holds that is in use.
        const SURE: u64 = i32::MAX as u64;
        if size <= self.large.load(Ordering::Relaxed) {
            return Ok(());
        }
        if getrlimit(Resource::Fsize).current.is_some_and(|most| size > most) {
            return Err(Errno::FBIG);
        }
        // No call tells what a file system can hold. Where it has no nameless files, the commit tells.
        if size > SURE
            && let Ok(file) = disk::nameless(self.fd.as_fd())
        {
            rustix::fs::ftruncate(file, size)?;
        }
        self.large.fetch_max(size, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("the root {} cannot be opened: {error}", path.display())]
    Root { path: PathBuf, error: std::io::Error },
    #[error("the root {} is not UTF-8, so that guests could not name it", path.display())]
    NotUtf8 { path: PathBuf },
    #[error(
        "the root {inner} lies in the root {outer}: a file would have two names; give one of them alone"
    )]
    Nested { outer: String, inner: String },
    #[error(
        "the rule {rule:?} of what to ask about names paths in none of the roots ({roots}), so that nobody would ever be asked"
    )]
    NeverAsked { rule: String, roots: String },
    #[error("the grant {pattern:?} is in none of the roots ({roots})")]
    Outside { pattern: String, roots: String },
    #[error(
        "in the root {root} a commit, or an undo, was cut off, which has to be taken back first: {path}: {message}"
    )]
    Recovery { root: String, path: String, message: String },
    #[error(
        "{root}/{INORDER} cannot be used, where commits that were cut off would be found: {message}; run `inorder` as the user \
         that it belongs to ({owner}), or remove it if none is at work there"
    )]
    NotOurs { root: String, owner: u32, message: String },
    #[error(
        "{path} is {what}: a directory of that name is where the host keeps what commits need; move it away, and \
         the host makes one when it needs it"
    )]
    InTheWay { path: String, what: &'static str },
}

impl Roots {
    /// Opens each directory of `paths`.
    ///
    /// # Errors
    /// One does not exist, is no directory, may not be read, or lies in another.
    #[expect(clippy::disallowed_methods, reason = "the one place where a path becomes authority")]
    pub fn open(paths: &[PathBuf]) -> Result<Roots, FilesError> {
        let open = |path: &PathBuf| {
            let failed = |error| FilesError::Root { path: path.clone(), error };
            let absolute = path.canonicalize().map_err(failed)?;
            let Some(name) = absolute.to_str().map(str::to_owned) else {
                return Err(FilesError::NotUtf8 { path: absolute });
            };
            let dir = Dir::open_ambient_dir(&absolute, ambient_authority()).map_err(failed)?;
            let fd = OwnedFd::from(dir.into_std_file());
            let stat = disk::stat_fd(fd.as_fd()).map_err(|error| failed(error.into()))?;
            in_the_way(&name, fd.as_fd())?;
            Ok(Root { path: name, fd: Arc::new(fd), stat, large: AtomicU64::new(0) })
        };
        let mut roots: Vec<Root> = Vec::new();
        for path in paths {
            let root = open(path)?;
            let inside =
                |inner: &Root, outer: &Root| Path::new(&inner.path).starts_with(&outer.path);
            for other in &roots {
                for (inner, outer) in [(&root, other), (other, &root)] {
                    if inside(inner, outer) {
                        let (outer, inner) = (outer.path.clone(), inner.path.clone());
                        return Err(FilesError::Nested { outer, inner });
                    }
                }
            }
            roots.push(root);
        }
        Ok(Roots(roots))
    }

    /// Whether both are the same directories, under the same names.
    pub fn are_those(&self, other: &Roots) -> bool {
        let same = |(a, b): (&Root, &Root)| a.path == b.path && a.stat.id() == b.stat.id();
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, index: usize) -> &Root {
        &self.0[index]
    }

    /// Absolute paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| Path::new(&root.path))
    }

    /// The root that an absolute path points into, and the rest of the path.
    pub fn containing<'p>(&self, path: &'p str) -> Option<(usize, &'p str)> {
        self.0.iter().enumerate().find_map(|(index, root)| {
            let rest = path.strip_prefix(root.path.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/'))
                .then_some((index, rest.trim_start_matches('/')))
        })
    }

    /// A path beneath a root as policy and messages write it: relative to the first root, else absolute.
    pub fn display(&self, root: usize, path: &str) -> String {
        match (root, path) {
            (0, "") => ".".to_owned(),
            (0, path) => path.to_owned(),
            (_, path) => format!("{}/{path}", self.0[root].path).trim_end_matches('/').to_owned(),
        }
    }
}

/// Whether `.inorder` is there and is no directory. Told here, where a user can still be told what to do; a root in
/// which that cannot be found out has more to say when it is recovered.
fn in_the_way(root: &str, fd: BorrowedFd<'_>) -> Result<(), FilesError> {
    let what = match disk::stat(fd, INORDER).map(|stat| stat.kind) {
        Ok(Kind::File) => "a file",
        Ok(Kind::Symlink) => "a symlink, which is not followed",
        Ok(Kind::Other) => "neither a file nor a directory",
        Ok(Kind::Dir) | Err(_) => return Ok(()),
    };
    Err(FilesError::InTheWay { path: format!("{}/{INORDER}", root.trim_end_matches('/')), what })
}
