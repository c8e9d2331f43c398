//! Standard input as messages, one for each line.
//!
//! A pipe or a socket is read by a task: a thread would have to be woken for each message, and to wake the runtime for it, which
//! takes as long as a short call. Whatever else may be behind it, a file or a terminal, is read by a thread of its
//! own, since reading it blocks. What cannot be a message is handed on too, with the error that answers it: whoever
//! sent it learns why, and the next line is read.

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use serde_json::Value;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::scan::IdScan;

/// The most bytes of one message.
pub const MOST_BYTES: usize = 16 << 20;

/// What is read at once: as much as a pipe holds.
const PIECE: usize = 64 << 10;

/// A longer line is parsed beside the runtime: it would keep others waiting.
const LONG: usize = 64 << 10;

pub enum Line {
    /// A message, and the bytes that it had.
    Message(Box<ClientJsonRpcMessage>, usize),
    /// No message; the answer, and whose answer it is as far as that can be told.
    Refused(ErrorData, Option<RequestId>),
}

/// So many wait to be taken; then no more is read.
const WAITING: usize = 256;

pub struct Lines {
    lines: mpsc::Receiver<Line>,
    /// What reads, if that is a task.
    #[cfg_attr(not(test), expect(dead_code, reason = "it ends with this"))]
    reading: JoinSet<()>,
}

impl Lines {
    /// Of standard input. In a runtime.
    ///
    /// # Errors
    /// It is closed, or there is no thread for it.
    pub fn open() -> anyhow::Result<Lines> {
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        Lines::of(File::from(input.context("standard input cannot be read")?))
    }

    fn of(input: File) -> anyhow::Result<Lines> {
        let (sender, lines) = mpsc::channel(WAITING);
        let mut reading = JoinSet::new();
        let kind = fstat(&input).map(|it| FileType::from_raw_mode(it.st_mode));
        if matches!(kind, Ok(FileType::Fifo | FileType::Socket)) {
            // SAFETY: a `File` is open while it lives, and has one descriptor.
            #[expect(unsafe_code, reason = "tokio cannot tell that of every type")]
            let input = unsafe { AsyncFd::register_with_interest(input, Interest::READABLE) };
            let input = input.context("standard input cannot be waited for")?;
            reading.spawn(read_when_ready(input, sender));
        } else {
            // It ends with the process.
            let read = move || read_blocking(input, &sender);
            std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        }
        Ok(Lines { lines, reading })
    }

    /// The next one, until the input ends. Can be dropped and asked again.
    pub async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }
}

/// Reads until the input ends or nobody takes lines any more.
async fn read_when_ready(input: AsyncFd<File>, sender: mpsc::Sender<Line>) {
    let (mut piece, mut lines) = (vec![0; PIECE], Splitter::new(MOST_BYTES));
    loop {
        let length = match read(&input, &mut piece).await {
            Ok(length) => length,
            Err(error) => return tracing::warn!(%error, "{CANNOT_BE_READ}"),
        };
        let mut rest = &piece[..length];
        while let Some(found) = lines.next(&mut rest, length == 0) {
            let line = match found {
                Found::Line(line) if line.len() > LONG => {
                    let mut parsing = JoinSet::new();
                    parsing.spawn_blocking(move || parse(&line));
                    parsing.join_next().await.and_then(Result::ok).flatten()
                }
                found => found.parsed(),
            };
            if let Some(line) = line
                && sender.send(line).await.is_err()
            {
                return;
            }
        }
        if length == 0 {
            return;
        }
    }
}

const CANNOT_BE_READ: &str = "standard input cannot be read any further";

