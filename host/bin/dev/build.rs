//! One run of a folder's `build.sh`, in a process group of its own, so that all it has started can be ended with it.

use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use inorder::CancellationToken;
use rustix::process::{Pid, Signal, kill_process_group};

/// For a build to clean up after itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    Ok,
    Failed(ExitStatus),
    /// There is none to run for now: it may be about to be replaced.
    Missing,
    Cancelled,
}

/// Runs it to its end; what it prints goes to standard error.
///
/// # Errors
/// It cannot be started.
pub async fn run(script: &Path, cancel: &CancellationToken) -> anyhow::Result<Built> {
    let folder = script.parent().unwrap_or(Path::new("."));
    let shown = || format!("cannot run {}", script.display());
    let errors = std::io::stderr().as_fd().try_clone_to_owned().with_context(shown)?;
    let mut command = Command::new(script);
    command.current_dir(folder).process_group(0).stdin(Stdio::null()).stdout(errors);
    // A script that packs what it builds does so with this very program.
    if std::env::var_os("INORDER").is_none()
        && let Ok(this) = std::env::current_exe()
    {
        command.env("INORDER", this);
    }
    let child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Built::Missing),
        child => child.with_context(shown)?,
    };
    let group = Pid::from_child(&child);
    let ended = tokio::task::spawn_blocking(move || waited(child));
    let mut ended = std::pin::pin!(ended);
    let status = tokio::select! {
        status = &mut ended => status,
        () = cancel.cancelled() => {
            signal(group, Signal::TERM);
            if tokio::time::timeout(PATIENCE, &mut ended).await.is_err() {
                signal(group, Signal::KILL);
                let _ = ended.await;
            }
            return Ok(Built::Cancelled);
        }
    };
    let status = status.context("the build was lost track of")?.with_context(shown)?;
    Ok(if status.success() { Built::Ok } else { Built::Failed(status) })
}

fn waited(mut child: Child) -> std::io::Result<ExitStatus> {
    child.wait()
}

/// To all that the build has started, and that still runs.
fn signal(group: Pid, signal: Signal) {
    // It may have ended by itself.
    let _ = kill_process_group(group, signal);
}
