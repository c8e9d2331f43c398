//! Single calls of a client, in sessions as short as can be: a new one begins when no call is under way, nor has come (`gate.rs`).
//!
//! To the log and to an undo a session is one batch, and what it replaced is kept until the next one. One for as long as
//! the server runs would keep everything, and could only be taken back whole; so what is sent at once is one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use inorder::{Host, Session};

#[derive(Default)]
pub struct Sessions(Mutex<Weak<Session>>);

impl Sessions {
    /// That of the calls under way, if there are any, for this host. To be held until the call has ended.
    pub fn current(&self, host: &Host) -> Arc<Session> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let going_on = match current.upgrade() {
            Some(session) if session.is_of(host) => return session,
            // Loaded anew since: what comes now is ordered after what came before all the same.
            Some(session) => session.with(host),
            None => None,
        };
        let session = Arc::new(going_on.unwrap_or_else(|| host.session()));
        *current = Arc::downgrade(&session);
        session
    }
}
