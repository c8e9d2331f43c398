//! Turns I/O errors into messages that a model can act on: the path, then the reason. Knows nothing
//! of the tools.

use std::io::{Error, ErrorKind};

const DENIED: &str = "not permitted: outside the directories that this plugin was granted";

/// What a call was about to do. A refusal to write names writing, since the same path may well be
/// readable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

pub fn describe(path: &str, access: Access, error: &Error) -> String {
    format!("{path}: {}", reason(path, access, error))
}

fn is_denied(path: &str, error: &Error) -> bool {
    // wasi-libc reports a path under no preopened directory as absent, older ones with a message of
    // std's own
    let unreachable = error.kind() == ErrorKind::NotFound && !is_reachable(path);
    unreachable
        || matches!(error.raw_os_error(), Some(EPERM | ENOTCAPABLE))
        || error.to_string().contains("pre-opened file descriptor")
}

fn reason(path: &str, access: Access, error: &Error) -> String {
    if is_denied(path, error) {
        let purpose = if access == Access::Write { " for writing" } else { "" };
        return format!("{DENIED}{purpose}");
    }
    match error.kind() {
        ErrorKind::NotFound => "no such file or directory".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::AlreadyExists => "already exists".into(),
        ErrorKind::NotADirectory => "not a directory, or below a file".into(),
        ErrorKind::IsADirectory => "is a directory".into(),
        ErrorKind::ReadOnlyFilesystem => "read-only file system".into(),
        _ => plain(&error.to_string()),
    }
}

/// The text of the C library as a fragment: no number, no capital.
fn plain(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Refuses absolute paths outside the preopened directories. To wasi-libc `/etc/hosts` is the same
/// as `etc/hosts` wherever `.` is preopened: a file meant for elsewhere would be written there,
/// without an error.
pub fn check_reachable(path: &str) -> Result<(), String> {
    if path.starts_with('/') && !is_reachable(path) {
        return Err(format!("{path}: {DENIED}"));
    }
    Ok(())
}

/// Whether a path may lie under a preopened directory. Costs a host call: not for every relative
/// path.
pub fn is_reachable(path: &str) -> bool {
    crate::list::allowed_directories().iter().any(|directory| {
        match directory.trim_end_matches('/') {
            "." => !path.starts_with('/'),
            "" => path.starts_with('/'),
            directory => path
                .strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    })
}

#[cfg(target_os = "wasi")]
const EPERM: i32 = 63;
#[cfg(target_os = "wasi")]
const ENOTCAPABLE: i32 = 76;
// the tests of the pure parts run natively
#[cfg(not(target_os = "wasi"))]
const EPERM: i32 = 1;
#[cfg(not(target_os = "wasi"))]
const ENOTCAPABLE: i32 = 93;
