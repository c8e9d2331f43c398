//! Sessions of the protocol, up to 2025-11-25: the SDK's, and what it leaves to be done about them.
//!
//! Of a session that ends the SDK lets calls go on for five seconds, so that they may commit what nobody wants any more. Here they end with it. Of
//! two requests with one id it never answers the first. Here the second is refused, as over standard input (`gate.rs`). It
//! keeps any number of sessions. Here the one that nobody has used for longest makes room. And it forgets an answer that it has sent, be
//! it to a stream that is broken. Here it is kept for a while (`kept.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _, stream};
use inorder::CancellationToken;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, GetExtensions as _, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionTransport,
};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};

use super::super::ids::{Ids, Taken, answers};
use super::super::life::Ends;
use super::kept::{Asked, Kept};

/// Of a session that nobody uses. Clients make another one.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Each takes some 60 KiB for as long as it is kept.
const MOST: usize = 1000;

pub struct Visits {
    sessions: LocalSessionManager,
    visits: Mutex<HashMap<SessionId, Arc<Visit>>>,
    kept: Arc<Mutex<Kept>>,
    ending: CancellationToken,
}

/// One session, for as long as it is kept.
struct Visit {
    ids: Mutex<Ids>,
    /// Those that have not been answered.
    asked: Mutex<HashMap<RequestId, Arc<Asked>>>,
    uses: Mutex<Uses>,
    ended: CancellationToken,
}

/// How many calls and open streams there are, and since when.
struct Uses {
    now: usize,
    since: Instant,
}

/// One of them.
struct Use(Arc<Visit>);

/// Carried by a request until that is gone.
#[derive(Clone)]
struct Carried {
    _id: Taken,
    _use: Arc<Use>,
}

/// Frees the id of a request that has not got where it will be answered, if its client goes away before.
struct OnItsWay<'a>(&'a Visit, Option<RequestId>);

/// What the server sees of a session.
pub struct Connection {
    transport: SessionTransport,
    visit: Arc<Visit>,
    kept: Arc<Mutex<Kept>>,
}

type Error = LocalSessionManagerError;

impl Visits {
    /// Their calls end with `ending` too.
    pub fn new(ending: CancellationToken) -> Visits {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(KEPT);
        Visits { sessions, visits: Mutex::default(), kept: Arc::default(), ending }
    }

    /// Makes room for one more: where there are many, the one that nobody has used for longest ends. Not, if all are in use.
    pub async fn make_room(&self) -> bool {
        loop {
            let idle = {
                let visits = self.visits();
                if visits.len() < MOST {
                    return true;
                }
                let idle = visits.iter().filter_map(|(id, visit)| Some((visit.idle_since()?, id)));
                idle.min().map(|(_, id)| id.clone())
            };
            let Some(idle) = idle else { return false };
            // It is gone from the list, whatever becomes of it.
            let _ = self.close_session(&idle).await;
        }
    }

    fn visits(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Visit>>> {
        locked(&self.visits)
    }

    fn visit(&self, id: &SessionId) -> Result<Arc<Visit>, Error> {
        let visit = self.visits().get(id).cloned();
        visit.ok_or_else(|| Error::SessionNotFound(id.clone()))
    }
}

impl Visit {
    fn new(ended: CancellationToken) -> Arc<Visit> {
        let uses = Mutex::new(Uses { now: 0, since: Instant::now() });
        Arc::new(Visit { ids: Mutex::default(), asked: Mutex::default(), uses, ended })
    }

    fn idle_since(&self) -> Option<Instant> {
        let uses = self.uses();
        (uses.now == 0).then_some(uses.since)
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        locked(&self.uses)
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        locked(&self.ids)
    }

    /// Nobody waits for an answer to it any more.
    fn cancelled(&self, request: &RequestId) {
        self.ids().cancelled(request);
        locked(&self.asked).remove(request);
    }
}

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Use {
    fn of(visit: &Arc<Visit>) -> Use {
        visit.uses().now += 1;
        Use(visit.clone())
    }

    /// For as long as somebody has the stream.
    fn streams<T>(self, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
        stream.map(move |item| {
            let _used = &self;
            item
        })
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut uses = self.0.uses();
        uses.now -= 1;
        uses.since = Instant::now();
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.1 {
            self.0.cancelled(id);
        }
    }
}

impl SessionManager for Visits {
    type Error = Error;
    type Transport = Connection;

    async fn create_session(&self) -> Result<(SessionId, Connection), Error> {
        let (id, transport) = self.sessions.create_session().await?;
        let visit = Visit::new(self.ending.child_token());
        self.visits().insert(id.clone(), visit.clone());
        Ok((id, Connection { transport, visit, kept: self.kept.clone() }))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        let visit = self.visit(id)?;
        let _used = Use::of(&visit);
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
        locked(&self.kept).forget(id);
        self.sessions.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let visit = self.visit(id)?;
        let (used, asked) = (Use::of(&visit), Asked::new(id.clone()));
        let JsonRpcMessage::Request(request) = &mut message else {
            let stream = self.sessions.create_stream(id, message).await?;
            return Ok(used.streams(asked.streams(stream)).left_stream());
        };
        let taken = visit.ids().take(&request.id);
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                let error = JsonRpcMessage::error(error, Some(request.id.clone()));
                let answer = ServerSseMessage::from_message(error);
                return Ok(stream::iter([answer]).right_stream());
            }
        };
        let mut on_its_way = OnItsWay(&visit, Some(request.id.clone()));
        let carried = request.request.extensions_mut();
        carried.insert(Ends(visit.ended.clone()));
        carried.insert(Carried { _id: taken, _use: Arc::new(Use::of(&visit)) });
        locked(&visit.asked).insert(request.id.clone(), asked.clone());
        let stream = self.sessions.create_stream(id, message).await?;
        on_its_way.1 = None;
        Ok(used.streams(asked.streams(stream)).left_stream())
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Error> {
        let visit = self.visit(id)?;
        let _used = Use::of(&visit);
        if let JsonRpcMessage::Notification(notification) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(request) = &cancelled.params.request_id
        {
            visit.cancelled(request);
        }
        self.sessions.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let used = Use::of(&self.visit(id)?);
        Ok(used.streams(self.sessions.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let used = Use::of(&self.visit(id)?);
        let error = match self.sessions.resume(id, last_event_id.clone()).await {
            Ok(stream) => return Ok(used.streams(stream).left_stream()),
            Err(error) => error,
        };
        // Its request may have been answered meanwhile.
        let answer = locked(&self.kept).after(id, &last_event_id).ok_or(error)?;
        Ok(stream::iter([answer]).right_stream())
    }
}

impl Transport<RoleServer> for Connection {
    type Error = <SessionTransport as Transport<RoleServer>>::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Before it is sent: its client may take the id again as soon as it has read this, or may be coming back for it.
        let answered = answers(&message).map(|id| {
            self.visit.ids().answered(id);
            if let Some(asked) = locked(&self.visit.asked).remove(id) {
                locked(&self.kept).keep(asked, &message, Instant::now());
            }
        });
        let sending = self.transport.send(message);
        async move {
            match sending.await {
                // Its session has ended: nobody waits for it.
                Err(error) if answered.is_some() => {
                    tracing::debug!(%error, "an answer is lost");
                    Ok(())
                }
                sent => sent,
            }
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<ClientJsonRpcMessage>> + Send {
        self.transport.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
