//! The path of a request: allowed, resolved, checked, connected, let through, sent; and the head of its answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, IF_RANGE, RANGE,
    TE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody};

use super::begun::{Begun, whole};
use super::body::{Answer, Sent, Wait};
use super::call::{CallNet, Consent, Effects, Room, Sending};
use super::client::Timeouts;
use super::connect::{Connection, broken};
use super::graphql;
use super::log::{NetDenial, NetDeniedBy, Requested};
use super::plugin::Stop;
use super::pool::Key;
use super::safe::is_safe;
use super::scrub::{Patterns, Scrub};
use super::target::Target;

/// How long the next piece of a body that is asked about may take.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a kept connection may take to be ready again.
const READY: Duration = Duration::from_millis(500);

/// Sends a request of a guest, if it may be sent.
///
/// # Errors
/// What the guest is told. Why it was refused is in the log.
pub async fn send(
    call: CallNet,
    room: Room,
    request: Request<WasiBody>,
    asked: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let target = Target::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
    let sent = Requested::new(request.method(), target.to_string(), &call.plugin.patterns);
    let exchange = Exchange { call, target, sent };
    match exchange.run(room, request, asked).await {
        Ok(response) => Ok(response),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Denied(by)) => {
            let error = match by {
                NetDeniedBy::Address { .. } => Error::DestinationIpProhibited,
                _ => Error::HttpRequestDenied,
            };
            exchange.call.log.denied(NetDenial { request: exchange.sent.clone(), by });
            Err(error)
        }
    }
}

/// What a request does there.
enum Kind {
    /// Nothing. With its body, if that is known, it may be sent twice.
    Read(Option<Bytes>),
    Change,
}

struct Exchange {
    call: CallNet,
    target: Target,
    sent: Requested,
}

