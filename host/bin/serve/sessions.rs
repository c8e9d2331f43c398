//! Single calls, in sessions as short as can be: a new one begins when no call is under way.
//!
//! To the log and to an undo a session is one batch, and what it replaced is kept until the next one. One for as long as
//! the server runs would keep everything, and could only be taken back whole; so what is sent at once is one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use inorder::{Host, Session};

pub struct Sessions {
    host: Host,
    current: Mutex<Weak<Session>>,
}

impl Sessions {
    pub fn new(host: Host) -> Sessions {
        Sessions { host, current: Mutex::default() }
    }

    /// That of the calls under way, if there are any. To be held until the call has ended.
    pub fn current(&self) -> Arc<Session> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.upgrade().unwrap_or_else(|| {
            let session = Arc::new(self.host.session());
            *current = Arc::downgrade(&session);
            session
        })
    }
}
