//! A model test of the view: the same random operations on a view and on a plain directory, step by step.
//!
//! `step` makes operations, `native` is the plain directory, `staged` the view, `sequences` runs both and
//! compares results, errors, contents, and what is left on the disk.

mod native;
mod sequences;
mod staged;
mod step;
