//! Standard input and output as a connection of the SDK: messages in by way of the gate, answers out.
//!
//! The SDK's own reads lines too. It drops what it cannot parse, and a line that is too long, without an answer, so
//! that whoever sent them waits for ever.

use std::io;
use std::time::Duration;

use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Kept};
use super::lines::Lines;
use super::message::Line;
use super::output::{Output, SHORT};

/// For a client that takes its time to read the last answers.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Stdio {
    lines: Lines,
    output: Output,
    gate: Gate,
    ended: CancellationToken,
}

impl Stdio {
    /// Cancels `ended` when the client has closed its end, of either.
    pub fn open(ended: CancellationToken) -> anyhow::Result<Stdio> {
        let output = Output::start(ended.clone())?;
        let gate = Gate::new(output.clone());
        Ok(Stdio { lines: Lines::open()?, output, gate, ended })
    }

    fn answer(&self, message: &ServerJsonRpcMessage) {
        if let Err(error) = written(&self.output, message) {
            tracing::debug!(%error, "an answer is lost");
        }
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.gate.answered(&message);
        let output = self.output.clone();
        // A short one at once, since whoever awaits this is a task more. The others there: a large answer keeps no other waiting.
        let at_once = short(&message).map(|text| output.line(text));
        async move {
            // To write out a large one takes a while.
            let aside = || block_in_place(|| written(&output, &message));
            at_once.unwrap_or_else(aside)
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            tokio::select! {
                biased;
                () = self.output.room() => {}
                // Nobody may ever read what waits: it has no longer than any other answer.
                () = self.lines.ended() => {
                    self.ended.cancel();
                    self.output.room().await;
                }
            }
            match self.lines.next().await {
                Some(Line::Message(message, bytes)) => match self.gate.admit(*message, bytes) {
                    Ok(message) => return Some(message),
                    Err(Kept::Answered(answer)) => self.answer(&answer),
                    Err(Kept::Ignored) => {}
                },
                Some(Line::Refused(error, id)) => self.answer(&JsonRpcMessage::error(error, id)),
                None => {
                    self.ended.cancel();
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.end(PATIENCE).await;
        Ok(())
    }
}

fn written(output: &Output, message: &ServerJsonRpcMessage) -> io::Result<()> {
    output.line(serde_json::to_vec(message)?)
}

/// The text of a message that is a short one.
fn short(message: &ServerJsonRpcMessage) -> Option<Vec<u8>> {
    let mut text = Short(Vec::with_capacity(SHORT / 4));
    serde_json::to_writer(&mut text, message).ok().map(|()| text.0)
}

/// Takes no more than [`SHORT`], with the end of the line.
struct Short(Vec<u8>);

impl io::Write for Short {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.0.len() + piece.len() >= SHORT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
