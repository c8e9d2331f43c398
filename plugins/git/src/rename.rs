//! Finds which removed file went where, as git does by default: same content first, then a file name that
//! occurs once on each side, then whatever is most alike. Knows nothing of how it is shown.
//!
//! gix has a search of its own, which measures likeness by lines; its pairs and percentages are not git's.

use std::collections::HashMap;

use gix::Repository;
use gix::bstr::{BStr, BString, ByteSlice as _};

use crate::change::{Change, Side};
use crate::patch::is_binary;

/// Of files that are the same.
pub const ALIKE: u32 = 60_000;
const LEAST: u32 = ALIKE / 2;
/// Where names are equal and occur once, git asks for this much only and looks no further.
const LEAST_BY_NAME: u32 = LEAST + (ALIKE - LEAST) / 2;
/// Of this many removed files times added ones (squared), git stops comparing contents.
const MOST: usize = 1000;
/// For each added file git remembers this many candidates.
const CANDIDATES: usize = 4;

struct Removed {
    side: Side,
    used: bool,
    pieces: Option<Pieces>,
}

struct Added {
    side: Side,
    from: Option<(usize, u32)>,
    pieces: Option<Pieces>,
}

/// A removal and an addition that are one file become one change.
pub fn detect(repo: &Repository, changes: Vec<Change>) -> Result<Vec<Change>, String> {
    let mut rest = Vec::new();
    let mut search = Search { repo, removed: Vec::new(), added: Vec::new() };
    for change in changes {
        match (change.old, change.new) {
            (Some(side), None) => search.removed.push(Removed { side, used: false, pieces: None }),
            // An empty file came from nowhere.
            (None, Some(side)) if side.id != gix::ObjectId::empty_blob(gix::hash::Kind::Sha1) => {
                search.added.push(Added { side, from: None, pieces: None });
            }
            (old, new) => rest.push(Change::new(old, new)),
        }
    }
    if !search.removed.is_empty() && !search.added.is_empty() {
        search.same_content();
        search.same_name()?;
        search.most_alike()?;
    }
    rest.extend(search.changes());
    crate::change::sort(&mut rest);
    Ok(rest)
}

struct Search<'r> {
    repo: &'r Repository,
    removed: Vec<Removed>,
    added: Vec<Added>,
}

