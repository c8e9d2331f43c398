//! What would change, as a unified diff: all of it for a dry run, in bounds for whoever is asked about it.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use similar::{Algorithm, TextDiff};

use crate::batch::Change;

use super::bounds::Bounds;
use super::disk::{self, Kind, Result};
use super::layer;
use super::node::NodeId;
use super::patch;
use super::plan::{dir_before, join, plans};
use super::reads::Reads;
use super::tree::{Lower, Tree, locked};
use super::work::Work;

/// A file larger than this is named and not shown.
const MOST: u64 = 4 << 20;
/// How long one file is compared before a coarser diff has to do.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the text of a question, in bytes.
const MOST_TEXT: usize = 256 << 10;
/// Stands for a side that is not there.
const NOTHING: &str = "/dev/null";

/// What would change, for somebody who decides about it.
#[derive(Default)]
pub struct Told {
    /// A unified diff of text, everything else by name; at most 256 KiB, and a line that says so where that is not all.
    pub text: String,
    /// Of the changes with all that they change, if all of it was looked at: equal for what is equal.
    pub digest: Option<[u8; 32]>,
    /// What was looked at on the disk for that.
    pub(super) reads: Reads,
}

/// Looks at changes one after the other.
struct Teller<'t> {
    old: Tree,
    new: &'t Mutex<Tree>,
    text: String,
    digest: Sha256,
    /// Whether the digest is of everything so far.
    whole: bool,
}

impl Work {
    /// What the layer of a dry run has gathered: text as a unified diff, everything else by name.
    pub fn diff(&self) -> String {
        let Some(layer) = self.layer() else { return String::new() };
        let plans = plans(&locked(layer)).unwrap_or_default();
        let mut teller = Teller::new(layer);
        for plan in &plans {
            for change in &plan.changes {
                teller.describe(plan.root, change);
                if let Change::Renamed { from, to } = change {
                    teller.moved(plan.root, from, to);
                }
            }
        }
        teller.text
    }

    /// [`Work::diff`], in bounds, of a layer that is to be made real.
    pub fn tell(&self) -> Told {
        let Some(layer) = self.layer() else { return Told::default() };
        let plans = plans(&locked(layer)).unwrap_or_default();
        Told::of(layer, plans.iter().map(|plan| (plan.root, &*plan.changes)))
    }

    /// Lets what [`Work::tell`] has told count as read: nothing of it is made real if that has changed since.
    pub fn rely_on(&self, told: Told) {
        if let Some(layer) = self.layer() {
            locked(layer).reads.add(told.reads);
        }
    }
}

impl Told {
    /// Of changes by root, of which `new` holds what is to be.
    pub(super) fn of<'c>(
        new: &Mutex<Tree>,
        changes: impl IntoIterator<Item = (usize, &'c [Change])>,
    ) -> Told {
        let mut teller = Teller::new(new);
        let mut left = 0;
        for (root, changes) in changes {
            for change in changes {
                if teller.text.len() > MOST_TEXT {
                    left += 1;
                    teller.look(root, change);
                } else {
                    teller.describe(root, change);
                }
            }
        }
        let Teller { mut text, mut digest, whole, old, .. } = teller;
        digest.update(&text);
        let digest = (whole && left == 0).then(|| digest.finalize().into());
        if text.len() > MOST_TEXT {
            let end = (0..=MOST_TEXT).rev().find(|&end| text.is_char_boundary(end));
            text.truncate(end.unwrap_or(0));
            line(&mut text, "");
            line(&mut text, "# the rest of this is not shown");
        }
        if left > 0 {
            line(&mut text, &format!("# {left} more changes are not shown"));
        }
        Told { text, digest, reads: old.reads }
    }
}

