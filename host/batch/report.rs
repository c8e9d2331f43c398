//! How every call ended: [`Report`], one [`Outcome`] a call, in the order of the request.
//!
//! Knows nothing of how an outcome came about. Its JSON form is the answer of `run --json`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::json::Json;

/// All outcomes of a batch, in request order; as many as it had calls.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub results: Vec<Outcome>,
    /// Wall clock from the start of the batch to its last outcome, as `elapsed_ms`.
    pub elapsed: Duration,
    /// Of a batch that was to be all or nothing: which it was.
    pub committed: Option<Committed>,
    /// Of a dry run: what would change, as a unified diff.
    pub diff: Option<String>,
}

/// The JSON form of a report, without its results.
#[derive(Serialize)]
struct Rest<'a> {
    #[serde(rename = "elapsed_ms", serialize_with = "as_millis")]
    elapsed: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: &'a Option<Committed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: &'a Option<String>,
}

/// Whether an atomic batch was made real.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Committed {
    Yes,
    /// Nothing was changed.
    No {
        because: String,
    },
}

impl Report {
    /// Its JSON form, on one line: what it is serialized as, and faster, since values are text already.
    ///
    /// # Errors
    /// As of `serde_json`, of which none is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut text = b"{\"results\":[".to_vec();
        for (index, outcome) in self.results.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            outcome.write_json(&mut text)?;
        }
        text.push(b']');
        let end = text.len();
        serde_json::to_writer(&mut text, &self.rest())?;
        text[end] = b',';
        String::from_utf8(text).map_err(serde::ser::Error::custom)
    }

    fn rest(&self) -> Rest<'_> {
        let Report { elapsed, committed, diff, .. } = self;
        Rest { elapsed: *elapsed, committed, diff }
    }

    /// Whether every call was ok, and what was to be committed was.
    pub fn all_ok(&self) -> bool {
        let committed = !matches!(self.committed, Some(Committed::No { .. }));
        committed && self.results.iter().all(|outcome| outcome.result.is_ok())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            results: &'a [Outcome],
            #[serde(flatten)]
            rest: Rest<'a>,
        }
        Whole { results: &self.results, rest: self.rest() }.serialize(serializer)
    }
}

/// Something that is held for as long as this is there.
pub(crate) type Held = Arc<dyn fmt::Debug + Send + Sync>;

/// How one call ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub id: String,
    pub tool: String,
    pub result: Result<Json, CallError>,
    /// The result of a call that asked for bytes ([`Binary`](super::Binary)), if it gives some; `result` is null then.
    pub bytes: Option<Bytes>,
    pub usage: Usage,
    /// What the call changed in the files, by path.
    pub changes: Vec<Change>,
    /// What the plugin wrote to its standard output and error, lossily decoded.
    pub stdout: String,
    pub stderr: String,
    /// Until it is handed over, its part of what all calls of the host may hold.
    pub(crate) _held: Option<Held>,
}

/// `status` in the JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Error,
    Skipped,
}

impl Outcome {
    /// For whoever is given it, and may keep it for long: it holds nothing of the host's any more.
    pub(crate) fn handed_over(mut self) -> Outcome {
        self._held = None;
        self
    }

    pub fn status(&self) -> Status {
        match &self.result {
            Ok(_) => Status::Ok,
            Err(error) if error.kind == ErrorKind::Skipped => Status::Skipped,
            Err(_) => Status::Error,
        }
    }
}

/// What comes before the value of an outcome in its JSON form, and what comes after.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    tool: &'a str,
    status: Status,
}

#[derive(Serialize)]
struct Tail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a CallError>,
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    changes: &'a [Change],
    #[serde(skip_serializing_if = "str::is_empty")]
    stdout: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: &'a str,
    usage: &'a Usage,
}

impl Outcome {
    fn parts(&self) -> (Head<'_>, Option<&Json>, Tail<'_>) {
        let head = Head { id: &self.id, tool: &self.tool, status: self.status() };
        let tail = Tail {
            error: self.result.as_ref().err(),
            changes: &self.changes,
            stdout: &self.stdout,
            stderr: &self.stderr,
            usage: &self.usage,
        };
        (head, self.result.as_ref().ok(), tail)
    }

    fn write_json(&self, to: &mut Vec<u8>) -> serde_json::Result<()> {
        let (head, value, tail) = self.parts();
        serde_json::to_writer(&mut *to, &head)?;
        to.pop();
        if let Some(value) = value {
            to.extend_from_slice(b",\"value\":");
            to.extend_from_slice(value.text().as_bytes());
        }
        let end = to.len();
        serde_json::to_writer(&mut *to, &tail)?;
        to[end] = b',';
        Ok(())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            head: Head<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            value: Option<&'a Json>,
            #[serde(flatten)]
            tail: Tail<'a>,
        }
        let (head, value, tail) = self.parts();
        Whole { head, value, tail }.serialize(serializer)
    }
}

