//! Compiling a stranger's component within bounds of time and memory.
//!
//! The compiler can be neither interrupted nor told how much it may take, and a few kilobytes can keep it busy for
//! hours. So a helper process compiles, which limits itself and is killed in the end. Without one, a thread
//! does: its time is bounded for whoever waits, its memory is not.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::component::PluginError;
use super::divide::divide;

/// What a component may cost before anything of it runs. All on by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes of the component file. Default 64 MiB.
    pub size: u64,
    /// Wall clock of its compilation. Default 120 s.
    pub timeout: Duration,
    /// Memory of its compilation, where a helper process does it. Default 4 GiB.
    pub memory: u64,
}

impl Default for LoadLimits {
    fn default() -> LoadLimits {
        LoadLimits { size: 64 << 20, timeout: Duration::from_secs(120), memory: 4 << 30 }
    }
}

/// A program that compiles: it reads a component on its standard input, and writes the compiled form, as this very
/// engine would give it, to its standard output. What it does not compile it tells on standard error.
#[derive(Clone, Debug)]
pub struct Helper {
    pub program: PathBuf,
    pub args: Vec<String>,
}

/// Exit code of a helper that refuses the component.
pub const REFUSED: u8 = 1;

/// Compilations of this process that may be under way at once, those that nobody waits for any more among them.
const MOST_AT_ONCE: usize = 2;

/// Compiles `bytes`, here or by `helper`.
///
/// # Errors
/// The compiler refuses it, or it costs more than `limits`.
pub fn compile(
    engine: &Engine,
    bytes: &[u8],
    limits: &LoadLimits,
    helper: Option<&Helper>,
) -> Result<Component, PluginError> {
    match helper {
        Some(helper) => by_helper(engine, bytes, limits, helper),
        None => on_a_thread(engine, bytes, limits),
    }
}

/// Compiles with long instructions divided (`divide.rs`). A stranger's bytes must not end the process, not even by a
/// fault of the compiler's.
///
/// # Errors
/// Why the compiler refuses it.
pub fn translate(engine: &Engine, bytes: &[u8]) -> Result<Component, String> {
    // What a panic may have left behind in the engine are parts of this component, which nobody uses.
    let compile = std::panic::AssertUnwindSafe(|| {
        let compile = |bytes: &[u8]| {
            Component::from_binary(engine, bytes).map_err(|error| error.root_cause().to_string())
        };
        match divide(bytes) {
            Ok(divided) => compile(&divided),
            // What is wrong with it the compiler says best. Should it find nothing, the component is refused still: it
            // could not be stopped.
            Err(error) => compile(bytes).and(Err(error.to_string())),
        }
    });
    std::panic::catch_unwind(compile).map_err(|_| "the compiler panicked".to_owned())?
}

fn on_a_thread(
    engine: &Engine,
    bytes: &[u8],
    limits: &LoadLimits,
) -> Result<Component, PluginError> {
    let Some(slot) = SLOTS.take(limits.timeout) else { return Err(PluginError::Busy) };
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let (send, receive) = mpsc::sync_channel(1);
    let compile = move || {
        let compiled = translate(&engine, &bytes).map_err(PluginError::Compile);
        drop(slot);
        // Nobody may wait any more.
        let _ = send.send(compiled);
    };
    std::thread::Builder::new().name("compile".to_owned()).spawn(compile).map_err(failed)?;
    receive.recv_timeout(limits.timeout).unwrap_or(Err(PluginError::Slow(limits.timeout)))
}

fn by_helper(
    engine: &Engine,
    bytes: &[u8],
    limits: &LoadLimits,
    helper: &Helper,
) -> Result<Component, PluginError> {
    // Files, not pipes: nobody has to read while another writes.
    let (mut component, mut code, mut said) = (scratch()?, scratch()?, scratch()?);
    component.write_all(bytes).and_then(|()| component.rewind()).map_err(failed)?;
    let end = |file: &File| file.try_clone().map(Stdio::from).map_err(failed);
    let mut child = Command::new(&helper.program)
        .args(&helper.args)
        .stdin(end(&component)?)
        .stdout(end(&code)?)
        .stderr(end(&said)?)
        .spawn()
        .map_err(failed)?;
    let give_up = Instant::now() + limits.timeout;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(2)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(PluginError::Slow(limits.timeout));
            }
        }
    };
    if !status.success() {
        let mut text = Vec::new();
        said.rewind().and_then(|()| said.take(4 << 10).read_to_end(&mut text)).map_err(failed)?;
        return Err(why(status, String::from_utf8_lossy(&text).trim(), limits));
    }
    let mut compiled = Vec::new();
    code.rewind().and_then(|()| code.read_to_end(&mut compiled)).map_err(failed)?;
    #[expect(
        unsafe_code,
        reason = "it was made by our own program, from a file that only it wrote"
    )]
    let component = unsafe { Component::deserialize(engine, &compiled) };
    component.map_err(|error| PluginError::Compile(format!("the helper's output: {error:#}")))
}

/// Why a helper did not compile.
fn why(status: ExitStatus, said: &str, limits: &LoadLimits) -> PluginError {
    if status.code() == Some(REFUSED.into()) {
        return PluginError::Compile(said.to_owned());
    }
    match status.signal() {
        _ if said.contains("memory allocation of") => PluginError::Large(ByteSize(limits.memory)),
        // SIGXCPU, of its own limit.
        Some(24) => PluginError::Slow(limits.timeout),
        _ => PluginError::Helper(format!("{status}: {said}")),
    }
}

fn scratch() -> Result<File, PluginError> {
    tempfile::tempfile().map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it is the whole of a `map_err`")]
fn failed(error: std::io::Error) -> PluginError {
    PluginError::Helper(error.to_string())
}

/// The right to compile here.
struct Slot(&'static Slots);

struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

static SLOTS: Slots = Slots { taken: Mutex::new(0), freed: Condvar::new() };

impl Slots {
    /// None if all are taken for so long.
    fn take(&'static self, patience: Duration) -> Option<Slot> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken >= MOST_AT_ONCE;
        let (mut taken, _) = self
            .freed
            .wait_timeout_while(taken, patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        if *taken >= MOST_AT_ONCE {
            return None;
        }
        *taken += 1;
        Some(Slot(self))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_all_slots_taken_waits_and_then_gives_up() {
        static SLOTS: Slots = Slots { taken: Mutex::new(0), freed: Condvar::new() };
        let held: Vec<Slot> =
            (0..MOST_AT_ONCE).filter_map(|_| SLOTS.take(Duration::ZERO)).collect();
        assert_eq!(held.len(), MOST_AT_ONCE);
        assert!(SLOTS.take(Duration::from_millis(1)).is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| drop(held));
            assert!(SLOTS.take(Duration::from_secs(60)).is_some());
        });
    }
}
