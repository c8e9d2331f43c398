//! A tree of nodes over what is committed: loads what is asked for, keeps it, and records that it was read.
//!
//! The same for a call's view, which stands on the disk or on a layer, and for the layer of a dry run, which
//! stands on the disk. What is in it comes from `load`, by single names; paths are `resolve`, operations `ops` and `file`.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use rustix::io::Errno;

use crate::aside::lock_aside_while;
use crate::ceiling::Part;

use super::bounds::{Bounds, Crowded};
use super::disk::{self, Kind, Result, Stat};
use super::ledger::Ledger;
use super::node::{Body, Dir, LowerNode, Node, NodeId, Open, SetTimes};
use super::place::{Facets, Key, Place};
use super::reads::{Observed, Reads};
use super::roots::Roots;
use super::scope::{Access, Declared, Denial, DeniedBy, Scope};
use super::shelf::INORDER;
use super::stage::Stages;

/// What a tree stands on.
#[derive(Clone)]
pub enum Lower {
    Disk,
    Layer(Arc<Mutex<Tree>>),
}

/// Whether the call is to end: what takes long asks now and then.
pub type Watch = Arc<dyn Fn() -> bool + Send + Sync>;

pub struct Tree {
    pub roots: Arc<Roots>,
    pub stages: Arc<Stages>,
    pub ledger: Arc<Ledger>,
    pub lower: Lower,
    pub reads: Reads,
    /// What the call may reach; a layer has none to ask.
    pub scope: Option<Arc<Scope>>,
    pub declared: Option<Declared>,
    pub denials: Vec<Denial>,
    pub bounds: Bounds,
    /// Bytes that are staged now, and whether more was refused.
    pub staged: u64,
    pub full: bool,
    /// Bytes that are kept of what was looked at, and why more was refused.
    pub kept: u64,
    pub crowded: Option<Crowded>,
    /// Bytes of the names that are staged, which are in memory.
    pub(super) names_made: u64,
    /// None where nobody is kept waiting.
    pub watch: Option<Watch>,
    /// Of what all calls hold, if that is counted.
    pub(super) part: Option<Part>,
    /// The most that was kept.
    pub peak: u64,
    /// A path that cannot be written, since it is on another file system than its root.
    pub crossed: Option<String>,
    /// The guest asked which directories it has, and it has none: it was granted nothing in any root.
    pub bare: bool,
    /// Bytes that the call has read and written.
    pub bytes: (u64, u64),
    /// Nodes with a handle of their own, oldest first.
    pub(super) held: VecDeque<NodeId>,
    /// Small files that are kept, oldest first, and their bytes.
    pub(super) whole: VecDeque<NodeId>,
    pub(super) whole_bytes: u64,
    /// The first are the roots.
    pub(super) nodes: Vec<Node>,
    /// What may have further names: by device and inode, or by the node of the layer.
    pub(super) by_inode: HashMap<(u64, u64), NodeId, RandomState>,
}

impl Tree {
    pub fn new(
        roots: Arc<Roots>,
        stages: Arc<Stages>,
        ledger: Arc<Ledger>,
        lower: Lower,
        scope: Option<Arc<Scope>>,
        bounds: Bounds,
    ) -> Tree {
        let mut tree = Tree {
            roots,
            stages,
            ledger,
            lower,
            reads: Reads::default(),
            scope,
            declared: None,
            denials: Vec::new(),
            bounds,
            staged: 0,
            full: false,
            kept: 0,
            crowded: None,
            names_made: 0,
            watch: None,
            part: None,
            peak: 0,
            crossed: None,
            bare: false,
            bytes: (0, 0),
            held: VecDeque::new(),
            whole: VecDeque::new(),
            whole_bytes: 0,
            nodes: Vec::new(),
            by_inode: HashMap::default(),
        };
        for index in 0..tree.roots.len() {
            tree.make_root(index);
        }
        tree
    }

    fn make_root(&mut self, root: usize) {
        let id = self.root(root);
        let stat = self.roots.get(root).stat;
        let layer = matches!(self.lower, Lower::Layer(_)).then_some(id);
        let open = Open::Handle(self.roots.get(root).fd.clone());
        let (place, found) = (Place::new(root, ""), self.ledger.now());
        let lower = LowerNode { place, parent: id, found, stat: Some((stat, found)), layer, open };
        self.nodes.push(Node {
            kind: Kind::Dir,
            root,
            lower: Some(lower),
            ino: stat.ino,
            body: Body::Dir(Dir::new(root, "".into(), id)),
            times: SetTimes::default(),
            written: None,
            also: vec![],
            names: 0,
        });
    }

