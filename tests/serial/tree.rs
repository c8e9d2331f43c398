//! A directory as a value: read from disk, laid out on disk, compared.
//!
//! Holds what the promise is about: names, kinds, contents, symlinks, modes, which names are one file, and
//! times as far as a call has set them. A top-level `.inorder` is the host's own and not looked at.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::ops::{fnv, old_mtime};

#[derive(Clone, Default, PartialEq)]
pub struct Tree(pub BTreeMap<String, Node>);

#[derive(Clone, PartialEq)]
pub enum Node {
    Dir {
        mode: u32,
    },
    /// `mtime` is 0 where it is recent, as `stat` of the guest tells it.
    File {
        content: Vec<u8>,
        mode: u32,
        mtime: u64,
    },
    Symlink {
        target: String,
    },
    /// Another name of the file, or symlink, at an earlier path.
    Link {
        to: String,
    },
}

const OURS: &str = ".inorder";

impl Tree {
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut paths = Vec::new();
        collect(root, "", &mut paths)?;
        paths.sort();
        let mut nodes = BTreeMap::new();
        // By inode, the first path of what has several.
        let mut firsts: HashMap<u64, String> = HashMap::new();
        for path in paths {
            let at = root.join(&path);
            let found = fs::symlink_metadata(&at)?;
            let of = found.file_type();
            let mode = found.mode() & 0o7777;
            let several = !of.is_dir() && found.nlink() > 1;
            let node = if let Some(first) = firsts.get(&found.ino()).filter(|_| several) {
                Node::Link { to: first.clone() }
            } else if of.is_dir() {
                Node::Dir { mode }
            } else if of.is_symlink() {
                Node::Symlink { target: fs::read_link(&at)?.to_string_lossy().into_owned() }
            } else {
                Node::File { content: fs::read(&at)?, mode, mtime: old_mtime(&found)? }
            };
            if several {
                firsts.entry(found.ino()).or_insert_with(|| path.clone());
            }
            nodes.insert(path, node);
        }
        Ok(Tree(nodes))
    }

    /// Makes a directory hold this, and nothing else.
    pub fn lay_out(&self, root: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            match entry.file_name() {
                name if name == OURS => {}
                _ if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
                _ => fs::remove_file(entry.path())?,
            }
        }
        for (path, node) in &self.0 {
            let at = root.join(path);
            match node {
                Node::Dir { mode } => {
                    fs::create_dir(&at)?;
                    fs::set_permissions(&at, Permissions::from_mode(*mode))?;
                }
                Node::File { content, mode, mtime } => {
                    fs::write(&at, content)?;
                    fs::set_permissions(&at, Permissions::from_mode(*mode))?;
                    if *mtime != 0 {
                        let file = File::options().write(true).open(&at)?;
                        file.set_modified(UNIX_EPOCH + Duration::from_secs(*mtime))?;
                    }
                }
                Node::Symlink { target } => symlink(target, &at)?,
                Node::Link { to } => fs::hard_link(root.join(to), &at)?,
            }
        }
        Ok(())
    }

    /// A line for each path where `found` is not this.
    pub fn differences(&self, found: &Tree) -> Vec<String> {
        let mut paths: Vec<&String> = self.0.keys().chain(found.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let describe = |node: Option<&Node>| node.map_or("nothing".to_owned(), ToString::to_string);
        paths
            .into_iter()
            .map(|path| (path, self.0.get(path), found.0.get(path)))
            .filter(|(_, expected, found)| expected != found)
            .map(|(path, expected, found)| {
                format!("{path}: expected {}, found {}", describe(expected), describe(found))
            })
            .collect()
    }
}

fn collect(dir: &Path, prefix: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path == OURS {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), paths)?;
        }
        paths.push(path);
    }
    Ok(())
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, node)| writeln!(f, "  {path}: {node}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Dir { mode } => write!(f, "directory {mode:o}"),
            Node::File { content, mode, mtime } => {
                write!(f, "file {mode:o}")?;
                if *mtime != 0 {
                    write!(f, " of {mtime}")?;
                }
                match content.len() {
                    0..=300 => write!(f, " {:?}", String::from_utf8_lossy(content)),
                    length => write!(f, " {length} bytes, FNV-1a {:016x}", fnv(content)),
                }
            }
            Node::Symlink { target } => write!(f, "symlink to {target:?}"),
            Node::Link { to } => write!(f, "the same as {to:?}"),
        }
    }
}