impl Search<'_> {
    fn same_content(&mut self) {
        let mut by_id: HashMap<gix::ObjectId, Vec<usize>> = HashMap::new();
        for (place, removed) in self.removed.iter().enumerate() {
            by_id.entry(removed.side.id).or_default().push(place);
        }
        for added in &mut self.added {
            let Some(places) = by_id.get(&added.side.id) else { continue };
            let fits = |it: &&usize| {
                let removed = &self.removed[**it];
                let (old, new) = (&removed.side, &added.side);
                let files = old.is_regular() && new.is_regular();
                !removed.used && (files || old.mode == new.mode)
            };
            let name = base(added.side.path.as_ref());
            let same = |it: &&usize| base(self.removed[**it].side.path.as_ref()) == name;
            let mut fitting = places.iter().filter(fits).take(100);
            let found = fitting.clone().find(same).or_else(|| fitting.next());
            if let Some(&place) = found {
                self.removed[place].used = true;
                added.from = Some((place, ALIKE));
            }
        }
    }

    fn same_name(&mut self) -> Result<(), String> {
        let unique = |paths: Vec<(usize, BString)>| {
            let mut names: HashMap<BString, Option<usize>> = HashMap::new();
            for (place, path) in paths {
                let name = base(path.as_ref()).to_owned();
                names.entry(name).and_modify(|it| *it = None).or_insert(Some(place));
            }
            names
        };
        let removed = self.removed.iter().enumerate().filter(|(_, it)| !it.used);
        let removed = unique(removed.map(|(place, it)| (place, it.side.path.clone())).collect());
        let added = self.added.iter().enumerate().filter(|(_, it)| it.from.is_none());
        let added = unique(added.map(|(place, it)| (place, it.side.path.clone())).collect());
        for from in 0..self.removed.len() {
            let name = base(self.removed[from].side.path.as_ref());
            if removed.get(name).copied().flatten() != Some(from) {
                continue;
            }
            let Some(to) = added.get(name).copied().flatten() else { continue };
            let alike = self.alike(from, to)?;
            if alike >= LEAST_BY_NAME {
                self.removed[from].used = true;
                self.added[to].from = Some((from, alike));
            }
        }
        Ok(())
    }

    fn most_alike(&mut self) -> Result<(), String> {
        let sources: Vec<usize> =
            (0..self.removed.len()).filter(|it| !self.removed[*it].used).collect();
        let targets: Vec<usize> =
            (0..self.added.len()).filter(|it| self.added[*it].from.is_none()).collect();
        if sources.len() * targets.len() > MOST * MOST {
            return Ok(());
        }
        // (likeness, same name, from, to), the best first
        let mut pairs: Vec<(u32, bool, usize, usize)> = Vec::new();
        for &to in &targets {
            let mut best: Vec<(u32, bool, usize, usize)> = Vec::new();
            for &from in &sources {
                let alike = self.alike(from, to)?;
                let (old, new) = (&self.removed[from].side.path, &self.added[to].side.path);
                let pair = (alike, base(old.as_ref()) == base(new.as_ref()), from, to);
                if best.len() < CANDIDATES {
                    best.push(pair);
                    continue;
                }
                // The first of the worst gives way.
                let mut worst = 0;
                for place in 1..best.len() {
                    if (best[place].0, best[place].1) < (best[worst].0, best[worst].1) {
                        worst = place;
                    }
                }
                if (pair.0, pair.1) > (best[worst].0, best[worst].1) {
                    best[worst] = pair;
                }
            }
            pairs.extend(best);
        }
        pairs.sort_by_key(|pair| std::cmp::Reverse((pair.0, pair.1)));
        for (alike, _, from, to) in pairs {
            if alike < LEAST {
                break;
            }
            if !self.removed[from].used && self.added[to].from.is_none() {
                self.removed[from].used = true;
                self.added[to].from = Some((from, alike));
            }
        }
        Ok(())
    }

    /// How much of the larger file is in the other, in `ALIKE`ths.
    fn alike(&mut self, from: usize, to: usize) -> Result<u32, String> {
        let (removed, added) = (&mut self.removed[from], &mut self.added[to]);
        if !removed.side.is_regular() || !added.side.is_regular() {
            return Ok(0);
        }
        let old = match &mut removed.pieces {
            Some(pieces) => pieces,
            none => none.insert(Pieces::of(&removed.side.bytes(self.repo)?)),
        };
        let new = match &mut added.pieces {
            Some(pieces) => pieces,
            none => none.insert(Pieces::of(&added.side.bytes(self.repo)?)),
        };
        let (large, small) = (old.size.max(new.size), old.size.min(new.size));
        if large * u64::from(ALIKE - LEAST) < (large - small) * u64::from(ALIKE) || new.size == 0 {
            return Ok(0);
        }
        Ok((old.shared(new) * u64::from(ALIKE) / large) as u32)
    }

    fn changes(self) -> Vec<Change> {
        let mut removed: Vec<Option<Side>> =
            self.removed.iter().map(|it| (!it.used).then(|| it.side.clone())).collect();
        let mut changes: Vec<Change> = Vec::new();
        for added in self.added {
            let from = added.from.map(|(from, _)| self.removed[from].side.clone());
            let mut change = Change::new(from, Some(added.side));
            change.alike = added.from.map_or(0, |(_, alike)| alike);
            changes.push(change);
        }
        changes.extend(
            removed.iter_mut().filter_map(Option::take).map(|it| Change::new(Some(it), None)),
        );
        changes
    }
}

fn base(path: &BStr) -> &BStr {
    path.rfind_byte(b'/').map_or(path, |slash| path[slash + 1..].as_bstr())
}

/// A file in pieces of a line, or of 64 bytes of one: how many bytes there are of each piece.
struct Pieces {
    size: u64,
    counts: HashMap<u32, u64>,
}

impl Pieces {
    const LONGEST: u64 = 64;
    /// Pieces are told apart by a number below this one. Different ones may share a number, so it has to be
    /// git's for likeness to come out the same.
    const NUMBERS: u32 = 107_927;

    fn of(bytes: &[u8]) -> Pieces {
        let text = !is_binary(bytes);
        let mut counts: HashMap<u32, u64> = HashMap::new();
        let (mut low, mut high, mut length) = (0u32, 0u32, 0u64);
        let mut end = |low: u32, high: u32, length: u64| {
            let number = low.wrapping_add(high.wrapping_mul(0x61)) % Pieces::NUMBERS;
            *counts.entry(number).or_default() += length;
        };
        for (place, &byte) in bytes.iter().enumerate() {
            if text && byte == b'\r' && bytes.get(place + 1) == Some(&b'\n') {
                continue;
            }
            let before = low;
            low = (low << 7) ^ (high >> 25);
            high = (high << 7) ^ (before >> 25);
            low = low.wrapping_add(u32::from(byte));
            length += 1;
            if length == Pieces::LONGEST || byte == b'\n' {
                end(low, high, length);
                (low, high, length) = (0, 0, 0);
            }
        }
        if length > 0 {
            end(low, high, length);
        }
        Pieces { size: bytes.len() as u64, counts }
    }

    fn shared(&self, other: &Pieces) -> u64 {
        let of = |(number, count): (&u32, &u64)| {
            other.counts.get(number).map_or(0, |other| *count.min(other))
        };
        self.counts.iter().map(of).sum()
    }
}
