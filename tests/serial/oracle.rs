//! What a batch must give: its calls one at a time, in order, by plain `std::fs` on a plain directory.
//!
//! Linux is the rule. Where WASI lays another one over it, a comment says which and where it is written.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde_json::{Value, json};

use super::generate::{Batch, Call, writes};
use super::ops::{self, Answer};
use super::tree::Tree;

/// How a call ends, as far as the promise goes.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Value(Value),
    /// The tool's own error. Where two are true of a call, and no standard says which is told, the oracle
    /// names both: `noent or notdir`.
    Tool(String),
    /// An input has failed: the call of that id.
    Skipped(String),
    /// Another kind of error, whose message is not compared: `trap`, `arguments`.
    Kind(String),
}

/// Runs a batch in `root`, which lies alone in its parent.
pub fn run(root: &Path, batch: &Batch) -> Vec<End> {
    run_each(root, batch, || {})
}

/// [`run`], with a look at the directory after each call.
pub fn run_each(root: &Path, batch: &Batch, mut look: impl FnMut()) -> Vec<End> {
    let directory = Directory::open(root);
    let mut ends: Vec<End> = Vec::with_capacity(batch.calls.len());
    for call in &batch.calls {
        let end = match arguments(call, batch, &ends) {
            Ok(args) => directory.end_of(call, &args),
            Err(end) => end,
        };
        ends.push(end);
        look();
    }
    ends
}

/// The arguments with references replaced, or how the call ends without them.
fn arguments(call: &Call, batch: &Batch, ends: &[End]) -> Result<Value, End> {
    let mut links = call.links();
    links.sort_unstable_by_key(|link| link.from);
    for link in &links {
        if !ends[batch.place(link.from)].is_ok() {
            return Err(End::Skipped(batch.id(link.from)));
        }
    }
    let mut args = Value::Object(call.args.clone());
    for link in links {
        let End::Value(value) = &ends[batch.place(link.from)] else { continue };
        let Some(found) = value.pointer(&link.at) else {
            return Err(End::Kind("arguments".to_owned()));
        };
        if !fits(call.tool, &link.place, found) {
            return Err(End::Kind("arguments".to_owned()));
        }
        *args.pointer_mut(&link.place).unwrap() = found.clone();
    }
    Ok(args)
}

/// Whether a value is of the type of the parameter, or item of one, at `place`.
fn fits(tool: &str, place: &str, value: &Value) -> bool {
    match place {
        "/offset" | "/size" => value.is_u64(),
        "/mtime" if tool == "touch" => value.is_u64(),
        "/mtime" | "/follow" => value.is_boolean(),
        "/sources" | "/paths" => {
            value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
        }
        _ => value.is_string(),
    }
}

struct Directory {
    root: PathBuf,
    handle: std::fs::File,
}

/// What stands at the end of a path, or what it leads to.
#[derive(Clone, Copy)]
enum Last {
    Followed,
    Itself,
}

impl Directory {
    fn open(root: &Path) -> Directory {
        Directory { root: root.to_owned(), handle: std::fs::File::open(root).unwrap() }
    }

    /// Runs one call, all or nothing.
    fn end_of(&self, call: &Call, args: &Value) -> End {
        let fail = args.get("fail").and_then(Value::as_str);
        // These alone make several steps, and so can fail after having changed something.
        let steps = matches!(call.tool, "remove_tree" | "create_tree");
        let before = (steps || (fail.is_some() && writes(call.tool)))
            .then(|| Tree::read(&self.root).unwrap());
        let answer = self.apply(call.tool, args);
        if let Some(before) = before.filter(|_| fail.is_some() || answer.is_err())
            && (steps || answer.is_ok())
        {
            before.lay_out(&self.root).unwrap();
        }
        match (answer, fail) {
            (Err(error), _) => End::Tool(error),
            (Ok(_), Some("err")) => End::Tool("asked to fail".to_owned()),
            (Ok(_), Some(_)) => End::Kind("trap".to_owned()),
            (Ok(value), None) => End::Value(value),
        }
    }

