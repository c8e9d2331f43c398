//! A message of any format: read as a batch, and answered by what each call came to.
//!
//! Knows which formats there are, not what they look like.

use serde_json::{Map, Value};

use super::{anthropic, chat, detect, gemini, responses};
use crate::batch::report::{CallError, Committed, ErrorKind, Outcome, Report, Usage};
use crate::batch::request::{Batch, Call, RequestError, is_stream, not_json, within_bounds};

/// A format of calls and of their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"calls": [..]}`, and the report.
    Native,
    /// Anthropic's Messages: `tool_use` blocks, answered by a message of `tool_result` blocks.
    Anthropic,
    /// OpenAI's Chat Completions: `tool_calls`, answered by a list of messages with the role `tool`.
    Chat,
    /// OpenAI's Responses: `function_call` items, answered by a list of `function_call_output` items.
    Responses,
    /// Gemini: `functionCall` parts, answered by a content of `functionResponse` parts.
    Gemini,
}

/// Where the results of a message's calls go.
#[derive(Clone, Debug)]
pub struct Reply {
    dialect: Dialect,
    /// Of each call, as the message has it.
    calls: Vec<Named>,
    unanswered: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Named {
    pub id: Option<String>,
    pub tool: String,
    /// Its input is text, not arguments; some APIs have results of another type for such.
    pub custom: bool,
}

/// A call as a message has it.
pub struct Found {
    pub id: Option<String>,
    pub tool: String,
    pub args: Result<Map<String, Value>, String>,
    pub custom: bool,
}

impl Found {
    pub fn function(id: Option<String>, tool: String, args: Option<Value>) -> Found {
        Found { id, tool, args: arguments(args), custom: false }
    }

    /// The text is the tool's parameter `input`.
    pub fn custom(id: Option<String>, tool: String, input: Option<String>) -> Found {
        let args = Map::from_iter([("input".to_owned(), input.unwrap_or_default().into())]);
        Found { id, tool, args: Ok(args), custom: true }
    }
}

impl Dialect {
    pub const ALL: [Dialect; 5] =
        [Dialect::Native, Dialect::Anthropic, Dialect::Chat, Dialect::Responses, Dialect::Gemini];

    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Native => "native",
            Dialect::Anthropic => "anthropic",
            Dialect::Chat => "openai-chat",
            Dialect::Responses => "openai-responses",
            Dialect::Gemini => "gemini",
        }
    }

    /// Whether a response that gives `reason` for its end is whole, by what its API publishes. Of any other one a call may be
    /// half, or not be meant.
    pub fn is_whole(self, reason: &str) -> bool {
        let whole: &[&str] = match self {
            Dialect::Native => &[],
            Dialect::Anthropic => &anthropic::WHOLE,
            Dialect::Chat => &chat::WHOLE,
            Dialect::Responses => &responses::WHOLE,
            Dialect::Gemini => &gemini::WHOLE,
        };
        whole.contains(&reason)
    }
}

