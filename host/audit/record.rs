//! What is told of one call, in bounds: a plugin chooses how much it reads and what it is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Where records go. Called from the loops that run calls: to be quick, and not to call the host.
pub trait AuditSink: std::fmt::Debug + Send + Sync {
    /// Takes the record of a call that has ended.
    fn record(&self, record: &AuditRecord);

    /// The files that it writes, none of which a plugin may write.
    fn files(&self) -> Vec<PathBuf> {
        vec![]
    }
}

/// How one call ended, and what it did. Its JSON form is a line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When the call ended: RFC 3339, in UTC.
    pub time: String,
    /// Of the batch, or of the session.
    pub batch: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    pub call: String,
    pub tool: String,
    /// None where no plugin has that tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginId>,
    /// Of a call that came to have any: one that was refused before it could run has none.
    #[serde(flatten)]
    pub arguments: Option<Arguments>,
    /// `ok`, or the kind of error.
    pub outcome: String,
    /// What was to become of the changes: `commit`, `dry_run`, `atomic`.
    pub effect: &'static str,
    /// Whether the changes of an atomic batch were made real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<bool>,
    /// Paths whose content, names or times it has read, in its last run.
    pub read: Listed<String>,
    /// Paths that it has changed.
    pub wrote: Listed<String>,
    /// What it was refused, in its last run.
    pub denied: Listed<Denied>,
    /// Requests that it has sent, in all of its runs; each once.
    #[serde(skip_serializing_if = "Listed::is_empty")]
    pub requested: Listed<Request>,
    /// Requests that it was refused, in its last run.
    #[serde(skip_serializing_if = "Listed::is_empty")]
    pub denied_requests: Listed<DeniedRequest>,
    /// What somebody was asked, in order, and what was answered.
    #[serde(skip_serializing_if = "Listed::is_empty")]
    pub asked: Listed<AskedRule>,
    pub attempts: u32,
    #[serde(rename = "queued_ms", serialize_with = "as_millis")]
    pub queued: Duration,
    #[serde(rename = "run_ms", serialize_with = "as_millis")]
    pub run: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginId {
    pub name: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arguments {
    /// SHA-256 of their JSON text, without spaces and with the fields in the order given, in hexadecimal.
    #[serde(rename = "arguments_sha256")]
    pub sha256: String,
    /// Themselves, if they were asked for.
    #[serde(rename = "arguments", skip_serializing_if = "Option::is_none")]
    pub text: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Denied {
    pub path: String,
    /// `read` or `write`.
    pub access: &'static str,
    /// `policy` (the grants do not cover it), `declaration` (the tool said that it would not), `other_names` (the file
    /// has names that are not granted), `outside` (the path leads out of all roots).
    pub by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Request {
    pub method: String,
    /// As in `https://api.example.org`. Paths are not told: they may hold what people typed.
    pub origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DeniedRequest {
    #[serde(flatten)]
    pub request: Request,
    /// `policy` (the grants do not cover the host), `address` (it leads to an address that is not granted as such),
    /// `plaintext` (a secret goes there, and it is not `https`), `effect` (it cannot be taken back, in a dry run or an
    /// atomic batch), `asked` (somebody was to be asked, and did not agree), `method`.
    pub by: &'static str,
}

/// A rule of `ask` that matched, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedRule {
    pub rule: String,
    /// `yes`, `no`, `nobody` (there was nobody to ask), `cancelled` (nobody waited for the answer any more).
    pub answer: &'static str,
}

/// The first of something, in order, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<Value>", bound = "T: Clone + Serialize")]
pub struct Listed<T> {
    pub first: Vec<T>,
    pub more: usize,
}

const MOST_LISTED: usize = 100;
/// Characters of one name or path.
const MOST_TEXT: usize = 300;

impl<T: Ord> Listed<T> {
    pub fn new(all: impl Iterator<Item = T>) -> Listed<T> {
        let mut first: Vec<T> = all.collect();
        first.sort_unstable();
        first.dedup();
        let more = first.len().saturating_sub(MOST_LISTED);
        first.truncate(MOST_LISTED);
        Listed { first, more }
    }
}

impl<T> Listed<T> {
    /// Those of `all`, as they are.
    pub fn in_order(mut all: Vec<T>) -> Listed<T> {
        let more = all.len().saturating_sub(MOST_LISTED);
        all.truncate(MOST_LISTED);
        Listed { first: all, more }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

impl<T: Serialize> From<Listed<T>> for Vec<Value> {
    fn from(listed: Listed<T>) -> Vec<Value> {
        let first = listed.first.iter().map(|one| serde_json::to_value(one).unwrap_or_default());
        let more = (listed.more > 0).then(|| serde_json::json!({ "more": listed.more }));
        first.chain(more).collect()
    }
}

/// Text that others choose, cut where it is long.
pub fn bounded(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// SHA-256 of the JSON text of a value, in hexadecimal.
pub fn digest(value: &impl Serialize) -> String {
    struct Hash(Sha256);
    impl std::io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    // JSON of what came as JSON, into a sink that takes everything.
    let _ = serde_json::to_writer(&mut hash, value);
    hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_millis<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_micros() as f64 / 1000.0)
}

/// A host's records on their way to its sink.
pub struct Trail {
    sink: Arc<dyn AuditSink>,
    with_arguments: bool,
    /// Tells the hosts that write one log apart.
    began: String,
    batches: AtomicU64,
}

impl Trail {
    pub fn new(sink: Arc<dyn AuditSink>, with_arguments: bool) -> Trail {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = format!("{:x}-{:x}", since.as_micros(), std::process::id());
        Trail { sink, with_arguments, began, batches: AtomicU64::new(1) }
    }

    /// The name of one more batch or session.
    pub fn batch(&self) -> String {
        format!("{}-{}", self.began, self.batches.fetch_add(1, Ordering::Relaxed))
    }

    /// `fields` are the same as `arguments`, and asked for only if they are to be told.
    pub fn arguments(
        &self,
        arguments: &impl Serialize,
        fields: impl FnOnce() -> Map<String, Value>,
    ) -> Arguments {
        let text = self.with_arguments.then(fields);
        Arguments { sha256: digest(arguments), text }
    }

    pub fn record(&self, record: &AuditRecord) {
        self.sink.record(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_the_first_in_order_and_how_many_more() {
        let listed = Listed::new((0..250).rev().chain(0..250).map(|n| format!("{n:03}")));
        assert_eq!((listed.first.len(), listed.more), (100, 150));
        assert_eq!((&*listed.first[0], &*listed.first[99]), ("000", "099"));
        let json = serde_json::to_value(&listed).unwrap();
        assert_eq!(json[100], serde_json::json!({"more": 150}));
    }

    #[test]
    fn arguments_are_told_by_their_digest() {
        // printf '{"a":1}' | sha256sum
        assert_eq!(
            digest(&serde_json::json!({"a": 1})),
            "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
        );
        assert_eq!(bounded(&"é".repeat(400)).chars().count(), 302);
    }
}