    /// # Errors
    /// `INTR`: the call is to end. It is not one whose result anybody gets, whatever the guest makes of that.
    pub fn goes_on(&self) -> Result<()> {
        match &self.watch {
            Some(is_to_end) if is_to_end() => Err(Errno::INTR),
            _ => Ok(()),
        }
    }

    /// [`Tree::goes_on`], at every so many steps of something that is to be done with all of many.
    pub fn goes_on_at(&self, step: usize) -> Result<()> {
        ask_at(step, &|| self.goes_on())
    }

    /// The directory of a root.
    pub fn root(&self, root: usize) -> NodeId {
        NodeId(root)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }

    pub fn dir(&self, id: NodeId) -> Result<&Dir> {
        self.node(id).dir().ok_or(Errno::NOTDIR)
    }

    pub fn dir_mut(&mut self, id: NodeId) -> Result<&mut Dir> {
        self.node_mut(id).dir_mut().ok_or(Errno::NOTDIR)
    }

    /// The path of a name in a directory, as the call sees it now.
    pub fn path(&self, dir: NodeId, name: &str) -> Result<(usize, String)> {
        let dir = self.dir(dir)?;
        let path = match (&*dir.path, name) {
            (path, "") => path.to_owned(),
            ("", name) => name.to_owned(),
            (path, name) => format!("{path}/{name}"),
        };
        Ok((dir.root, path))
    }

    /// Refuses what policy or the tool's own declaration does not allow, and remembers it for the outcome.
    pub fn allow(&mut self, dir: NodeId, name: &str, access: Access) -> Result<()> {
        let Some(scope) = &self.scope else { return Ok(()) };
        let at = self.dir(dir)?;
        let joined;
        let path = match (&*at.path, name) {
            (path, "") => path,
            ("", name) => name,
            (path, name) => {
                joined = format!("{path}/{name}");
                &joined
            }
        };
        let by = if !scope.allows(at.root, path, access) {
            DeniedBy::Policy
        } else if self.declared.as_ref().is_some_and(|it| !it.allows(at.root, path, access)) {
            DeniedBy::Declaration
        } else {
            return Ok(());
        };
        let path = self.roots.display(at.root, path);
        self.deny(Denial { path, access, by })
    }

    /// [`Tree::allow`] a directory, by the tool's declaration alone: those on the way to a declared path may be passed, and
    /// not listed, which calls that commit ahead of this one rely on.
    pub fn allow_declared(&mut self, dir: NodeId, access: Access) -> Result<()> {
        let (root, path) = self.path(dir, "")?;
        if self.declared.as_ref().is_none_or(|it| it.allows(root, &path, access)) {
            return Ok(());
        }
        let path = self.roots.display(root, &path);
        self.deny(Denial { path, access, by: DeniedBy::Declaration })
    }

    /// Whether looking at a name would be allowed: what a listing may show.
    pub fn visible(&self, dir: &Dir, name: &str) -> bool {
        if name == INORDER {
            return false;
        }
        let Some(scope) = &self.scope else { return true };
        if dir.path.is_empty() {
            return scope.allows(dir.root, name, Access::Look);
        }
        scope.allows(dir.root, &format!("{}/{name}", dir.path), Access::Look)
    }

    pub fn deny<T>(&mut self, denial: Denial) -> Result<T> {
        // A few tell the story; a guest may try a million.
        const MOST: usize = 16;
        if self.denials.len() < MOST && !self.denials.contains(&denial) {
            self.denials.push(denial);
        } else if denial.by == DeniedBy::Declaration
            && let Some(last) = self.denials.last_mut()
        {
            // What makes a result nobody's to believe is told, however many others there are.
            *last = denial;
        }
        Err(Errno::PERM)
    }

    /// The layer that a node stands on, and which node of it.
    pub fn below(&self, id: NodeId) -> Option<(Arc<Mutex<Tree>>, NodeId)> {
        match &self.lower {
            Lower::Disk => None,
            Lower::Layer(layer) => Some((layer.clone(), self.node(id).lower.as_ref()?.layer?)),
        }
    }

