//! Bodies on their way, in bounds: bytes counted, waits limited, secrets taken out.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::client::Client;
use super::connect::{Connection, broken};
use super::log::NetLog;
use super::pool::Key;
use super::scrub::Scrub;
use super::send::clean;

/// What a run may still transfer.
pub struct Budget {
    limit: u64,
    left: AtomicU64,
    log: Arc<NetLog>,
}

impl Budget {
    pub fn new(limit: u64, log: Arc<NetLog>) -> Budget {
        Budget { limit, left: AtomicU64::new(limit), log }
    }

    /// # Errors
    /// The limit, if there is less left than that.
    fn take(&self, bytes: usize) -> Result<(), u64> {
        let less = |left: u64| left.checked_sub(bytes as u64);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.log.filled();
                Err(self.limit)
            }
        }
    }
}

/// What a guest sends.
pub struct Sent {
    pub body: WasiBody,
    pub budget: Arc<Budget>,
    /// The run that sends it has ended.
    pub over: Arc<AtomicBool>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let size = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        // What becomes of the guest's end of it when the guest is no more looks like the end of the body.
        if frame.is_none() && self.over.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(Error::HttpProtocolError)));
        }
        Poll::Ready(match self.budget.take(size) {
            Ok(()) => frame,
            Err(limit) => Some(Err(Error::HttpRequestBodySize(Some(limit)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a server answers. Its connection is kept for others when it has been read to its end, else closed.
pub struct Answer {
    pub incoming: Incoming,
    pub connection: Option<(Key, Connection)>,
    pub client: Arc<Client>,
    pub budget: Arc<Budget>,
    pub wait: Wait,
    pub scrub: Option<Scrub>,
    pub trailers: Option<HeaderMap>,
    /// One of the requests that a run may have under way.
    pub _permit: OwnedSemaphorePermit,
}

/// The time until more comes. It runs while somebody waits, not while the guest does something else.
pub struct Wait {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    runs: bool,
}

impl Wait {
    pub fn new(limit: Duration) -> Wait {
        Wait { limit, sleep: Box::pin(tokio::time::sleep(limit)), runs: false }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.runs, true) {
            self.sleep.as_mut().reset(Instant::now() + self.limit);
        }
        self.sleep.as_mut().poll(context)
    }
}

impl Answer {
    fn failed(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.connection = None;
        self.scrub = None;
        Poll::Ready(Some(Err(error)))
    }

    /// It has been read to its end.
    fn keep(&mut self) {
        if let Some((key, connection)) = self.connection.take() {
            self.client.pool.put(key, connection);
        }
    }

    /// The end of the body: what was kept back, then the trailers.
    fn end(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        let rest = self.scrub.take().map(|mut scrub| scrub.finish());
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            return Some(Ok(Frame::data(rest)));
        }
        self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if this.connection.is_none() {
                return Poll::Ready(this.end());
            }
            let frame = match Pin::new(&mut this.incoming).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(this.wait.poll(context));
                    return this.failed(Error::ConnectionReadTimeout);
                }
            };
            this.wait.runs = false;
            let data = match frame {
                None => {
                    this.keep();
                    continue;
                }
                Some(Err(error)) => return this.failed(broken(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => {
                        this.trailers = frame.into_trailers().ok().map(|mut trailers| {
                            if let Some(scrub) = &this.scrub {
                                clean(scrub.patterns(), &mut trailers);
                            }
                            trailers
                        });
                        continue;
                    }
                },
            };
            if let Err(limit) = this.budget.take(data.len()) {
                return this.failed(Error::HttpResponseBodySize(Some(limit)));
            }
            let data = match &mut this.scrub {
                Some(scrub) => scrub.push(&data),
                None => data,
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let whole = self.connection.is_none() || self.incoming.is_end_stream();
        whole && self.scrub.is_none() && self.trailers.is_none()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // One without a body is mostly not read at all.
        if self.incoming.is_end_stream() {
            self.keep();
        }
    }
}
