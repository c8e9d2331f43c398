//! Asking the user of a client whether something may become real: the protocol's elicitation.
//!
//! Up to revision 2025-11-25 the server sends a request of its own while the call is under way. From 2026-07-28 on it may
//! send none: the call is answered by what is to be asked, goes on here meanwhile, and is sent once more with the answer.
//! A client that cannot ask, declines, or is gone has said no; so has one that takes too long.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inorder::{Approver, Decision, Question};
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientResult, ElicitRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationSchema, ErrorData, InputRequest,
    InputRequiredResult, InputResponses, ProtocolVersion, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext, RoleServer};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ask::message;

/// For a user to decide.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// For a client to take a message.
const SOON: Duration = Duration::from_secs(1);

/// Calls that wait for their answer, or for being asked after.
const MOST_ROUNDS: usize = 1000;

/// The one field of the form, and the one question of a round.
const APPROVE: &str = "approve";

/// How the user of a client is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a request of the server's.
    Request,
    /// By the answer to the call, which is then sent again.
    Rounds,
}

/// None where the client cannot ask.
pub fn way(context: &RequestContext<RoleServer>) -> Option<Way> {
    let elicitation = context.client_capabilities()?.elicitation?;
    // One that names neither is as old as forms.
    if elicitation.form.is_none() && elicitation.url.is_some() {
        return None;
    }
    let rounds = context.protocol_version()? >= ProtocolVersion::V_2026_07_28;
    Some(if rounds { Way::Rounds } else { Way::Request })
}

/// A question on its way to a user. Whoever asked may have stopped waiting.
pub struct Asked {
    message: String,
    answer: oneshot::Sender<Decision>,
}

pub type Questions = mpsc::UnboundedReceiver<Asked>;

/// Hands questions to whoever talks with the client.
#[derive(Debug)]
struct Asker {
    questions: mpsc::UnboundedSender<Asked>,
    ended: CancellationToken,
}

/// `ended` says that the client has gone.
pub fn asker(ended: &CancellationToken) -> (Arc<dyn Approver>, Questions) {
    let (questions, asked) = mpsc::unbounded_channel();
    (Arc::new(Asker { questions, ended: ended.clone() }), asked)
}

impl Approver for Asker {
    fn decide<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(async {
            let (answer, answered) = oneshot::channel();
            let asked = Asked { message: message(question), answer };
            if self.questions.send(asked).is_err() {
                return no("the client has gone");
            }
            tokio::select! {
                biased;
                decision = answered => decision.unwrap_or_else(|_| no("the client has gone")),
                () = self.ended.cancelled() => no("the client has gone"),
                () = tokio::time::sleep(PATIENCE) => no("nobody has answered for ten minutes"),
            }
        })
    }
}

fn no(because: impl Into<String>) -> Decision {
    Decision::No { because: Some(because.into()) }
}

fn request(message: String) -> ElicitRequest {
    let schema = ElicitationSchema::builder().required_bool_with(APPROVE, |it| {
        it.title("Allow it").description("Whether this may become real").with_default(false)
    });
    let requested_schema =
        schema.build().unwrap_or_else(|_| ElicitationSchema::new(BTreeMap::new()));
    let meta = None;
    ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta,
        message,
        requested_schema,
    })
}

fn decision(result: &ElicitResult) -> Decision {
    let approved = result.content.as_ref().and_then(|content| content[APPROVE].as_bool());
    match result.action {
        ElicitationAction::Accept if approved == Some(true) => Decision::Yes,
        ElicitationAction::Accept if approved.is_none() => {
            no("the client has accepted the form without filling in `approve`, which counts as no")
        }
        ElicitationAction::Cancel => no("the question was dismissed"),
        _ => Decision::No { because: None },
    }
}

