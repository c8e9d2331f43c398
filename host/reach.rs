//! What calls might still do to each other's files, by their grants and declarations: which of them may end ahead
//! of an earlier one, and which of them had better not start before one has ended.
//!
//! Asked with paths alone; that a call keeps to its reach is enforced by `files/`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::{Declared, Place, Reach, Roots, Scope, Staged, View, Work, named};
use crate::plugin::{Known, Tool, Touches};

/// What one call may reach, as far as it is known before it runs.
pub(crate) struct CallReach {
    scope: Arc<Scope>,
    /// Nothing, where the tool declares nothing, or its arguments are not known yet.
    declared: Option<Declared>,
    writes: bool,
    sends: bool,
}

impl CallReach {
    /// Of a call of `tool` with `args`, whose references may not be filled yet.
    pub(crate) fn new(roots: &Roots, scope: Arc<Scope>, tool: &Tool, args: Known<'_>) -> CallReach {
        let may = match &tool.touches {
            Touches::Undeclared => true,
            Touches::Declared { writes, .. } => !writes.is_empty(),
        };
        let writes = may && scope.writes();
        CallReach { declared: declared(roots, tool, args), scope, writes, sends: false }
    }

    /// With whether it may send requests. What a tool declares is about files, and says nothing of that.
    pub(crate) fn sending(self, sends: bool) -> CallReach {
        CallReach { sends, ..self }
    }

    /// Of a call that touches nothing.
    pub(crate) fn nothing() -> CallReach {
        let declared = Some(Declared::default());
        CallReach { scope: Arc::default(), declared, writes: false, sends: false }
    }

    /// Whether it might write anything.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Whether it might send a request that changes something elsewhere.
    pub(crate) fn sends(&self) -> bool {
        self.sends
    }

    pub(crate) fn declared(&self) -> Option<&Declared> {
        self.declared.as_ref()
    }

    /// By its declaration, if that is to be relied on; else by its grants alone.
    fn reach(&self, declared: bool) -> Reach<'_> {
        let declared = self.declared.as_ref().filter(|_| declared);
        Reach { scope: &self.scope, declared, writes: self.writes }
    }
}

/// The places that a call declares to touch. Nothing, if the tool declares nothing, or a path cannot be told yet.
pub(crate) fn declared(roots: &Roots, tool: &Tool, args: Known<'_>) -> Option<Declared> {
    let paths = tool.paths(args)?;
    let places =
        |paths: &[&str]| paths.iter().map(|path| named(roots, path)).collect::<Option<Vec<_>>>();
    Some(Declared { reads: places(&paths.reads)?, writes: places(&paths.writes)? })
}

/// Whether declarations say where a call really goes. They name paths as text; a symlink on the way, or one that
/// an earlier call may still put there, leads elsewhere.
#[derive(Default)]
pub(crate) struct Certainty {
    /// By call: as of which namespace it was found to have no symlinks in its paths, or to have some.
    plain: Mutex<HashMap<usize, (u64, bool)>>,
}

/// Calls with more earlier ones than this are not looked at so closely: each would be compared with each.
const MOST_EARLIER: usize = 256;

impl Certainty {
    /// Whether what `earlier` declares can be relied on, while `unfinished` calls before it may still write.
    fn of(
        &self,
        work: &Work,
        reaches: &[CallReach],
        earlier: usize,
        unfinished: impl Fn(usize) -> bool,
    ) -> bool {
        let Some(declared) = reaches.get(earlier).and_then(CallReach::declared) else {
            return false;
        };
        if earlier > MOST_EARLIER || !self.plain(work, earlier, declared) {
            return false;
        }
        let mut before = (0..earlier).filter(|&call| unfinished(call) && reaches[call].writes());
        before.all(|call| {
            let known = reaches[call].declared().filter(|it| self.plain(work, call, it));
            let reach = reaches[call].reach(known.is_some());
            let mut places = declared.reads.iter().chain(&declared.writes);
            !places.any(|place| reach.may_redirect(place))
        })
    }

