//! What guests do with files: descriptors over the nodes of a view, and what is listed through them.
//!
//! Only translates. Every function is synchronous and runs on the worker thread: small reads and writes are memory
//! or one system call, and a trip to a blocking pool would cost ten times as much.

use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bounds::Held;
use super::disk::Kind;
use super::listing::Listing;
use super::node::NodeId;
use super::open::How;
use super::scope::Access;
use super::streams::{FileInput, FileOutput};
use super::translate::{descriptor_stat, descriptor_type, last, times};
use super::wasi::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use super::wasi::{Face, FsResult};

/// An open node, and what it was opened for.
#[derive(Clone, Copy)]
pub struct Descriptor {
    node: NodeId,
    is_dir: bool,
    read: bool,
    write: bool,
}

impl Descriptor {
    pub fn dir(node: NodeId) -> Descriptor {
        Descriptor { node, is_dir: true, read: true, write: true }
    }
}

/// What is left of a listing.
pub struct Entries {
    left: Listing,
    _held: Held,
}

type Fd = Resource<Descriptor>;

impl types::HostDescriptor for Face<'_> {
    fn read_via_stream(&mut self, fd: Fd, start: u64) -> FsResult<Resource<DynInputStream>> {
        let file = self.file(&fd, ErrorCode::IsDirectory)?;
        if !file.read {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let stream: DynInputStream = Box::new(FileInput::new(self.view.clone(), file.node, start));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, start: u64) -> FsResult<Resource<DynOutputStream>> {
        let node = self.writable(&fd)?;
        let stream: DynOutputStream =
            Box::new(FileOutput::new(self.view.clone(), node, Some(start)));
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let node = self.writable(&fd)?;
        let stream: DynOutputStream = Box::new(FileOutput::new(self.view.clone(), node, None));
        Ok(self.table.push(stream)?)
    }

    fn advise(&mut self, fd: Fd, _: u64, _: u64, _: Advice) -> FsResult<()> {
        self.file(&fd, ErrorCode::BadDescriptor)?;
        Ok(())
    }

    // What is staged is as safe as it will be until the call commits.

    fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.get(&fd).map(drop)
    }

    fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.get(&fd).map(drop)
    }

    fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        let descriptor = self.get(&fd)?;
        let mut flags = DescriptorFlags::empty();
        if descriptor.read {
            flags |= DescriptorFlags::READ;
        }
        if descriptor.write {
            flags |= if descriptor.is_dir {
                DescriptorFlags::MUTATE_DIRECTORY
            } else {
                DescriptorFlags::WRITE
            };
        }
        Ok(flags)
    }

    fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        let node = self.get(&fd)?.node;
        Ok(descriptor_type(self.view.tree().node(node).kind))
    }

    fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        let node = self.writable(&fd)?;
        Ok(self.view.tree().truncate(node, size)?)
    }

    fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let descriptor = self.get(&fd)?;
        let times = times(&accessed, &modified)?;
        let mut tree = self.view.tree();
        if descriptor.is_dir {
            tree.allow(descriptor.node, "", Access::Write)?;
        } else if !descriptor.write {
            return Err(ErrorCode::NotPermitted.into());
        }
        tree.check_owner(descriptor.node)?;
        tree.set_times(descriptor.node, times);
        Ok(())
    }

    fn read(&mut self, fd: Fd, length: u64, at: u64) -> FsResult<(Vec<u8>, bool)> {
        /// A guest may ask for any length; this much is given at once.
        const MOST: u64 = 1 << 20;
        let file = self.file(&fd, ErrorCode::BadDescriptor)?;
        if !file.read {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let length = usize::try_from(length.min(MOST)).unwrap_or(0);
        let bytes = self.view.tree().read(file.node, at, length)?;
        let end = bytes.len() < length || (length > 0 && bytes.is_empty());
        Ok((bytes.to_vec(), end))
    }

    fn write(&mut self, fd: Fd, bytes: Vec<u8>, at: u64) -> FsResult<u64> {
        let node = self.writable(&fd)?;
        self.view.tree().write(node, at, &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<Entries>> {
        let dir = self.dir(&fd)?;
        let left = self.view.tree().entries(dir)?;
        let _held = Held::new(self.view, left.bytes())?;
        Ok(self.table.push(Entries { left, _held })?)
    }

    fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let dir = self.dir(&fd)?;
        Ok(self.view.tree().mkdir(dir, &path)?)
    }

    fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        let node = self.get(&fd)?.node;
        Ok(descriptor_stat(&self.view.tree().stat(node)?))
    }

    fn stat_at(&mut self, fd: Fd, follow: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let dir = self.dir(&fd)?;
        Ok(descriptor_stat(&self.view.tree().stat_at(dir, &path, last(follow))?))
    }

    fn set_times_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let dir = self.dir(&fd)?;
        let times = times(&accessed, &modified)?;
        Ok(self.view.tree().set_times_at(dir, &path, last(follow), times)?)
    }

    fn link_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        to: Fd,
        to_path: String,
    ) -> FsResult<()> {
        if follow.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let (dir, to) = (self.dir(&fd)?, self.dir(&to)?);
        Ok(self.view.tree().link(dir, &path, to, &to_path)?)
    }

    fn open_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let sync = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(sync) {
            return Err(ErrorCode::Unsupported.into());
        }
        let dir = self.dir(&fd)?;
        let how = How {
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
            directory: open.contains(OpenFlags::DIRECTORY),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let mut tree = self.view.tree();
        let node = tree.open(dir, &path, last(follow), how)?;
        let is_dir = tree.node(node).kind == Kind::Dir;
        drop(tree);
        let descriptor = if is_dir {
            Descriptor::dir(node)
        } else {
            let read = how.read || !(how.write || how.truncate);
            Descriptor { node, is_dir, read, write: how.write }
        };
        Ok(self.table.push(descriptor)?)
    }

    fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let dir = self.dir(&fd)?;
        let target = self.view.tree().readlink_at(dir, &path)?;
        if target.starts_with('/') {
            // It may be followed where it leads into a root; where the host keeps things is not the guest's to know.
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(target.to_string())
    }

    fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let dir = self.dir(&fd)?;
        Ok(self.view.tree().rmdir(dir, &path)?)
    }

    fn rename_at(&mut self, fd: Fd, path: String, to: Fd, to_path: String) -> FsResult<()> {
        let (dir, to) = (self.dir(&fd)?, self.dir(&to)?);
        Ok(self.view.tree().rename(dir, &path, to, &to_path)?)
    }

    fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let dir = self.dir(&fd)?;
        Ok(self.view.tree().symlink(&target, dir, &path)?)
    }

    fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let dir = self.dir(&fd)?;
        Ok(self.view.tree().unlink(dir, &path)?)
    }

    fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        Ok(self.table.get(&one)?.node == self.table.get(&other)?.node)
    }

    fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        let node = self.get(&fd)?.node;
        Ok(self.hash(node))
    }

    fn metadata_hash_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let dir = self.dir(&fd)?;
        let node = self.view.tree().find(dir, &path, last(follow), Access::Look)?;
        Ok(self.hash(node))
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for Face<'_> {
    fn read_directory_entry(
        &mut self,
        entries: Resource<Entries>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let next = self.table.get_mut(&entries)?.left.next();
        Ok(next.map(|(name, kind)| DirectoryEntry { type_: descriptor_type(kind), name }))
    }

    fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl Face<'_> {
    fn get(&self, fd: &Fd) -> FsResult<Descriptor> {
        Ok(*self.table.get(fd)?)
    }

    fn dir(&self, fd: &Fd) -> FsResult<NodeId> {
        let descriptor = self.get(fd)?;
        if descriptor.is_dir { Ok(descriptor.node) } else { Err(ErrorCode::NotDirectory.into()) }
    }

    fn file(&self, fd: &Fd, what_a_directory_is: ErrorCode) -> FsResult<Descriptor> {
        let descriptor = self.get(fd)?;
        if descriptor.is_dir { Err(what_a_directory_is.into()) } else { Ok(descriptor) }
    }

    fn writable(&self, fd: &Fd) -> FsResult<NodeId> {
        let descriptor = self.file(fd, ErrorCode::BadDescriptor)?;
        if descriptor.write { Ok(descriptor.node) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    /// Which file it is, and nothing of its state: that it is there was recorded when it was found.
    fn hash(&self, id: NodeId) -> MetadataHashValue {
        let tree = self.view.tree();
        let node = tree.node(id);
        MetadataHashValue { lower: node.ino, upper: node.root as u64 }
    }
}
