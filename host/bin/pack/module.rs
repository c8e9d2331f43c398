//! A component from a core module, as compilers for C, Go and Zig give it, and its WIT.
//!
//! What `wasm-tools component embed` and `component new --adapt` do, so that nobody needs these and the adapter's file to
//! write a tool. Which functions the module has to export, and how, is the business of `wit-bindgen`.

use std::path::Path;

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub fn is_core_module(bytes: &[u8]) -> bool {
    Parser::is_core_wasm(bytes)
}

/// The component that `module` is by the only world of `wit`. What it imports of WASI preview 1 is translated.
///
/// # Errors
/// The WIT is wrong or has several worlds, or the module does not export what it should.
pub fn to_component(module: &[u8], wit: &Path) -> anyhow::Result<Vec<u8>> {
    let mut module = module.to_vec();
    // Bindings for C carry their types in an object file that is linked in.
    if !carries_types(&module) {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(wit)?;
        let world = resolve.select_world(&[package], None)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    }
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter("wasi_snapshot_preview1", ADAPTER)?
        .encode()
        .context("the module is not what the WIT says")
}

fn carries_types(module: &[u8]) -> bool {
    let sections = Parser::new(0).parse_all(module);
    sections.flatten().any(
        |it| matches!(it, Payload::CustomSection(custom) if custom.name().starts_with("component-type")),
    )
}
