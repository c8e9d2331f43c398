//! `inorder dev`: builds a plugin whenever its sources change, loads it, and shows what it gives.
//!
//! One thing after the other: a build, then what came of it, then the next change, of which one during a build or a call is
//! not lost. Which files are sources is `sources`, how one is built `build`, what is printed `show`.

mod build;
mod show;
mod sources;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::Ending;
use crate::check;
use crate::load::HostArgs;
use crate::print::{bad, bold, dim, good, line, plain, say, time};
use crate::run::Runner;
use crate::watch::Watch;
use build::Built;
use show::Wanted;
use sources::Sources;

/// Build a plugin whenever its sources change, and try it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder dev word-tools                                   build, load and list its tools, at each change
  inorder dev . --call 'word_count path=sample.txt' --allow-read '*.txt'
  inorder dev . --call 'greet {\"name\": \"A. B.\"}' --batch test.json --allow-read '**'

Runs ./build.sh in the folder, which `inorder new` has made. Sources are all files but hidden ones, those of .gitignore,
`target`, `node_modules` and .wasm files. Calls see the folder as `.`, with what is granted here, and are dry runs: what they
would change is shown. For an MCP client, `inorder serve --plugin word-tools/word-tools.wasm` loads each build by itself. Ctrl-C ends it.")]
pub struct Args {
    /// The plugin's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// A call to make after each build: a tool, and `name=value` for each argument or one JSON object
    #[arg(long, value_name = "CALL")]
    call: Vec<Wanted>,
    /// A batch to run after each build
    #[arg(long, value_name = "FILE")]
    batch: Vec<PathBuf>,
    /// What the build makes [default: the newest .wasm file in the folder]
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    #[command(flatten)]
    host: HostArgs,
}

/// A file that builds change so often in a row, while nobody else changes anything, is made by them.
const OWN: usize = 3;

/// What stays the same from build to build.
struct Bench<'a> {
    args: &'a Args,
    folder: PathBuf,
    host: HostArgs,
    runner: Runner,
    /// Names of tools that a plugin had better not have too.
    builtin: BTreeSet<String>,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let folder = args.folder.canonicalize();
    let folder = folder.with_context(|| format!("there is no folder {}", args.folder.display()))?;
    let script = folder.join("build.sh");
    if !script.is_file() {
        bail!(
            "{} has no build.sh, which builds a plugin into one .wasm file there; `inorder new` makes such a folder",
            folder.display()
        );
    }
    let mut host = args.host.clone();
    host.root_unless_given(&folder);
    let builtin = check::builtin_tools(host.load())?;
    let runner = Runner::start()?;
    let bench = Bench { args, folder, host, runner, builtin };
    let ended = bench.run(&script);
    bench.runner.end();
    ended.map(|()| Ending::AllOk)
}

impl Bench<'_> {
    fn run(&self, script: &Path) -> anyhow::Result<()> {
        let mut watch = Watch::new(Sources::new(self.folder.clone()));
        let mut in_a_row = 0;
        loop {
            let began = Instant::now();
            say(dim("building"));
            match self.runner.wait(build::run(script, self.runner.cancelled()))? {
                Built::Cancelled => return Ok(()),
                Built::Failed(status) => {
                    say(format_args!("{}: {status}", bad("the build failed")));
                }
                Built::Missing => {
                    say(format_args!("{} {}", bad("there is no"), script.display()));
                }
                Built::Ok => self.show(began.elapsed()),
            }
            if self.runner.is_cancelled() {
                return Ok(());
            }
            let meanwhile = watch.differs();
            in_a_row = if meanwhile.is_empty() { 0 } else { in_a_row + 1 };
            if in_a_row >= OWN {
                for file in &meanwhile {
                    let file = file.strip_prefix(&self.folder).unwrap_or(file);
                    say(dim(format!(
                        "{} is written by the build, and no longer watched",
                        plain(&file.display().to_string())
                    )));
                }
                watch.refine(|sources| sources.leave_out(meanwhile));
            }
            if watch.differs().is_empty() {
                say(dim("waiting for changes"));
            }
            let changed = self.runner.wait(async {
                tokio::select! {
                    changed = watch.changed() => Some(changed),
                    () = self.runner.cancelled().cancelled() => None,
                }
            });
            let Some(changed) = changed else { return Ok(()) };
            self.say_what_changed(&changed);
        }
    }

    /// What is wrong with a build is its author's to see, and no end.
    fn show(&self, took: Duration) {
        if let Err(error) = self.try_out(took) {
            say(format_args!("{}: {}", bad("error"), plain(&format!("{error:#}"))));
        }
    }

    fn try_out(&self, took: Duration) -> anyhow::Result<()> {
        let component = match &self.args.wasm {
            Some(path) => path.clone(),
            None => show::component(&self.folder)?,
        };
        let began = Instant::now();
        let host = self.host.with_plugin(&component).host()?;
        let name = component.file_stem().unwrap_or_default().to_string_lossy();
        let Some(plugin) = host.plugins().find(|plugin| plugin.name == name) else {
            bail!("{} was not loaded", component.display());
        };
        say(format_args!(
            "{} built in {}, loaded in {}",
            good(line(&name, 60)),
            time(took),
            time(began.elapsed())
        ));
        show::plugin(plugin, &self.builtin)?;
        for wanted in &self.args.call {
            self.unless_it_fails(show::call(&host, &self.runner, wanted));
        }
        for file in &self.args.batch {
            say(bold(plain(&file.display().to_string())));
            self.unless_it_fails(show::batch(&host, &self.runner, file));
        }
        Ok(())
    }

    /// The other calls are made all the same.
    fn unless_it_fails(&self, shown: anyhow::Result<()>) {
        if let Err(error) = shown {
            say(format_args!("{}: {}", bad("error"), plain(&format!("{error:#}"))));
        }
    }

    fn say_what_changed(&self, changed: &[PathBuf]) {
        let Some(first) = changed.first() else { return };
        let first = first.strip_prefix(&self.folder).unwrap_or(first);
        let more = match changed.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        say(dim(format!("{}{more} changed", line(&first.display().to_string(), 60))));
    }
}
