//! The file operations themselves, over the standard library alone.
//!
//! Compiled twice: into the guest, and into the tests, which run the same operations on a plain directory
//! and compare. So an operation may not depend on where it runs, nor on anything but its arguments and
//! the files. `pause` is called between what an operation reads and what it writes, or at its start
//! where it does one of the two alone.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::names::name_of;

/// `Err` is the name of an error (`names.rs`), the same wherever the operation runs.
pub type Answer<T> = Result<T, String>;

/// What `stat` tells.
pub struct Stat {
    pub kind: &'static str,
    /// Of files alone.
    pub size: Option<u64>,
    pub mtime: Option<u64>,
}

/// The most that a file is read up to, so that files that are joined with themselves stop growing.
const MOST: u64 = 8 << 20;
/// The longest content that is an answer as it is; a longer one is summed up.
const LONGEST_ANSWER: usize = 4096;
/// 2017-07-14. Files that a test touches are older, files that are written in a test are younger.
const RECENT: u64 = 1_500_000_000;

pub fn read(path: &Path, pause: impl FnOnce()) -> Answer<String> {
    pause();
    let bytes = content(path)?;
    if bytes.len() <= LONGEST_ANSWER {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(format!("{} bytes, FNV-1a {:016x}", bytes.len(), fnv(&bytes)))
}

pub fn write(path: &Path, text: &str, times: u32, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::write(path, text.repeat(times as usize)).map_err(name)
}

pub fn create_new(path: &Path, text: &str, pause: impl FnOnce()) -> Answer<()> {
    pause();
    File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(name)
}

pub fn append(path: &Path, text: &str, times: u32, pause: impl FnOnce()) -> Answer<()> {
    pause();
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(name)?;
    file.write_all(text.repeat(times as usize).as_bytes()).map_err(name)
}

/// Gives how many places were replaced.
pub fn replace(path: &Path, old: &str, new: &str, pause: impl FnOnce()) -> Answer<u32> {
    let before = String::from_utf8_lossy(&content(path)?).into_owned();
    pause();
    let places = before.matches(old).count();
    fs::write(path, before.replace(old, new)).map_err(name)?;
    Ok(places as u32)
}

pub fn copy(source: &Path, target: &Path, pause: impl FnOnce()) -> Answer<()> {
    let bytes = content(source)?;
    pause();
    fs::write(target, bytes).map_err(name)
}

pub fn join<P: AsRef<Path>>(sources: &[P], target: &Path, pause: impl FnOnce()) -> Answer<()> {
    let mut whole = Vec::new();
    for source in sources {
        whole.append(&mut content(source.as_ref())?);
    }
    if whole.len() as u64 > MOST {
        return Err("toolarge".to_owned());
    }
    pause();
    fs::write(target, whole).map_err(name)
}

pub fn write_at(path: &Path, offset: u64, text: &str, pause: impl FnOnce()) -> Answer<()> {
    pause();
    let mut file = OpenOptions::new().write(true).open(path).map_err(name)?;
    file.seek(SeekFrom::Start(offset)).map_err(name)?;
    file.write_all(text.as_bytes()).map_err(name)
}

/// Reads a part of a file, at most 4,096 bytes.
pub fn read_at(path: &Path, offset: u64, length: u32, pause: impl FnOnce()) -> Answer<String> {
    pause();
    let mut file = File::open(path).map_err(name)?;
    file.seek(SeekFrom::Start(offset)).map_err(name)?;
    let mut bytes = Vec::new();
    file.take(length.min(4096).into()).read_to_end(&mut bytes).map_err(name)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub fn truncate(path: &Path, size: u64, pause: impl FnOnce()) -> Answer<()> {
    pause();
    let file = OpenOptions::new().write(true).open(path).map_err(name)?;
    file.set_len(size).map_err(name)
}

pub fn rename(source: &Path, target: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::rename(source, target).map_err(name)
}

pub fn remove(path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::remove_file(path).map_err(name)
}

pub fn mkdir(path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::create_dir(path).map_err(name)
}

pub fn rmdir(path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::remove_dir(path).map_err(name)
}

/// `name kind` of each entry, sorted.
pub fn list(path: &Path, pause: impl FnOnce()) -> Answer<Vec<String>> {
    pause();
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(name)? {
        let entry = entry.map_err(name)?;
        let kind = kind(entry.file_type().map_err(name)?);
        entries.push(format!("{} {kind}", entry.file_name().to_string_lossy()));
    }
    entries.sort();
    Ok(entries)
}

/// `path kind` of everything below, sorted; symlinks are named, not followed.
pub fn walk(path: &Path, pause: impl FnOnce()) -> Answer<Vec<String>> {
    pause();
    let mut entries = Vec::new();
    walk_into(path, "", &mut entries)?;
    entries.sort();
    Ok(entries)
}

fn walk_into(path: &Path, prefix: &str, entries: &mut Vec<String>) -> Answer<()> {
    for entry in fs::read_dir(path).map_err(name)? {
        let entry = entry.map_err(name)?;
        let of = entry.file_type().map_err(name)?;
        let below = format!("{prefix}{}", entry.file_name().to_string_lossy());
        entries.push(format!("{below} {}", kind(of)));
        if of.is_dir() {
            walk_into(&entry.path(), &format!("{below}/"), entries)?;
        }
    }
    Ok(())
}

/// `mtime` is told of files alone, in seconds, and as 0 where it is recent: when a call ran is no part
/// of its result, but what it was set to is.
pub fn stat(path: &Path, follow: bool, mtime: bool, pause: impl FnOnce()) -> Answer<Stat> {
    pause();
    let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let found = found.map_err(name)?;
    let file = found.is_file();
    Ok(Stat {
        kind: kind(found.file_type()),
        size: file.then_some(found.len()),
        mtime: if file && mtime { Some(old_mtime(&found).map_err(name)?) } else { None },
    })
}

pub fn touch(path: &Path, mtime: u64, pause: impl FnOnce()) -> Answer<()> {
    pause();
    let file = OpenOptions::new().write(true).open(path).map_err(name)?;
    file.set_modified(UNIX_EPOCH + Duration::from_secs(mtime)).map_err(name)
}

pub fn symlink(target: &str, path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    make_symlink(target, path).map_err(name)
}

pub fn readlink(path: &Path, pause: impl FnOnce()) -> Answer<String> {
    pause();
    Ok(fs::read_link(path).map_err(name)?.to_string_lossy().into_owned())
}

pub fn hard_link(source: &Path, target: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::hard_link(source, target).map_err(name)
}

pub fn exists_all<P: AsRef<Path>>(paths: &[P], pause: impl FnOnce()) -> Answer<Vec<bool>> {
    pause();
    Ok(paths.iter().map(|path| path.as_ref().exists()).collect())
}

pub fn remove_tree(path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::remove_dir_all(path).map_err(name)
}

pub fn create_tree(path: &Path, pause: impl FnOnce()) -> Answer<()> {
    pause();
    fs::create_dir_all(path).map_err(name)
}

/// The modification time if it is not recent, else 0.
pub fn old_mtime(found: &Metadata) -> io::Result<u64> {
    let since = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(if since < RECENT { since } else { 0 })
}

pub fn kind(of: FileType) -> &'static str {
    match of {
        _ if of.is_file() => "file",
        _ if of.is_dir() => "dir",
        _ if of.is_symlink() => "symlink",
        _ => "other",
    }
}

pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// A whole file.
fn content(path: &Path) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(name)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(name)?;
    if bytes.len() as u64 > MOST { Err("toolarge".to_owned()) } else { Ok(bytes) }
}

#[cfg(unix)]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// The standard library's own is not stable for WASI; this is the C library's, which it would call.
#[cfg(target_os = "wasi")]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    use std::ffi::{CString, c_char, c_int};
    unsafe extern "C" {
        #[link_name = "symlink"]
        fn libc_symlink(target: *const c_char, path: *const c_char) -> c_int;
    }
    let target = CString::new(target)?;
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: both are strings that end in NUL and outlive the call.
    match unsafe { libc_symlink(target.as_ptr(), path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn name(error: io::Error) -> String {
    name_of(&error)
}
