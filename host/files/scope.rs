//! What one call may reach: its plugin's grants, and what its tool has declared to touch.
//!
//! Decides by path alone, after resolution. Everything else asks here, once for each path.

use crate::policy::{Grants, PathGrant, PathPattern};

use super::disk::Kind;
use super::place::{Facets, Key, Place};
use super::reads::{Observed, Reads};
use super::roots::{FilesError, Roots};
use super::view::{Staged, View};

/// What is about to be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Pass through it, or find out whether it is there.
    Look,
    /// Pass through it to something beneath that is to be read.
    Pass,
    /// Read it, or list what of it may be seen.
    Read,
    /// Make, change or remove it.
    Write,
    /// Make a directory on the way to something that may be written.
    MakeDir,
    /// Move it with everything beneath it.
    WriteTree,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub path: String,
    pub access: Access,
    pub by: DeniedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedBy {
    /// The plugin's grants do not cover it.
    Policy,
    /// The tool said in its documentation that it would not touch it.
    Declaration,
    /// The file has names outside of what is granted.
    OtherNames,
    /// The path leads out of all roots, by `..` or by a symlink.
    Outside,
}

/// What a plugin's grants open, by root.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    roots: Vec<RootScope>,
}

#[derive(Clone, Debug, Default)]
struct RootScope {
    read: Vec<PathPattern>,
    write: Vec<PathPattern>,
}

/// The paths that a call has declared to touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    pub reads: Vec<Place>,
    /// These may be read as well.
    pub writes: Vec<Place>,
}

impl Scope {
    /// What `grants` mean beneath each of the roots. Relative patterns are of the first one.
    ///
    /// # Errors
    /// A pattern that can match nothing, since it lies in none of the roots.
    pub fn new(roots: &Roots, grants: &Grants) -> Result<Scope, FilesError> {
        for grant in grants.read.iter().chain(&grants.write) {
            let mut here =
                roots.paths().enumerate().filter(|(index, _)| *index == 0 || grant.is_absolute());
            if !here.any(|(_, root)| grant.beneath(root).is_some()) {
                let roots: Vec<_> = roots.paths().map(|path| path.display().to_string()).collect();
                return Err(FilesError::Outside {
                    pattern: grant.pattern(),
                    roots: roots.join(", "),
                });
            }
        }
        let roots = roots.paths().enumerate().map(|(index, root)| {
            let beneath = |patterns: &[PathGrant]| {
                let here = patterns.iter().filter(|it| index == 0 || it.is_absolute());
                here.filter_map(|it| it.beneath(root)).collect::<Vec<_>>()
            };
            RootScope { read: beneath(&grants.read), write: beneath(&grants.write) }
        });
        Ok(Scope { roots: roots.collect() })
    }

    /// Everything beneath the roots.
    #[cfg(test)]
    pub fn everything(roots: &Roots) -> Scope {
        let grants = Grants { write: vec![PathGrant::whole_root()], ..Grants::default() };
        Scope::new(roots, &grants).unwrap_or_default()
    }

    /// Whether anything at all may be written.
    pub fn writes(&self) -> bool {
        self.roots.iter().any(|root| !root.write.is_empty())
    }

    /// Whether anything beneath a root may be reached.
    pub fn reaches(&self, root: usize) -> bool {
        self.roots.get(root).is_some_and(|root| !root.read.is_empty() || !root.write.is_empty())
    }

    pub fn allows(&self, root: usize, path: &str, access: Access) -> bool {
        let Some(scope) = self.roots.get(root) else { return false };
        let write = || scope.write.iter();
        let readable = || scope.read.iter().chain(write());
        match access {
            Access::Look | Access::Pass => readable().any(|it| it.matches(path) || it.leads(path)),
            Access::Read => readable().any(|it| it.matches(path)),
            Access::Write => write().any(|it| it.matches(path)),
            Access::MakeDir => write().any(|it| it.matches(path) || it.leads(path)),
            Access::WriteTree => {
                // `d` and `d/**` together are as good as a pattern of both.
                let any_beneath = format!("{path}/_");
                write().any(|it| it.covers(path))
                    || (write().any(|it| it.matches(path))
                        && write().any(|it| it.covers(&any_beneath)))
            }
        }
    }
}

