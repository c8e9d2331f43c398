//! The body of a request, looked at before it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, WasiBody};

/// How much of a body is looked at, in bytes.
pub const LOOKED_AT: usize = 64 << 10;

/// A body of which all, or more than is looked at, has come; or of which no more came for a while.
pub struct Begun {
    start: Bytes,
    rest: Rest,
}

enum Rest {
    /// The start is the whole body.
    Nothing,
    /// Trailers, and what may follow.
    Trailers(Frame<Bytes>, WasiBody),
    More(WasiBody),
}

impl Begun {
    /// Waits for the body, or for a piece of it no longer than `pause`.
    ///
    /// # Errors
    /// The guest gave it up.
    pub async fn read(mut body: WasiBody, pause: Duration) -> Result<Begun, Error> {
        let mut start = BytesMut::new();
        loop {
            let frame = match timeout(pause, body.frame()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return Ok(Begun { start: start.into(), rest: Rest::More(body) }),
            };
            match frame?.into_data() {
                Ok(data) => start.extend_from_slice(&data),
                Err(frame) => {
                    return Ok(Begun { start: start.into(), rest: Rest::Trailers(frame, body) });
                }
            }
            if start.len() > LOOKED_AT {
                return Ok(Begun { start: start.into(), rest: Rest::More(body) });
            }
        }
        Ok(Begun { start: start.into(), rest: Rest::Nothing })
    }

    /// All of it, if it is no longer than what is looked at.
    pub fn whole(&self) -> Option<&Bytes> {
        matches!(self.rest, Rest::Nothing).then_some(&self.start)
    }

    /// As much of it as is looked at, or a little more.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The body as it came.
    pub fn into_body(self) -> WasiBody {
        let (trailers, rest) = match self.rest {
            Rest::Nothing => return whole(self.start),
            Rest::Trailers(trailers, rest) => (Some(trailers), rest),
            Rest::More(rest) => (None, rest),
        };
        Joined { start: Some(self.start), trailers, rest }.boxed_unsync()
    }
}

/// A body of a known size.
pub fn whole(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

struct Joined {
    start: Option<Bytes>,
    trailers: Option<Frame<Bytes>>,
    rest: WasiBody,
}

impl Body for Joined {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let start = self.start.take().filter(|start| !start.is_empty()).map(Frame::data);
        match start.or_else(|| self.trailers.take()) {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}
