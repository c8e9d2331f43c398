//! What the server answers: requests of the protocol to calls of the host.
//!
//! Knows neither how messages come nor how they go: the same over standard input and over HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use inorder::{Approver, Call, CallOptions, CancellationToken, Host, RunOptions};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult,
    ErrorCode, ErrorData, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams,
    RequestMetaObject, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::catalogue::{Catalogue, Named};
use super::elicit::{self, Round, Rounds, Way};
use super::gate::Arrival;
use super::places::Place;
use super::progress::Progress;
use super::sessions::Sessions;
use super::{answer, batch};

/// Clones share everything.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    host: Host,
    catalogue: Catalogue,
    sessions: Sessions,
    calls: TaskTracker,
    rounds: Rounds,
    /// That nobody will hear of progress any more.
    ended: CancellationToken,
}

impl Server {
    /// # Errors
    /// The tools cannot be named as the protocol wants.
    pub fn new(host: Host, ended: CancellationToken) -> anyhow::Result<Server> {
        let (catalogue, sessions) = (Catalogue::new(&host)?, Sessions::new(host.clone()));
        let calls = TaskTracker::new();
        let rounds = Rounds::default();
        Ok(Server(Arc::new(Shared { host, catalogue, sessions, calls, rounds, ended })))
    }

    /// Until no call is under way. To be asked when no more will come.
    pub async fn ended(&self) {
        self.0.calls.close();
        self.0.calls.wait().await;
    }

    async fn call(
        &self,
        tool: &str,
        form: answer::Form,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
        approver: Option<Arc<dyn Approver>>,
        turn: Option<Place>,
    ) -> Result<CallToolResult, ErrorData> {
        let mut progress = Progress::of(context, &self.0.ended);
        let (told, telling) = progress.of_call();
        let call = Call { id: Some(context.id.to_string()), ..Call::new(tool, arguments) };
        let options = CallOptions { cancel: context.ct.clone(), progress: told, approver };
        let session = self.0.sessions.current();
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
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
        approver: Option<Arc<dyn Approver>>,
    ) -> CallToolResult {
        let progress = Progress::of(context, &self.0.ended);
        let cancel = context.ct.clone();
        let options = RunOptions { cancel, approver, ..RunOptions::default() };
        let Shared { host, catalogue, .. } = &*self.0;
        batch::run(host, catalogue.names(), arguments, options, progress).await
    }
}

impl Server {
    /// Calls a tool, and has `approver` asked about what policy asks about.
    async fn called(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        approver: Option<Arc<dyn Approver>>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let turn = turn(context).await;
        match self.0.catalogue.find(&request.name) {
            None => {
                let message = self.0.catalogue.unknown(&request.name);
                Err(ErrorData::invalid_params(message, None))
            }
            Some(Named::Batch) => {
                // It is ordered within itself alone, and nobody is to wait for its end.
                drop(turn);
                Ok(self.batch(arguments, context, approver).await)
            }
            Some(Named::Tool(tool, form)) => {
                self.call(tool, form, arguments, context, approver, turn).await
            }
        }
    }

    /// Starts a call that outlives its request, as questions about it are asked by answering that.
    fn begin_round(
        &self,
        request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Round {
        let (asker, questions) = elicit::asker(&self.0.ended);
        let cancel = CancellationToken::new();
        context.ct = cancel.clone();
        // Its token is good until the first answer alone, and which one is the last is not known.
        context.meta = RequestMetaObject::default();
        let (ended, called) = oneshot::channel();
        let (server, tool) = (self.clone(), request.name.to_string());
        self.0.calls.spawn(async move {
            // Nobody may ask for it any more.
            let _ = ended.send(server.called(request, &context, Some(asker)).await);
        });
        Round::new(tool, called, questions, cancel)
    }
}

/// Waits for the calls that came before on the same connection to have acted.
async fn turn(context: &RequestContext<RoleServer>) -> Option<Place> {
    match context.extensions.get::<Arrival>() {
        Some(arrival) => arrival.turn().await,
        None => None,
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        let server = Implementation::new("inorder", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(tools).with_server_info(server).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let Some((tools, next)) = self.0.catalogue.page(cursor.as_deref()) else {
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
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _under_way = self.0.calls.token();
        let rounds = &self.0.rounds;
        if let Some(state) = &request.request_state {
            drop(turn(&context).await);
            let round = rounds.answered(&request.name, state, request.input_responses.as_ref())?;
            return rounds.go_on(round, &context.ct).await;
        }
        let way = elicit::way(&context).filter(|_| self.0.host.asks());
        match way {
            None => self.called(request, &context, None).await.map(CallToolResponse::from),
            Some(Way::Request) => {
                let (asker, questions) = elicit::asker(&self.0.ended);
                let call = self.called(request, &context, Some(asker));
                let called = elicit::by_request(call, questions, &context.peer).await;
                called.map(CallToolResponse::from)
            }
            Some(Way::Rounds) => {
                let cancelled = context.ct.clone();
                let round = self.begin_round(request, context);
                rounds.go_on(round, &cancelled).await
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
