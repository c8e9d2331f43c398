//! A folder with files to work on, on the file system that the build is on, and hosts whose root it is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use inorder::{Batch, Grants, Host, PathGrant, PluginSpec, Report, RunOptions, Source, Usage};
use serde_json::{Value, json};

use crate::setup::{Bench, all_ok, guest};

/// Gone when dropped.
pub struct Folder {
    dir: tempfile::TempDir,
    readers: Vec<u8>,
}

impl Folder {
    /// In the folder that was asked for, else in `target/`.
    pub fn new(bench: &Bench) -> anyhow::Result<Folder> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let readers = guest("readers")?;
        let above = bench.folder.as_ref().unwrap_or(&target);
        Ok(Folder { dir: tempfile::Builder::new().prefix("bench").tempdir_in(above)?, readers })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn readers(&self) -> &[u8] {
        &self.readers
    }

    pub fn file(&self, name: &str, length: usize) -> anyhow::Result<PathBuf> {
        self.text(name, &"0123456789abcdef".repeat(length / 16))
    }

    pub fn text(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().context("a path has a parent")?)?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// A directory of `count` small files.
    pub fn many(&self, name: &str, count: usize) -> anyhow::Result<()> {
        (0..count)
            .try_for_each(|at| self.text(&format!("{name}/file-{at:04}.txt"), "0 x").map(drop))
    }

    /// The guest `readers` with all of the folder. `jobs` calls at once; as many as by default, for none.
    pub fn host(&self, jobs: Option<usize>) -> anyhow::Result<Host> {
        let all = || vec![PathGrant::whole_root()];
        let grants = Grants { read: all(), write: all(), ..Grants::default() };
        let plugin = PluginSpec::new("readers", Source::Bytes(self.readers.clone()), grants);
        let mut host = Host::builder().root(self.path()).plugin(plugin);
        if let Some(jobs) = jobs {
            host = host.jobs(jobs);
        }
        Ok(host.build()?)
    }

    /// As `df` names it.
    pub fn file_system(&self) -> String {
        const KNOWN: [(u64, &str); 5] = [
            (0xef53, "ext4"),
            (0x5846_5342, "xfs"),
            (0x9123_683e, "btrfs"),
            (0x0102_1994, "tmpfs"),
            (0x794c_7630, "overlayfs"),
        ];
        let Ok(found) = rustix::fs::statfs(self.path()) else { return "unknown".to_owned() };
        let kind = u64::try_from(found.f_type).unwrap_or_default();
        let name = KNOWN.iter().find(|(number, _)| *number == kind);
        name.map_or_else(|| format!("{kind:#x}"), |(_, name)| (*name).to_owned())
    }
}

/// Runs calls of `(tool, args)` as one batch, all of which must be ok.
pub async fn run(host: &Host, calls: &[Value], options: RunOptions) -> anyhow::Result<Report> {
    let text = json!({"calls": calls}).to_string();
    let plan = host.plan(Batch::from_json(text.as_bytes())?)?;
    let report = host.execute(plan, options).await;
    all_ok(&report)?;
    ensure!(report.all_ok(), "the batch was not committed");
    Ok(report)
}

#[expect(clippy::needless_pass_by_value, reason = "so that a call reads as one line")]
pub fn call(tool: &str, args: Value) -> Value {
    json!({"tool": tool, "args": args})
}

/// What the first call took.
pub fn usage(report: &Report) -> Usage {
    report.results.first().map(|outcome| outcome.usage).unwrap_or_default()
}
