//! A line as a message, or what is wrong with it.

use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId};
use serde_json::Value;

use super::scan::IdScan;
use super::split::Found;

/// The most bytes of one message.
pub const MOST_BYTES: usize = 16 << 20;

pub enum Line {
    /// A message, and the bytes that it had.
    Message(Box<ClientJsonRpcMessage>, usize),
    /// No message; the answer, and whose answer it is as far as that can be told.
    Refused(ErrorData, Option<RequestId>),
}

impl Line {
    /// Nothing for an empty line, and for a notification or a response that nobody here understands: those are never answered.
    pub fn of(found: Found) -> Option<Line> {
        match found {
            Found::Line(line) => parse(&line),
            Found::TooLong(id) => Some(too_long(id)),
        }
    }
}

fn too_long(id: Option<RequestId>) -> Line {
    let most = bytesize::ByteSize(MOST_BYTES as u64);
    let message = format!("the message has more than {most}: pass paths instead of contents");
    Line::Refused(ErrorData::invalid_request(message, None), id)
}

/// What is wrong with a text that is no message, and whose answer that is, as far as can be told.
pub fn wrong(text: &[u8]) -> (ErrorData, Option<RequestId>) {
    match parse(text) {
        Some(Line::Refused(error, id)) => (error, id),
        _ => (ErrorData::invalid_request("no JSON-RPC message that is known here", None), None),
    }
}

/// The message of a line, or what is wrong with it. Nothing for an empty line, and for a notification or a response that nobody
/// here understands: those are never answered.
fn parse(line: &[u8]) -> Option<Line> {
    let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if text.is_empty() {
        return None;
    }
    let error = match serde_json::from_slice(text) {
        Ok(message) => return Some(Line::Message(Box::new(message), line.len())),
        Err(error) => error,
    };
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            let message = format!("the message is not JSON: {error}");
            return Some(Line::Refused(ErrorData::parse_error(message, None), IdScan::of(text)));
        }
    };
    let Value::Object(fields) = &value else {
        let message = "a message is one JSON object; send each on a line of its own";
        return Some(Line::Refused(ErrorData::invalid_request(message, None), None));
    };
    let id = fields.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    if id.is_none() && fields.contains_key("method") && !fields.contains_key("id") {
        tracing::debug!(%error, "a notification is not understood");
        return None;
    }
    let has = |name| fields.contains_key(name);
    if !has("method") && (has("result") || has("error")) {
        // Its id is one of ours. To the client an answer would be to a request of its own.
        tracing::debug!(%error, "a response is not understood");
        return None;
    }
    let message = match fields.get("jsonrpc") {
        Some(Value::String(version)) if version == "2.0" => {
            "no JSON-RPC message: a request has a `method` and an `id` that is a string or an integer".to_owned()
        }
        _ => "no JSON-RPC 2.0 message: it needs \"jsonrpc\": \"2.0\"".to_owned(),
    };
    Some(Line::Refused(ErrorData::invalid_request(message, None), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_answered_with_what_is_wrong() {
        for (text, code, id, says) in [
            ("{\"jsonrpc\":\"2.0\",\"id\":3,\"met", -32700, Some("3"), "not JSON"),
            ("nonsense", -32700, None, "not JSON"),
            ("[]", -32600, None, "one JSON object"),
            ("{\"id\":1,\"method\":\"ping\"}", -32600, Some("1"), "2.0"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600, None, "integer"),
            ("{\"jsonrpc\":\"2.0\",\"id\":\"a\"}", -32600, Some("a"), "method"),
        ] {
            let Some(Line::Refused(error, found)) = parse(text.as_bytes()) else {
                panic!("{text}")
            };
            assert_eq!(
                (error.code.0, found.map(|it| it.to_string()).as_deref()),
                (code, id),
                "{text}"
            );
            assert!(error.message.contains(says), "{text}: {}", error.message);
        }
        let ping = b"\xef\xbb\xbf {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r";
        assert!(matches!(parse(ping), Some(Line::Message(..))));
        assert!(parse(b" \r").is_none());
        assert!(parse(b"{\"jsonrpc\":\"1.0\",\"method\":\"x\"}").is_none());
        for response in ["\"result\":{}", "\"error\":\"no\"", "\"result\":1,\"error\":{}"] {
            let text = format!("{{\"jsonrpc\":\"1.0\",\"id\":1,{response}}}");
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
