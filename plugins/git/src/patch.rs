//! Changes as the text of a patch, as `git diff` writes it. Which changes there are is not its business.

use gix::bstr::{BStr, BString};
use gix::worktree::stack::state::attributes::Source;

use crate::change::{Change, Side};
use crate::hunks;
use crate::names::{Abbreviation, quoted};
use crate::rename::ALIKE;
use crate::repo::words;

/// Where in a file git looks for a zero byte to tell that it is no text.
const LOOKED_AT: usize = 8000;

pub fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(LOOKED_AT)].contains(&0)
}

pub struct Patch<'r> {
    repo: &'r gix::Repository,
    attributes: gix::AttributeStack<'r>,
    short: Abbreviation<'r>,
    context: usize,
    out: Vec<u8>,
}

impl<'r> Patch<'r> {
    pub fn new(
        repo: &'r gix::Repository,
        index: &gix::index::State,
        context: u32,
    ) -> Result<Patch<'r>, String> {
        let attributes = repo
            .attributes_only(index, Source::WorktreeThenIdMapping)
            .map_err(|error| words(&error))?;
        let short = Abbreviation::new(repo)?;
        Ok(Patch { repo, attributes, short, context: context as usize, out: Vec::new() })
    }

    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A path of which the index holds several versions.
    pub fn unmerged(&mut self, path: &BStr) {
        self.out.extend(b"* Unmerged path ");
        self.out.extend(&**path);
        self.out.push(b'\n');
    }

    pub fn add(&mut self, change: &Change) -> Result<(), String> {
        if change.is_of_type() {
            self.file(&Change::new(change.old.clone(), None))?;
            return self.file(&Change::new(None, change.new.clone()));
        }
        self.file(change)
    }

    fn file(&mut self, change: &Change) -> Result<(), String> {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        let (Some(a), Some(b)) = (old.or(new), new.or(old)) else { return Ok(()) };
        let a_name = quoted("a/", a.path.as_ref());
        let b_name = quoted("b/", b.path.as_ref());
        self.line(&[b"diff --git ", &a_name, b" ", &b_name]);
        match (old, new) {
            (None, Some(new)) => self.line(&[format!("new file mode {:06o}", new.mode).as_bytes()]),
            (Some(old), None) => {
                self.line(&[format!("deleted file mode {:06o}", old.mode).as_bytes()]);
            }
            (Some(old), Some(new)) if old.mode != new.mode => {
                self.line(&[format!("old mode {:06o}", old.mode).as_bytes()]);
                self.line(&[format!("new mode {:06o}", new.mode).as_bytes()]);
            }
            _ => {}
        }
        if change.is_rename() {
            let percent = change.alike * 100 / ALIKE;
            self.line(&[format!("similarity index {percent}%").as_bytes()]);
            self.line(&[b"rename from ", &quoted("", a.path.as_ref())]);
            self.line(&[b"rename to ", &quoted("", b.path.as_ref())]);
        }
        let id = |side: Option<&Side>| {
            side.map_or(gix::ObjectId::null(gix::hash::Kind::Sha1), |side| side.id)
        };
        if id(old) == id(new) {
            return Ok(());
        }
        let (from, to) = (self.short.of(&id(old))?, self.short.of(&id(new))?);
        let mode = match (old, new) {
            (Some(old), Some(new)) if old.mode == new.mode => format!(" {:06o}", old.mode),
            _ => String::new(),
        };
        self.line(&[format!("index {from}..{to}{mode}").as_bytes()]);
        self.content(old, new, &a_name, &b_name)
    }

    fn content(
        &mut self,
        old: Option<&Side>,
        new: Option<&Side>,
        a_name: &[u8],
        b_name: &[u8],
    ) -> Result<(), String> {
        let bytes = |side: Option<&Side>| side.map_or(Ok(Vec::new()), |it| it.bytes(self.repo));
        let (before, after) = (bytes(old)?, bytes(new)?);
        let none: &[u8] = b"/dev/null";
        let a_name = if old.is_some() { a_name } else { none };
        let b_name = if new.is_some() { b_name } else { none };
        if self.binary(old, &before)? || self.binary(new, &after)? {
            self.line(&[b"Binary files ", a_name, b" and ", b_name, b" differ"]);
            return Ok(());
        }
        let hunks = hunks::unified(&before, &after, self.context);
        if !hunks.is_empty() {
            // A tab ends a name with spaces, so that `patch` finds where it ends.
            let tab = |name: &[u8]| if name.contains(&b' ') { "\t" } else { "" }.as_bytes();
            self.line(&[b"--- ", a_name, tab(a_name)]);
            self.line(&[b"+++ ", b_name, tab(b_name)]);
            self.out.extend(hunks);
        }
        Ok(())
    }

    /// By the attribute `diff` of its path, else by what is in it.
    fn binary(&mut self, side: Option<&Side>, bytes: &[u8]) -> Result<bool, String> {
        use gix::attrs::StateRef;
        let Some(side) = side else { return Ok(false) };
        let mut found = self.attributes.selected_attribute_matches(["diff"]);
        let platform =
            self.attributes.at_entry(BStr::new(&side.path), None).map_err(|error| words(&error))?;
        platform.matching_attributes(&mut found);
        let state = found.iter_selected().next().map(|it| it.assignment.state);
        Ok(match state {
            Some(StateRef::Set) => false,
            Some(StateRef::Unset) => true,
            _ => is_binary(bytes),
        })
    }

    fn line(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.out.extend(*part));
        self.out.push(b'\n');
    }
}

/// Changes that are already known, one after the other.
pub fn write(
    repo: &gix::Repository,
    index: &gix::index::State,
    context: u32,
    changes: &[Change],
) -> Result<Vec<u8>, String> {
    let mut patch = Patch::new(repo, index, context)?;
    changes.iter().try_for_each(|change| patch.add(change))?;
    Ok(patch.finish())
}

/// In which paths with conflicts stand where they sort.
pub fn write_with_conflicts(
    repo: &crate::repo::Repo,
    context: u32,
    changes: &[Change],
    conflicts: &[BString],
) -> Result<Vec<u8>, String> {
    let mut patch = Patch::new(&repo.git, &repo.index, context)?;
    let mut conflicts = conflicts.iter().peekable();
    for change in changes {
        while let Some(path) = conflicts.next_if(|path| *path <= change.path()) {
            patch.unmerged(path.as_ref());
        }
        patch.add(change)?;
    }
    conflicts.for_each(|path| patch.unmerged(path.as_ref()));
    Ok(patch.finish())
}
