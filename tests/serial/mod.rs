//! The promise itself: a batch gives every call the answer, and leaves the files, that running its calls
//! one at a time in the order issued would give.
//!
//! Random batches of conflicting file operations (`generate`, `paths`, `rng`; as JSON in `render`) run on a
//! host and, one call at a time, on a plain directory (`oracle`). Every answer and the two directories
//! (`tree`) must be the same. `check` runs and compares, `shrink` makes a batch that differs small, `honest`
//! tests the tests.

mod check;
pub mod generate;
mod honest;
pub mod oracle;
mod paths;
pub mod render;
pub mod rng;
mod shrink;
pub mod tree;

#[path = "../guests/fileops/src/names.rs"]
mod names;
#[path = "../guests/fileops/src/ops.rs"]
mod ops;
