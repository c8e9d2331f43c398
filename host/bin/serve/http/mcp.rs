//! The protocol at `/mcp`: the SDK's service, and errors of JSON-RPC where it has a status and a line of text.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use rmcp::model::ErrorData;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use super::super::life::Life;
use super::super::message::{self, MOST_BYTES};
use super::super::server::Server;
use super::answers::{self, Answer, Form};
use super::bodies::Bodies;
use super::visits::Visits;

/// Clones share everything.
#[derive(Clone)]
pub struct Mcp {
    service: StreamableHttpService<Server, Visits>,
    visits: Arc<Visits>,
    bodies: Bodies,
}

impl Mcp {
    /// Calls end with `ending`, sessions and streams with `over`.
    pub fn new(server: Server, bodies: Bodies, life: &Life) -> Mcp {
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(MOST_BYTES)
            // Who may come was asked at the door, for every path.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_cancellation_token(life.over.child_token());
        let visits = Arc::new(Visits::new(life.ending.clone()));
        // One for each session, and for each request that is of none.
        let each = move || Ok(server.for_another());
        let service = StreamableHttpService::new(each, visits.clone(), config);
        Mcp { service, visits, bodies }
    }

    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        if request.method() != Method::POST {
            let ends_session = request.method() == Method::DELETE;
            let mut answer = told(self.service.handle(request).await).await;
            // It has ended: some clients take 202, which the SDK says, for a failure.
            if ends_session && answer.status() == StatusCode::ACCEPTED {
                *answer.status_mut() = StatusCode::NO_CONTENT;
            }
            return answer;
        }
        let (mut head, body) = request.into_parts();
        let body = match self.bodies.read(body, MOST_BYTES).await {
            Ok(body) => body,
            Err(unread) => return unread.answer(Form::Rpc),
        };
        if begins_session(&body.bytes) && !self.visits.make_room().await {
            return answers::busy(Form::Rpc, "too many sessions are in use");
        }
        let is_json = is_json(&head.headers);
        // What was read lives on as the call that it becomes, which has the head, also when its client has gone.
        let room = Arc::new(body.room);
        head.extensions.insert(room.clone());
        let request = Request::from_parts(head, Full::new(body.bytes.clone()));
        let answer = self.service.handle(request).await;
        if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json {
            let (error, id) = message::wrong(&body.bytes);
            return answers::rpc(StatusCode::BAD_REQUEST, error, id);
        }
        told(answer).await
    }
}

fn begins_session(message: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        method: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Asked>(message).is_ok_and(|asked| asked.method == "initialize")
}

/// An error that the SDK tells by a line of text, as JSON-RPC has it.
async fn told(answer: Answer) -> Answer {
    let status = answer.status();
    let wrong = status.is_client_error() || status.is_server_error();
    if !wrong || is_json(answer.headers()) {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let text = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let error = match status.is_server_error() {
        true => ErrorData::internal_error(text, None),
        false => ErrorData::invalid_request(text, None),
    };
    let body = answers::rpc(status, error, None).into_body();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    http::Response::from_parts(head, body)
}

pub fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.map(|it| it.split_once(';').map_or(it, |(essence, _)| essence).trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}
