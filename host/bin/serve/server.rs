//! What the server answers: requests of the protocol to calls of the host.
//!
//! Knows neither how messages come nor how they go: the same over standard input and over HTTP.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use inorder::{Approver, Call, CallOptions, CancellationToken, Host, RunOptions};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult,
    ErrorCode, ErrorData, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams,
    RequestMetaObject, ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, RoleServer, SubscriptionContext};
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

use super::catalogue::Named;
use super::difference::Difference;
use super::elicit::{self, Round, Rounds, Way};
use super::gate::{Arrival, BUSY};
use super::life::{Ends, Life};
use super::loaded::{Entered, Loaded};
use super::places::Place;
use super::progress::Progress;
use super::sessions::Sessions;
use super::{answer, batch};

/// For one client. Clones share everything.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    client: Arc<Client>,
}

struct Shared {
    loaded: RwLock<Arc<Loaded>>,
    calls: TaskTracker,
    rounds: Rounds,
    /// Changes with the list of tools.
    lists: watch::Sender<()>,
    /// Those who are told of that: clients that made a handshake.
    peers: Mutex<Vec<Peer<RoleServer>>>,
    life: Life,
}

/// What is of one client alone.
#[derive(Default)]
struct Client {
    sessions: Sessions,
    /// It is among the peers.
    is_told: AtomicBool,
}

/// For a client that is to be told something, and does not read.
const TELLING: Duration = Duration::from_secs(5);

impl Server {
    /// # Errors
    /// The tools cannot be named as the protocol wants.
    pub fn new(host: Host, life: Life) -> anyhow::Result<Server> {
        let shared = Shared {
            loaded: RwLock::new(Loaded::new(host)?),
            calls: TaskTracker::new(),
            rounds: Rounds::default(),
            lists: watch::Sender::new(()),
            peers: Mutex::default(),
            life,
        };
        Ok(Server { shared: Arc::new(shared), client: Arc::default() })
    }

    /// The same one, for another client: its calls and those of this one meet as batches do.
    pub fn for_another(&self) -> Server {
        Server { shared: self.shared.clone(), client: Arc::default() }
    }

    pub fn host(&self) -> Host {
        self.loaded().host.clone()
    }

    /// Calls that come from now on are answered by this host; clients are told, if they see other tools.
    ///
    /// # Errors
    /// The tools cannot be named as the protocol wants. Nothing is replaced.
    pub fn replace(&self, host: Host) -> anyhow::Result<Difference> {
        let new = Loaded::new(host)?;
        let mut loaded = self.shared.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *loaded, new.clone());
        drop(loaded);
        if old.catalogue.all() != new.catalogue.all() {
            self.tell_of_another_list();
        }
        Ok(Difference::between(old.catalogue.all(), new.catalogue.all()))
    }

    /// Lets a call or a batch in; nothing, if no more are taken.
    pub fn enter(&self) -> Option<Entered> {
        let under_way = self.shared.calls.token();
        let taken = !self.shared.life.stopping.is_cancelled();
        taken.then(|| Entered::new(self.loaded(), under_way))
    }

    /// Runs something that is waited for at the end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.calls.spawn(task);
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell_of_another_list(&self) {
        self.shared.lists.send_replace(());
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|peer| !peer.is_transport_closed());
        for peer in peers.iter() {
            let (peer, over) = (peer.clone(), self.shared.life.over.clone());
            self.spawn(async move {
                tokio::select! {
                    () = over.cancelled() => {}
                    // Who does not listen will ask again some time.
                    _ = tokio::time::timeout(TELLING, peer.notify_tool_list_changed()) => {}
                }
            });
        }
    }

    /// Until no call is under way. To be asked when no more will come.
    pub async fn ended(&self) {
        self.shared.calls.close();
        self.shared.calls.wait().await;
    }

    async fn call(
        &self,
        entered: &Entered,
        tool: &str,
        form: answer::Form,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
        (approver, turn): (Option<Arc<dyn Approver>>, Option<Place>),
    ) -> Result<CallToolResult, ErrorData> {
        let mut progress = Progress::of(context, &self.shared.life.over);
        let (told, telling) = progress.of_call();
        let call = Call { id: Some(context.id.to_string()), ..Call::new(tool, arguments) };
        let hold = context.extensions.get::<Arrival>().map(Arrival::full);
        let options = CallOptions { cancel: context.ct.clone(), progress: told, approver, hold };
        let session = self.client.sessions.current(entered.host());
        if let Some(arrival) = context.extensions.get::<Arrival>() {
            arrival.keep(&session);
        }
        let issued = match session.issue(call, options) {
            Ok(issued) => issued,
            Err(error) => {
                let message = format!(
                    "not run: only calls of one run_batch can refer to each other ({error})"
                );
                return Ok(answer::refused(message));
            }
        };
        drop(turn);
        let ended = issued.ended();
        let (outcome, ()) = tokio::join!(ended, telling);
        let outcome =
            outcome.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(answer::of_call(outcome, form))
    }

    async fn batch(
        &self,
        entered: &Entered,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
        approver: Option<Arc<dyn Approver>>,
    ) -> CallToolResult {
        let progress = Progress::of(context, &self.shared.life.over);
        let cancel = context.ct.clone();
        let options = RunOptions { cancel, approver, ..RunOptions::default() };
        batch::run(entered.host(), entered.names(), arguments, options, progress).await
    }
}

