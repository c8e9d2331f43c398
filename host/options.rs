//! What a batch, or a loose call, may be given besides itself: by whoever embeds the host.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::approval::Approver;
use crate::files::Effect;
use crate::job::Progress;
use crate::schedule::Tenant;

/// What a run may be given besides its batch.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// Cancelling it stops running guests within two epoch ticks (10 ms); calls that have not ended get
    /// the outcome `cancelled`.
    pub cancel: CancellationToken,
    /// Told of every start and end, as they happen.
    pub progress: Option<mpsc::UnboundedSender<Progress>>,
    /// Whose calls they are: while there is more to run than room, tenants share it by their weights.
    pub tenant: Tenant,
    /// What becomes of the changes; each call's are made real at its turn by default.
    pub effect: Effect,
    /// Who is asked about what `ask` in the policy names. Without one, it is refused. An atomic batch is asked about once, at
    /// its end; in a dry run nothing is.
    pub approver: Option<Arc<dyn Approver>>,
}

/// What a loose call may be given besides itself.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Cancelling it stops the running guest within two epoch ticks (10 ms); the call ends as `cancelled`.
    pub cancel: CancellationToken,
    /// Told of each start of the call and of its end, as they happen; its index is always 0.
    pub progress: Option<mpsc::UnboundedSender<Progress>>,
    /// Who is asked about what `ask` in the policy names: the call's index is always 0. Without one, it is refused.
    pub approver: Option<Arc<dyn Approver>>,
    /// While it is true, the call does not start, though its turn has come and it takes room: for who has nowhere to put its
    /// result.
    pub hold: Option<watch::Receiver<bool>>,
}

impl CallOptions {
    /// Until it may start.
    pub(crate) async fn wait(&self) {
        if let Some(hold) = self.hold.as_ref().filter(|hold| *hold.borrow()) {
            let mut hold = hold.clone();
            tokio::select! {
                // An error is that nobody holds it any more.
                _ = hold.wait_for(|hold| !hold) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }
}
