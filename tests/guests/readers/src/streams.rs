//! Reading a whole file by `wasi:io` itself: the two ways that C libraries have.

use crate::wasi::filesystem::preopens::get_directories;
use crate::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use crate::wasi::io::streams::{InputStream, StreamError};

pub type Answer<T> = Result<T, String>;

/// More than any file here has: C libraries ask for as much as their caller's buffer holds.
const MOST: u64 = 2 << 20;

/// Reads a file to its end, each piece by `piece`. Gives its length.
pub fn read(path: &str, piece: fn(&InputStream) -> Result<Vec<u8>, StreamError>) -> Answer<u64> {
    let (root, _) = get_directories().into_iter().next().ok_or("there is no directory")?;
    let (follow, open) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::empty());
    let file =
        root.open_at(follow, path, open, DescriptorFlags::READ).map_err(|it| it.to_string())?;
    let stream = file.read_via_stream(0).map_err(|it| it.to_string())?;
    let mut length = 0;
    loop {
        match piece(&stream) {
            Ok(bytes) => length += bytes.len() as u64,
            Err(StreamError::Closed) => return Ok(length),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

pub fn blocking(stream: &InputStream) -> Result<Vec<u8>, StreamError> {
    stream.blocking_read(MOST)
}

pub fn polling(stream: &InputStream) -> Result<Vec<u8>, StreamError> {
    let bytes = stream.read(MOST)?;
    if bytes.is_empty() {
        stream.subscribe().block();
    }
    Ok(bytes)
}