impl<'t> Teller<'t> {
    fn new(new: &'t Mutex<Tree>) -> Teller<'t> {
        let tree = locked(new);
        let (roots, stages, ledger) =
            (tree.roots.clone(), tree.stages.clone(), tree.ledger.clone());
        drop(tree);
        let old = Tree::new(roots, stages, ledger, Lower::Disk, None, Bounds::NONE);
        Teller { old, new, text: String::new(), digest: Sha256::new(), whole: true }
    }

    /// The tree is locked while it is read, and not while what was read is compared: others want to know what it has read.
    fn describe(&mut self, root: usize, change: &Change) {
        let Teller { old, new, text, digest, whole } = self;
        let compared = describe(text, old, &mut locked(new), root, change);
        let Some(Compared { a, b, old, new }) = compared else { return };
        match (old, new) {
            (Ok(Some(old)), Ok(Some(new))) => {
                for side in [&old, &new] {
                    digest.update((side.len() as u64).to_le_bytes());
                    digest.update(side);
                }
                compare(text, (&a, &old), (&b, &new));
            }
            (Ok(_), Ok(_)) => {
                *whole = false;
                line(text, &format!("Large files {a} and {b} differ"));
            }
            (Err(error), _) | (_, Err(error)) => {
                *whole = false;
                line(text, &format!("{a} and {b}: {error}"));
            }
        }
    }

    /// Looks at what a change that is not told would change, so that it counts as read.
    fn look(&mut self, root: usize, change: &Change) {
        let (before, _) = ends(&mut locked(self.new), root, change);
        let found = before.and_then(|path| layer::at(&mut self.old, root, &path).ok());
        if let Some(id) = found.filter(|&id| self.old.node(id).kind == Kind::File) {
            // That it cannot be looked at is recorded, too.
            let _ = self.old.size(id);
        }
    }

    /// The files that have moved with a directory, and are as they were: git has no line for all of them.
    fn moved(&mut self, root: usize, from: &str, to: &str) {
        let Teller { old, new, text, .. } = self;
        let mut new = locked(new);
        let mut left = vec![(from.to_owned(), to.to_owned())];
        while let Some((from, to)) = left.pop() {
            let Ok(dir) = layer::at(old, root, &from) else { continue };
            if old.node(dir).kind != Kind::Dir || old.list(dir).is_err() {
                continue;
            }
            let children = old.node(dir).dir().into_iter().flat_map(|dir| &dir.children);
            let mut children: Vec<_> =
                children.filter_map(|(name, child)| Some((name.clone(), child.now?))).collect();
            children.sort_unstable();
            for (name, child) in children {
                let (from, to) = (join(&from, &name), join(&to, &name));
                match old.node(child).kind {
                    Kind::Dir => left.push((from, to)),
                    Kind::File if is_as_it_was(&mut new, root, &from, &to) => {
                        let (from, to) = (shown(&new, root, &from), shown(&new, root, &to));
                        line(text, &format!("diff --git {}", patch::both(&from, &to)));
                        renamed(text, &from, &to);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Both sides of a file, and what they are called. None of a side that is too large.
struct Compared {
    a: String,
    b: String,
    old: Result<Option<Vec<u8>>>,
    new: Result<Option<Vec<u8>>>,
}

/// Where what a change is about was, and where it is.
fn ends(new: &mut Tree, root: usize, change: &Change) -> (Option<String>, Option<String>) {
    match change {
        Change::Created(path) => (None, Some(path.clone())),
        Change::Removed(path) => (Some(path.clone()), None),
        Change::Modified(path) => (Some(before(new, root, path)), Some(path.clone())),
        Change::Renamed { from, to } => (Some(from.clone()), Some(to.clone())),
    }
}

/// Where a name is before the commit: the directory that it is in may have been moved.
fn before(new: &mut Tree, root: usize, path: &str) -> String {
    let (parent, name) = disk::split(path);
    let parent = layer::at(new, root, parent).ok();
    let before = parent.and_then(|dir| dir_before(new, dir, name));
    before.unwrap_or_else(|| path.to_owned())
}

/// Whether a file was moved from one path to another with the directory that it is in, and nothing else was done to it.
fn is_as_it_was(new: &mut Tree, root: usize, from: &str, to: &str) -> bool {
    let Ok(id) = layer::at(new, root, to) else { return false };
    let (parent, name) = disk::split(to);
    let parent = layer::at(new, root, parent);
    let child = parent.and_then(|dir| Ok(new.dir(dir)?.children.get(name).copied()));
    let stays = child.is_ok_and(|it| it.is_some_and(|it| it.base == it.now));
    stays && !new.node(id).changed() && before(new, root, to) == from
}

fn shown(tree: &Tree, root: usize, path: &str) -> String {
    tree.roots.display(root, path)
}

/// Tells what has no lines; gives what has some.
fn describe(
    text: &mut String,
    old: &mut Tree,
    new: &mut Tree,
    root: usize,
    change: &Change,
) -> Option<Compared> {
    let (before, after) = ends(new, root, change);
    let side = |tree: &mut Tree, path: Option<&String>| {
        let id = layer::at(tree, root, path?).ok()?;
        Some((id, tree.node(id).kind))
    };
    let (was, is) = (side(old, before.as_ref()), side(new, after.as_ref()));
    let before = before.map(|path| shown(new, root, &path));
    let after = after.map(|path| shown(new, root, &path));
    let (a, b) = (before.as_ref().or(after.as_ref())?, after.as_ref().or(before.as_ref())?);
    let is_renamed = matches!(change, Change::Renamed { .. });
    match (was, is) {
        (None | Some((_, Kind::File)), None | Some((_, Kind::File))) => {
            line(text, &format!("diff --git {}", patch::both(a, b)));
            match (was, is) {
                (None, Some((id, _))) => {
                    line(text, &format!("new file mode {}", patch::mode(new, id)));
                }
                (Some((id, _)), None) => {
                    line(text, &format!("deleted file mode {}", patch::mode(old, id)));
                }
                _ if a != b => renamed(text, a, b),
                _ => {}
            }
            let content = |tree: &mut Tree, side: Option<(NodeId, Kind)>| match side {
                Some((id, _)) => content(tree, id),
                None => Ok(Some(vec![])),
            };
            let label = |side: &str, path: &str, there: bool| {
                if there { patch::name(side, path) } else { NOTHING.to_owned() }
            };
            let (a, b) = (label("a/", a, was.is_some()), label("b/", b, is.is_some()));
            let (old, new) = (content(old, was), content(new, is));
            Some(Compared { a, b, old, new })
        }
        // Begun otherwise than what git knows, of files: it could be taken for the head of the patch before.
        (Some((_, Kind::Dir)), Some((_, Kind::Dir))) if is_renamed => {
            let (from, to) = (patch::name("", a), patch::name("", b));
            line(text, &format!("# renamed {from}/ to {to}/"));
            None
        }
        (was, is) => {
            if let Some((id, kind)) =
                was.filter(|was| is_renamed || is.is_none_or(|is| is.1 != was.1))
            {
                line(text, &format!("# - {}{}", patch::name("", a), tail(old, id, kind)));
            }
            if let Some((id, kind)) = is {
                line(text, &format!("# + {}{}", patch::name("", b), tail(new, id, kind)));
            }
            None
        }
    }
}

fn renamed(text: &mut String, from: &str, to: &str) {
    line(text, &format!("rename from {}", patch::name("", from)));
    line(text, &format!("rename to {}", patch::name("", to)));
}

/// What is said of a thing that has no lines.
fn tail(tree: &mut Tree, id: NodeId, kind: Kind) -> String {
    match kind {
        Kind::Dir => "/".to_owned(),
        Kind::Symlink => {
            tree.readlink(id).map(|it| format!(" -> {}", patch::name("", &it))).unwrap_or_default()
        }
        Kind::File | Kind::Other => String::new(),
    }
}

/// All of a file, unless it is too large to show.
fn content(tree: &mut Tree, id: NodeId) -> Result<Option<Vec<u8>>> {
    let size = tree.size(id)?;
    if size > MOST {
        return Ok(None);
    }
    let mut all = Vec::new();
    loop {
        let piece = tree.read(id, all.len() as u64, 1 << 20)?;
        if piece.is_empty() {
            return Ok(Some(all));
        }
        all.extend_from_slice(&piece);
    }
}

fn compare(text: &mut String, (a, old): (&str, &[u8]), (b, new): (&str, &[u8])) {
    if old == new {
        // An empty file, or one that was renamed or given other times: the lines above have told all.
        if b == NOTHING {
            line(text, patch::EMPTIED);
        }
        return;
    }
    let is_text = |bytes: &[u8]| !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    if !is_text(old) || !is_text(new) {
        return line(text, &format!("Binary files {a} and {b} differ"));
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let mut config = TextDiff::configure();
    // By themselves, lines would end at a lone carriage return too, which they do for neither `diff` nor `git apply`.
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let config = config.algorithm(Algorithm::Myers).timeout(PATIENCE).newline_terminated(true);
    let diff = config.diff_slices(&old, &new);
    let _ = write!(
        text,
        "{}",
        diff.unified_diff().context_radius(3).header(&patch::ended(a), &patch::ended(b))
    );
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
