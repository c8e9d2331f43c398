//! Commits that are cut off, refused or disturbed: a host killed at any moment leaves the files as some first
//! calls of its batch would, and what others write meanwhile is not lost.
//!
//! `kill` kills the binary, `many` a host of many batches, `cut` cuts the journal, `refused` lets the system refuse, `outside` edits files beside
//! running hosts, `undone` takes batches back, `theirs` edits what was cut off. Random batches and what they must give are `serial`'s.

mod cut;
mod kill;
mod many;
mod outside;
mod refused;
mod theirs;
mod undone;

use std::path::{Path, PathBuf};
use std::process::Command;

use inorder::{Host, PluginSpec};

use crate::serial::generate::{Batch, Ingredients, batch};
use crate::serial::oracle;
use crate::serial::render::READER;
use crate::serial::tree::Tree;
use crate::support::{grants, inorder, repository};

/// A fixed seed: a gate that fails today fails tomorrow.
const SEED: u64 = 20_260_201;

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}"))
}

/// Not `eprintln!`, which the test harness keeps to itself when a test passes.
fn tell(line: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
}

/// A root, beside one for the oracle and room for what the test needs.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        for name in ["files", "plain/root"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Place { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    fn tree(&self) -> Tree {
        Tree::read(&self.root()).unwrap()
    }

    /// Opens the root as any host does, which puts it in order.
    fn reopen(&self) -> Result<(), String> {
        let host = Host::builder().root(self.root()).build();
        host.map(drop).map_err(|error| error.to_string())
    }

    /// The trees before the batch and after each of its calls, one at a time.
    fn states(&self, batch: &Batch) -> Vec<Tree> {
        let plain = self.dir.path().join("plain/root");
        batch.before.lay_out(&plain).unwrap();
        let mut states = vec![Tree::read(&plain).unwrap()];
        oracle::run_each(&plain, batch, || states.push(Tree::read(&plain).unwrap()));
        states
    }

    fn undo(&self) -> Command {
        let mut undo = inorder();
        undo.args(["undo", "--root"]).arg(self.root());
        undo
    }

    /// The binary, about to run a batch here.
    fn command(&self, guest: &Path, batch: &Batch) -> Command {
        let file = self.dir.path().join("batch.json");
        std::fs::write(&file, batch.to_json().to_string()).unwrap();
        let mut command = inorder();
        command
            .arg("run")
            .arg(file)
            .arg("--root")
            .arg(self.root())
            .arg("--plugin")
            .arg(guest)
            .arg("--plugin")
            .arg(format!("{}={}", READER.trim_end_matches('_'), guest.display()))
            .args(["--allow-read", "**", "--allow-write", "**", "--json", "-j"])
            .arg(batch.jobs.to_string());
        command
    }

    /// A host of the library here.
    fn host(&self, guest: &PluginSpec, jobs: usize) -> Host {
        let plugin = |name: &str, prefix: &str, grants| PluginSpec {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            grants,
            ..guest.clone()
        };
        Host::builder()
            .root(self.root())
            .plugin(plugin("fileops", "", grants(&[], &["**"])))
            .plugin(plugin("reader", READER, grants(&["**"], &[])))
            .jobs(jobs)
            .cache(repository().join("target/test-cache/serial"))
            .build()
            .unwrap()
    }

    fn journals(&self) -> Vec<PathBuf> {
        let batches = std::fs::read_dir(self.root().join(".inorder/batches"));
        let Ok(batches) = batches else { return vec![] };
        let journals = batches.filter_map(|it| Some(it.ok()?.path().join("journal")));
        journals.filter(|it| it.is_file()).collect()
    }
}

fn random(seed: u64) -> Batch {
    batch(seed, Ingredients { failures: true, slashes: false })
}
