//! Ids of requests that have not been answered: each once at a time, or an answer would be another's.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};

#[derive(Default)]
pub struct Ids(HashMap<RequestId, Open>);

/// To be kept by what a request has become, until that is gone.
pub type Taken = Arc<()>;

enum Open {
    Waits(Weak<()>),
    /// It will not be answered; its id is free again when it is gone.
    Cancelled(Weak<()>),
}

impl Ids {
    /// # Errors
    /// The id is that of a request that has not ended.
    pub fn take(&mut self, id: &RequestId) -> Result<Taken, ErrorData> {
        if self.0.get(id).is_some_and(|open| !open.is_gone()) {
            let message = format!("the id {id} belongs to a request that has not ended");
            return Err(ErrorData::invalid_request(message, None));
        }
        let taken = Taken::default();
        self.0.insert(id.clone(), Open::Waits(Arc::downgrade(&taken)));
        Ok(taken)
    }

    /// Nobody waits for its answer any more.
    pub fn cancelled(&mut self, id: &RequestId) {
        self.0.retain(|_, open| !open.is_gone());
        if let Some(open) = self.0.get_mut(id)
            && let Open::Waits(taken) = open
        {
            *open = Open::Cancelled(std::mem::take(taken));
        }
    }

    pub fn answered(&mut self, id: &RequestId) {
        self.0.remove(id);
    }
}

impl Open {
    fn is_gone(&self) -> bool {
        matches!(self, Open::Cancelled(taken) if taken.strong_count() == 0)
    }
}

/// Whose answer a message is, if it is one.
pub fn answers(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}
