//! `inorder new`: a folder with a plugin that works, in the language of one's choice, to be changed from there.
//!
//! It writes files and runs nothing: toolchains are the business of the `build.sh` in the folder.

mod name;
mod templates;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::Ending;
use crate::print::{bold, dim, out_styled, plain};
use name::Name;
use templates::Language;

/// Start a plugin of your own: a folder with two tools that work, their test, and a guide
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  inorder new word-tools --lang python
  cd word-tools && ./build.sh && ./test.sh

The folder holds the WIT that says what the tools take and give, their source, a script that builds
them into one .wasm file, a test, and a README about writing tools in that language.")]
pub struct Args {
    /// The plugin's name, in lowercase words with dashes between them; the folder is called so
    #[arg(value_parser = Name::parse)]
    name: Name,
    /// What to write the tools in
    #[arg(long, short, value_enum)]
    lang: Language,
    /// Where to put it, if not into a folder of its name
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub fn main(args: &Args) -> anyhow::Result<Ending> {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    let shown = plain(&dir.display().to_string());
    let cannot = || format!("cannot write into {shown}");
    std::fs::create_dir_all(&dir).with_context(cannot)?;
    if std::fs::read_dir(&dir).with_context(cannot)?.next().is_some() {
        bail!("{shown} is not empty: name another folder with --dir, or move away what is in it");
    }
    let files = args.lang.files();
    for file in &files {
        let path = dir.join(args.name.put_into(file.path));
        write(&path, &args.name.put_into(&file.text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    out_styled(&next_steps(&shown, args, files.len()))?;
    Ok(Ending::AllOk)
}

/// Writes a file that is not there yet, and the folders above it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let script = path.extension().is_some_and(|it| it == "sh");
    let mode = if script { 0o777 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn next_steps(shown: &str, args: &Args, files: usize) -> String {
    let name = args.name.as_str();
    let steps = [
        (format!("cd {shown}"), String::new()),
        ("./build.sh".to_owned(), args.lang.needs()),
        ("./test.sh".to_owned(), "runs the tools, and compares what they give".to_owned()),
        (format!("inorder call greet name=Ada --plugin {name}.wasm"), String::new()),
    ];
    let mut text = format!("{}: {files} files. Next:\n\n", bold(shown));
    for (command, about) in steps {
        let about = if about.is_empty() { String::new() } else { format!("   # {about}") };
        text.push_str(&format!("  {command}{}\n", dim(about)));
    }
    text.push_str("\nREADME.md there says how to go on.\n");
    text
}
