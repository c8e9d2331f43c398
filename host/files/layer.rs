//! A layer: committed changes that stay above the disk, for dry runs and for batches that are all or nothing.
//!
//! A layer is a tree over the disk, and a commit to it is a plan carried out on nodes instead of files.

use std::collections::HashMap;

use rustix::io::Errno;

use super::content::Content;
use super::disk::{self, Kind, Result};
use super::node::{Body, Dir, NodeId};
use super::plan::{Plan, What};
use super::tree::Tree;

/// Carries out on `layer` what `view`, a tree that stands on it, has planned.
///
/// # Errors
/// The plan is not of this layer, or a file cannot be written.
pub fn apply(layer: &mut Tree, view: &mut Tree, plan: &Plan) -> Result<()> {
    let mut slots: HashMap<&str, NodeId> = HashMap::new();
    for it in &plan.displaced {
        let (dir, name) = parent(layer, plan.root, &it.path)?;
        let id = layer.peek(dir, name)?.ok_or(Errno::NOENT)?;
        slots.insert(&it.path, id);
        if !it.moved && layer.node(id).kind == Kind::Dir {
            layer.dir_mut(id)?.removed = true;
        }
        layer.put(dir, name, None)?;
    }
    for it in &plan.placed {
        let (dir, name) = parent(layer, plan.root, &it.path)?;
        let id = match &it.what {
            What::Moved(from) => *slots.get(from.as_str()).ok_or(Errno::NOENT)?,
            What::Dir => layer.make(
                plan.root,
                Kind::Dir,
                Body::Dir(Dir::new(plan.root, it.path.as_str().into(), dir)),
            ),
            What::Symlink(target) => {
                layer.make(plan.root, Kind::Symlink, Body::Symlink(Some(target.as_str().into())))
            }
            What::File => {
                let id =
                    layer.make(plan.root, Kind::File, Body::File(take_content(view, it.node)?));
                layer.node_mut(id).written = view.node(it.node).written;
                id
            }
        };
        layer.peek(dir, name)?;
        layer.put(dir, name, Some(id))?;
        if layer.node(id).kind == Kind::Dir {
            layer.dir_mut(id)?.parent = dir;
            layer.moved(id, &it.path)?;
        }
    }
    for it in &plan.contents {
        let id = at(layer, plan.root, &it.path)?;
        match take_content(view, it.node)? {
            Content::Base => {}
            Content::Tail(tail) => layer.append(id, &tail)?,
            Content::Edited(edited) => {
                layer.truncate(id, edited.kept)?;
                for (at, piece) in edited.patches.iter() {
                    layer.write(id, at, piece)?;
                }
                layer.truncate(id, edited.len)?;
            }
            spilled @ Content::Spilled(_) => {
                if let Body::File(content) = &mut layer.node_mut(id).body {
                    *content = spilled;
                }
            }
        }
        let node = layer.node_mut(id);
        node.written = view.node(it.node).written;
        // What an earlier call had set is over.
        node.times.modified = None;
    }
    for it in &plan.links {
        let id = at(layer, plan.root, &it.from)?;
        let (dir, name) = parent(layer, plan.root, &it.path)?;
        layer.peek(dir, name)?;
        layer.put(dir, name, Some(id))?;
    }
    for (path, times) in &plan.times {
        let id = at(layer, plan.root, path)?;
        layer.set_times(id, *times);
    }
    Ok(())
}

fn take_content(view: &mut Tree, id: NodeId) -> Result<Content> {
    match &mut view.node_mut(id).body {
        Body::File(content) => Ok(std::mem::take(content)),
        _ => Err(Errno::INVAL),
    }
}

fn parent<'p>(layer: &mut Tree, root: usize, path: &'p str) -> Result<(NodeId, &'p str)> {
    let (parent, name) = disk::split(path);
    Ok((at(layer, root, parent)?, name))
}

/// The node at a resolved path.
pub fn at(layer: &mut Tree, root: usize, path: &str) -> Result<NodeId> {
    let mut id = layer.root(root);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        id = layer.peek(id, name)?.ok_or(Errno::NOENT)?;
    }
    Ok(id)
}