/// A change of one path. Paths are relative to the first root, or absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Created(String),
    Modified(String),
    Removed(String),
    Renamed { from: String, to: String },
}

impl Change {
    /// Where the change is seen in the end.
    pub fn path(&self) -> &str {
        match self {
            Change::Created(path) | Change::Modified(path) | Change::Removed(path) => path,
            Change::Renamed { to, .. } => to,
        }
    }

    /// Every path that it names.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let other = match self {
            Change::Renamed { from, .. } => Some(&**from),
            _ => None,
        };
        std::iter::once(self.path()).chain(other)
    }
}

/// Why a call has no value. Data, never an `Err` of the host.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: ErrorKind,
    /// What happened, to what, and what would help.
    pub message: String,
    /// The error value that the tool itself returned ([`ErrorKind::Tool`] alone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<Value>>,
    /// The id of the call whose failure caused this one ([`ErrorKind::Skipped`] alone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl CallError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> CallError {
        CallError { kind, message: message.into(), value: None, because: None }
    }

    pub fn skipped(because: &str) -> CallError {
        let message = format!("not run: the call {because:?}, whose result it uses, has failed");
        CallError { because: Some(because.to_owned()), ..Self::new(ErrorKind::Skipped, message) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The tool answered with its own error.
    Tool,
    /// The arguments do not fit the tool's parameters, or are larger than the limit.
    Arguments,
    /// No loaded plugin has a tool of that name.
    UnknownTool,
    /// Policy, or the tool's own declaration, did not allow what the call tried.
    Denied,
    /// The guest trapped: a panic, an out-of-bounds access, a stack overflow, an exit.
    Trap,
    /// The wall-clock limit passed.
    Timeout,
    /// The memory limit was reached.
    Memory,
    /// The result or the captured output is larger than the limit.
    Output,
    /// More handles were held at once than the limit.
    Handles,
    /// More random bytes were asked for at once than the limit.
    Random,
    /// More changes of files were to wait for their commit than the limit.
    Staged,
    /// Bodies of requests and of their answers were larger than the limit.
    Net,
    /// The batch was cancelled before the call ended.
    Cancelled,
    /// A call whose result this one uses has failed.
    Skipped,
    /// What the call read was changed from outside again and again.
    Conflict,
    /// Too many calls of the host have not ended; this one was not run.
    Busy,
    /// The host failed, not the plugin.
    Host,
}

impl ErrorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Tool => "tool",
            ErrorKind::Arguments => "arguments",
            ErrorKind::UnknownTool => "unknown_tool",
            ErrorKind::Denied => "denied",
            ErrorKind::Trap => "trap",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Memory => "memory",
            ErrorKind::Output => "output",
            ErrorKind::Handles => "handles",
            ErrorKind::Random => "random",
            ErrorKind::Staged => "staged",
            ErrorKind::Net => "net",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Skipped => "skipped",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Busy => "busy",
            ErrorKind::Host => "host",
        }
    }
}

/// What a call cost. All zero for a call that never ran.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// From the start of the batch, or the issue of a loose call, until the call ran.
    #[serde(rename = "queued_ms", serialize_with = "as_millis")]
    pub queued: Duration,
    /// From making the sandbox until it was gone, in the run that counts.
    #[serde(rename = "run_ms", serialize_with = "as_millis")]
    pub run: Duration,
    /// From its turn until the files were changed.
    #[serde(rename = "commit_ms", serialize_with = "as_millis")]
    pub commit: Duration,
    /// How often it was run: more than once where what it had read was changed by an earlier call, or from outside.
    pub attempts: u32,
    /// The most linear memory that the sandbox held at once, in bytes.
    pub peak_memory: u64,
    /// Bytes of files that it read, and wrote.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

/// Milliseconds to a whole microsecond, so that reports stay readable.
fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_of_a_report_is_what_it_is_serialized_as() {
        let outcome = |result| Outcome {
            id: "a".to_owned(),
            tool: "look".to_owned(),
            result,
            bytes: None,
            usage: Usage::default(),
            changes: vec![Change::Created("x\"y".to_owned())],
            stdout: "said\n".to_owned(),
            stderr: String::new(),
            _held: None,
        };
        let error = CallError::new(ErrorKind::Tool, "no");
        let results = vec![
            outcome(Ok(json!({"a": ["\n", 1.5]}).into())),
            outcome(Err(error)),
            outcome(Ok(Json::written("[{},null]".to_owned()))),
        ];
        let full = Report {
            results,
            elapsed: Duration::from_micros(1500),
            committed: Some(Committed::No { because: "it failed".to_owned() }),
            diff: Some("+a\n".to_owned()),
        };
        for report in [full, Report::default()] {
            let text = report.to_json().unwrap();
            assert_eq!(text, serde_json::to_string(&report).unwrap());
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!(report));
        }
    }
}
