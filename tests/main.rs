//! The one test binary: one link of wasmtime for all tests.
//!
//! `cases` are data: a batch in, the report expected. The others are grouped by what they distrust.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod agent;
mod asking;
mod audit;
mod batches;
mod cases;
mod check;
mod cli;
mod crash;
mod dev;
mod dialects;
mod escapes;
mod fetch;
mod git;
mod grep;
mod hints;
mod hostile;
mod kit;
mod layout;
mod lifting;
mod limits;
mod linear;
mod net;
mod patches;
mod plugins;
mod python;
mod reloading;
mod sandbox;
mod serial;
mod serve;
mod strangers;
mod support;
mod tags;
mod tooling;
mod tools;
mod transactions;
mod values;
