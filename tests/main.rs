//! The one test binary: one link of wasmtime for all tests.
//!
//! `cases` are data: a batch in, the report expected. The others are grouped by what they distrust.

mod batches;
mod cases;
mod cli;
mod layout;
mod plugins;
mod sandbox;
mod support;
mod values;
