//! WHERE a call runs: a store of its own, with what its plugin was granted and within its limits.
//!
//! `engine` is what all calls share, `state` what one store holds, `linked` a plugin made ready to run,
//! `call` one call from arguments to its end, `pauses` the time in it that is not its own.

mod call;
mod capture;
mod clock;
mod engine;
mod limiter;
mod linked;
mod linker;
mod message;
mod pauses;
mod state;
mod ticker;
mod tool;

pub use call::{Ended, run};
pub use engine::{Engine, EngineError, Flavor};
pub use linked::{LinkError, Sandbox};
pub(crate) use message::cancelled_call;
pub use pauses::Pauses;
pub use state::World;
pub use tool::{Listener, Said};
