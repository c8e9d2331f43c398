//! The agent against a server on loopback that plays a model's part by a script, in both APIs, streamed as each streams.

mod kept;
mod script;
mod stage;
mod trouble;
mod turns;
mod wrong;
