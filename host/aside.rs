//! To wait in the system, or to work for long, without keeping other tasks of a runtime from their thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work`, which blocks, and has another thread take over what waits for this one. On a runtime of one thread, and in a
/// `LocalSet`, there is none.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if !matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return work();
    }
    // In a `LocalSet` tokio panics, and offers nothing to ask before.
    let mut work = Some(work);
    let done = catch_unwind(AssertUnwindSafe(|| {
        tokio::task::block_in_place(|| work.take().map(|work| work()))
    }));
    match (done, work) {
        (Ok(Some(done)), _) => done,
        (_, Some(work)) => work(),
        (Err(panic), None) => resume_unwind(panic),
        (Ok(None), None) => unreachable!("the work was there"),
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

/// [`lock_aside`], for as long as `go_on` says.
pub(crate) fn lock_aside_while<'m, T: ?Sized, E>(
    mutex: &'m Mutex<T>,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<MutexGuard<'m, T>, E> {
    let try_lock = || match mutex.try_lock() {
        Ok(held) => Some(held),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    // Most hold it for less than it takes to have another thread take over.
    const SOON: usize = 16;
    for _ in 0..SOON {
        if let Some(held) = try_lock() {
            return Ok(held);
        }
        std::thread::yield_now();
    }
    aside(|| {
        loop {
            go_on()?;
            if let Some(held) = try_lock() {
                return Ok(held);
            }
            std::thread::sleep(BETWEEN);
        }
    })
}

/// Between two tries to take what somebody else holds.
pub(crate) const BETWEEN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_wherever_it_is_asked_for_and_its_panic_is_its_own() {
        let many = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let one = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let local = tokio::task::LocalSet::new();
        assert_eq!(aside(|| 1), 1);
        assert_eq!(one.block_on(async { aside(|| 2) }), 2);
        assert_eq!(many.block_on(async { aside(|| 3) }), 3);
        assert_eq!(local.block_on(&many, async { aside(|| 4) }), 4);
        let panics = || catch_unwind(|| aside(|| panic!("its own")));
        let words = many.block_on(async { panics() }).unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(*words, "its own");
    }
}
