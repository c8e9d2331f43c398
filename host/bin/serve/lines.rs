//! Standard input as messages, one for each line, read by a thread of its own.
//!
//! A thread, since a pipe, a socket, a file or a terminal may be behind it, and reading each of them blocks. It also
//! parses, beside the runtime. What cannot be a message is handed on too, with the error that answers it: whoever
//! sent it learns why, and the next line is read.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId};
use serde_json::Value;
use tokio::sync::mpsc;

use super::scan::IdScan;

/// The most bytes of one message.
pub const MOST_BYTES: usize = 16 << 20;

pub enum Line {
    /// A message, and the bytes that it had.
    Message(Box<ClientJsonRpcMessage>, usize),
    /// No message; the answer, and whose answer it is as far as that can be told.
    Refused(ErrorData, Option<RequestId>),
}

/// Reads until the input ends or nobody takes lines any more.
pub fn read() -> anyhow::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(256);
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let input = input.context("standard input cannot be read")?;
    let mut input = BufReader::with_capacity(64 << 10, File::from(input));
    // It blocks in a read for as long as the client is silent, and ends with the process.
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut line = Vec::new();
        loop {
            line.clear();
            let line = match next(&mut input, &mut line, MOST_BYTES) {
                Ok(Next::Line) => parse(&line),
                Ok(Next::TooLong(id)) => Some(too_long(id)),
                Ok(Next::End) => return,
                Err(error) => {
                    tracing::warn!(%error, "standard input cannot be read any further");
                    return;
                }
            };
            if line.is_some_and(|line| sender.blocking_send(line).is_err()) {
                return;
            }
        }
    })?;
    Ok(receiver)
}

#[derive(Debug, PartialEq)]
enum Next {
    /// In the buffer, without its end. The input may have ended instead.
    Line,
    TooLong(Option<RequestId>),
    End,
}

/// Reads a line into `line`, or past one of more than `most` bytes.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> std::io::Result<Next> {
    let mut long: Option<IdScan> = None;
    loop {
        let read = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let end = read.iter().position(|&byte| byte == b'\n');
        let piece = &read[..end.unwrap_or(read.len())];
        match &mut long {
            Some(scan) => scan.feed(piece),
            None if line.len() + piece.len() > most => {
                let mut scan = IdScan::default();
                scan.feed(line);
                scan.feed(piece);
                // The memory too: the next message may be a small one.
                *line = Vec::new();
                long = Some(scan);
            }
            None => line.extend_from_slice(piece),
        }
        let (ended, taken) = (read.is_empty(), piece.len() + usize::from(end.is_some()));
        input.consume(taken);
        if ended || end.is_some() {
            return Ok(match long {
                Some(scan) => Next::TooLong(scan.found()),
                None if ended && line.is_empty() => Next::End,
                None => Next::Line,
            });
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

/// The message of a line, or what is wrong with it. Nothing for an empty line, and for a notification that nobody
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
    fn lines_are_read_up_to_a_length_and_longer_ones_passed_over() {
        let text = format!("one\r\n\n{{\"id\":5,\"x\":\"{}\"}}\ntwo", "y".repeat(100));
        let mut input = BufReader::with_capacity(7, text.as_bytes());
        let mut line = Vec::new();
        let mut read = || {
            line.clear();
            let next = next(&mut input, &mut line, 20).unwrap();
            (next, String::from_utf8(line.clone()).unwrap())
        };
        assert_eq!(read(), (Next::Line, "one\r".to_owned()));
        assert_eq!(read(), (Next::Line, String::new()));
        assert_eq!(read(), (Next::TooLong(Some(RequestId::Number(5))), String::new()));
        assert_eq!(read(), (Next::Line, "two".to_owned()));
        assert_eq!(read(), (Next::End, String::new()));
    }

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
    }
}
