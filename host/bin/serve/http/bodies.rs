//! Bodies of requests, read whole: so long, so slow and so many at once as can be kept.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answers::{self, Answer, Form};

/// Bytes of all bodies together.
const MOST_OPEN: usize = 256 << 20;

/// Until the next piece.
const PAUSE: Duration = Duration::from_secs(20);

/// Until its end.
const WHOLE: Duration = Duration::from_secs(120);

/// Room for bodies. Clones share it.
#[derive(Clone)]
pub struct Bodies(Arc<Semaphore>);

pub struct Body {
    pub bytes: Bytes,
    /// To be kept for as long as what was read.
    pub room: OwnedSemaphorePermit,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge {
        most: usize,
    },
    Slow,
    NoRoom,
    /// The client has gone, or does not speak HTTP.
    Broken,
}

impl Bodies {
    pub fn new() -> Bodies {
        Bodies(Arc::new(Semaphore::new(MOST_OPEN)))
    }

    /// Reads a body of at most so many bytes. Room is taken for what has come, so that who says much and sends nothing has none;
    /// nobody waits for it, since two that each have some would wait for each other.
    pub async fn read(&self, body: Incoming, most: usize) -> Result<Body, Unread> {
        if body.size_hint().lower() > most as u64 {
            return Err(Unread::TooLarge { most });
        }
        tokio::time::timeout(WHOLE, self.pieces(body, most)).await.map_err(|_| Unread::Slow)?
    }

    async fn pieces(&self, mut body: Incoming, most: usize) -> Result<Body, Unread> {
        let (mut read, mut room) = (Vec::new(), self.room(0)?);
        loop {
            let frame =
                tokio::time::timeout(PAUSE, body.frame()).await.map_err(|_| Unread::Slow)?;
            let Some(frame) = frame else { return Ok(Body { bytes: read.into(), room }) };
            let Ok(piece) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if read.len() + piece.len() > most {
                return Err(Unread::TooLarge { most });
            }
            room.merge(self.room(piece.len())?);
            read.extend_from_slice(&piece);
        }
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Unread> {
        let bytes = u32::try_from(bytes).map_err(|_| Unread::NoRoom)?;
        self.0.clone().try_acquire_many_owned(bytes).map_err(|_| Unread::NoRoom)
    }
}

impl Unread {
    pub fn answer(self, form: Form) -> Answer {
        let (status, kind, message) = match self {
            Unread::TooLarge { most } => {
                let most = bytesize::ByteSize(most as u64);
                let message =
                    format!("the body has more than {most}: pass paths instead of contents");
                return answers::error(form, StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message);
            }
            Unread::Slow => {
                (StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")
            }
            Unread::NoRoom => return answers::busy(form, "too many requests are being read"),
            Unread::Broken => (StatusCode::BAD_REQUEST, "body", "the body cannot be read"),
        };
        answers::error(form, status, kind, message)
    }
}
