//! Answers that were sent a short while ago, for clients whose stream broke before it brought them.
//!
//! The SDK repeats what a request was told for as long as the request goes on, and forgets it with its answer. Whether an
//! answer that was written to a connection has arrived is known to nobody but the client, who asks for what came after the
//! last event that it has.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use rmcp::model::ServerJsonRpcMessage;
use rmcp::transport::streamable_http_server::SessionId;
use rmcp::transport::streamable_http_server::session::ServerSseMessage;

/// Clients are told to come back within three seconds.
const KEPT: Duration = Duration::from_secs(60);

/// Of all sessions together; beyond it the oldest go.
const MOST_BYTES: usize = 16 << 20;

#[derive(Default)]
pub struct Kept {
    answers: VecDeque<Answer>,
    bytes: usize,
}

/// A request that has a stream.
pub struct Asked {
    session: SessionId,
    /// What the SDK calls it, told with its first event.
    stream: OnceLock<String>,
}

struct Answer {
    asked: Arc<Asked>,
    sent: Instant,
    size: usize,
    message: ServerJsonRpcMessage,
}

impl Asked {
    pub fn new(session: SessionId) -> Arc<Asked> {
        Arc::new(Asked { session, stream: OnceLock::new() })
    }

    /// Learns from it what it is called.
    pub fn streams(
        self: Arc<Asked>,
        stream: impl Stream<Item = ServerSseMessage>,
    ) -> impl Stream<Item = ServerSseMessage> {
        stream.inspect(move |event| self.begins_with(event))
    }

    fn begins_with(&self, event: &ServerSseMessage) {
        if let Some((_, stream)) = event.event_id.as_deref().and_then(parts) {
            let _ = self.stream.set(stream.to_owned());
        }
    }

    fn is(&self, session: &SessionId, stream: &str) -> bool {
        self.session == *session && self.stream.get().is_some_and(|it| it == stream)
    }
}

impl Kept {
    pub fn keep(&mut self, asked: Arc<Asked>, message: &ServerJsonRpcMessage, now: Instant) {
        let size = size(message);
        while let Some(oldest) = self.answers.front()
            && (now - oldest.sent > KEPT || self.bytes + size > MOST_BYTES)
        {
            self.bytes -= oldest.size;
            self.answers.pop_front();
        }
        if size <= MOST_BYTES {
            self.bytes += size;
            self.answers.push_back(Answer { asked, sent: now, size, message: message.clone() });
        }
    }

    /// The answer on the stream of which a client of that session has seen this event last.
    pub fn after(&self, session: &SessionId, event: &str) -> Option<ServerSseMessage> {
        let (index, stream) = parts(event)?;
        let of_stream = |answer: &&Answer| answer.asked.is(session, stream);
        let answer = self.answers.iter().rev().find(of_stream)?;
        let next = format!("{}/{stream}", index.checked_add(1)?);
        Some(ServerSseMessage::new(next, answer.message.clone()))
    }

    pub fn forget(&mut self, session: &SessionId) {
        self.answers.retain(|answer| answer.asked.session != *session);
        self.bytes = self.answers.iter().map(|answer| answer.size).sum();
    }
}

/// The SDK's id of an event: its place in a stream, and which one.
fn parts(event: &str) -> Option<(u64, &str)> {
    let (index, stream) = event.split_once('/')?;
    Some((index.parse().ok()?, stream))
}

/// In bytes of JSON.
fn size(message: &ServerJsonRpcMessage) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What cannot be written is not sent either.
    let _ = serde_json::to_writer(&mut count, message);
    count.0
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ErrorData, JsonRpcMessage, RequestId};

    use super::*;

    fn answer(length: usize) -> ServerJsonRpcMessage {
        let error = ErrorData::internal_error("x".repeat(length), None);
        JsonRpcMessage::error(error, Some(RequestId::Number(1)))
    }

    fn asked(session: &str, stream: &str) -> Arc<Asked> {
        let asked = Asked::new(session.into());
        asked.begins_with(&ServerSseMessage::priming(format!("0/{stream}"), Duration::ZERO));
        asked
    }

    #[test]
    fn an_answer_is_of_its_session_and_stream_alone() {
        let mut kept = Kept::default();
        kept.keep(asked("a", "1"), &answer(1), Instant::now());
        let found = |session: &str, event: &str| kept.after(&session.into(), event);
        assert_eq!(found("a", "0/1").unwrap().event_id.as_deref(), Some("1/1"));
        for (session, event) in [("b", "0/1"), ("a", "0/2"), ("a", "0"), ("a", ""), ("a", "x/1")] {
            assert!(found(session, event).is_none(), "{session} {event}");
        }
        kept.forget(&"a".into());
        assert!(kept.after(&"a".into(), "0/1").is_none());
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn the_oldest_go_and_what_is_too_large_is_not_kept() {
        let mut kept = Kept::default();
        let began = Instant::now();
        let is_kept =
            |kept: &Kept, stream: &str| kept.after(&"a".into(), &format!("0/{stream}")).is_some();
        for stream in ["1", "2", "3"] {
            kept.keep(asked("a", stream), &answer(MOST_BYTES / 3), began);
        }
        assert!(!is_kept(&kept, "1") && is_kept(&kept, "2") && is_kept(&kept, "3"));
        kept.keep(asked("a", "4"), &answer(1), began + KEPT * 2);
        assert!(!is_kept(&kept, "3") && is_kept(&kept, "4"));
        kept.keep(asked("a", "5"), &answer(MOST_BYTES), began + KEPT * 2);
        assert!(!is_kept(&kept, "5"));
        assert!(kept.bytes <= MOST_BYTES);
    }
}
