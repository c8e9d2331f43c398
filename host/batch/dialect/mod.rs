//! Messages of model APIs: the calls of a response as a batch, and a report as the message to send back.
//!
//! Each format has its file, which knows nothing of the others. What a model may get wrong in one call (arguments that are
//! no JSON) is that call's failure; what no model would send is an error. Fields that are not needed are ignored, since the
//! APIs add some all the time.

mod anthropic;
mod chat;
mod detect;
mod gemini;
mod message;
#[cfg(test)]
mod refused_tests;
mod responses;
#[cfg(test)]
mod tests;

pub use message::{Dialect, Reply, read};
