//! Files as bytes, under the names that gix uses of the crate `memmap2`: WebAssembly has no maps of files,
//! and that crate refuses every one there. A file is read into memory instead.
//!
//! Not more than gix calls: whole files, never written back.

use std::fs::File;
use std::io::{Read as _, Result, Seek as _, SeekFrom};
use std::ops::Deref;

/// The content of a file as it was when it was read.
#[derive(Debug)]
pub struct Mmap(Vec<u8>);

#[derive(Clone, Debug, Default)]
pub struct MmapOptions(());

impl MmapOptions {
    pub fn new() -> MmapOptions {
        MmapOptions(())
    }

    /// # Safety
    /// Always safe: the bytes are the map's own. The signature is that of the crate it stands for.
    #[expect(unsafe_code, reason = "callers write `unsafe`")]
    pub unsafe fn map(&self, file: &File) -> Result<Mmap> {
        let mut bytes = Vec::new();
        let mut file = file;
        // A map leaves the file where it was, and callers go on reading from there.
        let before = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        file.seek(SeekFrom::Start(before))?;
        Ok(Mmap(bytes))
    }

    /// # Safety
    /// As [`MmapOptions::map`].
    #[expect(unsafe_code, reason = "callers write `unsafe`")]
    pub unsafe fn map_copy_read_only(&self, file: &File) -> Result<Mmap> {
        // SAFETY: it asks for nothing
        unsafe { self.map(file) }
    }
}

impl Deref for Mmap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Mmap {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
