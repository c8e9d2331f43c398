//! Tests of the scheduler: `order` of the states alone, `batch` and `loose` of the rules one at a time on a
//! `script`, `shares` of who gets room, `interleavings` of the loops as they are against the oracle of `cells`.

mod batch;
mod cells;
mod interleavings;
mod loose;
mod order;
mod programs;
mod script;
mod shares;
