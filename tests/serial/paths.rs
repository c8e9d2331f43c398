//! The names that batches use.

use super::rng::Rng;

/// `spread` is how many numbered neighbours each file has: more of them, fewer conflicts.
pub struct Paths {
    pub spread: usize,
    /// Whether some paths end in `/`.
    pub slashes: bool,
}

const FILES: [&str; 6] = ["a", "b", "c", "d/a", "d/b", "e/a"];
const NEW: [&str; 6] = ["n", "d/n", "d/s/n", "m/n", "e/n", "o"];
const DIRS: [&str; 7] = ["d", "e", "d/s", "m", "e/m", "d/m", "m/m"];
const LINKS: [&str; 6] = ["l", "h", "d/up", "gone", "e/ll", "ld"];
/// Ways around: through symlinks, `.`, `..` and files.
const WINDING: [&str; 8] =
    ["ld/a", "ld/n", "d/../b", "./c", "d//a", "e/../d/s/../b", "a/x", "ld/../a"];
const TARGETS: [&str; 12] =
    ["a", "b", "d", "d/a", "../a", "../d", "n", "s", "l", "../../a", "e/../c", "/etc/hostname"];

impl Paths {
    /// The files that a batch starts with.
    pub fn files(&self) -> Vec<String> {
        let neighbours = |path: &&str| {
            let path = (*path).to_owned();
            (0..self.spread).map(move |n| numbered(&path, n)).collect::<Vec<_>>()
        };
        FILES.iter().flat_map(neighbours).collect()
    }

    /// Mostly a file.
    pub fn file(&self, rng: &mut Rng) -> String {
        self.from(rng, [70, 9, 5, 11, 5])
    }

    /// Mostly a directory.
    pub fn dir(&self, rng: &mut Rng) -> String {
        self.from(rng, [5, 8, 75, 8, 4])
    }

    pub fn plain_dir(&self, rng: &mut Rng) -> String {
        rng.pick(&DIRS).to_owned()
    }

    /// Mostly a symlink, or a file of two names.
    pub fn link(&self, rng: &mut Rng) -> String {
        self.from(rng, [12, 8, 4, 70, 6])
    }

    /// Mostly something that is not there yet.
    pub fn fresh(&self, rng: &mut Rng) -> String {
        self.from(rng, [20, 60, 8, 7, 5])
    }

    /// Mostly something that is to be.
    pub fn target(&self, rng: &mut Rng) -> String {
        self.from(rng, [38, 35, 12, 9, 6])
    }

    pub fn any(&self, rng: &mut Rng) -> String {
        self.from(rng, [50, 10, 18, 15, 7])
    }

    /// What a symlink says.
    pub fn said(&self, rng: &mut Rng) -> String {
        rng.pick(&TARGETS).to_owned()
    }

    fn from(&self, rng: &mut Rng, [files, new, dirs, links, winding]: [usize; 5]) -> String {
        if rng.one_in(300) {
            return format!("{}{}", rng.pick(&["", "d/", "m/m/"]), "x".repeat(256));
        }
        let names: &[(usize, &[&str])] =
            &[(files, &FILES), (new, &NEW), (dirs, &DIRS), (links, &LINKS), (winding, &WINDING)];
        let names = rng.weighted(names);
        let path = rng.pick(names);
        let neighbour = rng.below(self.spread);
        let slash = if self.slashes && rng.one_in(20) { "/" } else { "" };
        let neighbour = if names == FILES || names == NEW { neighbour } else { 0 };
        numbered(path, neighbour) + slash
    }
}

fn numbered(path: &str, neighbour: usize) -> String {
    match neighbour {
        0 => path.to_owned(),
        neighbour => format!("{path}{neighbour}"),
    }
}
