//! `inorder:tool`: what a call may learn of itself and tell of itself, besides what WASI has.
//!
//! Who listens, it does not know.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wasmtime::component::{HasSelf, Linker};

use super::pauses::Time;
use super::state::State;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/tool.wit",
        world: "inorder:tool/imports",
        imports: { "inorder:tool/log.log": trappable },
    });
}

use bindings::inorder::tool::{call, log, progress};

/// How far a tool says it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// In a unit of the tool's.
    pub done: f64,
    /// In the same unit, if it is known.
    pub total: Option<f64>,
    /// At most 200 characters.
    pub message: String,
}

/// Takes what a tool says.
pub type Listener = Box<dyn Fn(Said) + Send + Sync>;

/// A call, as it may ask for it.
pub struct Own {
    time: Time,
    cancel: CancellationToken,
    listener: Option<Listener>,
    told: Option<Instant>,
}

/// What is said sooner after the last time is not passed on: listeners keep all that they have not taken yet.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST: usize = 200;

impl Own {
    pub fn new(time: Time, cancel: CancellationToken, listener: Option<Listener>) -> Own {
        Own { time, cancel, listener, told: None }
    }
}

pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    call::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    progress::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl call::Host for State {
    fn deadline(&mut self) -> u64 {
        u64::try_from(self.own.time.left().as_nanos()).unwrap_or(u64::MAX)
    }

    fn cancelled(&mut self) -> bool {
        self.own.cancel.is_cancelled()
    }
}

impl progress::Host for State {
    fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) {
        let now = Instant::now();
        if self.own.listener.is_none() || self.own.told.is_some_and(|told| now < told + PAUSE) {
            return;
        }
        self.own.told = Some(now);
        let mut message = message.unwrap_or_default();
        if let Some(secrets) = self.secrets() {
            secrets.text(&mut message);
        }
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            // What listens may keep it, and so all that the guest has sent.
            message = message[..end].to_owned();
        }
        if let Some(listener) = &self.own.listener {
            listener(Said { done, total, message });
        }
    }
}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.stderr.add(format!("{level}: {message}\n").as_bytes()).map_err(Into::into)
    }
}