impl Exchange {
    async fn run(
        &self,
        room: Room,
        mut request: Request<WasiBody>,
        asked: RequestOptions,
    ) -> Result<Response<WasiBody>, Stop> {
        let CallNet { plugin, .. } = &self.call;
        let reads = is_safe(&request);
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Stop::Denied(NetDeniedBy::Method));
        }
        plugin.allows(&self.target)?;
        let secrets = plugin.secrets_for(&self.target)?;
        let asks = !reads && self.may_be_query(&request);
        if !reads && !asks {
            self.may_change()?;
        }
        self.address(&mut request)?;
        let consent = self.consent();
        // Before the host sets any that are not the guest's.
        let headers = consent.is_some().then(|| request.headers().clone());
        for secret in &secrets {
            if let Ok(value) = secret.value() {
                request.headers_mut().insert(&secret.header, value.clone());
            }
        }
        if !secrets.is_empty() {
            // A secret is not found in what is compressed, nor in a part of itself.
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            request.headers_mut().remove(RANGE);
            request.headers_mut().remove(IF_RANGE);
        }
        let limits = limits(plugin.client.options.timeouts, asked);
        let Ok(Ok(permit)) = timeout(limits.connect, room).await else {
            return Err(Stop::Failed(Error::ConnectionLimitReached));
        };
        let (request, kind) = match asks {
            true => self.look_into(request, limits).await?,
            false if !reads => (request, Kind::Change),
            false if request.body().is_end_stream() => (request, Kind::Read(Some(Bytes::new()))),
            false => (request, Kind::Read(None)),
        };
        let request = match (&kind, consent, headers) {
            (Kind::Change, Some(consent), Some(headers)) => {
                let secrets = secrets.iter().map(|secret| secret.name.clone()).collect();
                self.agreed(&**consent, request, (headers, secrets), limits).await?
            }
            _ => request,
        };
        let (response, connection) = self.exchange(request, kind, limits).await?;

        let (mut head, incoming) = response.into_parts();
        if !self.call.heads.hold(&head.headers) {
            let full = "the host has no memory left for the head of one more answer";
            return Err(Stop::Failed(Error::InternalError(Some(full.to_owned()))));
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Stop::Failed(Error::HttpUpgradeFailed));
        }
        let scrub = (!plugin.patterns.is_empty()).then(|| Scrub::new(plugin.patterns.clone()));
        if scrub.is_some() {
            clean(&plugin.patterns, &mut head.headers);
            if self.sent.method != "HEAD" {
                // They are of the body as it was.
                head.headers.remove(CONTENT_LENGTH);
                head.headers.remove("content-md5");
                head.headers.remove("digest");
            }
        }
        let mut codings = head.headers.get_all(CONTENT_ENCODING).iter();
        let coding = codings.find(|it| *it != "identity");
        if let (Some(coding), false) = (coding, secrets.is_empty()) {
            let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
            return Err(Stop::Failed(Error::HttpResponseContentCoding(Some(coding))));
        }
        let answer = Answer {
            incoming,
            connection: Some((self.key(), connection)),
            client: plugin.client.clone(),
            budget: self.call.budget.clone(),
            wait: Wait::new(limits.between_bytes),
            scrub,
            trailers: None,
            _permit: permit,
        };
        Ok(Response::from_parts(head, answer.boxed_unsync()))
    }

    /// As far as its head tells. The guest has set it, and the host nothing yet.
    fn may_be_query(&self, request: &Request<WasiBody>) -> bool {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        self.call.plugin.speaks_graphql(&self.target, path)
            && graphql::may_be_query(request.method(), request.headers())
    }

    /// Waits for the body of what may be a query, and looks whether it is one.
    async fn look_into(
        &self,
        request: Request<WasiBody>,
        limits: Timeouts,
    ) -> Result<(Request<WasiBody>, Kind), Stop> {
        let (head, begun) = begun(request, limits.first_byte, limits).await?;
        let kind = match graphql::query(&begun) {
            Some(query) => Kind::Read(Some(query)),
            None => {
                self.may_change()?;
                Kind::Change
            }
        };
        Ok((Request::from_parts(head, begun.into_body()), kind))
    }

    /// Whether this is a run in which anything may be changed elsewhere.
    fn may_change(&self) -> Result<(), Stop> {
        match self.call.effects {
            Effects::When { .. } => Ok(()),
            Effects::Refused(run) => Err(Stop::Denied(NetDeniedBy::Effect { run })),
        }
    }

    /// Who has to agree, if it turns out to change something.
    fn consent(&self) -> Option<&Arc<dyn Consent>> {
        let Effects::When { consent: Some(consent), .. } = &self.call.effects else { return None };
        consent.is_needed(&self.target.host, self.target.door()).then_some(consent)
    }

    /// Waits until somebody has agreed to it: before anything is connected, since people take longer than a server waits.
    async fn agreed(
        &self,
        consent: &dyn Consent,
        request: Request<WasiBody>,
        (headers, secrets): (HeaderMap, Vec<String>),
        limits: Timeouts,
    ) -> Result<Request<WasiBody>, Stop> {
        // One that a guest goes on with when it has been answered is asked about as far as it has come.
        let (mut head, begun) = begun(request, PAUSE, limits).await?;
        match (begun.whole(), declared(&headers)) {
            // One that is to be cut off is not what was shown. What has come may be all of it, and not have been ended yet.
            (None, Some(length)) if length < begun.start().len() as u64 => {
                return Err(Stop::Failed(Error::HttpRequestBodySize(Some(length))));
            }
            // As it would have been told of one that was not waited for.
            (Some(whole), None) if !whole.is_empty() || !usually_empty(&head.method) => {
                head.headers.insert(CONTENT_LENGTH, whole.len().into());
            }
            _ => {}
        }
        let sending = Sending {
            request: self.sent.clone(),
            host: self.target.host.clone(),
            door: self.target.door(),
            path: head.uri.to_string(),
            headers,
            secrets,
            body: begun.start().clone(),
            is_whole: begun.whole().is_some(),
        };
        let agreed = consent.to(sending).await;
        agreed.map_err(|why| Stop::Denied(NetDeniedBy::Refused { why }))?;
        Ok(Request::from_parts(head, begun.into_body()))
    }

    /// In the form that goes to a server, never to a proxy: the path alone, and the host in its header.
    fn address(&self, request: &mut Request<WasiBody>) -> Result<(), Stop> {
        let invalid = || Stop::Failed(Error::HttpRequestUriInvalid);
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        if !path.starts_with('/') || !path.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
            return Err(invalid());
        }
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| invalid())?;
        let host = HeaderValue::from_str(&self.target.authority()).map_err(|_| invalid())?;
        let headers = request.headers_mut();
        // A guest is refused the first ones as it sets them, and has no use for the others.
        for header in DEFAULT_FORBIDDEN_HEADERS.into_iter().chain([TE, EXPECT]) {
            headers.remove(header);
        }
        headers.insert(HOST, host);
        Ok(())
    }

    fn key(&self) -> Key {
        Key { plugin: self.call.plugin.name.clone(), target: self.target.clone() }
    }

    /// Sends it. A connection that was kept may turn out to be closed: then once more, as long as nothing
    /// was sent, or what was sent may be sent twice.
    async fn exchange(
        &self,
        request: Request<WasiBody>,
        kind: Kind,
        limits: Timeouts,
    ) -> Result<(Response<Incoming>, Connection), Stop> {
        let changes = matches!(kind, Kind::Change);
        let copy = match kind {
            Kind::Read(Some(body)) => Some(copy(&request, body)),
            Kind::Read(None) | Kind::Change => None,
        };
        let CallNet { budget, over, .. } = self.call.clone();
        let request = request.map(|body| Sent { body, budget, over }.boxed_unsync());
        let (mut connection, kept) = self.connection(limits).await?;
        if let (true, Effects::When { gate, .. }) = (changes, &self.call.effects) {
            gate().await;
        }
        self.call.log.requested(self.sent.clone(), changes);
        let deadline = Instant::now() + limits.first_byte;
        let sending = connection.sender.try_send_request(request);
        let mut failed = match timeout_at(deadline, sending).await {
            Err(_) => return Err(Stop::Failed(Error::ConnectionReadTimeout)),
            Ok(Ok(response)) => return Ok((response, connection)),
            Ok(Err(failed)) => failed,
        };
        let again = failed.take_message().or(copy);
        let Some(again) = again.filter(|_| kept) else {
            return Err(Stop::Failed(broken(failed.into_error())));
        };
        let mut connection = self.connect(limits).await?;
        match timeout_at(deadline, connection.sender.send_request(again)).await {
            Err(_) => Err(Stop::Failed(Error::ConnectionReadTimeout)),
            Ok(Ok(response)) => Ok((response, connection)),
            Ok(Err(error)) => Err(Stop::Failed(broken(error))),
        }
    }

    /// A connection, and whether it was kept from an earlier request.
    async fn connection(&self, limits: Timeouts) -> Result<(Connection, bool), Stop> {
        if let Some(mut connection) = self.call.plugin.client.pool.take(&self.key())
            && let Ok(Ok(())) = timeout(READY, connection.sender.ready()).await
        {
            return Ok((connection, true));
        }
        Ok((self.connect(limits).await?, false))
    }

    async fn connect(&self, limits: Timeouts) -> Result<Connection, Stop> {
        let plugin = &self.call.plugin;
        let connecting = async {
            let addresses = plugin.addresses(&self.target).await?;
            plugin.client.connect(&self.target, &addresses).await.map_err(Stop::Failed)
        };
        let connected = timeout(limits.connect, connecting).await;
        connected.unwrap_or(Err(Stop::Failed(Error::ConnectionTimeout)))
    }
}