impl Server {
    /// Calls a tool, and has `approver` asked what policy asks about.
    async fn called(
        &self,
        entered: &Entered,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        approver: Option<Arc<dyn Approver>>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let turn = turn(context).await;
        let catalogue = &entered.loaded.catalogue;
        match catalogue.find(&request.name) {
            None => {
                let message = catalogue.unknown(&request.name);
                Err(ErrorData::invalid_params(message, None))
            }
            Some(Named::Batch) => {
                // It is ordered within itself alone, and nobody is to wait for its end.
                drop(turn);
                if let Some(arrival) = context.extensions.get::<Arrival>() {
                    arrival.leave();
                }
                room(context).await;
                Ok(self.batch(entered, arguments, context, approver).await)
            }
            Some(Named::Tool(tool, form)) => {
                self.call(entered, tool, form, arguments, context, (approver, turn)).await
            }
        }
    }

    /// Starts a call that outlives its request, as questions about it are asked by answering that.
    fn begin_round(
        &self,
        entered: Entered,
        request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Round {
        let (asker, questions) = elicit::asker(&self.shared.life.over);
        let cancel = CancellationToken::new();
        context.ct = cancel.clone();
        // Its token is good until the first answer alone, and which one is the last is not known.
        context.meta = RequestMetaObject::default();
        let (ended, called) = oneshot::channel();
        let (server, tool) = (self.clone(), request.name.to_string());
        self.spawn(async move {
            // Nobody may ask for it any more.
            let _ = ended.send(server.called(&entered, request, &context, Some(asker)).await);
        });
        Round::new(tool, called, questions, cancel)
    }

    async fn answered(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entered) = self.enter() else {
            // In its turn, so that those which came before are in time.
            drop(turn(&context).await);
            let message = "the server is shutting down, and takes no more calls";
            return Err(ErrorData::new(BUSY, message, None));
        };
        let rounds = &self.shared.rounds;
        rounds.forget(Instant::now());
        if let Some(state) = &request.request_state {
            drop(turn(&context).await);
            let round = rounds.answered(&request.name, state, request.input_responses.as_ref())?;
            return rounds.go_on(round, &context.ct).await;
        }
        match elicit::way(&context).filter(|_| entered.host().asks()) {
            None => {
                self.called(&entered, request, &context, None).await.map(CallToolResponse::from)
            }
            Some(Way::Request) => {
                let (asker, questions) = elicit::asker(&self.shared.life.over);
                let call = self.called(&entered, request, &context, Some(asker));
                let called = elicit::by_request(call, questions, &context.peer).await;
                called.map(CallToolResponse::from)
            }
            Some(Way::Rounds) => {
                let cancelled = context.ct.clone();
                let round = self.begin_round(entered, request, context);
                rounds.go_on(round, &cancelled).await
            }
        }
    }
}

/// Waits for the calls that came before on the same connection to have acted.
async fn turn(context: &RequestContext<RoleServer>) -> Option<Place> {
    match context.extensions.get::<Arrival>() {
        Some(arrival) => arrival.turn().await,
        None => None,
    }
}

/// Waits until there is room for its answer, or nobody waits for that any more.
async fn room(context: &RequestContext<RoleServer>) {
    if let Some(mut full) = context.extensions.get::<Arrival>().map(Arrival::full) {
        tokio::select! {
            // An error is that there is nobody to wait for.
            _ = full.wait_for(|full| !full) => {}
            () = context.ct.cancelled() => {}
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let server = Implementation::new("inorder", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(tools).with_server_info(server).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let Some((tools, next)) = self.loaded().catalogue.page(cursor.as_deref()) else {
            let message = "the cursor is not one that this server gave";
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = next;
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let ends = context.extensions.get::<Ends>().map_or(&self.shared.life.ending, |it| &it.0);
        let ends = ends.clone();
        // One that is cancelled without the SDK's knowledge is answered.
        context.ct = context.ct.child_token();
        let cancel = context.ct.clone();
        let mut answered = std::pin::pin!(self.answered(request, context));
        tokio::select! {
            biased;
            answered = &mut answered => return answered,
            () = ends.cancelled() => cancel.cancel(),
        }
        answered.await
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // It may say so more than once.
        if self.client.is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|peer| !peer.is_transport_closed());
        peers.push(context.peer);
    }

    /// The SDK leaves of it what is offered.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut lists = self.shared.lists.subscribe();
        let wanted = context.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.shared.life.over.cancelled() => return Ok(()),
                Ok(()) = lists.changed(), if wanted => {
                    if context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the SDK has no type for: a method that is unknown, or one that it knows with other parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let shape = match request.method.as_str() {
            "tools/call" => "`name`, a string, and `arguments`, an object",
            "tools/list" => "nothing but `cursor`, a string",
            method => {
                let message = format!("there is no method {method:?} here");
                return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
            }
        };
        let message = format!("{} takes {shape}", request.method);
        Err(ErrorData::new(ErrorCode::INVALID_PARAMS, Cow::Owned(message), None))
    }
}

const INSTRUCTIONS: &str = "Calls that are sent together run in parallel, and edits of one file never lose each other. Send \
                            calls that need each other's results, or many at once, in one run_batch.";
