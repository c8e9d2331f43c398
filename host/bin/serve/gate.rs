//! What a client may send when, on a connection of its own: the handshake once and first, each id once at a time, and
//! no more at once than can be kept.
//!
//! The SDK takes a second handshake for a first one, ends at a stray notification before it, and answers one of two
//! requests that share an id. It also starts a task for each request, so that the order in which calls came is kept
//! here ([`Arrival`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use inorder::Session;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, GetMeta as _,
    JsonRpcMessage, ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::ids::{Ids, Taken, answers};
use super::output::Output;
use super::places::{Place, Places};

/// Bytes of calls that have not been answered.
const MOST_OPEN: usize = 256 << 20;

/// As JSON-RPC leaves it to servers to name their own.
pub const BUSY: ErrorCode = ErrorCode(-32000);

pub struct Gate {
    phase: Phase,
    ids: Ids,
    room: Arc<Semaphore>,
    places: Places,
    together: Weak<Together>,
    output: Output,
}

enum Phase {
    /// Neither was a handshake made nor has a request shown that it needs none.
    New,
    Begun,
}

/// When a call came, as against the others of its connection. Carried by the request.
#[derive(Clone)]
pub struct Arrival(Arc<Held>);

struct Held {
    place: Mutex<Option<Place>>,
    together: Mutex<Option<Arc<Together>>>,
    /// Where its answer is to go.
    output: Output,
    _id: Taken,
    _room: OwnedSemaphorePermit,
}

/// What calls that have come and not ended keep for each other: a session that lasts until the last of them has. The first may
/// have ended before the next one begins.
type Together = Mutex<Option<Arc<Session>>>;

/// What becomes of a message that is not let in.
pub enum Kept {
    Answered(Box<ServerJsonRpcMessage>),
    Ignored,
}

impl Arrival {
    /// Waits until the calls that came before have acted, or are gone; they that come after wait until this is dropped.
    pub async fn turn(&self) -> Option<Place> {
        let place = lock(&self.0.place).take();
        Some(place?.turn().await)
    }

    /// For those that came by now as well, and have not ended.
    pub fn keep(&self, session: &Arc<Session>) {
        if let Some(together) = &*lock(&self.0.together) {
            *lock(together) = Some(session.clone());
        }
    }

    /// Whether the client has answers to others to read first: those are in memory.
    pub fn full(&self) -> watch::Receiver<bool> {
        self.0.output.full()
    }

    /// It is no call of a session: what it takes keeps none from its end.
    pub fn leave(&self) {
        lock(&self.0.together).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub fn new(output: Output) -> Gate {
        let room = Arc::new(Semaphore::new(MOST_OPEN));
        let (ids, places, together) = (Ids::default(), Places::default(), Weak::new());
        Gate { phase: Phase::New, ids, room, places, together, output }
    }

    /// Lets a message of so many bytes in, or says what becomes of it instead.
    pub fn admit(
        &mut self,
        message: ClientJsonRpcMessage,
        bytes: usize,
    ) -> Result<ClientJsonRpcMessage, Kept> {
        match message {
            JsonRpcMessage::Request(mut request) => {
                self.request(&mut request.request, &request.id, bytes).map_err(|error| {
                    Kept::Answered(Box::new(JsonRpcMessage::error(error, Some(request.id.clone()))))
                })?;
                Ok(JsonRpcMessage::Request(request))
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.ids.cancelled(id);
                }
                match self.phase {
                    Phase::New => Err(Kept::Ignored),
                    Phase::Begun => Ok(JsonRpcMessage::Notification(notification)),
                }
            }
            // Nothing was asked.
            other => match self.phase {
                Phase::New => Err(Kept::Ignored),
                Phase::Begun => Ok(other),
            },
        }
    }

    /// Takes note of an answer that is about to be sent.
    pub fn answered(&mut self, message: &ServerJsonRpcMessage) {
        if let Some(id) = answers(message) {
            self.ids.answered(id);
        }
    }

    fn request(
        &mut self,
        request: &mut ClientRequest,
        id: &RequestId,
        bytes: usize,
    ) -> Result<(), ErrorData> {
        self.phase(request)?;
        let taken = self.ids.take(id)?;
        if let ClientRequest::CallToolRequest(request) = request {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else {
                self.ids.answered(id);
                let message = "too many calls have not been answered: wait for some of them";
                return Err(ErrorData::new(BUSY, message, None));
            };
            let place = Mutex::new(Some(self.places.give()));
            let together = self.together.upgrade().unwrap_or_default();
            self.together = Arc::downgrade(&together);
            let together = Mutex::new(Some(together));
            let output = self.output.clone();
            let held = Held { place, together, output, _id: taken, _room: room };
            request.extensions.insert(Arrival(Arc::new(held)));
        }
        Ok(())
    }

    fn phase(&mut self, request: &ClientRequest) -> Result<(), ErrorData> {
        match (&self.phase, request) {
            (_, ClientRequest::PingRequest(_)) => Ok(()),
            (Phase::New, ClientRequest::InitializeRequest(_)) => {
                self.phase = Phase::Begun;
                Ok(())
            }
            (Phase::Begun, ClientRequest::InitializeRequest(_)) => {
                let message = "this connection is initialized already";
                Err(ErrorData::invalid_request(message, None))
            }
            (Phase::New, ClientRequest::CustomRequest(custom)) if custom.method == "initialize" => {
                let message = "initialize needs `protocolVersion`, `capabilities` and `clientInfo`";
                Err(ErrorData::invalid_params(message, None))
            }
            (Phase::New, request) => {
                let missing = request.get_meta().missing_required_keys(&ProtocolVersion::LATEST);
                if !missing.is_empty() {
                    let message = format!(
                        "not initialized: send `initialize` first, or, from revision 2026-07-28 on, {} in the `_meta` \
                         of each request",
                        missing.join(" and ")
                    );
                    return Err(ErrorData::invalid_request(message, None));
                }
                // After any other answer the client may still make a handshake.
                let version = request.get_meta().protocol_version();
                let spoken =
                    version.is_some_and(|it| ProtocolVersion::KNOWN_VERSIONS.contains(&it));
                if spoken && !matches!(request, ClientRequest::DiscoverRequest(_)) {
                    self.phase = Phase::Begun;
                }
                Ok(())
            }
            (Phase::Begun, _) => Ok(()),
        }
    }
}