impl Declared {
    pub fn allows(&self, root: usize, path: &str, access: Access) -> bool {
        let here = |place: &&Place| place.root == root;
        let under = |place: &Place| beneath(path, &place.path);
        // Passing through the directories above it is part of reaching a path.
        let above = |place: &Place| beneath(&place.path, path);
        let reads = || self.reads.iter().chain(&self.writes).filter(here);
        match access {
            Access::Look | Access::Pass => reads().any(|place| under(place) || above(place)),
            Access::Read => reads().any(under),
            Access::Write | Access::WriteTree => self.writes.iter().filter(here).any(under),
            Access::MakeDir => {
                self.writes.iter().filter(here).any(|place| under(place) || above(place))
            }
        }
    }
}

/// Whether `path` is `above` or lies beneath it.
pub fn beneath(path: &str, above: &str) -> bool {
    above.is_empty()
        || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a call might do, for those who ask before it has done it.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    pub scope: &'a Scope,
    /// Where it is known, and can be relied on.
    pub declared: Option<&'a Declared>,
    pub writes: bool,
}

impl Reach<'_> {
    fn allows(&self, place: &Place, access: Access) -> bool {
        let declared = |it: &Declared| it.allows(place.root, &place.path, access);
        self.scope.allows(place.root, &place.path, access) && self.declared.is_none_or(declared)
    }

    /// Whether it might write a facet of a place. A directory that is there is not made by making directories.
    fn may_write(&self, place: &Place, facets: Facets, dir_is_there: bool) -> bool {
        if !self.writes {
            return false;
        }
        if self.allows(place, Access::Write) {
            return true;
        }
        let names =
            facets.intersects(Facets::LIST) || (facets.intersects(Facets::KIND) && !dir_is_there);
        names && self.allows(place, Access::MakeDir)
    }

    fn may_read(&self, place: &Place, facets: Facets) -> bool {
        if self.allows(place, Access::Read)
            || (facets.intersects(Facets::KIND) && self.allows(place, Access::Look))
        {
            return true;
        }
        // By grants, the directories on the way may be listed.
        facets.intersects(Facets::LIST)
            && self.declared.is_none()
            && self.allows(place, Access::Look)
    }

    /// Whether it might put a symlink, or another directory, somewhere on the way to a place.
    pub fn may_redirect(&self, place: &Place) -> bool {
        if !self.writes {
            return false;
        }
        let mut path = &*place.path;
        loop {
            if self.allows(&Place::new(place.root, path), Access::Write) {
                return true;
            }
            if path.is_empty() {
                return false;
            }
            path = super::disk::split(path).0;
        }
    }

    /// Whether it might write what a view has read, or touch what was staged on it.
    pub fn may_conflict(&self, view: &View, staged: &Staged) -> bool {
        let touched = staged.writes().iter().any(|(key, facets)| match key {
            Key::Path(place) => {
                self.may_read(place, *facets) || self.may_write(place, *facets, false)
            }
            // Told by its paths.
            Key::Inode(..) | Key::Names(_) => false,
            Key::Links(_) => self.writes,
        });
        touched || self.may_overwrite(view)
    }

    /// Whether it might write what a view has read.
    pub fn may_overwrite(&self, view: &View) -> bool {
        self.writes && view.with_reads(|reads| {
            reads.all().any(|(key, seen, observed)| {
                let place = match key {
                    Key::Path(place) => place,
                    Key::Inode(..) => return false,
                    Key::Names(_) | Key::Links(_) => return true,
                };
                // It may be written under another of its names.
                let linked = matches!(observed, Some(Observed::Stat(stat)) if stat.kind == Kind::File && stat.nlink > 1);
                let dir = matches!(observed, Some(Observed::Kind(Kind::Dir, _)));
                linked || self.may_write(place, Reads::facets(seen), dir)
            })
        })
    }
}
