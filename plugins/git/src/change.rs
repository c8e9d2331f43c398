//! What differs between two states of the files, and where to find what each holds.
//!
//! A state is a tree, the index or the working tree; `tree` and `worktree` find the changes, `rename` pairs
//! them, `patch` and `status` show them.

use gix::ObjectId;
use gix::bstr::BString;

pub const FILE: u32 = 0o100644;
pub const EXECUTABLE: u32 = 0o100755;
pub const SYMLINK: u32 = 0o120000;
pub const SUBMODULE: u32 = 0o160000;

/// One file in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub path: BString,
    pub mode: u32,
    /// For a file of the working tree, of what it holds as git would store it.
    pub id: ObjectId,
    /// The content, where no object holds it.
    pub content: Option<Vec<u8>>,
}

/// One path, or a pair of them where a file was renamed. One side at least is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub old: Option<Side>,
    pub new: Option<Side>,
    /// How alike both sides of a renamed file are, of `rename::ALIKE`.
    pub alike: u32,
}

impl Side {
    pub fn new(path: impl Into<BString>, mode: u32, id: ObjectId) -> Side {
        Side { path: path.into(), mode, id, content: None }
    }

    pub fn is_regular(&self) -> bool {
        self.mode == FILE || self.mode == EXECUTABLE
    }

    pub fn bytes(&self, repo: &gix::Repository) -> Result<Vec<u8>, String> {
        if let Some(content) = &self.content {
            return Ok(content.clone());
        }
        if self.mode == SUBMODULE {
            return Ok(format!("Subproject commit {}\n", self.id).into_bytes());
        }
        let object = repo.find_object(self.id).map_err(|error| crate::repo::words(&error))?;
        Ok(object.detach().data)
    }
}

impl Change {
    pub fn new(old: Option<Side>, new: Option<Side>) -> Change {
        Change { old, new, alike: 0 }
    }

    /// The path that it is listed under.
    pub fn path(&self) -> &BString {
        static NONE: BString = BString::new(Vec::new());
        self.new.as_ref().or(self.old.as_ref()).map_or(&NONE, |side| &side.path)
    }

    pub fn is_rename(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.path != new.path)
    }

    /// Whether a file became a symlink or a submodule, or the other way round.
    pub fn is_of_type(&self) -> bool {
        const KIND: u32 = 0o170000;
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.mode & KIND != new.mode & KIND)
    }
}

/// In the order in which git lists them: by path, as bytes.
pub fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| a.path().cmp(b.path()));
}
