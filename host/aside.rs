//! To wait in the system, or to work for long, without keeping other tasks of a runtime from their thread.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work`, which blocks, where others wait for this thread; on a runtime of one thread there is nowhere else.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Locks what is mostly free, but may be held by one that waits.
pub(crate) fn lock_aside<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            aside(|| mutex.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}
