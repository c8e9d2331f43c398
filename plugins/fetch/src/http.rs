//! `wasi:http`: one request, its answer, and the answer's body piece by piece. Follows nothing.

use url::{Position, Url};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingRequest, Scheme,
};
use wasip2::io::streams::{InputStream, StreamError};

use crate::fetch::{Answer, Web};

/// One piece of a body, in bytes.
const PIECE: u64 = 64 << 10;

pub struct Http;

impl Web for Http {
    fn get(&mut self, url: &Url, user_agent: &str) -> Result<Answer, String> {
        let response = answered(request(url, user_agent)?)?;
        let headers = response.headers();
        let header = |name: &str| {
            let value = headers.get(name).into_iter().next();
            value.map(|it| String::from_utf8_lossy(&it).into_owned())
        };
        let content_type = header("content-type").unwrap_or_default();
        let (location, coding) = (header("location"), header("content-encoding"));
        drop(headers);
        let coding = coding.filter(|it| !it.eq_ignore_ascii_case("identity") && !it.is_empty());
        let body = Body::of(&response)?;
        Ok(Answer {
            status: response.status(),
            content_type,
            location,
            body: match coding {
                Some(coding) => {
                    let why = format!("it is compressed ({coding}), which was not asked for");
                    Box::new(std::iter::once(Err(why)))
                }
                None => Box::new(body),
            },
        })
    }
}

fn request(url: &Url, user_agent: &str) -> Result<OutgoingRequest, String> {
    let value = |text: &str| vec![text.as_bytes().to_vec()];
    let headers = Fields::new();
    for (name, text) in
        [("user-agent", user_agent), ("accept", "*/*"), ("accept-encoding", "identity")]
    {
        headers.set(name, &value(text)).map_err(|_| format!("the header {name} is refused"))?;
    }
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let request = OutgoingRequest::new(headers);
    let set = request
        .set_method(&Method::Get)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "its address cannot be sent".to_owned())?;
    Ok(request)
}

fn answered(request: OutgoingRequest) -> Result<IncomingResponse, String> {
    let sent = handle(request, None).map_err(|error| why(&error))?;
    sent.subscribe().block();
    match sent.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(why(&error)),
        _ => Err("there is no answer".to_owned()),
    }
}

/// What is read of an answer. Dropped in this order: a stream is its body's child.
struct Body {
    stream: InputStream,
    _body: IncomingBody,
}

impl Body {
    fn of(response: &IncomingResponse) -> Result<Body, String> {
        let gone = |()| "its body cannot be read".to_owned();
        let body = response.consume().map_err(gone)?;
        Ok(Body { stream: body.stream().map_err(gone)?, _body: body })
    }
}

impl Iterator for Body {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.stream.blocking_read(PIECE) {
            Ok(piece) => Some(Ok(piece)),
            Err(StreamError::Closed) => None,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                Some(Err(code.as_ref().map_or_else(|| error.to_debug_string(), why)))
            }
        }
    }
}

/// In words, where a model has to know what to do about it.
fn why(error: &ErrorCode) -> String {
    match error {
        ErrorCode::HttpRequestDenied => "the request is refused".to_owned(),
        ErrorCode::DestinationIpProhibited => "its host's address is refused".to_owned(),
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            "its host is not found".to_owned()
        }
        ErrorCode::ConnectionRefused => "the connection is refused".to_owned(),
        ErrorCode::ConnectionTimeout | ErrorCode::DnsTimeout => {
            "the connection took too long".to_owned()
        }
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            "the server took too long to answer".to_owned()
        }
        ErrorCode::TlsCertificateError => "the server's certificate is not valid".to_owned(),
        other => format!("{other:?}"),
    }
}
