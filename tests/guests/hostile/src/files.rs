//! Attacks by what is read from and written to files.

use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::Told;
use crate::names::root;

pub fn open_many(path: &str, count: u32) -> Told {
    let (root, mut held) = (root(), Vec::new());
    for _ in 0..count {
        match open(&root, path, OpenFlags::empty(), DescriptorFlags::READ) {
            Ok(file) => held.push(file),
            Err(error) => return Ok(format!("{} files are open: {error}", held.len())),
        }
    }
    Err(format!("{} files are open", held.len()))
}

/// Every second byte, in files of `bytes` pieces each.
pub fn scatter(files: u32, bytes: u32) -> Told {
    let root = root();
    for number in 0..files {
        let file = create(&root, number).map_err(|error| error.to_string())?;
        for at in 0..u64::from(bytes) {
            if let Err(error) = file.write(b"x", at * 2) {
                return Err(format!("after {number} files and {at} bytes: {error}"));
            }
        }
    }
    Ok(format!("{} bytes were scattered", u64::from(files) * u64::from(bytes)))
}

pub fn fill_and_empty(files: u32) -> Told {
    let (root, piece) = (root(), vec![b'x'; 1 << 19]);
    for number in 0..files {
        let filled = create(&root, number).and_then(|file| {
            for at in 0..3 {
                file.write(&piece, at << 19)?;
            }
            file.set_size(1)
        });
        if let Err(error) = filled {
            return Err(format!("after {number} files: {error}"));
        }
    }
    Ok(format!("{files} files were filled and emptied"))
}

pub fn stretch() -> Told {
    let (root, piece) = (root(), vec![b'x'; 1 << 19]);
    for number in 0..8 {
        let stretched = create(&root, number).and_then(|file| {
            for at in 0..3 {
                file.write(&piece, at << 19)?;
            }
            file.set_size(i64::MAX as u64)
        });
        if let Err(error) = stretched {
            return Err(format!("after {number} files: {error}"));
        }
    }
    Ok("files of 64 EiB were made".into())
}

pub fn rewrite(path: &str) -> Told {
    let (root, piece) = (root(), vec![b'x'; 1 << 18]);
    let file = open(&root, path, OpenFlags::empty(), DescriptorFlags::WRITE)
        .map_err(|error| error.to_string())?;
    for at in 0..8 {
        if let Err(error) = file.write(&piece, at << 20) {
            return Err(format!("after {at} pieces: {error}"));
        }
    }
    Ok("it was rewritten".into())
}

pub fn read_all(path: &str, count: u32) -> Told {
    let root = root();
    let mut bytes = 0;
    for number in 0..count {
        let read =
            open(&root, &format!("{path}/{number}"), OpenFlags::empty(), DescriptorFlags::READ)
                .and_then(|file| file.read(1 << 16, 0));
        match read {
            Ok((content, _)) => bytes += content.len(),
            Err(error) => return Err(format!("after {number} files: {error}")),
        }
    }
    Ok(format!("{bytes} bytes were read, as they may be"))
}

fn create(root: &Descriptor, number: u32) -> Result<Descriptor, ErrorCode> {
    open(
        root,
        &format!("f{number}"),
        OpenFlags::CREATE,
        DescriptorFlags::READ | DescriptorFlags::WRITE,
    )
}

pub fn open(
    root: &Descriptor,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    root.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags)
}
