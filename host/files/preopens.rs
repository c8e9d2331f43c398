//! Preopens: the directories that a guest is handed, and the `wasi:filesystem/preopens` that hands
//! them out.
//!
//! The stock implementation opens each directory by its path for every store. Here they are opened once
//! per plugin and shared, so that a call which touches no files costs no system call, and a directory
//! that is renamed meanwhile stays the one that was granted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::filesystem::preopens;

use crate::policy::{Grants, PathGrant};

use super::roots::{FilesError, Roots};

/// What one plugin's grants open.
pub struct Preopens {
    entries: Vec<(Dir, String)>,
    writes: bool,
}

impl Preopens {
    /// Opens the directories of `grants`. One that may be written may be read too.
    ///
    /// # Errors
    /// A grant outside the roots, or a directory that does not exist.
    pub fn open(roots: &Roots, grants: &Grants) -> Result<Arc<Preopens>, FilesError> {
        let mut entries = Vec::new();
        let mut open = |grant: &PathGrant, perms: FsPerms| -> Result<(), FilesError> {
            let (root, relative, handle) = roots.find(grant)?;
            let mode = match perms {
                FsPerms::ReadOnly => OpenMode::READ,
                FsPerms::ReadWrite => OpenMode::READ | OpenMode::WRITE,
            };
            // Blocking on the worker thread is ten times faster for small files than a trip to the
            // blocking pool.
            let dir = Dir::new(handle.into_std_file(), perms, mode, true);
            for name in names(roots, root, &relative) {
                if !entries.iter().any(|(_, taken)| *taken == name) {
                    entries.push((dir.clone(), name));
                }
            }
            Ok(())
        };
        for grant in &grants.write {
            open(grant, FsPerms::ReadWrite)?;
        }
        for grant in &grants.read {
            open(grant, FsPerms::ReadOnly)?;
        }
        // Guests take the longest name that fits; among equals some take the first and some the last.
        entries.sort_by(|one, other| one.1.cmp(&other.1));
        Ok(Arc::new(Preopens { entries, writes: !grants.write.is_empty() }))
    }

    /// Whether anything can be written through these.
    pub fn writes(&self) -> bool {
        self.writes
    }
}

/// How a guest may call a directory: from the first root, relatively; and always by its own path.
fn names(roots: &Roots, root: usize, relative: &Path) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().map(str::to_owned);
    let root_path = roots.path(root);
    let whole = relative == Path::new("");
    let absolute = text(if whole { root_path.to_owned() } else { root_path.join(relative) });
    let short = text(if whole { PathBuf::from(".") } else { relative.to_owned() });
    short.filter(|_| root == 0).into_iter().chain(absolute).collect()
}

/// The part of a store's state that this needs.
pub struct PreopenHost<'a> {
    pub table: &'a mut ResourceTable,
    pub preopens: &'a Preopens,
}

impl preopens::Host for PreopenHost<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::with_capacity(self.preopens.entries.len());
        for (dir, name) in &self.preopens.entries {
            directories.push((self.table.push(Descriptor::Dir(dir.clone()))?, name.clone()));
        }
        Ok(directories)
    }
}

struct HasPreopens;

impl HasData for HasPreopens {
    type Data<'a> = PreopenHost<'a>;
}

/// Adds `wasi:filesystem/preopens`.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> PreopenHost<'_>,
) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, HasPreopens>(linker, host)
}