    fn plain(&self, work: &Work, call: usize, declared: &Declared) -> bool {
        let namespace = work.namespace();
        let mut known = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&call) {
            Some((then, plain)) if *then == namespace => *plain,
            _ => {
                let mut places = declared.reads.iter().chain(&declared.writes);
                let plain = places.all(|place| work.is_plain(place));
                known.insert(call, (namespace, plain));
                plain
            }
        }
    }

    /// Whether `earlier`, a call that has not ended, might still write what a view has read, or touch what was staged on it.
    pub(crate) fn may_conflict(
        &self,
        work: &Work,
        reaches: &[CallReach],
        (view, staged): (&View, &Staged),
        earlier: usize,
        unfinished: impl Fn(usize) -> bool,
    ) -> bool {
        let Some(call) = reaches.get(earlier) else { return true };
        let by_grants = call.reach(false);
        if !by_grants.may_conflict(view, staged) {
            return false;
        }
        self.of(work, reaches, earlier, unfinished)
            .then(|| call.reach(true))
            .is_none_or(|it| it.may_conflict(view, staged))
    }
}

impl CallReach {
    /// Whether its declaration says that it writes something that a view has read.
    pub(crate) fn declares_a_write_to_what(&self, view: &View) -> bool {
        self.declared.is_some() && self.reach(true).may_overwrite(view)
    }
}

/// Which calls declare to touch a path, by path.
#[derive(Default)]
pub(crate) struct Places(HashMap<Place, Touching>);

#[derive(Default)]
struct Touching {
    readers: BTreeSet<usize>,
    writers: BTreeSet<usize>,
}

impl Places {
    /// Those that declare a path which `reach` does too, and one of the two writes.
    pub(crate) fn meeting(&self, reach: &CallReach) -> Vec<usize> {
        let Some(declared) = &reach.declared else { return vec![] };
        let mut meeting = BTreeSet::new();
        for it in declared.writes.iter().filter_map(|place| self.0.get(place)) {
            meeting.extend(it.readers.iter().chain(&it.writers));
        }
        for it in declared.reads.iter().filter_map(|place| self.0.get(place)) {
            meeting.extend(&it.writers);
        }
        meeting.into_iter().collect()
    }

    pub(crate) fn insert(&mut self, call: usize, reach: &CallReach) {
        let Some(declared) = &reach.declared else { return };
        for place in &declared.reads {
            self.0.entry(place.clone()).or_default().readers.insert(call);
        }
        for place in &declared.writes {
            self.0.entry(place.clone()).or_default().writers.insert(call);
        }
    }

    pub(crate) fn remove(&mut self, call: usize, reach: &CallReach) {
        let Some(declared) = &reach.declared else { return };
        for place in declared.reads.iter().chain(&declared.writes) {
            let Entry::Occupied(mut it) = self.0.entry(place.clone()) else { continue };
            it.get_mut().readers.remove(&call);
            it.get_mut().writers.remove(&call);
            if it.get().readers.is_empty() && it.get().writers.is_empty() {
                it.remove();
            }
        }
    }
}

/// For each call, the last earlier one that names one of its paths and may write.
pub(crate) struct Hints<'r> {
    roots: &'r Roots,
    writers: HashMap<Place, usize>,
}

impl<'r> Hints<'r> {
    pub(crate) fn new(roots: &'r Roots) -> Hints<'r> {
        Hints { roots, writers: HashMap::new() }
    }

    /// To be asked of each call in order.
    pub(crate) fn of(
        &mut self,
        call: usize,
        reach: &CallReach,
        tool: &Tool,
        args: Known<'_>,
    ) -> Vec<usize> {
        let places: Vec<Place> = match reach.declared() {
            Some(declared) => declared.reads.iter().chain(&declared.writes).cloned().collect(),
            None => tool
                .params
                .iter()
                .enumerate()
                .flat_map(|(place, param)| self.paths(args.texts(place, param)))
                .collect(),
        };
        let mut hints: Vec<usize> =
            places.iter().filter_map(|place| self.writers.get(place)).copied().collect();
        hints.sort_unstable();
        hints.dedup();
        if reach.writes() {
            let written = match reach.declared() {
                Some(declared) => declared.writes.clone(),
                None => places,
            };
            self.writers.extend(written.into_iter().map(|place| (place, call)));
        }
        hints
    }

    /// Those of an argument's texts that look like paths.
    fn paths<'a>(
        &self,
        texts: impl Iterator<Item = Option<&'a str>>,
    ) -> impl Iterator<Item = Place> {
        const MOST: usize = 16;
        let like_a_path = |text: &&str| {
            text.len() < 256 && text.contains(['/', '.']) && !text.contains(char::is_whitespace)
        };
        texts.take(MOST).flatten().filter(like_a_path).filter_map(|text| named(self.roots, text))
    }
}
