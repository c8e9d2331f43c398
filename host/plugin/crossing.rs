//! What holds while values cross between a host and a guest: how long a result may be, and who has a look now and then.
//!
//! wasmtime hands nothing of a caller's to what lifts and lowers; it does so in the task that calls, however.

use std::cell::Cell;

use wasmtime::{Error, Result};

use crate::aside::aside;

/// Bytes of a guest's memory between two looks: half a millisecond of the shortest items.
pub(super) const PORTION: usize = 64 << 10;

/// As much is read without letting others have the thread.
const BRIEF: usize = 16 * PORTION;

tokio::task_local! {
    static CROSSING: Crossing;
}

/// One call of a function.
pub struct Crossing {
    most: usize,
    /// Since the last look.
    passed: Cell<usize>,
    /// How much may still be read where others wait for the thread. None where nobody does.
    brief: Cell<Option<usize>>,
    watch: Box<dyn Fn() -> Result<()> + Send>,
}

impl Crossing {
    /// `most` is how long what a function gives may be, in bytes, of JSON text where there is one: more is a
    /// [`TooLong`](super::TooLong) among its errors. An error of `watch` ends the call, where else many values would go on crossing.
    pub fn new(most: u64, watch: impl Fn() -> Result<()> + Send + 'static) -> Crossing {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Crossing { most, passed: Cell::new(0), brief: Cell::new(None), watch: Box::new(watch) }
    }

    /// Outside of this, nothing may be given.
    pub async fn during<F: Future>(self, call: F) -> F::Output {
        CROSSING.scope(self, call).await
    }
}

pub(super) fn most() -> usize {
    CROSSING.try_with(|crossing| crossing.most).unwrap_or_default()
}

/// So many bytes more are about to cross.
///
/// # Errors
/// They are not to, as who watches says.
pub(super) fn passing(bytes: usize) -> Result<()> {
    let looked = CROSSING.try_with(|crossing| {
        // An empty list is work too.
        let passed = crossing.passed.get().saturating_add(bytes).saturating_add(8);
        if passed < PORTION {
            crossing.passed.set(passed);
            return Ok(());
        }
        crossing.passed.set(0);
        if let Some(left) = crossing.brief.get() {
            crossing.brief.set(Some(left.checked_sub(passed).ok_or_else(|| Error::from(Long))?));
        }
        (crossing.watch)()
    });
    looked.unwrap_or(Ok(()))
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it takes long to read")]
struct Long;

/// Reads what a guest gives. What turns out to be long is begun anew, where nobody waits for the thread: a guest that is read
/// does not yield.
pub(super) fn read<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let be_brief = |brief| {
        let _ = CROSSING.try_with(|crossing| {
            crossing.passed.set(0);
            crossing.brief.set(brief);
        });
    };
    be_brief(Some(BRIEF));
    let begun = read();
    be_brief(None);
    match begun {
        Err(error) if error.is::<Long>() => aside(read),
        read => read,
    }
}

/// Items of so many bytes that are one portion.
pub(super) fn items_of_a_portion(each: usize) -> usize {
    (PORTION / each.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How often it is looked while `pass` passes, and what comes of it; the look after so many says no.
    async fn looks(most: usize, pass: impl Fn() -> Result<()>) -> (usize, Result<()>) {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = looks.clone();
        let crossing = Crossing::new(0, move || match counted.fetch_add(1, Ordering::Relaxed) {
            look if look < most => Ok(()),
            _ => Err(wasmtime::Error::msg("the time is up")),
        });
        let passed = crossing.during(async { pass() }).await;
        (looks.load(Ordering::Relaxed), passed)
    }

    #[tokio::test]
    async fn many_small_things_are_looked_at_as_one_large_one_is() {
        let many = || (0..100 * PORTION / 16).try_for_each(|_| passing(8));
        let (count, passed) = looks(1000, many).await;
        assert!(passed.is_ok() && (99..=100).contains(&count), "{count}");
        assert_eq!(looks(1000, || passing(100 * PORTION)).await.0, 1);
        // Empty ones, too.
        let (count, passed) = looks(1, || (0..PORTION).try_for_each(|_| passing(0))).await;
        assert_eq!((count, passed.unwrap_err().to_string().as_str()), (2, "the time is up"));
    }

    #[tokio::test]
    async fn what_is_long_is_read_once_more_and_whole() {
        let crossing = Crossing::new(0, || Ok(()));
        let reads = Cell::new(0);
        let read = |bytes: usize| {
            reads.set(0);
            read(|| {
                reads.set(reads.get() + 1);
                (0..bytes).step_by(1024).try_for_each(|_| passing(1024))?;
                Ok(bytes)
            })
        };
        crossing
            .during(async {
                for (bytes, times) in [(0, 1), (BRIEF / 2, 1), (2 * BRIEF, 2), (PORTION, 1)] {
                    assert_eq!((read(bytes).unwrap(), reads.get()), (bytes, times));
                }
            })
            .await;
    }

    #[test]
    fn outside_of_a_call_nobody_looks_and_nothing_may_be_given() {
        assert!(passing(usize::MAX).is_ok());
        assert_eq!(most(), 0);
    }
}