    fn apply(&self, tool: &str, args: &Value) -> Answer<Value> {
        let text = |name: &str| args[name].as_str().unwrap();
        let number = |name: &str| args[name].as_u64().unwrap();
        let flag = |name: &str| args[name].as_bool().unwrap();
        let times = args.get("times").map_or(1, |times| times.as_u64().unwrap() as u32);
        let pause = || {};
        let path = |last: Last| self.beneath(text("path"), last);
        use Last::{Followed, Itself};
        match tool {
            "read" => json_of(ops::read(&path(Followed)?, pause)),
            "read_at" => {
                let (offset, length) = (number("offset"), number("length") as u32);
                json_of(ops::read_at(&path(Followed)?, offset, length, pause))
            }
            "write" => {
                json_of(ops::write(&self.creatable(text("path"))?, text("text"), times, pause))
            }
            "create_new" => {
                json_of(ops::create_new(&self.entry(text("path"))?, text("text"), pause))
            }
            "append" => {
                json_of(ops::append(&self.creatable(text("path"))?, text("text"), times, pause))
            }
            "replace" => {
                let (old, new) = (text("old"), text("new"));
                json_of(ops::replace(&path(Followed)?, old, new, pause))
            }
            "copy" => {
                let (source, target) = self.sources(&[text("source")], text("target"))?;
                json_of(ops::copy(&source[0], &target, pause))
            }
            "join" => {
                let (sources, target) = self.sources(&texts(&args["sources"]), text("target"))?;
                json_of(ops::join(&sources, &target, pause))
            }
            "write_at" => {
                let (offset, text) = (number("offset"), text("text"));
                json_of(ops::write_at(&path(Followed)?, offset, text, pause))
            }
            "truncate" => {
                let size = number("size");
                json_of(ops::truncate(&path(Followed)?, size, pause))
            }
            "rename" => self.move_or_link(text("source"), text("target"), |source, target| {
                ops::rename(source, target, pause)
            }),
            "hard_link" => self.move_or_link(text("source"), text("target"), |source, target| {
                ops::hard_link(source, target, pause)
            }),
            "remove" => json_of(ops::remove(&self.entry(text("path"))?, pause)),
            "mkdir" => json_of(ops::mkdir(&self.entry(text("path"))?, pause)),
            "rmdir" => json_of(ops::rmdir(&self.entry(text("path"))?, pause)),
            "list" => json_of(ops::list(&path(Followed)?, pause)),
            "walk" => json_of(ops::walk(&path(Followed)?, pause)),
            "stat" => {
                let (follow, mtime) = (flag("follow"), flag("mtime"));
                let stat = ops::stat(
                    &path(if follow { Followed } else { Itself })?,
                    follow,
                    mtime,
                    pause,
                )?;
                Ok(json!({"kind": stat.kind, "size": stat.size, "mtime": stat.mtime}))
            }
            "touch" => {
                let mtime = number("mtime");
                json_of(ops::touch(&path(Followed)?, mtime, pause))
            }
            "symlink" => {
                let (target, path) = (text("target"), self.entry(text("path"))?);
                // wasi:filesystem/types, symlink-at: "If `old-path` starts with `/`, the function fails
                // with `error-code::not-permitted`."
                if target.starts_with('/') {
                    return Err("perm".to_owned());
                }
                json_of(ops::symlink(target, &path, pause))
            }
            "readlink" => json_of(ops::readlink(&path(Itself)?, pause)),
            "exists_all" => {
                // A path that leads out is to a guest as one that leads nowhere.
                let nowhere = || self.root.join("nowhere");
                let paths = texts(&args["paths"]).into_iter();
                let paths =
                    paths.map(|it| self.beneath(it, Followed).unwrap_or_else(|_| nowhere()));
                json_of(ops::exists_all(&paths.collect::<Vec<_>>(), pause))
            }
            "remove_tree" => json_of(ops::remove_tree(&self.entry(text("path"))?, pause)),
            "create_tree" => json_of(ops::create_tree(&self.entry(text("path"))?, pause)),
            _ => panic!("the oracle knows no {tool:?}"),
        }
    }