/// The head of a request, and what is looked at of its body.
async fn begun(
    request: Request<WasiBody>,
    pause: Duration,
    limits: Timeouts,
) -> Result<(Parts, Begun), Stop> {
    let (head, body) = request.into_parts();
    match timeout(limits.first_byte, Begun::read(body, pause)).await {
        Ok(begun) => Ok((head, begun.map_err(Stop::Failed)?)),
        Err(_) => Err(Stop::Failed(Error::ConnectionWriteTimeout)),
    }
}

/// How long its body is to be, as the guest has said.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether a request of that kind has no body as a rule, so that none needs to be said.
fn usually_empty(method: &Method) -> bool {
    !matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// A request with a body that is known, once more.
fn copy(request: &Request<WasiBody>, body: Bytes) -> Request<WasiBody> {
    let mut copy = Request::new(whole(body));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Those of the host, or shorter ones that the guest asks for.
fn limits(given: Timeouts, asked: RequestOptions) -> Timeouts {
    let shorter =
        |given: Duration, asked: Option<Duration>| asked.map_or(given, |it| it.min(given));
    Timeouts {
        connect: shorter(given.connect, asked.connect_timeout),
        first_byte: shorter(given.first_byte, asked.first_byte_timeout),
        between_bytes: shorter(given.between_bytes, asked.between_bytes_timeout),
    }
}

/// Takes secrets out of headers. One that has any in its name is left out.
pub fn clean(patterns: &Patterns, headers: &mut HeaderMap) {
    let named = headers.keys().filter(|name| patterns.are_in(name.as_str().as_bytes()));
    for name in named.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        if let Cow::Owned(clean) = patterns.bytes(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(""));
        }
    }
}
