//! Streams over files of a view: ready always, nothing in flight when a call ends.

use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

use super::node::NodeId;
use super::view::View;

/// The most that one read gives and one write takes.
const CHUNK: usize = 64 << 10;

/// A file read from a position onward.
pub struct FileInput {
    view: Arc<View>,
    node: NodeId,
    at: u64,
}

/// A file written from a position onward, or at its end.
pub struct FileOutput {
    view: Arc<View>,
    node: NodeId,
    /// `None` appends.
    at: Option<u64>,
}

impl FileInput {
    pub fn new(view: Arc<View>, node: NodeId, at: u64) -> FileInput {
        FileInput { view, node, at }
    }
}

impl FileOutput {
    pub fn new(view: Arc<View>, node: NodeId, at: Option<u64>) -> FileOutput {
        FileOutput { view, node, at }
    }
}

fn failed(error: Errno) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.view.tree().read(self.node, self.at, size.min(CHUNK)).map_err(failed)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    async fn blocking_read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        self.read(size)
    }
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let mut tree = self.view.tree();
        match &mut self.at {
            Some(at) => {
                tree.write(self.node, *at, &bytes).map_err(failed)?;
                *at += bytes.len() as u64;
            }
            None => tree.append(self.node, &bytes).map_err(failed)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(CHUNK)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.write(bytes)
    }
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}