    /// Where a path leads that stays beneath the root.
    ///
    /// WASI has no way out of a directory, Linux has. wasi:filesystem/types: where a path "reaches a directory
    /// outside of the base directory, or reaches a symlink to an absolute or rooted path in the underlying
    /// filesystem, the function fails with `error-code::not-permitted`". `RESOLVE_BENEATH` is the system's
    /// own word on whether a path, with every symlink on its way, gets out.
    fn beneath(&self, path: &str, last: Last) -> Answer<PathBuf> {
        let nofollow = match last {
            Last::Followed => OFlags::empty(),
            Last::Itself => OFlags::NOFOLLOW,
        };
        match self.resolve(path, nofollow) {
            Err(rustix::io::Errno::XDEV) => Err("perm".to_owned()),
            _ => Ok(self.root.join(path)),
        }
    }

    /// A path of a file that is made if it is not there: with a slash at the end the system says no before it follows a symlink.
    fn creatable(&self, path: &str) -> Answer<PathBuf> {
        if path.ends_with('/') { self.entry(path) } else { self.beneath(path, Last::Followed) }
    }

    /// A path at which something is made or removed: with a slash at the end too, a symlink there is not followed.
    fn entry(&self, path: &str) -> Answer<PathBuf> {
        self.beneath(path.trim_end_matches('/'), Last::Itself).map(|_| self.root.join(path))
    }

    fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<()> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | flags;
        loop {
            match openat2(&self.handle, path, flags, Mode::empty(), ResolveFlags::BENEATH) {
                // Something was renamed meanwhile, by whomever and wherever, and the system does not know whether `..` got out.
                Err(rustix::io::Errno::AGAIN) => {}
                resolved => return resolved.map(drop),
            }
        }
    }

    /// An operation on two paths. Linux looks at both parents of a rename first, but at the whole source of a
    /// link, and POSIX leaves it open: what is wrong with the one or the other may be told.
    fn move_or_link(
        &self,
        source: &str,
        target: &str,
        operation: impl FnOnce(&Path, &Path) -> Answer<()>,
    ) -> Answer<Value> {
        let from = self.beneath(source, Last::Itself);
        let to = self.beneath(target, Last::Itself);
        let answer = match (&from, &to) {
            (Ok(from), Ok(to)) => operation(from, to),
            (Err(escaped), _) | (_, Err(escaped)) => Err(escaped.clone()),
        };
        let wrong_of_source = from.and_then(|from| ops::stat(&from, false, false, || {}));
        let wrong_of_target = to.and_then(|to| {
            // With a slash at the end, which only a directory can have.
            let parent = ops::stat(&to.parent().unwrap().join(""), true, false, || {})?;
            if target.ends_with('/') { ops::stat(&to, true, false, || {}) } else { Ok(parent) }
        });
        json_of(answer.map_err(|error| {
            let mut errors = vec![error];
            errors.extend(wrong_of_source.err());
            errors.extend(wrong_of_target.err());
            if source.ends_with('/') || target.ends_with('/') {
                // What the system says of a symlink there before it would follow it.
                errors.extend(["notdir", "exist"].map(str::to_owned));
            }
            errors.dedup();
            errors.join(" or ")
        }))
    }

    /// What is read and what is written then: each source is read before the next path is looked up.
    fn sources(&self, sources: &[&str], target: &str) -> Answer<(Vec<PathBuf>, PathBuf)> {
        let mut paths = Vec::new();
        for source in sources {
            let path = self.beneath(source, Last::Followed)?;
            ops::read(&path, || {})?;
            paths.push(path);
        }
        Ok((paths, self.creatable(target)?))
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn json_of<T: serde::Serialize>(answer: Answer<T>) -> Answer<Value> {
    Ok(serde_json::to_value(answer?).unwrap())
}

impl End {
    pub fn is_ok(&self) -> bool {
        matches!(self, End::Value(_))
    }

    /// Whether `found` is what was expected.
    pub fn allows(&self, found: &End) -> bool {
        match (self, found) {
            (End::Tool(errors), End::Tool(error)) => errors.split(" or ").any(|it| it == error),
            _ => self == found,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Value(value) => write!(f, "{value}"),
            End::Tool(error) => write!(f, "the error {error:?}"),
            End::Skipped(because) => write!(f, "skipped because of {because:?}"),
            End::Kind(kind) => write!(f, "{kind}"),
        }
    }
}
