//! Standard input as messages, one for each line.
//!
//! A pipe or a socket is read by a task: a thread would have to be woken for each message, and to wake the runtime for it, which
//! takes as long as a short call. Whatever else may be behind it, a file or a terminal, is read by a thread of its
//! own, since reading it blocks. What cannot be a message is handed on too, with the error that answers it: whoever
//! sent it learns why, and the next line is read.

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::message::{Line, MOST_BYTES};
use super::split::{Found, Splitter};

/// What is read at once: as much as a pipe holds.
const PIECE: usize = 64 << 10;

/// A longer line is parsed beside the runtime: it would keep others waiting.
const LONG: usize = 64 << 10;

/// So many wait to be taken; then no more is read.
const WAITING: usize = 256;

/// While no more is read, whoever sends is looked after so often.
const LOOK: Duration = Duration::from_secs(1);

pub struct Lines {
    lines: mpsc::Receiver<Line>,
    ended: CancellationToken,
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
        let ((sender, lines), ended) = (mpsc::channel(WAITING), CancellationToken::new());
        let mut reading = JoinSet::new();
        let kind = fstat(&input).map(|it| FileType::from_raw_mode(it.st_mode));
        if matches!(kind, Ok(FileType::Fifo | FileType::Socket)) {
            // SAFETY: a `File` is open while it lives, and has one descriptor.
            #[expect(unsafe_code, reason = "tokio cannot tell that of every type")]
            let input = unsafe { AsyncFd::register_with_interest(input, Interest::READABLE) };
            let input = input.context("standard input cannot be waited for")?;
            reading.spawn(read_when_ready(input, sender, ended.clone()));
        } else {
            // It ends with the process.
            let at_the_end = ended.clone().drop_guard();
            let read = move || {
                let _at_the_end = at_the_end;
                read_blocking(input, &sender);
            };
            std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        }
        Ok(Lines { lines, ended, reading })
    }

    /// When the input has ended, or whoever sends has gone, also where lines still wait to be taken.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The next one, until the input ends. Can be dropped and asked again.
    pub async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }
}

/// Reads until the input ends or nobody takes lines any more.
async fn read_when_ready(
    input: AsyncFd<File>,
    sender: mpsc::Sender<Line>,
    ended: CancellationToken,
) {
    let _at_the_end = ended.clone().drop_guard();
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
                    parsing.spawn_blocking(move || Line::of(Found::Line(line)));
                    parsing.join_next().await.and_then(Result::ok).flatten()
                }
                found => Line::of(found),
            };
            let Some(line) = line else { continue };
            let mut sending = pin!(sender.send(line));
            let sent = loop {
                match tokio::time::timeout(LOOK, &mut sending).await {
                    Ok(sent) => break sent,
                    Err(_) if hung_up(input.get_ref()) => ended.cancel(),
                    Err(_) => {}
                }
            };
            if sent.is_err() {
                return;
            }
        }
        if length == 0 {
            return;
        }
    }
}

/// Told while there is more to read, too.
fn hung_up(input: &File) -> bool {
    let mut looked = [PollFd::new(input, PollFlags::RDHUP)];
    poll(&mut looked, Some(&Timespec::default())).is_ok_and(|found| found > 0)
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
            if Line::of(found).is_some_and(|line| sender.blocking_send(line).is_err()) {
                return;
            }
        }
        if length == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