    /// Looks into the layer that this tree stands on, for as long as its call goes on: what takes long in there asks this
    /// call's watch.
    pub fn look_into<'l>(&self, layer: &'l Mutex<Tree>) -> Result<LookInto<'l>> {
        let mut layer = lock_aside_while(layer, || self.goes_on())?;
        layer.watch = self.watch.clone();
        Ok(LookInto(layer))
    }

    /// A new node, which stands on nothing.
    pub fn make(&mut self, root: usize, kind: Kind, body: Body) -> NodeId {
        static NEXT: AtomicU64 = AtomicU64::new(1 << 62);
        let id = NodeId(self.nodes.len());
        let ino = NEXT.fetch_add(1, Ordering::Relaxed);
        let times = SetTimes::default();
        let written = Some(now());
        self.nodes.push(Node {
            kind,
            root,
            lower: None,
            ino,
            body,
            times,
            written,
            also: vec![],
            names: 0,
        });
        id
    }

    /// Records a read of facets of a node below, whose state was `stat`.
    pub fn observe(&mut self, id: NodeId, facets: Facets, at: u64, stat: Stat) {
        let Some(lower) = &self.nodes[id.0].lower else { return };
        self.reads.record(&lower.place, facets, at, Observed::Stat(stat));
        if stat.kind == Kind::File {
            self.reads.note(Key::Inode(stat.dev, stat.ino), facets, at);
        }
    }

    /// Records a read of facets of a node below, without its state.
    pub fn mark(&mut self, id: NodeId, facets: Facets, at: u64) {
        let node = &self.nodes[id.0];
        let Some(lower) = &node.lower else { return };
        // What is read of a layer is of the node that stood under the name when it was found, whatever does now.
        let at = if lower.layer.is_some() { at.min(lower.found) } else { at };
        self.reads.note(Key::Path(lower.place.clone()), facets, at);
        if node.kind == Kind::File {
            let dev = lower.stat.map_or(self.roots.get(node.root).stat.dev, |(stat, _)| stat.dev);
            self.reads.note(Key::Inode(dev, node.ino), facets, at);
            // Over a layer nothing else tells that it may be written under another name.
            if lower.layer.is_some() && lower.stat.is_none_or(|(stat, _)| stat.nlink > 1) {
                self.reads.note(Key::Names(node.root), Facets::KIND, at);
            }
        }
    }

    /// Records that it mattered which file stands below, and not only that one does.
    pub fn mark_identity(&mut self, id: NodeId) {
        if let Some(lower) = &self.node(id).lower {
            let found = lower.found;
            self.mark(id, Facets::DATA | Facets::ATTR, found);
        }
    }

    /// Keeps a handle on a node below, and lets go of the oldest one where a view holds many: all calls share the
    /// process's.
    pub(super) fn hold(&mut self, id: NodeId, open: Open) {
        const MOST: usize = 64;
        if let Some(lower) = &mut self.node_mut(id).lower {
            lower.open = open;
        }
        self.held.push_back(id);
        if self.held.len() > MOST
            && let Some(oldest) = self.held.pop_front()
            && let Some(lower) = &mut self.node_mut(oldest).lower
        {
            lower.open = Open::Not;
        }
    }

    /// Whether everything is as it is below.
    pub fn is_untouched(&self) -> bool {
        self.nodes.iter().all(|node| {
            let same = |dir: &Dir| dir.children.values().all(|child| child.base == child.now);
            node.lower.is_some() && !node.changed() && node.dir().is_none_or(same)
        })
    }

    /// Every node that was loaded or made.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }
}

impl Dir {
    pub fn new(root: usize, path: Arc<str>, parent: NodeId) -> Dir {
        Dir {
            root,
            path,
            parent,
            children: HashMap::default(),
            listed: false,
            unspoken: 0,
            removed: false,
        }
    }
}

/// A layer that one call looks into.
pub struct LookInto<'l>(MutexGuard<'l, Tree>);

impl Deref for LookInto<'_> {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.0
    }
}

impl DerefMut for LookInto<'_> {
    fn deref_mut(&mut self) -> &mut Tree {
        &mut self.0
    }
}

impl Drop for LookInto<'_> {
    fn drop(&mut self) {
        self.0.watch = None;
    }
}

/// Asks whether to go on at each sixteenth step: one may be to ask the system, or to match a long path, which takes 0.1 ms.
pub fn ask_at(step: usize, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
    if step % 16 == 15 { go_on() } else { Ok(()) }
}

pub fn locked(tree: &Mutex<Tree>) -> MutexGuard<'_, Tree> {
    tree.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn now() -> disk::Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or((0, 0), |since| (since.as_secs() as i64, since.subsec_nanos()))
}
