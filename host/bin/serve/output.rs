//! Standard output: messages in the order in which they are handed over, written by a thread of its own, or, where a short one
//! would neither wait nor overtake another, by whoever hands it over.
//!
//! Knows nothing of what they say. Several that wait are written at once: a thousand answers are not a thousand system
//! calls.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// While more than this waits to be written, the client does not read: no more of its requests are read either, and no calls
/// started.
const MOST_WAITING: usize = 64 << 20;

/// Written at once, at most about this much.
const PIECE: usize = 256 << 10;

/// Longer texts are written by the thread.
pub const SHORT: usize = 32 << 10;

/// As much as a pipe that can be written at all takes without waiting (`PIPE_BUF`).
const ALWAYS: usize = 4096;

/// Clones write to the same place.
#[derive(Clone)]
pub struct Output {
    pieces: mpsc::UnboundedSender<Piece>,
    backlog: Arc<Backlog>,
    file: Arc<Mutex<File>>,
    /// Held, never for long, by whoever hands something over: the pieces of a line stay together.
    turn: Arc<Mutex<()>>,
    /// Of others it cannot be told that a write will not wait.
    is_pipe: bool,
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    closed: AtomicBool,
    full: watch::Sender<bool>,
}

impl Backlog {
    /// To be called when there may be more or less of it than [`MOST_WAITING`] by now.
    fn look(&self) {
        self.full.send_if_modified(|full| {
            let now = self.bytes.load(Ordering::SeqCst) > MOST_WAITING
                && !self.closed.load(Ordering::SeqCst);
            std::mem::replace(full, now) != now
        });
    }
}

enum Piece {
    /// A line, or the rest of one.
    Line(Vec<u8>),
    /// Everything before it is to be written, and no more.
    End(oneshot::Sender<()>),
}

impl Output {
    /// Cancels `ended` when nobody reads any more.
    pub fn start(ended: CancellationToken) -> anyhow::Result<Output> {
        let output = std::io::stdout().as_fd().try_clone_to_owned();
        let output = File::from(output.context("standard output cannot be written")?);
        Output::to(output, ended)
    }

    fn to(file: File, ended: CancellationToken) -> anyhow::Result<Output> {
        let is_pipe =
            fstat(&file).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo);
        let (pieces, receiver) = mpsc::unbounded_channel();
        let (backlog, file) = (Arc::new(Backlog::default()), Arc::new(Mutex::new(file)));
        let (written, output) = (backlog.clone(), file.clone());
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || write(&output, receiver, &written, &ended))?;
        Ok(Output { pieces, backlog, file, turn: Arc::default(), is_pipe })
    }

    /// # Errors
    /// Nobody reads any more.
    pub fn line(&self, mut text: Vec<u8>) -> io::Result<()> {
        text.push(b'\n');
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_pipe && text.len() <= SHORT {
            let written = self.written_here(&text);
            text.drain(..written);
        }
        if text.is_empty() {
            return Ok(());
        }
        // What is counted is what it takes.
        text.shrink_to_fit();
        let length = text.len();
        if self.backlog.bytes.fetch_add(length, Ordering::SeqCst) + length > MOST_WAITING {
            self.backlog.look();
        }
        self.pieces.send(Piece::Line(text)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Writes as much of it as need not wait, neither for room nor for what was handed over before: to wake the thread would take
    /// longer.
    fn written_here(&self, text: &[u8]) -> usize {
        let Ok(mut file) = self.file.try_lock() else { return 0 };
        if self.backlog.bytes.load(Ordering::SeqCst) > 0 {
            return 0;
        }
        let mut written = 0;
        while written < text.len() {
            // Whatever is wrong, the thread meets it too, and tells of it.
            match write_now(&mut file, &text[written..]) {
                Ok(0) | Err(_) => break,
                Ok(length) => written += length,
            }
        }
        written
    }

    /// Whether the client has yet to read so much that nothing should be added.
    pub fn full(&self) -> watch::Receiver<bool> {
        self.backlog.full.subscribe()
    }

    /// Until the client has read most of what there was.
    pub async fn room(&self) {
        // It cannot be closed: this holds it open.
        let _ = self.full().wait_for(|full| !full).await;
    }

    /// Until all that was handed over is written, or nobody reads it for so long.
    pub async fn end(&self, patience: Duration) {
        let (sender, ended) = oneshot::channel();
        if self.pieces.send(Piece::End(sender)).is_ok() {
            let _ = tokio::time::timeout(patience, ended).await;
        }
    }
}

/// Writes what there is room for. Older systems cannot do that with a pipe that blocks, but tell whether there is any.
fn write_now(file: &mut File, text: &[u8]) -> io::Result<usize> {
    match pwritev2(&*file, &[IoSlice::new(text)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        written => return Ok(written?),
    }
    let mut ready = [PollFd::new(&*file, PollFlags::OUT)];
    poll(&mut ready, Some(&Timespec::default()))?;
    match ready[0].revents() == PollFlags::OUT {
        true => file.write(&text[..text.len().min(ALWAYS)]),
        false => Ok(0),
    }
}

/// Waits for room, also where the other end has said that it is not to be waited for.
fn write_whole(mut file: &File, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match file.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => text = &text[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(file, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write(
    output: &Mutex<File>,
    mut pieces: mpsc::UnboundedReceiver<Piece>,
    backlog: &Backlog,
    ended: &CancellationToken,
) {
    while let Some(piece) = pieces.blocking_recv() {
        let (mut text, mut end) = (Vec::new(), None);
        let mut next = Some(piece);
        while let Some(piece) = next {
            match piece {
                Piece::Line(line) if text.is_empty() => text = line,
                Piece::Line(line) => text.extend_from_slice(&line),
                Piece::End(told) => {
                    end = Some(told);
                    break;
                }
            }
            next = if text.len() < PIECE { pieces.try_recv().ok() } else { None };
        }
        // Kept for as long as the client does not read: nobody waits for it.
        let written = write_whole(&output.lock().unwrap_or_else(PoisonError::into_inner), &text);
        let waited = backlog.bytes.fetch_sub(text.len(), Ordering::SeqCst);
        if let Err(error) = written {
            tracing::debug!(%error, "nobody reads standard output any more");
            pieces.close();
            backlog.closed.store(true, Ordering::SeqCst);
            ended.cancel();
        }
        if waited > MOST_WAITING {
            backlog.look();
        }
        if let Some(end) = end {
            let _ = end.send(());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn lines_of_every_length_come_whole_and_in_order_and_nobody_waits_for_a_reader() {
        let (reader, writer) = std::io::pipe().unwrap();
        let output =
            Output::to(File::from(std::os::fd::OwnedFd::from(writer)), CancellationToken::new());
        let output = output.unwrap();
        assert!(output.is_pipe);
        // More than a pipe holds, before anybody reads.
        let lines: Vec<String> = (0..2000_usize)
            .map(|at| format!("{at} {}", "x".repeat([0, 10, 4000, 5000, 40_000][at % 5])))
            .collect();
        for line in &lines {
            output.line(line.clone().into_bytes()).unwrap();
        }
        drop(output);
        let read: Vec<String> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        assert!(read == lines, "{} lines", read.len());
    }
}
