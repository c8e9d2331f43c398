//! Streams over files that read and write on the spot: ready always, nothing in flight when a call ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

/// The most that one read gives and one write takes.
const CHUNK: usize = 64 << 10;

/// A file read from a position onward.
pub struct FileInput {
    file: Arc<File>,
    at: u64,
}

/// A file written from a position onward, or at its end.
pub struct FileOutput {
    file: Arc<File>,
    /// `None` appends.
    at: Option<u64>,
}

impl FileInput {
    pub fn new(file: Arc<File>, at: u64) -> FileInput {
        FileInput { file, at }
    }
}

impl FileOutput {
    pub fn new(file: Arc<File>, at: Option<u64>) -> FileOutput {
        FileOutput { file, at }
    }
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(CHUNK));
        loop {
            match self.file.read_at(&mut buffer, self.at) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(read) => {
                    self.at += read as u64;
                    buffer.truncate(read);
                    return Ok(buffer.freeze());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::LastOperationFailed(error.into())),
            }
        }
    }

    async fn blocking_read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        self.read(size)
    }
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let failed = |error: io::Error| StreamError::LastOperationFailed(error.into());
        match &mut self.at {
            Some(at) => {
                self.file.write_all_at(&bytes, *at).map_err(failed)?;
                *at += bytes.len() as u64;
            }
            None => append(&self.file, &bytes).map_err(failed)?,
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

/// Writes at the end as it is now, wherever the file's own position may be.
fn append(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, file.metadata()?.len())
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}
