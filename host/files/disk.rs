//! System calls on files beneath a root: one name at a time, never through a symlink.
//!
//! Knows handles and names, not views or commits. Every path given here is relative, without `.`, `..` or
//! symlinks to be followed; whoever changes a part of one into a symlink meanwhile gets an error, not a way
//! out.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

pub type Result<T> = std::result::Result<T, Errno>;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    /// A FIFO, a socket, a device: seen, never opened.
    Other,
}

/// What is known of a file, and what tells whether it is still the same: any change from outside changes
/// one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Seconds and nanoseconds since 1970.
    pub accessed: Time,
    pub modified: Time,
    pub changed: Time,
}

pub type Time = (i64, u32);

impl Stat {
    /// Whether it is the same file, with the same content and attributes.
    pub fn is_content_of(&self, other: &Stat) -> bool {
        let what = |it: &Stat| (it.ino, it.size, it.modified, it.mode, it.uid, it.gid);
        what(self) == what(other)
    }

    /// Whether nothing that a guest could see has changed from one to the other. (Reading changes the time
    /// of access.)
    pub fn same(&self, other: &Stat) -> bool {
        (self.kind, self.dev, self.ino, self.size, self.modified, self.changed, self.mode)
            == (
                other.kind,
                other.dev,
                other.ino,
                other.size,
                other.modified,
                other.changed,
                other.mode,
            )
    }

    pub fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// An entry of a directory, as listing it tells.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: Box<str>,
    /// `None` where the file system does not tell.
    pub kind: Option<Kind>,
    pub ino: u64,
}

/// Opens the directory at `path` beneath `root`; empty for the root itself.
pub fn open_dir<'r>(root: BorrowedFd<'r>, path: &str) -> Result<DirFd<'r>> {
    if path.is_empty() {
        return Ok(DirFd::Root(root));
    }
    open_beneath(root, path, OFlags::PATH | OFlags::DIRECTORY).map(DirFd::Inner)
}

/// A directory of a root, or the root.
pub enum DirFd<'r> {
    Root(BorrowedFd<'r>),
    Inner(OwnedFd),
}

impl AsFd for DirFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            DirFd::Root(root) => *root,
            DirFd::Inner(dir) => dir.as_fd(),
        }
    }
}

/// Opens `path` beneath `root` without following a symlink anywhere.
pub fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let here = if path.is_empty() { "." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        return match rustix::fs::openat2(root, here, flags, Mode::empty(), resolve) {
            // The kernel asks to try again when a rename was under way.
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // Older kernels, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, here, flags),
            opened => opened,
        };
    }
}

fn step_by_step(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd> {
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (parents, name) = split(path);
    let mut at: Option<OwnedFd> = None;
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        let from = at.as_ref().map_or(root, |fd| fd.as_fd());
        at = Some(rustix::fs::openat(from, part, through, Mode::empty())?);
    }
    let from = at.as_ref().map_or(root, |fd| fd.as_fd());
    rustix::fs::openat(from, name, flags, Mode::empty())
}

/// `a/b/c` as `a/b` and `c`.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Opens a regular file of a directory for reading. Never waits for the other end of a FIFO, and never takes
/// a terminal for its own.
pub fn open_file(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(dir, name, flags, Mode::empty()))
}

/// A file without a name on the file system of a directory.
pub fn nameless(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR))
}

/// What `name` in a directory is; a symlink is not followed.
pub fn stat(dir: BorrowedFd<'_>, name: &str) -> Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(dir, name, flags)
}

pub fn stat_fd(fd: BorrowedFd<'_>) -> Result<Stat> {
    statx(fd, "", AtFlags::EMPTY_PATH)
}

/// Which directory this is, among all that there ever were: its inode, and when it was made, where the file system knows.
/// Nobody can make another of which both are the same.
pub type Made = (u64, Option<Time>);

pub fn made(dir: BorrowedFd<'_>) -> Result<Made> {
    let wanted = StatxFlags::INO | StatxFlags::BTIME;
    let found = retry(|| rustix::fs::statx(dir, "", AtFlags::EMPTY_PATH, wanted))?;
    let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    Ok((found.stx_ino, known.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec))))
}

fn statx(dir: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<Stat> {
    let found = retry(|| rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS))?;
    Ok(read_stat(&found))
}

fn read_stat(found: &Statx) -> Stat {
    let time = |time: rustix::fs::StatxTimestamp| (time.tv_sec, time.tv_nsec);
    Stat {
        kind: kind(FileType::from_raw_mode(found.stx_mode.into())).unwrap_or(Kind::Other),
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        nlink: found.stx_nlink.into(),
        mode: u32::from(found.stx_mode) & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        size: found.stx_size,
        accessed: time(found.stx_atime),
        modified: time(found.stx_mtime),
        changed: time(found.stx_ctime),
    }
}

fn kind(file_type: FileType) -> Option<Kind> {
    match file_type {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Dir),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Unknown => None,
        _ => Some(Kind::Other),
    }
}

