//! A host and what it lists, which calls are answered by: those that have come keep the one that they have come to.

use std::sync::Arc;

use inorder::Host;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::catalogue::Catalogue;
use super::names::Names;

/// What calls are answered by. It is replaced whole.
pub struct Loaded {
    pub host: Host,
    pub catalogue: Catalogue,
}

/// A call or a batch that was let in: what answers it, for as long as it runs.
pub struct Entered {
    pub loaded: Arc<Loaded>,
    _under_way: TaskTrackerToken,
}

impl Loaded {
    /// # Errors
    /// The tools cannot be named as the protocol wants.
    pub fn new(host: Host) -> anyhow::Result<Arc<Loaded>> {
        let catalogue = Catalogue::new(&host)?;
        Ok(Arc::new(Loaded { host, catalogue }))
    }
}

impl Entered {
    /// Counted as `under_way`.
    pub fn new(loaded: Arc<Loaded>, under_way: TaskTrackerToken) -> Entered {
        Entered { loaded, _under_way: under_way }
    }

    pub fn host(&self) -> &Host {
        &self.loaded.host
    }

    pub fn names(&self) -> &Names {
        self.loaded.catalogue.names()
    }
}
