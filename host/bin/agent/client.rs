//! One request, and the stream that answers it.
//!
//! Knows HTTP, and what of it means to ask again; that is decided in `ask`. Redirects are not followed, as the key would go
//! along. Calls in an answer are nothing until it is complete, so that one which breaks off has done nothing.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use sse_stream::SseStream;

use super::api::{Answer, Api, Gathering, Lasting, Piece, error_text};
use super::endpoint::{Endpoint, Key};
use super::scrub::{self, Scrub};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// For the next bytes: a model on a small machine takes its time to read a long conversation.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// Of one answer, as it is streamed.
const MOST_BYTES: usize = 32 << 20;

/// Of an error's body, read and shown.
const MOST_ERROR_BYTES: usize = 64 << 10;
const MOST_SHOWN: usize = 2000;

pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// That it has answered at all: whoever cannot be reached then was there before.
    answered: AtomicBool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// Asking again may help, not before that time.
    Passing { why: String, wait: Option<Duration> },
    /// What was sent is wrong, to this server.
    Refused(String),
    /// The server, or the way there, is.
    Fault(String),
    /// We were told to.
    Stopped,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> anyhow::Result<Client> {
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(endpoint.url.scheme() == "https")?)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("inorder/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE);
        if endpoint.local {
            http = http.no_proxy();
        }
        let http = http.build().context("the client for HTTP cannot be made")?;
        Ok(Client { http, endpoint, answered: AtomicBool::new(false) })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `body`, and gathers what comes; text is handed to `read` as it comes.
    pub async fn send(
        &self,
        body: Bytes,
        gathering: Gathering,
        read: &mut impl FnMut(&str),
    ) -> Result<Answer, Failure> {
        let request = self.http.post(self.endpoint.url.clone()).headers(self.headers()).body(body);
        let response = request.send().await.map_err(|error| self.unreached(&error))?;
        self.answered.store(true, Ordering::Relaxed);
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let kind = self.shown(kind.unwrap_or("something without a type"));
            let text = self.shown(&beginning(response).await);
            let host = self.host();
            return Err(Failure::Refused(format!(
                "{host} answered with {kind} instead of a stream of events: {text}"
            )));
        }
        let mut scrub = Scrub::new(&self.endpoint.key);
        let mut show = |text: String| {
            if !text.is_empty() {
                read(&text);
            }
        };
        let answer =
            self.gathered(response, gathering, &mut |text: &str| show(scrub.piece(text))).await;
        show(scrub.rest());
        Ok(scrub.answer(answer?))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if self.endpoint.api == Api::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        if let Key::Sent { value, .. } = &self.endpoint.key {
            let (name, value) = match self.endpoint.api {
                Api::Anthropic => ("x-api-key".parse().ok(), value.clone()),
                Api::Openai => (Some(AUTHORIZATION), format!("Bearer {value}")),
            };
            if let (Some(name), Ok(mut value)) = (name, HeaderValue::from_str(&value)) {
                // Not to be seen in logs.
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        headers
    }

    async fn gathered(
        &self,
        response: Response,
        mut gathering: Gathering,
        read: &mut impl FnMut(&str),
    ) -> Result<Answer, Failure> {
        let body = Limited::new(reqwest::Body::from(response), MOST_BYTES);
        let mut events = pin!(SseStream::new(body.map_err(io::Error::other)));
        while !gathering.is_done() {
            let event = match events.next().await {
                None => break,
                Some(Err(error)) => return Err(self.broken(&error)),
                Some(Ok(event)) => event,
            };
            let Some(data) = event.data else { continue };
            match gathering.add(&data) {
                Ok(Piece::Text(text)) => read(&text),
                Ok(Piece::Error { message, lasting }) => {
                    let host = self.host();
                    let why = format!("{host} broke its answer off: {}", self.shown(&message));
                    return Err(match lasting {
                        Lasting::Passing => Failure::Passing { why, wait: None },
                        Lasting::Lasting => Failure::Refused(why),
                    });
                }
                Err(why) => {
                    let host = self.host();
                    let why = self.shown(&why);
                    return Err(Failure::Fault(format!("the answer of {host} is wrong: {why}")));
                }
            }
        }
        gathering.finish().ok_or_else(|| Failure::Passing {
            why: format!("{} ended its answer in the middle", self.host()),
            wait: None,
        })
    }

    fn broken(&self, error: &sse_stream::Error) -> Failure {
        let host = self.host();
        let sse_stream::Error::Body(body) = error else {
            return Failure::Fault(format!("the answer of {host} is no stream of events: {error}"));
        };
        let inner = body.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.and_then(|inner| inner.downcast_ref::<LengthLimitError>()).is_some() {
            let most = bytesize::ByteSize(MOST_BYTES as u64);
            return Failure::Fault(format!("the answer of {host} has more than {most}"));
        }
        let why = inner.map_or_else(|| body.to_string(), |inner| cause(inner));
        let why = format!("the connection to {host} broke in the middle of its answer ({why})");
        Failure::Passing { why, wait: None }
    }

    fn unreached(&self, error: &reqwest::Error) -> Failure {
        let (why, host) = (cause(error), self.host());
        if error.is_connect() && !self.answered.load(Ordering::Relaxed) {
            let help = if self.endpoint.local { "; is the server running?" } else { "" };
            return Failure::Fault(format!("cannot reach {host}: {why}{help}"));
        }
        Failure::Passing { why: format!("{host} gave no answer ({why})"), wait: None }
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let wait = wait(response.headers());
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.map(str::to_owned);
        let body = beginning(response).await;
        let error = serde_json::from_str::<Value>(&body).ok();
        let error = error.as_ref().and_then(|body| body.get("error"));
        let spent = error.is_some_and(|it| {
            it["type"] == "insufficient_quota" || it["code"] == "insufficient_quota"
        });
        let text = self.shown(&error.map_or(body.clone(), error_text));
        let why = format!("{} answered {status}: {text}", self.host());
        let passing = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if passing && !spent {
            return Failure::Passing { why, wait };
        }
        let help = match (status, &self.endpoint.key) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, key) => match key {
                Key::Sent { variable, .. } => format!("; the key is that of {variable}"),
                Key::None { unsent: Some(variable) } => format!(
                    "; no key was sent, as {variable} is for another server: --key-env {variable} sends it there"
                ),
                Key::None { unsent: None } => "; no key was sent: --key-env names one".to_owned(),
            },
            (StatusCode::NOT_FOUND, _) => {
                format!("; is that model there, and {} the place to ask?", self.endpoint.url)
            }
            _ if status.is_redirection() => {
                let to = to.map(|to| format!(" to {}", self.shown(&to))).unwrap_or_default();
                format!("; it redirects{to}, which --base-url has to say")
            }
            _ => String::new(),
        };
        Failure::Refused(format!("{why}{help}"))
    }

    /// As in `localhost:11434`.
    fn host(&self) -> String {
        let url = &self.endpoint.url;
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn shown(&self, text: &str) -> String {
        let text = scrub::error(&self.endpoint.key, text.trim());
        match text.char_indices().nth(MOST_SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None if text.is_empty() => "(nothing more)".to_owned(),
            None => text,
        }
    }
}

/// The system's root certificates are read only where they are needed.
fn tls(needed: bool) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if needed {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        anyhow::ensure!(
            !roots.is_empty(),
            "this system has no root certificates (`ca-certificates`, SSL_CERT_FILE)"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the client for TLS cannot be made")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The beginning of a body, as text.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    // What breaks off here has said enough.
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= MOST_ERROR_BYTES {
            body.truncate(MOST_ERROR_BYTES);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// How long a server asks to wait: in seconds, milliseconds, or until a date.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|it| *it >= 0.0);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let after = text("retry-after")?;
    match number(after) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let until = httpdate::parse_http_date(after.trim()).ok()?;
            Some(until.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

/// What is at the bottom of an error: the rest of it says where it came through.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_in_three_ways_how_long_to_wait() {
        let said = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            wait(&headers)
        };
        assert_eq!(said("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(said("retry-after-ms", "20"), Some(Duration::from_millis(20)));
        assert_eq!(said("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for odd in ["-1", "soon", "NaN", "1e300", ""] {
            assert_eq!(said("retry-after", odd), None, "{odd}");
        }
    }
}
