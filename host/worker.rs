//! The helper process that compiles components: within limits that it sets for itself, and killed at will.
//!
//! Both ends are here, so that they cannot disagree: how it is called, and what it does then.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};

use crate::error::Error;
use crate::plugin::{Helper, LoadLimits, REFUSED, translate};
use crate::sandbox::{Engine, Flavor};

/// What a helper is told: enough to make the very engine that its parent has.
pub(crate) struct Order {
    pub(crate) flavor: Flavor,
    pub(crate) jobs: usize,
    pub(crate) memory: u64,
}

impl Order {
    pub(crate) fn helper(&self, program: PathBuf, args: &[String], limits: &LoadLimits) -> Helper {
        let flavor = match self.flavor {
            Flavor::Plain => "plain",
            Flavor::Concurrent => "concurrent",
        };
        // Threads of the compiler count together.
        let cores = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
        let seconds = limits.timeout.max(Duration::from_secs(1)).as_secs() * cores;
        let numbers = [self.jobs as u64, self.memory, limits.memory, seconds];
        let mut args = args.to_vec();
        args.push(flavor.to_owned());
        args.extend(numbers.map(|it| it.to_string()));
        Helper { program, args }
    }
}

/// What the program given to [`crate::HostBuilder::compiler`] does: reads a component from `input` and writes its
/// compiled form to `output`, as `args` say, which are the ones after those that were given there. The answer is
/// the exit code.
///
/// Limits memory and processor time of the whole process: do nothing else in it.
///
/// # Errors
/// The arguments are not the ones of a helper, or the system refuses something.
pub fn compile_as_helper(
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<u8, Error> {
    let failed = |message: &str| Error::Helper(message.to_owned());
    let args: Vec<String> =
        args.into_iter().map(|it| it.as_ref().to_string_lossy().into_owned()).collect();
    let [flavor, numbers @ ..] = args.as_slice() else { return Err(failed("no arguments")) };
    let flavor = match flavor.as_str() {
        "plain" => Flavor::Plain,
        "concurrent" => Flavor::Concurrent,
        other => return Err(failed(&format!("no engine is named {other:?}"))),
    };
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|it| it.parse()).collect();
    let Ok(&[jobs, memory, most_memory, seconds]) = numbers.as_deref() else {
        return Err(failed("expected four numbers"));
    };
    limit(most_memory, seconds).map_err(|error| failed(&error.to_string()))?;
    let jobs = usize::try_from(jobs).unwrap_or(usize::MAX);
    let engine = Engine::new(jobs, memory, u64::MAX)?;
    let mut bytes = Vec::new();
    let io = |error: std::io::Error| Error::Helper(error.to_string());
    input.read_to_end(&mut bytes).map_err(io)?;
    let compiled = translate(engine.flavor(flavor)?, &bytes);
    match compiled.and_then(|it| it.serialize().map_err(|error| format!("{error:#}"))) {
        Ok(code) => output.write_all(&code).and_then(|()| output.flush()).map(|()| 0).map_err(io),
        Err(error) => {
            tracing::debug!(error, "refused");
            let _ = write!(std::io::stderr(), "{error}");
            Ok(REFUSED)
        }
    }
}

fn limit(memory: u64, seconds: u64) -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let set = |resource, most: u64| {
        // A process may only lower what it was given.
        let given = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(most.min(given));
        rustix::process::setrlimit(resource, Rlimit { current: most, maximum: most })
    };
    // What is written to, not the address space: the engine reserves terabytes of that.
    set(Resource::Data, memory)?;
    set(Resource::Cpu, seconds)?;
    set(Resource::Core, 0)
}
