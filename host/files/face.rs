//! `wasi:filesystem/types` as guests see it: wasmtime's, but for opening and for streams.
//!
//! - Opening never blocks and opens nothing but files and directories. A FIFO or a device would hold the
//!   worker thread, with every timeout and cancellation on it, for as long as its other end likes.
//! - Streams read and write on the spot. Wasmtime's hand a write to a thread and forget it when the
//!   store goes: it would land after its call has ended, or never.

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_primitives::fs::{OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::streams::{FileInput, FileOutput};

/// Wasmtime's view of a store's files, with ours in front.
pub struct Face<'a>(pub WasiFilesystemCtxView<'a>);

type Fd = Resource<Descriptor>;

impl Face<'_> {
    fn dir(&self, fd: &Fd) -> FsResult<&Dir> {
        match self.0.table.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn file(&self, fd: &Fd, what_a_directory_is: ErrorCode) -> FsResult<&File> {
        match self.0.table.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(what_a_directory_is.into()),
        }
    }

    fn output(&mut self, fd: &Fd, start: Option<u64>) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(fd, ErrorCode::BadDescriptor)?;
        if matches!(file.perms, FsPerms::ReadOnly) {
            return Err(ErrorCode::NotPermitted.into());
        }
        let stream: DynOutputStream = Box::new(FileOutput::new(file.file.clone(), start));
        Ok(self.0.table.push(stream)?)
    }
}

/// Opens `path` beneath `dir`, which it cannot leave.
fn open(
    dir: &Dir,
    path: &str,
    follow: PathFlags,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> FsResult<Descriptor> {
    let sync = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    if flags.intersects(sync) {
        return Err(ErrorCode::Unsupported.into());
    }
    let changing = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
    let want_dir = how.contains(OpenFlags::DIRECTORY);
    if want_dir && how.intersects(changing) {
        return Err(ErrorCode::Invalid.into());
    }
    let create = how.contains(OpenFlags::CREATE);
    let truncate = how.contains(OpenFlags::TRUNCATE);
    let write = flags.contains(DescriptorFlags::WRITE) || create || truncate;
    // The system wants one of the two; what the guest may do is `mode`'s to say.
    let read = flags.contains(DescriptorFlags::READ) || !write;
    if write && matches!(dir.perms, FsPerms::ReadOnly) {
        return Err(ErrorCode::NotPermitted.into());
    }
    let mut mode = OpenMode::empty();
    mode.set(OpenMode::READ, read);
    mode.set(OpenMode::WRITE, write);
    let followed = follow.contains(PathFlags::SYMLINK_FOLLOW);
    let exclusive = create && how.contains(OpenFlags::EXCLUSIVE);
    // Never waits for the other end of a FIFO, never takes a terminal for its own.
    let never = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = OpenOptions::new();
    options
        .read(read)
        .write(write)
        .truncate(truncate)
        .create(create && !exclusive)
        .create_new(exclusive)
        .custom_flags(i32::try_from(never).unwrap_or(0))
        .follow(if followed { FollowSymlinks::Yes } else { FollowSymlinks::No });
    let opened = cap_primitives::fs::open(&dir.dir, path.as_ref(), &options)?;
    let kind = opened.metadata()?.file_type();
    match kind {
        _ if kind.is_dir() => Ok(Descriptor::Dir(Dir::new(opened, dir.perms, mode, true))),
        _ if want_dir => Err(ErrorCode::NotDirectory.into()),
        _ if kind.is_file() => Ok(Descriptor::File(File::new(opened, dir.perms, mode, true))),
        // A FIFO, a socket, a device.
        _ => Err(ErrorCode::Unsupported.into()),
    }
}

impl Host for Face<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.0.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.0.filesystem_error_code(error)
    }
}

impl HostDescriptor for Face<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let opened = open(self.dir(&fd)?, &path, follow, how, flags)?;
        Ok(self.0.table.push(opened)?)
    }

    fn read_via_stream(&mut self, fd: Fd, start: Filesize) -> FsResult<Resource<DynInputStream>> {
        let file = self.file(&fd, ErrorCode::IsDirectory)?;
        let stream: DynInputStream = Box::new(FileInput::new(file.file.clone(), start));
        Ok(self.0.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, start: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, Some(start))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, None)
    }

    // The rest is wasmtime's. Its file operations run on the spot, as `Dir` and `File` are made above.

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.0, fd)
    }

    async fn advise(&mut self, fd: Fd, at: u64, length: u64, advice: Advice) -> FsResult<()> {
        self.0.advise(fd, at, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.0.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.0.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.0.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.0.get_type(fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.0.set_size(fd, size).await
    }

    async fn set_times(&mut self, fd: Fd, at: NewTimestamp, mt: NewTimestamp) -> FsResult<()> {
        self.0.set_times(fd, at, mt).await
    }

    async fn read(&mut self, fd: Fd, length: u64, at: u64) -> FsResult<(Vec<u8>, bool)> {
        self.0.read(fd, length, at).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, at: u64) -> FsResult<u64> {
        self.0.write(fd, bytes, at).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        self.0.read_directory(fd).await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.0.create_directory_at(fd, path).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.0.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.0.stat_at(fd, follow, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        at: NewTimestamp,
        mt: NewTimestamp,
    ) -> FsResult<()> {
        self.0.set_times_at(fd, follow, path, at, mt).await
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        to: Fd,
        to_path: String,
    ) -> FsResult<()> {
        self.0.link_at(fd, follow, path, to, to_path).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.0.readlink_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.0.remove_directory_at(fd, path).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, to_path: String) -> FsResult<()> {
        self.0.rename_at(fd, path, to, to_path).await
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        self.0.symlink_at(fd, target, path).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.0.unlink_file_at(fd, path).await
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.0.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.0.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.0.metadata_hash_at(fd, follow, path).await
    }
}

impl HostDirectoryEntryStream for Face<'_> {
    async fn read_directory_entry(
        &mut self,
        entries: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.0.read_directory_entry(entries).await
    }

    fn drop(&mut self, entries: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.0, entries)
    }
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Face<'a>;
}

/// Adds `wasi:filesystem/types`.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> Face<'_>,
) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasFiles>(linker, host)
}
