//! The sources of a plugin: what in its folder a build is made from.
//!
//! Files are told apart by what is in them, so that a build which writes the same once more has changed nothing.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use crate::watch::{Look, Stamps};

/// Of larger ones, size and time tell.
const READ: u64 = 4 << 20;

/// Where builds leave what they make, whether `.gitignore` says so or not.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];

pub struct Sources {
    folder: PathBuf,
    /// What builds have turned out to write themselves.
    made: BTreeSet<PathBuf>,
}

impl Sources {
    pub fn new(folder: PathBuf) -> Sources {
        Sources { folder, made: BTreeSet::new() }
    }

    /// Looks at these no more.
    pub fn leave_out(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.made.extend(files);
    }

    fn entries(&self) -> impl Iterator<Item = DirEntry> {
        let mut walk = WalkBuilder::new(&self.folder);
        // Hidden ones are left out as it is. A folder is one of its own, wherever it lies.
        walk.parents(false).git_global(false).git_exclude(false).require_git(false);
        walk.filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            let folder = entry.file_type().is_some_and(|it| it.is_dir());
            entry.depth() == 0
                || !(if folder { MADE.contains(&&*name) } else { name.ends_with(".wasm") })
        });
        walk.build().filter_map(Result::ok)
    }
}

impl Look for Sources {
    fn stamps(&self) -> Stamps {
        let files = self.entries().filter(|entry| entry.file_type().is_some_and(|it| it.is_file()));
        let files = files.map(DirEntry::into_path).filter(|file| !self.made.contains(file));
        files
            .map(|file| {
                let stamp = stamp(&file);
                (file, stamp)
            })
            .collect()
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let folders =
            self.entries().filter(|entry| entry.file_type().is_some_and(|it| it.is_dir()));
        folders.map(DirEntry::into_path).collect()
    }
}

fn stamp(file: &Path) -> Option<u64> {
    let found = std::fs::metadata(file).ok()?;
    let mut hasher = DefaultHasher::new();
    match found.len() <= READ {
        true => hasher.write(&std::fs::read(file).ok()?),
        false => {
            let time = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            hasher.write_u128(time.as_nanos());
            hasher.write_u64(found.len());
        }
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_make_is_no_source() {
        let dir = tempfile::tempdir().unwrap();
        for (path, _source) in FILES {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "/made\n*.log\n").unwrap();
        }
        let mut sources = Sources::new(dir.path().to_owned());
        let names = |sources: &Sources| {
            let stamps = sources.stamps().into_keys();
            stamps
                .map(|it| it.strip_prefix(dir.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        let expected: Vec<&str> = FILES.iter().filter(|it| it.1).map(|it| it.0).collect();
        assert_eq!(names(&sources), expected);
        let before = sources.stamps();
        std::fs::write(dir.path().join("src/lib.rs"), "/made\n*.log\n").unwrap();
        assert_eq!(sources.stamps(), before);
        std::fs::write(dir.path().join("src/lib.rs"), "more").unwrap();
        assert_ne!(sources.stamps(), before);
        sources.leave_out([dir.path().join("src/lib.rs")]);
        assert_eq!(names(&sources).len(), expected.len() - 1);
    }

    const FILES: [(&str, bool); 11] = [
        (".git/HEAD", false),
        (".gitignore", false),
        ("a.log", false),
        ("build.sh", true),
        ("made/a.c", false),
        ("node_modules/x/a.js", false),
        ("src/lib.rs", true),
        ("src/target.rs", true),
        ("target/a", false),
        ("tools.wasm", false),
        ("wit/world.wit", true),
    ];
}
