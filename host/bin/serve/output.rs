//! Standard output: messages in the order in which they are handed over, written by a thread of its own.
//!
//! Knows nothing of what they say. Several that wait are written at once: a thousand answers are not a thousand system
//! calls.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// While more than this waits to be written, the client does not read, and no more of its requests are read either.
const MOST_WAITING: usize = 64 << 20;

/// Written at once, at most about this much.
const PIECE: usize = 256 << 10;

/// Clones write to the same place.
#[derive(Clone)]
pub struct Output {
    pieces: mpsc::UnboundedSender<Piece>,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    less: Notify,
}

enum Piece {
    Line(Vec<u8>),
    /// Everything before it is to be written, and no more.
    End(oneshot::Sender<()>),
}

impl Output {
    /// Cancels `ended` when nobody reads any more.
    pub fn start(ended: CancellationToken) -> anyhow::Result<Output> {
        let output = std::io::stdout().as_fd().try_clone_to_owned();
        let output = File::from(output.context("standard output cannot be written")?);
        let (pieces, receiver) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog::default());
        let written = backlog.clone();
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || write(output, receiver, &written, &ended))?;
        Ok(Output { pieces, backlog })
    }

    /// # Errors
    /// Nobody reads any more.
    pub fn line(&self, mut text: Vec<u8>) -> io::Result<()> {
        text.push(b'\n');
        self.backlog.bytes.fetch_add(text.len(), Ordering::SeqCst);
        self.pieces.send(Piece::Line(text)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Until the client has read most of what there was.
    pub async fn room(&self) {
        loop {
            let less = self.backlog.less.notified();
            if self.backlog.bytes.load(Ordering::SeqCst) <= MOST_WAITING || self.pieces.is_closed()
            {
                return;
            }
            less.await;
        }
    }

    /// Until all that was handed over is written, or nobody reads it for so long.
    pub async fn end(&self, patience: Duration) {
        let (sender, ended) = oneshot::channel();
        if self.pieces.send(Piece::End(sender)).is_ok() {
            let _ = tokio::time::timeout(patience, ended).await;
        }
    }
}

fn write(
    mut output: impl Write,
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
        let written = output.write_all(&text).and_then(|()| output.flush());
        backlog.bytes.fetch_sub(text.len(), Ordering::SeqCst);
        if let Err(error) = written {
            tracing::debug!(%error, "nobody reads standard output any more");
            pieces.close();
            ended.cancel();
        }
        backlog.less.notify_waiters();
        if let Some(end) = end {
            let _ = end.send(());
            return;
        }
    }
}
