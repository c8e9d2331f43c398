//! `wasi:filesystem` as it is linked to guests: its bindings, how a call of it fails, and the directories that a guest
//! begins with. What it does with them is `descriptor`.

use std::sync::Arc;

use rustix::io::Errno;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::descriptor::Descriptor;
use super::translate::code;
use super::view::View;

mod bindings {
    wasmtime::component::bindgen!({
        path: "host/files/wit",
        world: "inorder:files/host",
        imports: { default: trappable },
        trappable_error_type: { "wasi:filesystem/types.error-code" => super::FsError },
        with: {
            "wasi:io/error": wasmtime_wasi_io::bindings::wasi::io::error,
            "wasi:io/poll": wasmtime_wasi_io::bindings::wasi::io::poll,
            "wasi:io/streams": wasmtime_wasi_io::bindings::wasi::io::streams,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::super::descriptor::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": super::super::descriptor::Entries,
        },
        require_store_data_send: true,
    });
}

use bindings::wasi::filesystem::preopens;
pub use bindings::wasi::filesystem::types;
use types::ErrorCode;

/// An answer to the guest, or the end of it. No error object is made for what guests meet every day.
#[derive(Debug)]
pub enum FsError {
    Code(ErrorCode),
    Trap(wasmtime::Error),
}

pub type FsResult<T> = Result<T, FsError>;

/// The part of a store's state that this needs.
pub struct Face<'a> {
    pub table: &'a mut ResourceTable,
    pub view: &'a Arc<View>,
}

impl preopens::Host for Face<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::new();
        for (root, name) in self.view.preopens() {
            let node = self.view.tree().root(root);
            directories.push((self.table.push(Descriptor::dir(node))?, name));
        }
        Ok(directories)
    }
}

impl types::Host for Face<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        match error {
            FsError::Code(code) => Ok(code),
            FsError::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<Errno>().map(|errno| code(*errno)))
    }
}

impl From<ErrorCode> for FsError {
    fn from(code: ErrorCode) -> FsError {
        FsError::Code(code)
    }
}

impl From<Errno> for FsError {
    fn from(errno: Errno) -> FsError {
        FsError::Code(code(errno))
    }
}

impl From<wasmtime::component::ResourceTableError> for FsError {
    fn from(error: wasmtime::component::ResourceTableError) -> FsError {
        FsError::Trap(error.into())
    }
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Face<'a>;
}

/// Adds `wasi:filesystem/types` and `preopens`.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> Face<'_>,
) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasFiles>(linker, host)?;
    preopens::add_to_linker::<T, HasFiles>(linker, host)
}
