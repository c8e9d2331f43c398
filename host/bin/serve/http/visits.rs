//! Sessions of the protocol, up to 2025-11-25: the SDK's, and what it leaves to be done about them.
//!
//! Of a session that ends the SDK lets calls go on for five seconds, so that they may commit what nobody wants any more. Here they end with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use inorder::CancellationToken;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions as _, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionTransport,
};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};

use super::super::life::Ends;

/// Of a session that nobody uses. Clients make another one.
const KEPT: Duration = Duration::from_secs(60 * 60);

pub struct Visits {
    sessions: LocalSessionManager,
    visits: Mutex<HashMap<SessionId, Arc<Visit>>>,
}

/// One session, for as long as it is kept.
#[derive(Default)]
struct Visit {
    ended: CancellationToken,
}

type Error = LocalSessionManagerError;

impl Visits {
    pub fn new() -> Visits {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(KEPT);
        Visits { sessions, visits: Mutex::default() }
    }

    pub fn count(&self) -> usize {
        self.visits().len()
    }

    fn visits(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Visit>>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, id: &SessionId) -> Result<Arc<Visit>, Error> {
        let visit = self.visits().get(id).cloned();
        visit.ok_or_else(|| Error::SessionNotFound(id.clone()))
    }
}

impl SessionManager for Visits {
    type Error = Error;
    type Transport = SessionTransport;

    async fn create_session(&self) -> Result<(SessionId, SessionTransport), Error> {
        let (id, transport) = self.sessions.create_session().await?;
        self.visits().insert(id.clone(), Arc::default());
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        self.sessions.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        self.sessions.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        let visit = self.visits().remove(id);
        if let Some(visit) = visit {
            visit.ended.cancel();
        }
        self.sessions.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let visit = self.visit(id)?;
        if let JsonRpcMessage::Request(request) = &mut message {
            request.request.extensions_mut().insert(Ends(visit.ended.clone()));
        }
        self.sessions.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Error> {
        self.sessions.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.sessions.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.sessions.resume(id, last_event_id).await
    }
}
