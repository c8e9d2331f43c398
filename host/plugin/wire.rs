//! A component value on its way between JSON and a guest's memory.
//!
//! Places instead of names, and bytes as bytes. `wasmtime::component::Val`, which any host may use, takes 32 bytes and two
//! calls for each item of a list, and a string for each name: 1 MiB as `list<u8>` took a hundred times as long.

use bytes::Bytes;

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
