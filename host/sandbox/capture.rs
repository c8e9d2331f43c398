//! Captured standard output: a bounded buffer behind a WASI stream.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

/// One of a call's output streams. Clones share the buffer.
#[derive(Clone)]
pub struct Capture {
    buffer: Arc<Mutex<Vec<u8>>>,
    limit: u64,
}

/// A guest wrote more than `limit` bytes. Traps the guest, so that a flood ends the call.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("more than {limit} bytes of captured output")]
pub struct OutputLimit {
    pub limit: u64,
}

impl Capture {
    pub fn new(limit: u64) -> Capture {
        Capture { buffer: Arc::default(), limit }
    }

    /// # Errors
    /// It would be more than the limit.
    pub fn add(&self, bytes: &[u8]) -> Result<(), OutputLimit> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if (buffer.len() + bytes.len()) as u64 > self.limit {
            return Err(OutputLimit { limit: self.limit });
        }
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// What was written so far. Bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: bytes::Bytes) -> Result<(), StreamError> {
        self.add(&bytes).map_err(|limit| StreamError::Trap(limit.into()))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.3 alone asks for this, and is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}
