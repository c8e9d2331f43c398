//! The files that calls see: roots, and what of them a plugin's grants open.
//!
//! Knows paths and directories, not calls. For now a grant is a whole directory, handed to the guest as
//! a WASI preopen; nothing of a call is staged, so the scheduler keeps writers apart (`host.rs`).

mod face;
mod preopens;
mod roots;
mod streams;

pub use face::{Face, add_to_linker as add_types_to_linker};
pub use preopens::{PreopenHost, Preopens, add_to_linker as add_preopens_to_linker};
pub use roots::{FilesError, Roots};
