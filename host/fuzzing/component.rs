//! The bytes of a plugin, as far as they are read, and changed, before the compiler sees them.

use std::borrow::Cow;

use wasmparser::{Validator, WasmFeatures};

use crate::plugin::{Wit, check_binary, divide};

/// Bytes that begin as wasm does are a file. Any others are the section that `pack` writes, in a component without
/// anything else.
pub fn component(bytes: &[u8]) {
    if bytes.starts_with(b"\0asm") {
        file(bytes);
    } else {
        file(&Wit::section_of_an_empty_component(bytes));
    }
}

fn file(bytes: &[u8]) {
    if let Ok(Cow::Owned(divided)) = divide(bytes) {
        let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&divided);
        let broken = valid.err();
        assert!(broken.is_none(), "dividing has damaged the component: {broken:?}");
    }
    let whole = check_binary(bytes).is_ok();
    let Some(Ok(wit)) = Wit::packed_in(bytes) else { return };
    if !whole {
        return;
    }
    let Ok(packed) = wit.pack_into(bytes) else { return };
    assert!(check_binary(&packed).is_ok(), "packing has damaged the component");
    let again = Wit::packed_in(&packed).and_then(Result::ok);
    let again = again.and_then(|again| again.pack_into(&packed).ok());
    assert!(again.is_some_and(|again| again == packed), "packed twice is not packed once");
}
