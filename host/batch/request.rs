//! The batch as it was sent: JSON text to [`Batch`].
//!
//! Checks the shape alone. Whether tools exist, arguments fit and references resolve is `plan.rs`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::args::Args;
use super::limits::LimitsConfig;
use super::references::CallRef;
use super::report::CallError;

/// The tool calls of one response of a model, in the order it gave them.
///
/// ```
/// let batch = inorder::Batch::from_json(br#"{"calls": [{"tool": "list_directory", "args": {"path": "."}}]}"#)?;
/// assert_eq!(batch.calls.len(), 1);
/// # Ok::<(), inorder::RequestError>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    #[serde(deserialize_with = "objects")]
    pub calls: Vec<Call>,
}

/// One tool with arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// How others refer to this call; its 1-based place, in decimal, where absent.
    #[serde(default)]
    pub id: Option<String>,
    pub tool: String,
    /// An object of the tool's parameters. Any value in it may be a reference:
    /// `{"$from": <id or place>, "at": <JSON Pointer>}`.
    #[serde(default)]
    pub args: Args,
    /// Calls that must have ended before this one starts, whatever their outcome.
    #[serde(default)]
    pub after: Vec<CallRef>,
    /// Limits of this call alone. They may be lower than what policy gives its plugin, not higher.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// What is known to be wrong with it: it ends as that, and is not run. The text of a batch has no such field.
    #[serde(skip)]
    pub refused: Option<CallError>,
    /// What of it is bytes beside JSON, for programs that have them; the text of a batch has no such field.
    #[serde(skip)]
    pub binary: Binary,
}

/// What a call takes and gives as bytes, and not as base64 in JSON.
#[derive(Clone, Debug, Default)]
pub struct Binary {
    /// Parameters of the type `list<u8>`, by their names in JSON; they are not in `args` then. Their lengths count into the
    /// limit `args`.
    pub args: Vec<(String, Bytes)>,
    /// Whether a result of the type `list<u8>` is to be in [`Outcome::bytes`](super::Outcome::bytes). Its length counts
    /// into the limit `result`. A call that refers to it finds null.
    pub result: bool,
}

impl Binary {
    /// The arguments as they would be in JSON alone.
    pub(crate) fn beside<'a>(&self, args: &'a Args) -> Cow<'a, Args> {
        self.written(args, |bytes| STANDARD.encode(bytes))
    }

    /// The arguments, with what `write` makes of each of these.
    pub(crate) fn written<'a>(
        &self,
        args: &'a Args,
        write: impl Fn(&Bytes) -> String,
    ) -> Cow<'a, Args> {
        if self.args.is_empty() {
            return Cow::Borrowed(args);
        }
        let mut all = args.as_map().clone();
        for (name, bytes) in &self.args {
            all.insert(name.clone(), write(bytes).into());
        }
        Cow::Owned(all.into())
    }
}

impl Call {
    /// One of which only this is said.
    pub fn new(tool: impl Into<String>, args: impl Into<Args>) -> Call {
        Call {
            id: None,
            tool: tool.into(),
            args: args.into(),
            after: vec![],
            limits: LimitsConfig::default(),
            refused: None,
            binary: Binary::default(),
        }
    }
}

/// The text is not a batch.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the batch is not JSON: {0}")]
    NotJson(String),
    #[error(
        "the batch has more than {}; pass paths instead of contents",
        bytesize::ByteSize(Batch::MOST_BYTES as u64)
    )]
    TooLarge,
    #[error(
        "the batch nests lists and objects more than 127 deep ({0}); hand over such a value as a string, or by a \
         file"
    )]
    TooDeep(String),
    #[error("the batch has the wrong shape at {at}: {message}")]
    WrongShape { at: String, message: String },
}

impl Batch {
    /// The most bytes that the text of a batch may have: 64 MiB.
    pub const MOST_BYTES: usize = 64 << 20;

    /// Parses `{"calls": [{"id"?, "tool", "args"?, "after"?, "limits"?}, ..]}`.
    ///
    /// # Errors
    /// The text is not JSON (with line and column), or not of that shape (with the path to the
    /// offending field). Unknown fields are errors, so that a misspelt one is not ignored.
    pub fn from_json(text: &[u8]) -> Result<Batch, RequestError> {
        let text = within_bounds(text)?;
        // Keeping the path takes as long as parsing: only an error needs it. That all of the text is UTF-8 is seen faster
        // than of each string in it.
        if let Ok(text) = std::str::from_utf8(text)
            && let Ok(Object(batch)) = serde_json::from_str(text)
        {
            return Ok(batch);
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let batch = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let at = error.path().to_string();
            let inner = error.into_inner();
            match inner.classify() {
                serde_json::error::Category::Data => {
                    let mut message = inner.to_string();
                    // Whoever is wrong above a call may know another format, and not this one.
                    if !at.starts_with("calls[") {
                        message.push_str("; a batch is ");
                        message.push_str(SHAPE);
                    }
                    let at = if at == "." { "the top".to_owned() } else { format!("`{at}`") };
                    RequestError::WrongShape { at, message }
                }
                _ => not_json(&inner),
            }
        })?;
        json.end().map_err(|error| RequestError::NotJson(error.to_string()))?;
        let Object(batch) = batch;
        Ok(batch)
    }
}

/// The text to parse, if it is not too long.
pub(super) fn within_bounds(text: &[u8]) -> Result<&[u8], RequestError> {
    if text.len() > Batch::MOST_BYTES {
        return Err(RequestError::TooLarge);
    }
    // Some editors begin a file with a byte order mark, which JSON does not know.
    Ok(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
}

/// Of a text that cannot be parsed, whatever it should hold.
pub(super) fn not_json(error: &serde_json::Error) -> RequestError {
    if error.to_string().starts_with("recursion limit exceeded") {
        return RequestError::TooDeep(format!("line {}, column {}", error.line(), error.column()));
    }
    RequestError::NotJson(error.to_string())
}

/// Of a text that is a stream of events, as APIs send them when they are asked to.
pub(super) fn is_stream(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    ["event:", "data:"].iter().any(|begins| text.starts_with(begins.as_bytes()))
}

const SHAPE: &str = r#"{"calls": [{"tool": "..", "args": {..}}, ..]}"#;

/// What is written as an object. Left alone, serde takes a list for a struct too, as its fields in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, fields: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(it)| it).collect())
}
