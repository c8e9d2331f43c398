//! One file operation per function: what each does is in `ops.rs`, how it may be made slow or made to fail is here.

use std::time::Duration;

wit_bindgen::generate!({ path: "fileops.wit", world: "fileops-guest" });

mod names;
mod ops;

use exports::test::fileops::fileops::{Failing, Guest, StatResult};
use ops::{Answer, Stat};

struct Fileops;
export!(Fileops);

impl Guest for Fileops {
    fn read(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<String> {
        finish(ops::read(path.as_ref(), pause(slow)), fail)
    }

    fn read_at(
        path: String,
        offset: u64,
        length: u32,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<String> {
        finish(ops::read_at(path.as_ref(), offset, length, pause(slow)), fail)
    }

    fn write(
        path: String,
        text: String,
        times: Option<u32>,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::write(path.as_ref(), &text, times.unwrap_or(1), pause(slow)), fail)
    }

    fn create_new(
        path: String,
        text: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::create_new(path.as_ref(), &text, pause(slow)), fail)
    }

    fn append(
        path: String,
        text: String,
        times: Option<u32>,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::append(path.as_ref(), &text, times.unwrap_or(1), pause(slow)), fail)
    }

    fn replace(
        path: String,
        old: String,
        new: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<u32> {
        finish(ops::replace(path.as_ref(), &old, &new, pause(slow)), fail)
    }

    fn copy(
        source: String,
        target: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::copy(source.as_ref(), target.as_ref(), pause(slow)), fail)
    }

    fn join(
        sources: Vec<String>,
        target: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::join(&sources, target.as_ref(), pause(slow)), fail)
    }

    fn write_at(
        path: String,
        offset: u64,
        text: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::write_at(path.as_ref(), offset, &text, pause(slow)), fail)
    }

    fn truncate(path: String, size: u64, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::truncate(path.as_ref(), size, pause(slow)), fail)
    }

    fn rename(
        source: String,
        target: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::rename(source.as_ref(), target.as_ref(), pause(slow)), fail)
    }

    fn remove(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::remove(path.as_ref(), pause(slow)), fail)
    }

    fn mkdir(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::mkdir(path.as_ref(), pause(slow)), fail)
    }

    fn rmdir(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::rmdir(path.as_ref(), pause(slow)), fail)
    }

    fn list(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<Vec<String>> {
        finish(ops::list(path.as_ref(), pause(slow)), fail)
    }

    fn walk(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<Vec<String>> {
        finish(ops::walk(path.as_ref(), pause(slow)), fail)
    }

    fn stat(
        path: String,
        follow: bool,
        mtime: bool,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<StatResult> {
        let stat = ops::stat(path.as_ref(), follow, mtime, pause(slow));
        finish(
            stat.map(|Stat { kind, size, mtime }| StatResult {
                kind: kind.to_owned(),
                size,
                mtime,
            }),
            fail,
        )
    }

    fn touch(path: String, mtime: u64, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::touch(path.as_ref(), mtime, pause(slow)), fail)
    }

    fn symlink(
        target: String,
        path: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::symlink(&target, path.as_ref(), pause(slow)), fail)
    }

    fn readlink(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<String> {
        finish(ops::readlink(path.as_ref(), pause(slow)), fail)
    }

    fn hard_link(
        source: String,
        target: String,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<()> {
        finish(ops::hard_link(source.as_ref(), target.as_ref(), pause(slow)), fail)
    }

    fn exists_all(
        paths: Vec<String>,
        slow: Option<u32>,
        fail: Option<Failing>,
    ) -> Answer<Vec<bool>> {
        finish(ops::exists_all(&paths, pause(slow)), fail)
    }

    fn remove_tree(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::remove_tree(path.as_ref(), pause(slow)), fail)
    }

    fn create_tree(path: String, slow: Option<u32>, fail: Option<Failing>) -> Answer<()> {
        finish(ops::create_tree(path.as_ref(), pause(slow)), fail)
    }
}

fn pause(slow: Option<u32>) -> impl FnOnce() {
    move || {
        if let Some(ms) = slow {
            std::thread::sleep(Duration::from_millis(ms.into()));
        }
    }
}

/// The end of a call that has done its work.
fn finish<T>(answer: Answer<T>, fail: Option<Failing>) -> Answer<T> {
    let value = answer?;
    match fail {
        None => Ok(value),
        Some(Failing::Err) => Err("asked to fail".to_owned()),
        Some(Failing::Trap) => panic!("asked to trap"),
    }
}
