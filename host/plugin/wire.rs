//! A component value on its way between JSON and a guest's memory.
//!
//! Places instead of names, and bytes as bytes. `wasmtime::component::Val`, which any host may use, takes 32 bytes and two
//! calls for each item of a list, and a string for each name: 1 MiB as `list<u8>` took a hundred times as long.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Arguments as a guest takes them, in the order of its tool's parameters. Clones share them.
#[derive(Clone)]
pub struct Values(Arc<[Wire]>);

impl From<Vec<Wire>> for Values {
    fn from(values: Vec<Wire>) -> Values {
        Values(values.into())
    }
}

impl Values {
    pub(crate) fn wires(&self) -> &[Wire] {
        &self.0
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has them has the JSON that they were.
        write!(f, "{} values", self.0.len())
    }
}

/// A value of some WIT type, which whoever handles it knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Wire {
    Bool(bool),
    /// `s8` to `s64`.
    Signed(i64),
    /// `u8` to `u64`.
    Unsigned(u64),
    F32(f32),
    F64(f64),
    Char(char),
    String(String),
    /// `list<u8>`.
    Bytes(Bytes),
    /// Any other list.
    List(Vec<Wire>),
    /// Of a record or a tuple, in their order.
    Fields(Vec<Wire>),
    /// Which case of a variant or an enum, counted from 0, and its payload. `none`, `some`, `ok` and `err` are cases, too.
    Case(u32, Option<Box<Wire>>),
    /// A bit for each flag, 32 to a word.
    Flags(Vec<u32>),
}
