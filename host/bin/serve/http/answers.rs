//! Answers that are no stream: JSON, with a status.
//!
//! Errors are `{"error": {"kind", "message"}}`, as in reports; at `/mcp` they are JSON-RPC's.

use std::convert::Infallible;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use serde_json::{Value, json};

use super::door::Turned;

pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// How errors are written where a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// JSON-RPC's.
    Rpc,
}

pub fn json(status: StatusCode, value: &Value) -> Answer {
    body(status, value.to_string())
}

/// Nothing, which is the whole answer.
pub fn nothing() -> Answer {
    let mut answer = Response::new(Full::default().boxed());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// JSON text.
pub fn body(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub fn error(form: Form, status: StatusCode, kind: &str, message: &str) -> Answer {
    match form {
        Form::Plain => json(status, &json!({ "error": { "kind": kind, "message": message } })),
        Form::Rpc => {
            let error = match status.is_server_error() {
                true => ErrorData::internal_error(message.to_owned(), None),
                false => ErrorData::invalid_request(message.to_owned(), None),
            };
            rpc(status, error, None)
        }
    }
}

pub fn rpc(status: StatusCode, error: ErrorData, id: Option<RequestId>) -> Answer {
    let message: ServerJsonRpcMessage = JsonRpcMessage::error(error, id);
    body(status, serde_json::to_vec(&message).unwrap_or_default())
}

pub fn not_found(path: &str) -> Answer {
    let message = format!("there is nothing at {path}; there are {}", super::PATHS);
    error(Form::Plain, StatusCode::NOT_FOUND, "not_found", &message)
}

pub fn wrong_method(allowed: &'static str) -> Answer {
    let message = format!("only {allowed} is answered here");
    let mut answer = error(Form::Plain, StatusCode::METHOD_NOT_ALLOWED, "method", &message);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub fn busy(form: Form, message: &str) -> Answer {
    let mut answer = error(form, StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

pub fn turned_away(turned: &Turned, form: Form) -> Answer {
    let (status, kind, message) = match turned {
        Turned::Host(host) => (
            StatusCode::FORBIDDEN,
            "forbidden",
            format!(
                "this server is not known as {host:?}; --allow-host names it, where it is meant"
            ),
        ),
        Turned::Origin(origin) => (
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("pages of {origin:?} may not use this server; --allow-origin lets them"),
        ),
        Turned::NoToken => (
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this server wants a token: Authorization: Bearer TOKEN".to_owned(),
        ),
        Turned::WrongToken => (
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "that is not the token of this server".to_owned(),
        ),
    };
    let mut answer = error(form, status, kind, &message);
    // RFC 6750, section 3: without a token, no more than which scheme is wanted.
    let challenge = match turned {
        Turned::NoToken => "Bearer realm=\"inorder\"",
        Turned::WrongToken => "Bearer realm=\"inorder\", error=\"invalid_token\"",
        Turned::Host(_) | Turned::Origin(_) => return answer,
    };
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}
