//! What a dry run would change, as a unified diff.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{Algorithm, TextDiff};

use crate::batch::Change;

use super::bounds::Bounds;
use super::disk::{Kind, Result};
use super::layer;
use super::ledger::Ledger;
use super::node::NodeId;
use super::plan::plans;
use super::tree::{Lower, Tree, locked};
use super::work::Work;

/// A file larger than this is named and not shown.
const MOST: u64 = 4 << 20;
/// How long one file is compared before a coarser diff has to do.
const PATIENCE: Duration = Duration::from_secs(1);

impl Work {
    /// What the layer of a dry run has gathered: text as a unified diff, everything else by name.
    pub fn diff(&self) -> String {
        let Some(layer) = self.layer() else { return String::new() };
        let mut new = locked(layer);
        let (roots, stages) = (new.roots.clone(), new.stages.clone());
        let ledger = std::sync::Arc::new(Ledger::default());
        let mut old = Tree::new(roots, stages, ledger, Lower::Disk, None, Bounds::NONE);
        let mut text = String::new();
        for plan in plans(&new).unwrap_or_default() {
            for change in &plan.changes {
                describe(&mut text, &mut old, &mut new, plan.root, change);
            }
        }
        text
    }
}

fn describe(text: &mut String, old: &mut Tree, new: &mut Tree, root: usize, change: &Change) {
    let (before, after) = match change {
        Change::Created(path) => (None, Some(path)),
        Change::Removed(path) => (Some(path), None),
        Change::Modified(path) => (Some(path), Some(path)),
        Change::Renamed { from, to } => (Some(from), Some(to)),
    };
    let side = |tree: &mut Tree, path: Option<&String>| {
        let id = layer::at(tree, root, path?).ok()?;
        Some((id, tree.node(id).kind))
    };
    let (was, is) = (side(old, before), side(new, after));
    let name =
        |path: Option<&String>| path.map(|path| new.roots.display(root, path)).unwrap_or_default();
    let (before, after) = (name(before), name(after));
    if matches!((was, is), (None | Some((_, Kind::File)), None | Some((_, Kind::File)))) {
        let (a, b) = if before.is_empty() { (&after, &after) } else { (&before, &after) };
        line(text, &format!("diff --git a/{a} b/{}", if b.is_empty() { a } else { b }));
        match (was, is) {
            (None, _) => line(text, "new file mode 100644"),
            (_, None) => line(text, "deleted file mode 100644"),
            _ => {}
        }
    }
    if !before.is_empty() && !after.is_empty() && before != after {
        line(text, &format!("rename from {before}\nrename to {after}"));
    }
    match (was, is) {
        (None | Some((_, Kind::File)), None | Some((_, Kind::File))) => {
            let content = |tree: &mut Tree, side: Option<(NodeId, Kind)>| match side {
                Some((id, _)) => content(tree, id),
                None => Ok(Some(vec![])),
            };
            let label = |side: &str, path: &str, there: bool| {
                if there { format!("{side}/{path}") } else { "/dev/null".to_owned() }
            };
            let (a, b) = (label("a", &before, was.is_some()), label("b", &after, is.is_some()));
            match (content(old, was), content(new, is)) {
                (Ok(Some(one)), Ok(Some(two))) => compare(text, (&a, &one), (&b, &two)),
                (Ok(_), Ok(_)) => line(text, &format!("Large files {a} and {b} differ")),
                (Err(error), _) | (_, Err(error)) => line(text, &format!("{a} and {b}: {error}")),
            }
        }
        (was, is) => {
            if let Some((id, kind)) = was.filter(|_| {
                before != after || is.is_none_or(|it| was.is_some_and(|was| was.1 != it.1))
            }) {
                line(text, &format!("# - {before}{}", tail(old, id, kind)));
            }
            if let Some((id, kind)) = is {
                line(text, &format!("# + {after}{}", tail(new, id, kind)));
            }
        }
    }
}

/// What is said of a thing that has no lines.
fn tail(tree: &mut Tree, id: NodeId, kind: Kind) -> String {
    match kind {
        Kind::Dir => "/".to_owned(),
        Kind::Symlink => {
            tree.readlink(id).map(|target| format!(" -> {target}")).unwrap_or_default()
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
        return;
    }
    let is_text = |bytes: &[u8]| !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    if !is_text(old) || !is_text(new) {
        return line(text, &format!("Binary files {a} and {b} differ"));
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let mut config = TextDiff::configure();
    let diff = config.algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(&*old, &*new);
    let _ = write!(text, "{}", diff.unified_diff().context_radius(3).header(a, b));
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
