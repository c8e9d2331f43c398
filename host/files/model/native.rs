//! The operations on a plain directory, by the system calls that they are named after.
//!
//! The kernel is the judge of everything but one: what leads out of the root. That is found out here, by walking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::step::{Answer, SLOTS, Step};

type Result<T> = std::result::Result<T, Errno>;

pub struct Native {
    path: String,
    slots: Vec<Option<Held>>,
}

struct Held {
    fd: OwnedFd,
    kind: char,
    read: bool,
    write: bool,
}

/// How a walk ended, as far as it matters here.
#[derive(PartialEq)]
enum Walk {
    Inside,
    Failed,
    Out,
}

impl Native {
    pub fn new(path: &str) -> Native {
        let mut native = Native { path: path.to_owned(), slots: Vec::new() };
        native.forget();
        native
    }

    /// Closes everything but the root.
    pub fn forget(&mut self) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = rustix::fs::open(&*self.path, flags, Mode::empty()).unwrap();
        self.slots = vec![Some(Held { fd, kind: 'd', read: true, write: true })];
        self.slots.resize_with(SLOTS, || None);
    }

    fn dir(&self, slot: usize) -> Option<&OwnedFd> {
        self.slots[slot].as_ref().filter(|it| it.kind == 'd').map(|it| &it.fd)
    }

    fn file(&self, slot: usize, write: bool) -> Option<BorrowedFd<'_>> {
        let held = self.slots[slot].as_ref().filter(|it| it.kind == 'f')?;
        (if write { held.write } else { held.read }).then(|| held.fd.as_fd())
    }

    /// None where the step makes no sense: the slot is empty, or holds something else.
    pub fn run(&mut self, step: &Step) -> Option<Result<Answer>> {
        let done = |result: Result<()>| Some(result.map(|()| Answer::Done));
        match step {
            Step::Open { slot, dir, path, follow, how } => {
                self.dir(*dir)?;
                let opened = self.open(*dir, path, *follow, *how);
                self.slots[*slot] = None;
                Some(opened.map(|held| {
                    let kind = held.kind;
                    self.slots[*slot] = Some(held);
                    Answer::Text(kind.to_string())
                }))
            }
            Step::Read { slot, at, length } => {
                let mut bytes = vec![0; *length];
                let read = super::super::disk::read_at(self.file(*slot, false)?, &mut bytes, *at);
                Some(read.map(|read| Answer::Bytes(bytes[..read].to_vec())))
            }
            Step::Write { slot, at, length, byte } => {
                let bytes = vec![*byte; *length];
                done(super::super::disk::write_at(self.file(*slot, true)?, &bytes, *at))
            }
            Step::Append { slot, length, byte } => {
                let file = self.file(*slot, true)?;
                let end = rustix::fs::fstat(file).unwrap().st_size as u64;
                done(super::super::disk::write_at(file, &vec![*byte; *length], end))
            }
            Step::SetSize { slot, size } => {
                done(rustix::fs::ftruncate(self.file(*slot, true)?, *size))
            }
            Step::Stat { slot } => {
                let held = self.slots[*slot].as_ref()?;
                Some(rustix::fs::statat(&held.fd, "", AtFlags::EMPTY_PATH).map(|it| answer(&it)))
            }
            Step::SetTimes { slot, time } => {
                done(rustix::fs::futimens(self.file(*slot, true)?, &times(*time)))
            }
            Step::StatAt { dir, path, follow } => {
                let fd = self.dir(*dir)?;
                let flags = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                let stat = || Ok(answer(&rustix::fs::statat(fd, &**path, flags)?));
                Some(self.inside(*dir, path, *follow).and_then(|()| stat()))
            }
            Step::SetTimesAt { dir, path, follow, time } => {
                let fd = self.dir(*dir)?;
                let flags = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                let root = self.slots[0].as_ref()?;
                let id = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
                let set = || {
                    // On purpose: no grant is of the root itself, only of what is in it.
                    if id(rustix::fs::statat(fd, &**path, flags)?)
                        == id(rustix::fs::fstat(&root.fd)?)
                    {
                        return Err(Errno::PERM);
                    }
                    rustix::fs::utimensat(fd, &**path, &times(*time), flags)
                };
                done(self.inside(*dir, path, *follow).and_then(|()| set()))
            }
            Step::List { slot } => Some(list(self.dir(*slot)?).map(Answer::Names)),
            Step::Mkdir { dir, path } => {
                let fd = self.dir(*dir)?;
                let make = || rustix::fs::mkdirat(fd, &**path, Mode::from_raw_mode(0o777));
                done(self.parents_inside(*dir, path).and_then(|()| make()))
            }
            Step::Rmdir { dir, path } => {
                let fd = self.dir(*dir)?;
                let remove = || rustix::fs::unlinkat(fd, &**path, AtFlags::REMOVEDIR);
                done(self.parents_inside(*dir, path).and_then(|()| remove()))
            }
            Step::Unlink { dir, path } => {
                let fd = self.dir(*dir)?;
                let remove = || rustix::fs::unlinkat(fd, &**path, AtFlags::empty());
                done(self.parents_inside(*dir, path).and_then(|()| remove()))
            }
            Step::Rename { dir, path, to, to_path } => {
                let (fd, to_fd) = (self.dir(*dir)?, self.dir(*to)?);
                let inside = self.both_inside((*dir, path), (*to, to_path), false);
                done(inside.and_then(|()| rustix::fs::renameat(fd, &**path, to_fd, &**to_path)))
            }
            Step::Link { dir, path, to, to_path } => {
                let (fd, to_fd) = (self.dir(*dir)?, self.dir(*to)?);
                let inside = self.both_inside((*dir, path), (*to, to_path), true);
                let link = || rustix::fs::linkat(fd, &**path, to_fd, &**to_path, AtFlags::empty());
                done(inside.and_then(|()| link()))
            }
            Step::Symlink { target, dir, path } => {
                let fd = self.dir(*dir)?;
                if target.starts_with('/') {
                    // On purpose: guests make no absolute symlinks.
                    return Some(Err(Errno::PERM));
                }
                let make = || rustix::fs::symlinkat(&**target, fd, &**path);
                let inside =
                    if target.is_empty() { Ok(()) } else { self.parents_inside(*dir, path) };
                done(inside.and_then(|()| make()))
            }
            Step::Readlink { dir, path } => {
                let fd = self.dir(*dir)?;
                let read = || rustix::fs::readlinkat(fd, &**path, Vec::new());
                let target = self.inside(*dir, path, false).and_then(|()| read());
                Some(
                    target.map(|it| {
                        Answer::Text(it.into_string().unwrap().replace(&self.path, "ROOT"))
                    }),
                )
            }
            Step::Commit => None,
        }
    }

    fn open(
        &self,
        dir: usize,
        path: &str,
        follow: bool,
        how: super::super::open::How,
    ) -> Result<Held> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            // On purpose: so Linux has it for `create`, and it means nothing for the others.
            return Err(Errno::INVAL);
        }
        if how.create && path.ends_with('/') {
            // A symlink there is not followed: no file has such a name.
            self.parents_inside(dir, path)?;
        } else {
            self.inside(dir, path, follow && !(how.create && how.exclusive))?;
        }
        let mut flags = match (how.read, how.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        flags.set(OFlags::CREATE, how.create);
        flags.set(OFlags::EXCL, how.create && how.exclusive);
        flags.set(OFlags::TRUNC, how.truncate);
        flags.set(OFlags::DIRECTORY, how.directory);
        flags.set(OFlags::NOFOLLOW, !follow);
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = self.dir(dir).ok_or(Errno::NOTDIR)?;
        let fd = match rustix::fs::openat(from, path, flags, Mode::from_raw_mode(0o666)) {
            // On purpose: a FIFO is not for guests, whether or not somebody has it open.
            Err(Errno::NXIO) => return Err(Errno::NOTSUP),
            opened => opened?,
        };
        let kind = kind(FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode));
        if kind == 'o' {
            return Err(Errno::NOTSUP);
        }
        Ok(Held { fd, kind, read: how.read || !how.write, write: how.write })
    }

    fn inside(&self, dir: usize, path: &str, follow: bool) -> Result<()> {
        if self.walk(dir, path, follow, true) == Walk::Out { Err(Errno::PERM) } else { Ok(()) }
    }

    fn parents_inside(&self, dir: usize, path: &str) -> Result<()> {
        self.inside(dir, stripped(path), false)
    }

    /// The first path matters alone if it fails.
    fn both_inside(&self, from: (usize, &str), to: (usize, &str), whole: bool) -> Result<()> {
        let path = if whole { from.1 } else { stripped(from.1) };
        match self.walk(from.0, path, false, whole) {
            Walk::Out => Err(Errno::PERM),
            Walk::Failed => Ok(()),
            Walk::Inside if to.1.is_empty() => Ok(()),
            Walk::Inside => self.parents_inside(to.0, to.1),
        }
    }

    /// Follows a path by hand; without `whole`, it may end at a name that is not there.
    fn walk(&self, dir: usize, path: &str, follow: bool, whole: bool) -> Walk {
        if path.is_empty() {
            return Walk::Failed;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |at: &OwnedFd, name: &str| rustix::fs::openat(at, name, flags, Mode::empty());
        let root = self.slots[0].as_ref().unwrap();
        let id =
            |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
        let mut at = open(self.dir(dir).unwrap(), ".").unwrap();
        let slash = path.ends_with('/');
        let mut rest: Vec<String> =
            path.rsplit('/').filter(|it| !it.is_empty()).map(Into::into).collect();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." && id(&at) == id(&root.fd) {
                return Walk::Out;
            }
            let next = match open(&at, &name) {
                Ok(next) => next,
                Err(Errno::NOENT) if rest.is_empty() && !whole => return Walk::Inside,
                Err(_) => return Walk::Failed,
            };
            match FileType::from_raw_mode(rustix::fs::fstat(&next).unwrap().st_mode) {
                FileType::Symlink if !rest.is_empty() || follow || slash => {
                    links += 1;
                    if links > 40 {
                        return Walk::Failed;
                    }
                    let target = rustix::fs::readlinkat(&next, "", Vec::new()).unwrap();
                    let mut target = &*target.into_string().unwrap();
                    if target.starts_with('/') {
                        let Some(inside) = target.strip_prefix(&*self.path) else {
                            return Walk::Out;
                        };
                        at = open(&root.fd, ".").unwrap();
                        target = inside;
                        rest.extend(target.rsplit('/').filter(|it| !it.is_empty()).map(Into::into));
                        continue;
                    }
                    rest.extend(target.rsplit('/').filter(|it| !it.is_empty()).map(Into::into));
                }
                FileType::Directory => at = next,
                _ if rest.is_empty() && !slash => return Walk::Inside,
                _ => return Walk::Failed,
            }
        }
        Walk::Inside
    }
}

fn stripped(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn times(seconds: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}

pub fn kind(of: FileType) -> char {
    match of {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        _ => 'o',
    }
}

fn answer(stat: &rustix::fs::Stat) -> Answer {
    let kind = kind(FileType::from_raw_mode(stat.st_mode));
    told(kind, stat.st_size as u64, stat.st_mtime, stat.st_nlink)
}

/// Sizes and links of directories are outside of the promise; so is the length of an absolute symlink, and when
/// something was written.
pub fn told(kind: char, size: u64, modified: i64, names: u64) -> Answer {
    let old = if matches!(kind, 'f' | 'd') && modified < 1_500_000_000 { modified } else { 0 };
    let size = if kind == 'f' { size } else { 0 };
    Answer::Stat(kind, size, old, if kind == 'd' { 0 } else { names })
}

fn list(fd: &OwnedFd) -> Result<Vec<(String, char)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap();
        if !matches!(name, "." | "..") {
            names.push((name.to_owned(), kind(entry.file_type())));
        }
    }
    names.sort();
    Ok(names)
}
