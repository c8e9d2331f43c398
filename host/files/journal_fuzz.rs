//! Recovery from a stranger's `.inorder/`: whatever its journal says, nothing outside of the root is touched.
//!
//! For the fuzz target `journal`; see `host/fuzzing/`.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::journal::{self, checksum};
use super::{disk, recover};

/// The text is a journal. A line without its checksum is given one, and said to be of the folder that it is in; `"ino":N`
/// stands for the inode of the Nth thing of the scene, since nobody can guess those.
#[expect(clippy::unwrap_used, reason = "a scene that cannot be set is no finding")]
pub fn fuzz_journal(text: &[u8]) {
    let raw = journal::parse(text);
    assert!(journal::whole(text) <= text.len() as u64 && raw.len() <= text.len());
    let Ok(text) = std::str::from_utf8(text) else { return };
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("home/root");
    let batch = root.join(".inorder/batches/00000001");
    std::fs::create_dir_all(root.join("dir")).unwrap();
    std::fs::create_dir_all(root.join(".git/hooks")).unwrap();
    std::fs::create_dir_all(&batch).unwrap();
    let things = [
        outside.path().join("secret"),
        outside.path().join("home/other"),
        root.join("a"),
        root.join("dir/b"),
        batch.join("0"),
        batch.join("1"),
        batch.join("alive"),
    ];
    for thing in &things {
        std::fs::write(thing, thing.to_str().unwrap()).unwrap();
    }
    let dirs = [outside.path(), &root.join(".."), &root, &root.join("dir"), &batch];
    let things = things.iter().map(PathBuf::as_path).chain(dirs);
    let inodes: Vec<u64> = things.map(|it| std::fs::metadata(it).unwrap().ino()).collect();
    let made = disk::made(std::fs::File::open(&batch).unwrap().as_fd()).unwrap();
    let made = serde_json::to_string(&made).unwrap();
    std::fs::write(batch.join("journal"), journal_of(text, &inodes, &made)).unwrap();
    let before = outside_of(outside.path(), &root);
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let opened = rustix::fs::open(&root, flags, rustix::fs::Mode::empty()).unwrap();
    let done = recover::recover(opened.as_fd());
    assert_eq!(before, outside_of(outside.path(), &root), "recovery has left the root");
    if done.is_ok() {
        let again = recover::recover(opened.as_fd());
        assert!(again.is_ok(), "what is recovered once is not recovered twice: {again:?}");
    }
}

fn journal_of(text: &str, inodes: &[u64], made: &str) -> String {
    let mut journal = String::new();
    for line in text.split_inclusive('\n') {
        let json = line.trim_end_matches('\n');
        if !json.starts_with(['{', '"']) {
            journal += line;
            continue;
        }
        let mut json = json.replacen("{\"begin\":{", &format!("{{\"begin\":{{\"made\":{made},"), 1);
        for (number, inode) in inodes.iter().enumerate().rev() {
            for name in ["ino", "old", "new"] {
                for end in [',', '}'] {
                    json = json.replace(
                        &format!("\"{name}\":{number}{end}"),
                        &format!("\"{name}\":{inode}{end}"),
                    );
                }
            }
        }
        journal += &format!("{:016x} {json}\n", checksum(json.as_bytes()));
    }
    journal
}

/// Names, contents and times of all but the root.
fn outside_of(at: &Path, root: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == root {
            continue;
        }
        let times = entry.metadata().map_or((0, 0), |it| (it.mtime(), it.mtime_nsec()));
        let name = path.to_string_lossy().into_owned();
        found.insert(name, (std::fs::read(&path).unwrap_or_default(), times.0, times.1));
        if path.is_dir() {
            found.extend(outside_of(&path, root));
        }
    }
    found
}
