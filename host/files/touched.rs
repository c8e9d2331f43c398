//! What a commit would touch, by path, for those who ask before it is made.
//!
//! Rather too much than too little: what moves with a directory, and what may have further names, is told as such.

use super::disk::Kind;
use super::node::NodeId;
use super::plan::{Plan, What};
use super::tree::Tree;

/// One path beneath a root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    pub root: usize,
    pub path: String,
    /// With everything beneath it.
    pub tree: bool,
    /// It may be a file that lies elsewhere, too.
    pub other_names: bool,
}

/// Each path once.
pub fn touched(tree: &mut Tree, plan: &Plan) -> Vec<Touched> {
    for it in &plan.contents {
        // How many names it has: it is staged next, and looked at for that anyway.
        let _ = tree.lower_stat(it.node);
    }
    let tree = &*tree;
    let one = |path: &str, node: NodeId, moved: bool| {
        let node = tree.node(node);
        let file = node.kind == Kind::File;
        let known = node.lower.as_ref().map(|lower| lower.stat.map(|(stat, _)| stat.nlink));
        // Of one that was only listed, nobody knows.
        let several = known.is_some_and(|links| links.is_none_or(|links| links > 1))
            || node.names > i64::from(node.lower.is_none());
        Touched {
            root: plan.root,
            path: path.to_owned(),
            tree: moved && node.kind == Kind::Dir,
            other_names: file && (several || !node.also.is_empty()),
        }
    };
    let path = |path: &str, other_names: bool| Touched {
        root: plan.root,
        path: path.to_owned(),
        tree: false,
        other_names,
    };
    let mut touched = Vec::new();
    // To move or remove a name changes no other name of the file.
    for it in &plan.displaced {
        touched.push(Touched { other_names: false, ..one(&it.path, it.node, it.moved) });
    }
    for it in &plan.placed {
        let moved = matches!(it.what, What::Moved(_));
        touched.push(Touched { other_names: false, ..one(&it.path, it.node, moved) });
    }
    for it in &plan.contents {
        touched.push(one(&it.path, it.node, false));
        touched.push(path(&it.before, false));
    }
    for it in &plan.links {
        touched.push(path(&it.path, false));
        // What is written under the new name is written there.
        touched.push(path(&it.from, false));
    }
    // Which node it was is not told; whose times are set matters little.
    touched.extend(plan.times.iter().map(|(it, _)| path(it, false)));
    touched.sort_unstable();
    touched.dedup();
    touched
}
