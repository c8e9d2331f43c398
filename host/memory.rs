//! Gives back to the system what a call made the host hold.
//!
//! glibc keeps what is freed in the midst of its heaps, for good: one call that looked at many names, or whose result was
//! too large, would leave the process hundreds of MiB larger. Asking it for them takes milliseconds, so it is done only
//! after such calls, and when nothing of theirs is left.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch::{CallError, ErrorKind};
use crate::files::View;

/// Whether there is something to give back.
#[derive(Default)]
pub(crate) struct Burden(AtomicBool);

/// What the host may keep for a call without more ado.
const LIGHT: u64 = 16 << 20;

impl Burden {
    /// Looks at a call that has run.
    pub(crate) fn weigh(&self, view: &View, error: Option<&CallError>) {
        let copied = error.is_some_and(|error| error.kind == ErrorKind::Output);
        if copied || view.held() > LIGHT {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// To be called when calls have ended.
    pub(crate) fn give_back(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            trim();
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "glibc offers it to C alone; it takes a number, and touches nothing but what is free"
)]
fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // SAFETY: it may be called at any time, from any thread.
    let _given = unsafe { malloc_trim(0) };
}

/// Other allocators do it by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