/// Goes on with a call while the client is asked what it wants to know, one question after the other.
pub async fn by_request<T>(
    call: impl Future<Output = T>,
    mut questions: Questions,
    peer: &Peer<RoleServer>,
) -> T {
    let mut call = pin!(call);
    let mut open: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let ended = loop {
        let idle = open.is_none();
        let answered = async {
            match &mut open {
                Some(open) => open.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = &mut call => break ended,
            () = answered => open = None,
            Some(asked) = questions.recv(), if idle => {
                open = Some(Box::pin(ask(peer.clone(), asked)));
            }
        }
    };
    if let Some(open) = open {
        // Nobody waits for the answer any more, which the client is told.
        let _ = tokio::time::timeout(SOON, open).await;
    }
    ended
}

async fn ask(peer: Peer<RoleServer>, asked: Asked) {
    let Asked { message, mut answer } = asked;
    let request = ServerRequest::ElicitRequest(request(message));
    let sent = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let decided = match sent {
        Ok(mut sent) => tokio::select! {
            biased;
            answered = &mut sent.rx => match answered {
                Ok(Ok(ClientResult::ElicitResult(result))) => decision(&result),
                Ok(Ok(_)) => no("the client's answer is none"),
                Ok(Err(error)) => no(format!("the client could not ask its user: {error}")),
                Err(_) => no("the client has gone"),
            },
            () = answer.closed() => {
                // A client that has gone needs to hear nothing.
                let _ = sent.cancel(Some("nobody waits for the answer any more".to_owned())).await;
                return;
            }
        },
        Err(error) => no(format!("the client could not be asked: {error}")),
    };
    // Nobody may wait for it any more.
    let _ = answer.send(decided);
}

type Called = Result<CallToolResult, ErrorData>;

/// A call that goes on, by whoever asks for it. Dropping it cancels it.
pub struct Round {
    tool: String,
    called: oneshot::Receiver<Called>,
    questions: Questions,
    open: Option<oneshot::Sender<Decision>>,
    cancel: CancellationToken,
    _on_drop: DropGuard,
}

impl Round {
    /// Of a call of `tool` that `cancel` ends.
    pub fn new(
        tool: String,
        called: oneshot::Receiver<Called>,
        questions: Questions,
        cancel: CancellationToken,
    ) -> Round {
        let _on_drop = cancel.clone().drop_guard();
        Round { tool, called, questions, open: None, cancel, _on_drop }
    }
}

/// Calls whose clients are asking, by what they are to send with the answer.
#[derive(Default)]
pub struct Rounds(Mutex<HashMap<String, (Instant, Round)>>);

impl Rounds {
    /// Until the call has ended, or there is something to ask. `cancelled` is of the request that waits for it.
    pub async fn go_on(
        &self,
        mut round: Round,
        cancelled: &CancellationToken,
    ) -> Result<CallToolResponse, ErrorData> {
        let lost = || ErrorData::internal_error("the host lost track of this call", None);
        loop {
            let asked = tokio::select! {
                biased;
                called = &mut round.called => {
                    return called.map_err(|_| lost())?.map(CallToolResponse::from);
                }
                () = cancelled.cancelled(), if !round.cancel.is_cancelled() => {
                    round.cancel.cancel();
                    continue;
                }
                Some(asked) = round.questions.recv() => asked,
            };
            if asked.answer.is_closed() {
                continue;
            }
            round.open = Some(asked.answer);
            if let Some(state) = self.park(round) {
                let question = InputRequest::Elicitation(request(asked.message));
                let questions = BTreeMap::from([(APPROVE.to_owned(), question)]);
                return Ok(InputRequiredResult::new(Some(questions), Some(state)).into());
            }
            let message = "too many calls wait for answers of their clients' users";
            return Err(ErrorData::internal_error(message, None));
        }
    }

    /// The call that a request wants to go on with, with the answer that it brings.
    ///
    /// # Errors
    /// None waits for it.
    pub fn answered(
        &self,
        tool: &str,
        state: &str,
        responses: Option<&InputResponses>,
    ) -> Result<Round, ErrorData> {
        let unknown = || {
            let message = "no call waits for an answer with this requestState: it had one, or the wait was over";
            ErrorData::invalid_params(message, None)
        };
        let mut rounds = self.rounds();
        let is_it = rounds.get(state).is_some_and(|(_, round)| round.tool == tool);
        let (_, mut round) = is_it.then(|| rounds.remove(state)).flatten().ok_or_else(unknown)?;
        drop(rounds);
        let result = responses.and_then(|responses| responses.get(APPROVE)).cloned();
        let result = result.and_then(|it| serde_json::from_value::<ElicitResult>(it).ok());
        let decision = match &result {
            Some(result) => decision(result),
            None => no(format!("the client sent no answer to {APPROVE:?}")),
        };
        if let Some(open) = round.open.take() {
            // Nobody may wait for it any more.
            let _ = open.send(decision);
        }
        Ok(round)
    }

    /// Lets go of those that nobody has asked after for long. Their questions were given up; for a while, their ends may still be
    /// asked for.
    pub fn forget(&self, now: Instant) {
        self.rounds().retain(|_, (since, _)| now.duration_since(*since) < 2 * PATIENCE);
    }

    fn park(&self, round: Round) -> Option<String> {
        let mut rounds = self.rounds();
        if rounds.len() >= MOST_ROUNDS {
            return None;
        }
        // Not to be guessed: whoever has it answers for the user.
        let state = uuid::Uuid::new_v4().to_string();
        rounds.insert(state.clone(), (Instant::now(), round));
        Some(state)
    }

    fn rounds(&self) -> MutexGuard<'_, HashMap<String, (Instant, Round)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_nobody_asks_after_is_cancelled_and_let_go_of() {
        let (rounds, cancel) = (Rounds::default(), CancellationToken::new());
        let (_ended, called) = oneshot::channel();
        let (_asker, questions) = asker(&CancellationToken::new());
        let round = Round::new("tool".to_owned(), called, questions, cancel.clone());
        let state = rounds.park(round).unwrap();
        rounds.forget(Instant::now() + PATIENCE);
        assert!(!cancel.is_cancelled());
        rounds.forget(Instant::now() + 2 * PATIENCE);
        assert!(cancel.is_cancelled() && rounds.answered("tool", &state, None).is_err());
    }
}
