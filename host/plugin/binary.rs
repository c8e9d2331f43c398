//! What a file is before it is compiled: a component, or which other thing and what to do about it.
//!
//! Reads the structure alone. Whether the code in it is valid is the compiler's to say.

use wasmparser::{BinaryReader, Encoding, Parser, Payload};

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    #[error("the file is empty")]
    Empty,
    #[error(
        "this is not WebAssembly: a component begins with `\\0asm`{}",
        if *.text { "; this looks like the text form, which `wasm-tools parse` makes binary" } else { "" }
    )]
    NotWasm { text: bool },
    #[error(
        "this is a WASI preview 1 module, not a component (it imports {import}); make it one with \
         `inorder pack FILE --wit DIR`, or build it for the target wasm32-wasip2"
    )]
    Preview1 { import: String },
    #[error(
        "this is a core module, not a component; make it one with `inorder pack FILE --wit DIR`, or build it \
         for wasm32-wasip2"
    )]
    CoreModule,
    #[error("the file is cut off after {size} bytes: fetch or build it again")]
    Truncated { size: usize },
    #[error(
        "the file has more than {most}; if you trust it, raise `--component-size` (`component-size` in a config), or `LoadLimits::size`"
    )]
    TooLarge { most: bytesize::ByteSize },
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

/// Checks that `bytes` are a component whose sections are whole.
///
/// # Errors
/// Which other thing they are, and how to make it a component.
pub fn check_binary(bytes: &[u8]) -> Result<(), BinaryError> {
    match bytes {
        [] => return Err(BinaryError::Empty),
        _ if bytes.starts_with(b"\0asm") => {}
        _ if b"\0asm".starts_with(bytes) => {
            return Err(BinaryError::Truncated { size: bytes.len() });
        }
        _ => {
            let start = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace());
            return Err(BinaryError::NotWasm { text: matches!(start, Some(b'(' | b';')) });
        }
    }
    if cut_off(bytes) {
        return Err(BinaryError::Truncated { size: bytes.len() });
    }
    let damaged = |error: wasmparser::BinaryReaderError| BinaryError::Damaged(error.to_string());
    let mut encoding = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(damaged)?;
        match payload {
            Payload::Version { encoding: found, .. } => {
                // The first header is the file's; a component's modules have their own.
                encoding.get_or_insert(found);
            }
            Payload::ImportSection(imports) if encoding == Some(Encoding::Module) => {
                for import in imports.into_imports() {
                    let import = import.map_err(damaged)?;
                    if matches!(import.module, "wasi_snapshot_preview1" | "wasi_unstable") {
                        let import = format!("{}.{}", import.module, import.name);
                        return Err(BinaryError::Preview1 { import });
                    }
                }
            }
            _ => {}
        }
    }
    match encoding {
        Some(Encoding::Component) => Ok(()),
        Some(Encoding::Module) => Err(BinaryError::CoreModule),
        None => Err(BinaryError::Truncated { size: bytes.len() }),
    }
}

/// The largest memory, in bytes, with which a module of a component begins; 0 if that cannot be told.
pub fn first_memory(bytes: &[u8]) -> u64 {
    let memories = Parser::new(0).parse_all(bytes).filter_map(|payload| match payload {
        Ok(Payload::MemorySection(memories)) => Some(memories),
        _ => None,
    });
    let sizes = memories.flatten().flatten().map(|memory| {
        let page = memory.page_size_log2.unwrap_or(16);
        memory.initial.saturating_mul(1_u64.checked_shl(page).unwrap_or(u64::MAX))
    });
    sizes.max().unwrap_or(0)
}

/// A section of a file, of those that are not inside other ones.
pub(super) struct RawSection<'b> {
    pub(super) id: u8,
    pub(super) content: &'b [u8],
    /// With id and size.
    pub(super) whole: &'b [u8],
}

/// Bytes before the first section.
pub(super) const HEADER: usize = 8;

/// The sections of a file, as far as they are whole.
pub(super) fn sections(bytes: &[u8]) -> impl Iterator<Item = RawSection<'_>> {
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        // An id of one byte, the size as a LEB128 number, the content.
        let mut reader = BinaryReader::new(rest.get(1..)?, 0);
        let size = reader.read_var_u32().ok()? as usize;
        let start = 1 + reader.current_position();
        let end = start.checked_add(size)?;
        let section =
            RawSection { id: rest[0], content: rest.get(start..end)?, whole: rest.get(..end)? };
        rest = &rest[end..];
        Some(section)
    })
}

/// Whether the last section, or the header, goes on past the end of the file.
fn cut_off(bytes: &[u8]) -> bool {
    let whole: usize = sections(bytes).map(|section| section.whole.len()).sum();
    HEADER + whole != bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wat: &str) -> Result<(), BinaryError> {
        check_binary(&wat::parse_str(wat).unwrap())
    }

    #[test]
    fn each_thing_that_is_no_component_has_its_own_error() {
        assert_eq!(check("(component)"), Ok(()));
        assert_eq!(check("(component (core module (func)))"), Ok(()));
        assert_eq!(check("(module)"), Err(BinaryError::CoreModule));
        assert_eq!(check(r#"(module (import "env" "x" (func)))"#), Err(BinaryError::CoreModule));
        assert_eq!(
            check(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#),
            Err(BinaryError::Preview1 { import: "wasi_snapshot_preview1.fd_write".to_owned() })
        );
        assert_eq!(check_binary(b""), Err(BinaryError::Empty));
        assert_eq!(check_binary(b"#!/bin/sh"), Err(BinaryError::NotWasm { text: false }));
        assert_eq!(check_binary(b"\n(component)"), Err(BinaryError::NotWasm { text: true }));
    }

    #[test]
    fn the_largest_memory_is_found_wherever_it_is() {
        let wat = r#"(component (core module (memory 2)) (component (core module (memory 7)) (core module)))"#;
        assert_eq!(first_memory(&wat::parse_str(wat).unwrap()), 7 << 16);
        assert_eq!(first_memory(&wat::parse_str("(component)").unwrap()), 0);
        assert_eq!(first_memory(b"nonsense"), 0);
    }

    #[test]
    fn a_component_cut_anywhere_is_not_taken_for_a_whole_one() {
        let whole = wat::parse_str(
            r#"(component (core module (func (export "f")))
                (core instance $i (instantiate 0)) (func (export "f") (canon lift (core func $i "f"))))"#,
        )
        .unwrap();
        let mut cut_short = 0;
        for end in 1..whole.len() {
            match check_binary(&whole[..end]) {
                Err(BinaryError::Truncated { size }) => {
                    assert_eq!(size, end);
                    cut_short += 1;
                }
                // A cut between two sections leaves a well-formed, smaller component.
                Ok(()) => {}
                other => panic!("cut at {end}: {other:?}"),
            }
        }
        assert!(cut_short > whole.len() / 2);
    }
}
