//! Which files a search of contents passes over: hidden ones, and what .rgignore, .ignore, .gitignore
//! and .git/info/exclude name, by ripgrep's rules, except that .gitignore also counts outside a git
//! repository. Does not walk: it is told which directories are entered.
//!
//! Not `ignore::Walk`, which asks for the current directory and canonical paths to find the
//! directories above; WASI has neither.

use crate::errors::is_reachable;
use crate::files::Kind;
use crate::paths::{Named, Step, join, parent};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::fs::{self, File};
use std::io::Read;

/// The most that is read of one file of rules.
const MOST: u64 = 1 << 20;

/// The rules of the directories from the top down to the one being walked.
pub struct Rules {
    directories: Vec<Directory>,
    /// How many of them lie above the directory where the walk began.
    above: usize,
}

struct Directory {
    path: String,
    rgignore: Gitignore,
    ignore: Gitignore,
    gitignore: Gitignore,
    exclude: Gitignore,
    /// The top of a git repository: rules of git from further up do not reach in.
    repository: bool,
}

impl Rules {
    /// The rules that hold at the directory where a walk begins, those from the directories above
    /// it included.
    pub fn new(root: &str, entries: &[Named]) -> Rules {
        let mut directories =
            vec![Directory::new(root, |name| entries.iter().any(|entry| entry.name == name))];
        // past the top of a repository too: .ignore and .rgignore reach into it
        while let Some(above) = directories.last().and_then(|last| parent(&last.path)) {
            let above = above.to_owned();
            // above the granted directories there is nothing to find, and asking would look like an
            // attempt
            if !is_reachable(&above) {
                break;
            }
            directories.push(Directory::new(&above, |name| {
                fs::symlink_metadata(join(&above, name)).is_ok()
            }));
        }
        directories.reverse();
        Rules { above: directories.len() - 1, directories }
    }

    pub fn enter(&mut self, directory: &Step, entries: &[Named]) {
        self.directories.truncate(self.above + 1 + directory.depth);
        self.directories.push(Directory::new(&directory.path, |name| {
            entries.iter().any(|entry| entry.name == name)
        }));
    }

    pub fn ignores(&mut self, step: &Step) -> bool {
        self.directories.truncate(self.above + 1 + step.depth);
        match self.decide(&step.path, step.kind == Kind::Directory) {
            Match::Ignore(()) => true,
            // a rule may bring a hidden file back
            Match::Whitelist(()) => false,
            Match::None => step.name.starts_with('.'),
        }
    }

    /// The nearest directory with a rule decides; all of .rgignore comes before all of .ignore, that
    /// before .gitignore, and that before exclude.
    fn decide(&self, path: &str, is_directory: bool) -> Match<()> {
        let (mut rgignore, mut ignore) = (Match::None, Match::None);
        let (mut gitignore, mut exclude) = (Match::None, Match::None);
        let mut in_repository = true;
        for directory in self.directories.iter().rev() {
            let below = below(&directory.path, path);
            let of = |rules: &Gitignore| rules.matched(below, is_directory).map(|_| ());
            rgignore = rgignore.or(of(&directory.rgignore));
            ignore = ignore.or(of(&directory.ignore));
            if in_repository {
                gitignore = gitignore.or(of(&directory.gitignore));
                exclude = exclude.or(of(&directory.exclude));
            }
            in_repository &= !directory.repository;
        }
        rgignore.or(ignore).or(gitignore).or(exclude)
    }
}

impl Directory {
    fn new(path: &str, has: impl Fn(&str) -> bool) -> Directory {
        let rules =
            |name: &str| if has(name) { rules(&join(path, name)) } else { Gitignore::empty() };
        let repository = has(".git");
        let exclude = if repository {
            self::rules(&join(path, ".git/info/exclude"))
        } else {
            Gitignore::empty()
        };
        Directory {
            path: path.into(),
            rgignore: rules(".rgignore"),
            ignore: rules(".ignore"),
            gitignore: rules(".gitignore"),
            exclude,
            repository,
        }
    }
}

/// Rules that cannot be read, and lines that are no rule, ignore nothing: git does the same.
fn rules(path: &str) -> Gitignore {
    let mut bytes = Vec::new();
    if File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).is_err() {
        return Gitignore::empty();
    }
    compile(&String::from_utf8_lossy(&bytes))
}

fn compile(text: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new(".");
    for line in text.trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The part of a path below one of the directories that hold it.
fn below<'a>(directory: &str, path: &'a str) -> &'a str {
    if directory == "." {
        return path;
    }
    path.strip_prefix(directory).unwrap_or(path).trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &str, ignore: &str, gitignore: &str, repository: bool) -> Directory {
        let (ignore, gitignore) = (compile(ignore), compile(gitignore));
        let (rgignore, exclude) = (Gitignore::empty(), Gitignore::empty());
        Directory { path: path.into(), rgignore, ignore, gitignore, exclude, repository }
    }

    #[test]
    fn the_nearest_rule_decides_and_ignore_comes_before_gitignore() {
        let rules = Rules {
            directories: vec![
                directory(".", "kept.log\n", "*.log\n/top\nout/\n!.shown\n", true),
                directory("a", "", "!a.log\n!kept.log\n", false),
                directory("a/repo", "", "", true),
            ],
            above: 0,
        };
        for (path, is_directory, expected) in [
            ("x.log", false, Some(true)),
            ("top", false, Some(true)),
            ("a/top", false, None),
            ("a/a.log", false, Some(false)),
            ("a/b.log", false, Some(true)),
            ("a/kept.log", false, Some(true)),
            ("out", true, Some(true)),
            ("out", false, None),
            (".shown", false, Some(false)),
        ] {
            let two =
                Rules { directories: rules.directories[..2].iter().map(copy).collect(), above: 0 };
            assert_eq!(answer(&two.decide(path, is_directory)), expected, "{path}");
        }
        assert_eq!(
            answer(&rules.decide("a/repo/x.log", false)),
            None,
            "rules of git end at the top of a repository"
        );
        assert_eq!(answer(&rules.decide("a/repo/kept.log", false)), Some(true));
    }

    fn copy(from: &Directory) -> Directory {
        let (ignore, gitignore, exclude) =
            (from.ignore.clone(), from.gitignore.clone(), from.exclude.clone());
        Directory {
            path: from.path.clone(),
            rgignore: Gitignore::empty(),
            ignore,
            gitignore,
            exclude,
            repository: from.repository,
        }
    }

    fn answer(decision: &Match<()>) -> Option<bool> {
        match decision {
            Match::None => None,
            Match::Ignore(()) => Some(true),
            Match::Whitelist(()) => Some(false),
        }
    }
}
