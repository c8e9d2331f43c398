//! Names for what calls read and write: places, and the facets of one.

use std::fmt;
use std::sync::Arc;

/// A path beneath a root, resolved: without `.`, `..` or symlinks on the way; empty for the root itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub root: usize,
    pub path: Arc<str>,
}

impl Place {
    pub fn new(root: usize, path: &str) -> Place {
        Place { root, path: path.into() }
    }

    pub fn child(&self, name: &str) -> Place {
        let path =
            if self.path.is_empty() { name.into() } else { format!("{}/{name}", self.path).into() };
        Place { root: self.root, path }
    }

    /// The directory that it is in; the root's is itself.
    pub fn parent(&self) -> Place {
        Place::new(self.root, super::disk::split(&self.path).0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() { "." } else { &self.path })
    }
}

/// What a read or a write is recorded under. A file with several links is one thing under several names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Path(Place),
    /// Device and inode of a file.
    Inode(u64, u64),
    /// Every name beneath a root.
    Names(usize),
    /// Names beneath a root of files that have several: whoever may write one has to find all of them.
    Links(usize),
}

/// Sides of a path that can change without the others.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Facets(u8);

impl Facets {
    /// Whether it exists, and as what.
    pub const KIND: Facets = Facets(1);
    /// Content and size.
    pub const DATA: Facets = Facets(2);
    /// Times, and how many names it has.
    pub const ATTR: Facets = Facets(4);
    /// The names in a directory, and what each is.
    pub const LIST: Facets = Facets(8);

    pub const COUNT: usize = 4;

    pub fn each(self) -> impl Iterator<Item = usize> {
        (0..Facets::COUNT).filter(move |bit| self.0 & (1 << bit) != 0)
    }

    pub fn intersects(self, other: Facets) -> bool {
        self.0 & other.0 != 0
    }

    pub fn insert(&mut self, other: Facets) {
        self.0 |= other.0;
    }
}

impl std::ops::BitOr for Facets {
    type Output = Facets;

    fn bitor(self, other: Facets) -> Facets {
        Facets(self.0 | other.0)
    }
}

impl fmt::Debug for Facets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["KIND", "DATA", "ATTR", "LIST"];
        let names: Vec<&str> = self.each().map(|bit| names[bit]).collect();
        f.write_str(&names.join("|"))
    }
}