/// Reads a message in `dialect`, or in the one that it looks like, as a batch; an Anthropic or OpenAI message may be the
/// whole response of the API, the message in it, or the bare list of calls. One without calls is a batch without calls.
///
/// Ids that are missing, empty or not unique are kept for the reply, and calls named by their place in references.
///
/// # Errors
/// The text is not JSON, or not a message of that format.
pub fn read(text: &[u8], dialect: Option<Dialect>) -> Result<(Batch, Reply), RequestError> {
    if is_stream(text) {
        let message = "it is a stream of events; put their parts together to one response before";
        return Err(RequestError::NotJson(message.to_owned()));
    }
    // The native form is read without looking at it twice.
    if matches!(dialect, None | Some(Dialect::Native)) {
        match Batch::from_json(text) {
            Ok(batch) => return Ok((batch, Reply::native())),
            // Only what has another shape may be of another format.
            Err(RequestError::WrongShape { .. }) if dialect.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    let message = within_bounds(text)?;
    let message = serde_json::from_slice(message).map_err(|error| not_json(&error))?;
    let looks = detect::dialect(&message);
    if looks.is_none()
        && let Some(message) = detect::other(&message)
    {
        return Err(RequestError::WrongShape { at: "the top".to_owned(), message });
    }
    let named = dialect;
    let dialect = match dialect.or(looks) {
        Some(dialect) => dialect,
        // What is wrong with it as a batch says more than that it is nothing that is known.
        None => return Batch::from_json(text).map(|batch| (batch, Reply::native())),
    };
    let unanswered = match dialect {
        Dialect::Responses => responses::unanswered(&message),
        _ => vec![],
    };
    let found = match dialect {
        Dialect::Native => return Batch::from_json(text).map(|batch| (batch, Reply::native())),
        Dialect::Anthropic => anthropic::calls(message),
        Dialect::Chat => chat::calls(message),
        Dialect::Responses => responses::calls(message),
        Dialect::Gemini => gemini::calls(message),
    };
    let other = looks.filter(|looks| named.is_some_and(|named| named != *looks));
    let found = found.map_err(|Wrong { at, message }| RequestError::WrongShape {
        at: format!("{at} of the {} message", dialect.as_str()),
        message: match other {
            Some(other) => format!("{message}, and it looks like one of {}", other.as_str()),
            None => message,
        },
    })?;
    if let (true, Some(other)) = (found.is_empty(), other) {
        return Err(RequestError::WrongShape {
            at: "the top".to_owned(),
            message: format!(
                "it is to be a message of the format {}, has no calls as such, and looks like one of {}",
                dialect.as_str(),
                other.as_str()
            ),
        });
    }
    let (batch, reply) = batch(dialect, found);
    Ok((batch, Reply { unanswered, ..reply }))
}

impl Reply {
    fn native() -> Reply {
        Reply { dialect: Dialect::Native, calls: vec![], unanswered: vec![] }
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The types of what else in the message wants an answer, and gets none here: calls of tools that the API itself defines.
    pub fn unanswered(&self) -> &[&'static str] {
        &self.unanswered
    }

    /// The message to send back: results in the order of the calls, with their ids. `report` is that of the batch.
    pub fn message(&self, report: &Report) -> Value {
        let taken_back;
        let report = match &report.committed {
            Some(Committed::No { because }) if self.dialect != Dialect::Native => {
                taken_back = without_changes(report, because);
                &taken_back
            }
            _ => report,
        };
        let results = self.calls.iter().zip(&report.results);
        match self.dialect {
            Dialect::Native => serde_json::to_value(report).unwrap_or_default(),
            Dialect::Anthropic => anthropic::message(results),
            Dialect::Chat => chat::messages(results),
            Dialect::Responses => responses::items(results),
            Dialect::Gemini => gemini::content(results),
        }
    }

    /// The message to send back when nothing was run: each call is told why.
    pub fn refused(&self, why: &str) -> Value {
        self.failed(&CallError::new(ErrorKind::Arguments, format!("nothing was run: {why}")))
    }

    /// The message to send back when there is no report: each call ended as `error`.
    pub fn failed(&self, error: &CallError) -> Value {
        let results = self.calls.iter().map(|call| Outcome {
            id: call.id.clone().unwrap_or_default(),
            tool: call.tool.clone(),
            result: Err(error.clone()),
            usage: Usage::default(),
            changes: vec![],
            bytes: None,
            stdout: String::new(),
            stderr: String::new(),
            _held: None,
        });
        self.message(&Report { results: results.collect(), ..Report::default() })
    }
}

/// The report of an atomic batch that was not committed: no call that changed something was ok after all.
fn without_changes(report: &Report, because: &str) -> Report {
    let mut report = report.clone();
    for outcome in report.results.iter_mut().filter(|it| !it.changes.is_empty()) {
        let message =
            format!("its changes were not made, as the batch is all or nothing: {because}");
        outcome.result = Err(CallError::new(ErrorKind::Skipped, message));
    }
    report
}

fn batch(dialect: Dialect, found: Vec<Found>) -> (Batch, Reply) {
    let named = |it: &Found| Named { id: it.id.clone(), tool: it.tool.clone(), custom: it.custom };
    let calls: Vec<Named> = found.iter().map(named).collect();
    let ids = usable_ids(&calls);
    let call = |(found, id): (Found, Option<String>)| {
        let (args, refused) = match found.args {
            Ok(args) => (args, None),
            Err(message) => (Map::new(), Some(CallError::new(ErrorKind::Arguments, message))),
        };
        Call { id, refused, ..Call::new(found.tool, args) }
    };
    let batch = Batch { calls: found.into_iter().zip(ids).map(call).collect() };
    (batch, Reply { dialect, calls, unanswered: vec![] })
}

/// Ids that name one call each, which a place cannot be taken for; nothing for the others.
fn usable_ids(calls: &[Named]) -> Vec<Option<String>> {
    let mut times = std::collections::HashMap::new();
    for id in calls.iter().filter_map(|call| call.id.as_deref()) {
        *times.entry(id).or_insert(0) += 1;
    }
    let is_place = |id: &str| id.parse().is_ok_and(|place: usize| place <= calls.len());
    let usable = |id: &&str| !id.is_empty() && times.get(id) == Some(&1) && !is_place(id);
    calls.iter().map(|call| call.id.as_deref().filter(usable).map(str::to_owned)).collect()
}

/// What of a message is not as its format says.
pub struct Wrong {
    pub at: String,
    pub message: String,
}

impl Wrong {
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Wrong {
        Wrong { at: at.into(), message: message.into() }
    }
}

/// Refuses the calls of a message that ends for a reason by which it is not whole. One that gives no reason is taken as it
/// is: a message alone has none.
pub fn whole(
    calls: Vec<Found>,
    stopped: Option<String>,
    dialect: Dialect,
    field: &str,
) -> Result<Vec<Found>, Wrong> {
    match stopped.filter(|stopped| !calls.is_empty() && !dialect.is_whole(stopped)) {
        None => Ok(calls),
        Some(stopped) => {
            let stopped: String = stopped.chars().take(MOST_SHOWN).collect();
            Err(Wrong::new(
                format!("`{field}`"),
                format!(
                    "the response is not whole ({stopped}), so that a call in it may be half of one, and none is run: have \
                     the model answer again, with room for more if it was cut off"
                ),
            ))
        }
    }
}

/// Characters of a reason.
const MOST_SHOWN: usize = 100;

/// The value of a field, if it is there and not null.
pub fn take(object: &mut Value, field: &str) -> Option<Value> {
    object.as_object_mut()?.get_mut(field).map(Value::take).filter(|value| !value.is_null())
}

pub fn take_text(object: &mut Value, field: &str) -> Option<String> {
    match take(object, field)? {
        Value::String(text) => Some(text),
        // Some servers number their calls.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub fn take_list(object: &mut Value, field: &str) -> Option<Vec<Value>> {
    match take(object, field)? {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// Arguments as an object, or as the text of one; none at all are an empty one.
fn arguments(given: Option<Value>) -> Result<Map<String, Value>, String> {
    const WANTED: &str = "the arguments have to be one JSON object";
    match given {
        None => Ok(Map::new()),
        Some(Value::Object(args)) => Ok(args),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Map::new()),
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(Value::Object(args)) => Ok(args),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(other) => Err(format!("{WANTED}, not {}", crate::batch::describe(&other))),
            Err(error) => Err(format!("{WANTED}; theirs is not JSON: {error}")),
        },
        Some(other) => Err(format!("{WANTED}, not {}", crate::batch::describe(&other))),
    }
}