async fn read(from: &AsyncFd<File>, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = from.readable().await?;
        match read_now(from.get_ref(), piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Does not wait, though the pipe stays one that blocks: others may have it too. Older systems only tell whether there is
/// something; should another process that reads it be quicker, this waits for more.
fn read_now(mut input: &File, piece: &mut [u8]) -> io::Result<usize> {
    match preadv2(input, &mut [IoSliceMut::new(piece)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        read => return Ok(read?),
    }
    let mut looked = [PollFd::new(input, PollFlags::IN)];
    poll(&mut looked, Some(&Timespec::default()))?;
    match looked[0].revents().is_empty() {
        true => Err(io::ErrorKind::WouldBlock.into()),
        false => input.read(piece),
    }
}

/// As [`read_when_ready`]. It blocks in a read for as long as the client is silent.
fn read_blocking(mut input: File, sender: &mpsc::Sender<Line>) {
    let (mut piece, mut lines) = (vec![0; PIECE], Splitter::new(MOST_BYTES));
    loop {
        let length = match input.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return tracing::warn!(%error, "{CANNOT_BE_READ}"),
            Ok(length) => length,
        };
        let mut rest = &piece[..length];
        while let Some(found) = lines.next(&mut rest, length == 0) {
            if found.parsed().is_some_and(|line| sender.blocking_send(line).is_err()) {
                return;
            }
        }
        if length == 0 {
            return;
        }
    }
}

/// Pieces of input as lines.
struct Splitter {
    line: Vec<u8>,
    /// Of a line that is too long, what may be its id.
    long: Option<IdScan>,
    most: usize,
}

#[derive(Debug, PartialEq)]
enum Found {
    /// Without its end.
    Line(Vec<u8>),
    TooLong(Option<RequestId>),
}

impl Found {
    fn parsed(self) -> Option<Line> {
        match self {
            Found::Line(line) => parse(&line),
            Found::TooLong(id) => Some(too_long(id)),
        }
    }
}

impl Splitter {
    fn new(most: usize) -> Splitter {
        Splitter { line: Vec::new(), long: None, most }
    }

    /// The next line of what was read, which is cut by it. None, if more is to be read; but at the `end`, what was begun is one.
    fn next(&mut self, read: &mut &[u8], end: bool) -> Option<Found> {
        let newline = read.iter().position(|&byte| byte == b'\n');
        let piece = &read[..newline.unwrap_or(read.len())];
        match &mut self.long {
            Some(scan) => scan.feed(piece),
            None if self.line.len() + piece.len() > self.most => {
                let mut scan = IdScan::default();
                scan.feed(&std::mem::take(&mut self.line));
                scan.feed(piece);
                self.long = Some(scan);
            }
            None => self.line.extend_from_slice(piece),
        }
        *read = &read[piece.len() + usize::from(newline.is_some())..];
        let begun = !self.line.is_empty() || self.long.is_some();
        (newline.is_some() || (end && begun)).then(|| self.found())
    }

    fn found(&mut self) -> Found {
        let line = std::mem::take(&mut self.line);
        self.long.take().map_or(Found::Line(line), |scan| Found::TooLong(scan.found()))
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

    const TEXT: &str = "one\r\n\n{\"id\":5,\"x\":\"yyyyyyyyyyyyyyyyyyyyyyyyy\"}\ntwo";

    #[test]
    fn lines_are_read_up_to_a_length_and_longer_ones_passed_over() {
        for size in 1..TEXT.len() {
            let mut lines = Splitter::new(20);
            let mut found = Vec::new();
            for mut piece in TEXT.as_bytes().chunks(size) {
                found.extend(std::iter::from_fn(|| lines.next(&mut piece, false)));
            }
            found.extend(lines.next(&mut &b""[..], true));
            let line = |text: &str| Found::Line(text.as_bytes().to_vec());
            let too_long = Found::TooLong(Some(RequestId::Number(5)));
            assert_eq!(found, [line("one\r"), line(""), too_long, line("two")], "by {size}");
            assert_eq!(lines.next(&mut &b""[..], true), None);
        }
    }

    /// What is told of each message of a connection into which `write` writes.
    async fn told(mut lines: Lines, write: impl FnOnce() + Send + 'static) -> Vec<String> {
        let writer = std::thread::spawn(write);
        let mut told = Vec::new();
        while let Some(line) = lines.next().await {
            told.push(match line {
                Line::Message(_, bytes) => format!("{bytes} bytes"),
                Line::Refused(error, _) => error.message.into_owned(),
            });
        }
        writer.join().unwrap();
        told
    }

    const PING: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";

    #[tokio::test]
    async fn a_pipe_is_read_in_order_whatever_the_pieces_and_the_lengths() {
        use std::io::Write as _;
        let (input, output) = std::io::pipe().unwrap();
        let lines = Lines::of(File::from(std::os::fd::OwnedFd::from(input))).unwrap();
        assert_eq!(lines.reading.len(), 1);
        let told = told(lines, move || {
            let mut output = output;
            for byte in PING.bytes() {
                output.write_all(&[byte]).unwrap();
            }
            let long = format!("\n{}{PING}\n", " ".repeat(3 * LONG));
            output.write_all(long.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            output.write_all(b"nonsense\n\n").unwrap();
            output.write_all(PING.as_bytes()).unwrap();
        });
        let told = told.await;
        let ping = |more| format!("{} bytes", PING.len() + more);
        assert_eq!([&told[0], &told[1], &told[3]], [&ping(0), &ping(3 * LONG), &ping(0)]);
        assert!(told[2].contains("not JSON") && told.len() == 4, "{told:?}");
    }

    #[tokio::test]
    async fn a_file_is_read_by_a_thread() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, format!("{PING}\n\n{PING}").as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let lines = Lines::of(file).unwrap();
        assert!(lines.reading.is_empty());
        let ping = format!("{} bytes", PING.len());
        assert_eq!(told(lines, || {}).await, [ping.clone(), ping]);
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