/// Everything in a directory but `.` and `..`, and how many names are not UTF-8, which guests cannot spell.
pub fn list(dir: BorrowedFd<'_>) -> Result<(Vec<Listed>, usize)> {
    Ok(list_up_to(dir, usize::MAX, &|| Ok(()))?.unwrap_or_default())
}

/// [`list`], of a directory with at most so many names; nothing for a larger one. It is asked now and then whether to go on.
pub fn list_up_to(
    dir: BorrowedFd<'_>,
    most: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Option<(Vec<Listed>, usize)>> {
    const ASKED: usize = 256;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = retry(|| rustix::fs::openat(dir, ".", flags, Mode::empty()))?;
    let mut buffer = Vec::with_capacity(32 << 10);
    let (mut found, mut not_utf8) = (Vec::new(), 0);
    let mut entries = RawDir::new(readable, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if found.len() >= most {
            return Ok(None);
        }
        if found.len().is_multiple_of(ASKED) {
            go_on()?;
        }
        match name.to_str() {
            Ok("." | "..") => {}
            Ok(name) => {
                found.push(Listed {
                    name: name.into(),
                    kind: kind(entry.file_type()),
                    ino: entry.ino(),
                });
            }
            Err(_) => not_utf8 += 1,
        }
    }
    Ok(Some((found, not_utf8)))
}

pub fn readlink(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
    target.into_string().map_err(|_| Errno::ILSEQ)
}

/// Fills `buffer` from `at` on, as far as the file goes.
pub fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Up to `length` bytes from `at` on; fewer only at the end of the file.
pub fn read_up_to(file: BorrowedFd<'_>, length: usize, at: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length && read_more(file, &mut bytes, at)? > 0 {}
    bytes.truncate(length);
    Ok(bytes)
}

/// What a file of `size` bytes holds. More than that, if it has grown since.
pub fn read_whole(file: BorrowedFd<'_>, size: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size + 1);
    while bytes.len() < size && read_more(file, &mut bytes, 0)? > 0 {}
    Ok(bytes)
}

/// Reads into what room there is; `bytes` begin at `at`.
fn read_more(file: BorrowedFd<'_>, bytes: &mut Vec<u8>, at: u64) -> Result<usize> {
    let at = at + bytes.len() as u64;
    retry(|| rustix::io::pread(file, rustix::buffer::spare_capacity(bytes), at))
}

pub fn write_at(file: BorrowedFd<'_>, bytes: &[u8], at: u64) -> Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::pwrite(file, &bytes[written..], at + written as u64) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(wrote) => written += wrote,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies the first `length` bytes of one file to the beginning of another, by the file system's own means
/// where it has them. It is asked whether to go on, for each part.
pub fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    length: u64,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    // A millisecond, where it has none.
    const PART: usize = 1 << 20;
    let (mut read_at_, mut write_at_) = (0, 0);
    while read_at_ < length {
        go_on()?;
        let left = usize::try_from(length - read_at_).unwrap_or(usize::MAX).min(PART);
        let (mut off_in, mut off_out) = (read_at_, write_at_);
        match rustix::fs::copy_file_range(from, Some(&mut off_in), to, Some(&mut off_out), left) {
            Ok(0) => return Ok(()),
            Ok(copied) => {
                read_at_ += copied as u64;
                write_at_ += copied as u64;
            }
            Err(Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                return copy_by_hand(from, to, read_at_, length, go_on);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn copy_by_hand(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut at: u64,
    length: u64,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    while at < length {
        go_on()?;
        let want = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = read_at(from, &mut buffer[..want], at)?;
        if read == 0 {
            return Ok(());
        }
        write_at(to, &buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// Gives `to` the mode, the owner and the extended attributes (with them the access control list) of a file
/// that it is to replace, and tells how it is then. What this process may not give is left.
pub fn copy_attributes(from: BorrowedFd<'_>, like: &Stat, to: BorrowedFd<'_>) -> Result<Stat> {
    let mut new = stat_fd(to)?;
    if (new.uid, new.gid) != (like.uid, like.gid) {
        let (uid, gid) = (rustix::fs::Uid::from_raw(like.uid), rustix::fs::Gid::from_raw(like.gid));
        // Only a privileged process may give files away.
        let _ = rustix::fs::fchown(to, Some(uid), Some(gid));
        new = stat_fd(to)?;
    }
    let mut names = [0; 4096];
    let length = rustix::fs::flistxattr(from, &mut names).unwrap_or(0);
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let Ok(length) = rustix::fs::fgetxattr(from, name, &mut value) else { continue };
        // Some belong to the kernel alone.
        let _ = rustix::fs::fsetxattr(to, name, &value[..length], rustix::fs::XattrFlags::empty());
        // A list of who may do what brings its mode.
        new = stat_fd(to)?;
    }
    if new.mode == like.mode {
        return Ok(new);
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(like.mode))?;
    stat_fd(to)
}

pub fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
