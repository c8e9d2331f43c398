//! The grep tool: which files are searched, and in which order. How a file is searched is decided
//! elsewhere.

use crate::errors::{Access, describe};
use crate::files::{Kind, LineMatch, Matches};
use crate::glob::Narrowed;
use crate::ignoring::Rules;
use crate::lines::{Around, End, Hit, Searcher};
use crate::paths::{Walk, given};
use crate::read;
use std::fs::{self, File};

const AROUND: u32 = 50;
const RESULTS: u32 = 100;
const MOST_RESULTS: u32 = 10_000;
/// How many files that could not be searched are named.
const NAMED: usize = 20;

/// What was asked for, as it was asked.
pub struct Query<'a> {
    pub path: &'a str,
    pub pattern: &'a str,
    pub glob: Option<&'a str>,
    pub ignore_case: bool,
    pub before: Option<u32>,
    pub after: Option<u32>,
    pub max_results: Option<u32>,
}

pub fn grep(query: &Query) -> Result<Matches, String> {
    let lines = |count: Option<u32>| count.unwrap_or(0).min(AROUND) as usize;
    let around = Around { before: lines(query.before), after: lines(query.after) };
    let most = query.max_results.unwrap_or(RESULTS).clamp(1, MOST_RESULTS) as usize;
    let mut search = Search {
        searcher: Searcher::new(query.pattern, query.ignore_case, around)?,
        // one more than asked for tells whether there are more
        left: most + 1,
        found: Matches { matches: Vec::new(), truncated: false, skipped: Vec::new() },
    };
    let wanted = Narrowed::new(query.glob)?;
    let root = &given(query.path)?;
    let metadata = fs::metadata(root).map_err(|error| describe(root, Access::Read, &error))?;
    if metadata.is_dir() {
        search.directory(root, &wanted)?;
    } else {
        search.named_file(root)?;
    }
    let mut found = search.found;
    found.truncated = found.matches.len() > most;
    found.matches.truncate(most);
    Ok(found)
}

struct Search {
    searcher: Searcher,
    left: usize,
    found: Matches,
}

impl Search {
    fn directory(&mut self, root: &str, wanted: &Narrowed) -> Result<(), String> {
        let mut walk = Walk::new(root).map_err(|error| describe(root, Access::Read, &error))?;
        let mut rules = Rules::new(root, walk.rest());
        while let Some(step) = walk.next().filter(|_| self.left > 0) {
            match step.kind {
                Kind::Symlink | Kind::Other => {}
                _ if rules.ignores(&step) || wanted.leaves_out(&step) => {}
                Kind::Directory => match walk.enter(&step) {
                    Ok(()) => rules.enter(&step, walk.rest()),
                    Err(error) => self.skip(describe(&step.path, Access::Read, &error)),
                },
                Kind::File => {
                    match File::open(&step.path).and_then(|file| self.file(&step.path, file)) {
                        Ok(End::Searched | End::Binary) => {}
                        Ok(End::LongLine) => self.skip(long_line(&step.path)),
                        Err(error) => self.skip(describe(&step.path, Access::Read, &error)),
                    }
                }
            }
        }
        Ok(())
    }

    /// A file that the caller named: what would pass it over elsewhere is an error here.
    fn named_file(&mut self, path: &str) -> Result<(), String> {
        let (file, _) = read::open(path)?;
        match self.file(path, file) {
            Ok(End::Searched) => Ok(()),
            Ok(End::Binary) => Err(format!(
                "{path}: binary file (it holds a NUL byte); read it with read_media_file"
            )),
            Ok(End::LongLine) => Err(long_line(path)),
            Err(error) => Err(describe(path, Access::Read, &error)),
        }
    }

    fn file(&mut self, path: &str, file: File) -> std::io::Result<End> {
        let mut hits = Vec::new();
        let end = self.searcher.search(file, self.left, &mut hits)?;
        self.left -= hits.len();
        self.found.matches.extend(hits.into_iter().map(|hit| {
            let Hit { line, text, before, after } = hit;
            LineMatch { path: path.into(), line, text, before, after }
        }));
        Ok(end)
    }

    fn skip(&mut self, reason: String) {
        if self.found.skipped.len() < NAMED {
            self.found.skipped.push(reason);
        }
    }
}

fn long_line(path: &str) -> String {
    format!("{path}: a line in it is too long to search (over 8 MiB)")
}
