//! The file of a conversation: one JSON line for each thing that happened, written before the next is done.
//!
//! Results are kept before they are sent, and so never asked for twice. A process that is killed leaves whole lines but for
//! the last, which then counts as not written. No key is ever in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::{Api, Tokens};
use super::tally::Tally;
use crate::HostFault;

/// Of the lines as they are written.
const VERSION: u32 = 1;

/// Of a file that is continued: all of it is sent.
const MOST_BYTES: u64 = 512 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Start(Start),
    /// What a person said, as a message of the API.
    User(Value),
    /// An answer of the model; no message if it was empty.
    Answer { message: Option<Value>, tokens: Tokens },
    /// What its calls came to, as messages of the API.
    Results { messages: Vec<Value>, calls: usize, failed: usize, elapsed_ms: f64, run_ms: f64 },
    /// Why the agent stopped, and what it took since it was last started.
    End { reason: String, tally: Tally },
}

impl Record {
    /// What it adds to the conversation.
    pub fn messages(&self) -> &[Value] {
        match self {
            Record::User(message) => std::slice::from_ref(message),
            Record::Answer { message, .. } => message.as_slice(),
            Record::Results { messages, .. } => messages,
            Record::Start(_) | Record::End { .. } => &[],
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    pub version: u32,
    pub time: String,
    pub api: Api,
    pub base_url: String,
    pub model: String,
    pub system: String,
    /// Where it was started.
    pub directory: PathBuf,
}

/// Held open, and locked, as long as it is written to.
pub struct Transcript {
    path: PathBuf,
    file: File,
}

impl Start {
    pub fn new(api: Api, base_url: &str, model: &str, system: &str, directory: &Path) -> Start {
        Start {
            version: VERSION,
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            api,
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            system: system.to_owned(),
            directory: directory.to_owned(),
        }
    }
}

impl Transcript {
    /// A new file, which only its owner can read.
    pub fn create(path: &Path) -> anyhow::Result<Transcript> {
        let named = || format!("cannot make the transcript {}", path.display());
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(named)?;
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(path);
        if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            bail!("{0} is there already: --resume {0} continues it", path.display());
        }
        let file = opened.with_context(named)?;
        lock(&file, path)?;
        Ok(Transcript { path: path.to_owned(), file })
    }

    /// What a file holds, to be continued in it.
    pub fn reopen(path: &Path) -> anyhow::Result<(Transcript, Start, Vec<Record>)> {
        let named = || format!("cannot read the transcript {}", path.display());
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(path).with_context(named)?;
        lock(&file, path)?;
        let mut text = Vec::new();
        (&mut file).take(MOST_BYTES + 1).read_to_end(&mut text).with_context(named)?;
        if text.len() as u64 > MOST_BYTES {
            let most = bytesize::ByteSize(MOST_BYTES);
            bail!("the transcript {} has more than {most}", path.display());
        }
        let (records, kept) = parse(&text).with_context(named)?;
        let mut records = records.into_iter();
        let start = match records.next() {
            Some(Record::Start(start)) if start.version == VERSION => start,
            Some(Record::Start(start)) => bail!(
                "the transcript {} is of version {}, and this program knows version {VERSION}",
                path.display(),
                start.version
            ),
            Some(_) => bail!("{} is no transcript: it does not begin as one", path.display()),
            None => bail!("the transcript {} is empty", path.display()),
        };
        let cut = || format!("cannot write the transcript {}", path.display());
        file.set_len(kept as u64).with_context(cut)?;
        file.seek(SeekFrom::End(0)).with_context(cut)?;
        // The last line may be whole but for its end.
        if !text[..kept].ends_with(b"\n") {
            file.write_all(b"\n").with_context(cut)?;
        }
        Ok((Transcript { path: path.to_owned(), file }, start, records.collect()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// It cannot be written: what is not kept must not be done.
    pub fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        let line = serde_json::to_string(record)? + "\n";
        self.append(line.as_bytes()).map_err(|error| {
            let path = self.path.display();
            HostFault(format!("cannot write the transcript {path}: {error}")).into()
        })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let end = self.file.stream_position()?;
        let written = self.file.write_all(line);
        if written.is_err() {
            // The next record would go on with half a line, and the file be none that can be continued.
            self.file.set_len(end)?;
            self.file.seek(SeekFrom::Start(end))?;
        }
        written
    }
}

/// A file that nobody named: its name tells when, and sorts by it.
pub fn new_place(dir: &Path) -> PathBuf {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    dir.join(format!("{}-{}.jsonl", time.replace(':', "-"), std::process::id()))
}

/// The newest file of those that were begun in `directory`.
pub fn newest(dir: &Path, directory: &Path) -> anyhow::Result<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|it| it == "jsonl"));
    paths.sort();
    let here = |path: &PathBuf| began(path).is_some_and(|start| start.directory == directory);
    paths.into_iter().rev().find(here).with_context(|| {
        format!(
            "no transcript in {} was begun in this directory: --resume FILE names one",
            dir.display()
        )
    })
}

/// How a file says that it was begun.
fn began(path: &Path) -> Option<Start> {
    let mut line = String::new();
    // Longer than any first line but one with a very long system prompt.
    BufReader::new(File::open(path).ok()?).take(1 << 20).read_line(&mut line).ok()?;
    match serde_json::from_str(&line).ok()? {
        Record::Start(start) => Some(start),
        _ => None,
    }
}

fn lock(file: &File, path: &Path) -> anyhow::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            bail!("the transcript {} is in use by another process", path.display())
        }
        Err(TryLockError::Error(error)) => {
            // Some file systems have no locks, and then nobody holds one.
            tracing::debug!(%error, "the transcript cannot be locked");
            Ok(())
        }
    }
}

/// The records, and how many bytes they are: a last line that was not written to its end is none.
fn parse(text: &[u8]) -> anyhow::Result<(Vec<Record>, usize)> {
    let of = |number: usize| format!("line {} is no record of a transcript", number + 1);
    let (mut records, mut kept) = (Vec::new(), 0);
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(record) => {
                check(&record).map_err(|why| anyhow!("{}: {why}", of(number)))?;
                records.push(record);
            }
            Err(_) if line.iter().all(u8::is_ascii_whitespace) => {}
            Err(_) if !line.ends_with(b"\n") => break,
            Err(error) => bail!("{}: {error}", of(number)),
        }
        kept += line.len();
    }
    Ok((records, kept))
}

/// Whether its messages are what both APIs have as such; people edit transcripts.
fn check(record: &Record) -> Result<(), &'static str> {
    for message in record.messages() {
        if !message["role"].is_string() {
            return Err("a message has to be an object with a `role`");
        }
        let blocks = message["content"].as_array();
        if !blocks.is_none_or(|blocks| blocks.iter().all(Value::is_object)) {
            return Err("the `content` of a message has to be text, or a list of objects");
        }
    }
    Ok(())
}
