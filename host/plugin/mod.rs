//! WHO answers: components, their tools, and the mapping between JSON and component values.
//!
//! Knows component types, not stores: nothing here runs a guest.

mod binary;
mod builtin;
mod cache;
mod check;
mod compile;
mod component;
mod crossing;
mod decode;
mod divide;
mod docs;
mod edits;
mod given;
mod handed;
mod lift;
mod lower;
mod names;
mod packed;
mod parts;
mod registry;
mod schema;
mod seen;
mod segments;
mod shape;
mod straight;
mod text;
mod tool;
mod touches;
mod wire;
mod writer;

pub use binary::{BinaryError, check_binary, first_memory};
pub use builtin::builtins;
pub use cache::Cache;
#[cfg(any(test, feature = "fuzzing"))]
pub use check::{BASE64, MAX_SAFE};
pub use check::{References, check};
pub use compile::{Helper, LoadLimits, REFUSED, compile, translate};
pub use component::{Asks, NotATool, Plugin, PluginError};
pub use crossing::Crossing;
pub use decode::decode;
#[cfg(any(test, feature = "fuzzing"))]
pub use divide::divide;
pub use docs::Docs;
pub use given::{Given, GivenValue};
pub use handed::{GUARD, MOST_HANDED};
pub use lower::Args;
#[cfg(any(test, feature = "fuzzing"))]
pub use names::camel_case;
pub use packed::{Misfits, Wit, WitError};
pub use registry::{Registry, RegistryError, ToolRef};
#[cfg(any(test, feature = "fuzzing"))]
pub use schema::schema;
pub use seen::{Seen, Stamp};
#[cfg(any(test, feature = "fuzzing"))]
pub use shape::Budget;
pub use shape::{Case, Field, Shape};
pub use tool::{Answer, Tool, ToolName};
pub use touches::{Known, TouchedPaths, Touches};
pub use wire::{Values, Wire};
pub use writer::TooLong;
