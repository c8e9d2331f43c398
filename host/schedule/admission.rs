//! Room for calls, over all batches and sessions of a host: who waits for it, who holds it, who is turned away.
//!
//! Whose turn it is is `shares`; here it meets threads and tasks. There is one lock, held for no longer than it takes to
//! look through the tenants that wait; nobody is woken under it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::shares::{Id, Shares, Tenant};

/// Room for so many calls at once.
pub struct Admission {
    shares: Mutex<Shares<Waiter>>,
    began: Instant,
}

struct Waiter {
    share: Share,
    granted: oneshot::Sender<Permit>,
}

/// One tenant's share of the room. Clones are of the same.
#[derive(Clone)]
pub struct Share(Arc<Handle>);

struct Handle {
    admission: Arc<Admission>,
    id: Id,
}

/// Room for one call, given back when dropped.
pub struct Permit {
    share: Share,
}

/// A place in the queue for room, taken when it is first asked for and given up when dropped.
pub struct Place {
    share: Share,
    waiting: Option<(u64, oneshot::Receiver<Permit>)>,
}

/// Calls that count as being here until they have ended.
pub struct Calls {
    share: Share,
    left: AtomicUsize,
}

/// Too many calls have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    pub most: usize,
}

impl Admission {
    /// Room for `room` calls at once; `most_calls` may be here without having ended.
    pub fn new(room: usize, most_calls: usize) -> Arc<Admission> {
        let shares = Mutex::new(Shares::new(room, most_calls));
        Arc::new(Admission { shares, began: Instant::now() })
    }

    pub fn share(self: &Arc<Self>, tenant: &Tenant) -> Share {
        let id = self.shares().join(tenant, self.now());
        Share(Arc::new(Handle { admission: self.clone(), id }))
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.shares().free()
    }

    /// What is behind the lock holds after every statement, so one that is poisoned is as good.
    fn shares(&self) -> MutexGuard<'_, Shares<Waiter>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Share {
    /// A place in the queue, for whoever asks it.
    pub fn place(&self) -> Place {
        Place { share: self.clone(), waiting: None }
    }

    /// Counts calls in.
    ///
    /// # Errors
    /// Too many are here. None was counted.
    pub fn enter(&self, calls: usize) -> Result<Calls, Busy> {
        let mut shares = self.0.admission.shares();
        if shares.enter(self.0.id, calls) {
            drop(shares);
            return Ok(Calls { share: self.clone(), left: AtomicUsize::new(calls) });
        }
        Err(Busy { most: shares.most_calls() })
    }
}

impl Place {
    /// Resolves when there is room; then the place is given up.
    pub fn poll_acquire(&mut self, context: &mut Context<'_>) -> Poll<Permit> {
        loop {
            if let Some((_, granted)) = &mut self.waiting {
                let Poll::Ready(granted) = Pin::new(granted).poll(context) else {
                    return Poll::Pending;
                };
                self.waiting = None;
                if let Ok(permit) = granted {
                    return Poll::Ready(permit);
                }
            }
            let share = &self.share;
            let (admission, id) = (&share.0.admission, share.0.id);
            let now = admission.now();
            let mut shares = admission.shares();
            if shares.start(id, now) {
                return Poll::Ready(Permit { share: share.clone() });
            }
            let (sender, granted) = oneshot::channel();
            let waiter = Waiter { share: share.clone(), granted: sender };
            self.waiting = Some((shares.wait(id, waiter, now), granted));
        }
    }

    /// Leaves the queue, and gives back what was granted meanwhile.
    pub fn give_up(&mut self) {
        let Some((ticket, granted)) = self.waiting.take() else { return };
        let Handle { admission, id } = &*self.share.0;
        // Dropped when the lock is free again, as it may take it.
        let waiter = admission.shares().forget(*id, ticket);
        drop((waiter, granted));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Handle { admission, id } = &*self.share.0;
        let now = admission.now();
        let next = admission.shares().end(*id, now);
        if let Some(Waiter { share, granted }) = next {
            // If it has just gone, this one goes to the next as it is dropped.
            let _ = granted.send(Permit { share });
        }
    }
}

impl Calls {
    /// One of them has ended.
    pub fn end_one(&self) {
        let left = |left: usize| left.checked_sub(1);
        if self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            self.exit(1);
        }
    }

    fn exit(&self, calls: usize) {
        let Handle { admission, id } = &*self.share.0;
        admission.shares().exit(*id, calls);
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let left = *self.left.get_mut();
        self.exit(left);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.admission.shares().leave(self.id);
    }
}
