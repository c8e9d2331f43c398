//! What reads strangers' bytes, each as one function of bytes: for the fuzz targets in `fuzz/`, and for the test that
//! replays their corpora. A function panics where a promise is broken.
//!
//! Not part of the library: behind the feature `fuzzing`.

mod batch;
mod component;
mod encode;
mod graphql;
mod lifted;
mod policy;
mod spelling;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub use crate::files::fuzz_journal as journal;
pub use batch::batch_json;
pub use component::component;
pub use graphql::graphql;
pub use lifted::lifted;
pub use policy::{config, hosts, pattern};
pub use values::json_values;
