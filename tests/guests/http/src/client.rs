//! `wasi:http` as a program uses it: a request sent, its answer read.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::{OutputStream, StreamError};

use crate::exports::test::http::requests::{Answer, Options};

/// A request that is under way.
pub struct Sent(FutureIncomingResponse);

pub fn send(url: &str, options: &Options) -> Result<Sent, String> {
    let request = request(url, options)?;
    let body = match &options.body {
        Some(content) => Some((request.body().map_err(|()| "no body")?, content)),
        None => None,
    };
    let times = RequestOptions::new();
    let nanoseconds = |ms: Option<u32>| ms.map(|ms| u64::from(ms) * 1_000_000);
    times.set_connect_timeout(nanoseconds(options.connect)).map_err(|()| "no timeout")?;
    times.set_first_byte_timeout(nanoseconds(options.first_byte)).map_err(|()| "no timeout")?;
    times
        .set_between_bytes_timeout(nanoseconds(options.between_bytes))
        .map_err(|()| "no timeout")?;
    let sent = handle(request, Some(times)).map_err(|error| format!("{error:?}"))?;
    if let Some((body, content)) = body {
        let stream = body.write().map_err(|()| "no stream")?;
        // Whoever refuses the request closes its body; the answer says why.
        let _ = write(&stream, content.as_bytes());
        if options.unfinished == Some(true) {
            std::mem::forget((stream, body));
        } else {
            drop(stream);
            let _ = OutgoingBody::finish(body, None);
        }
    }
    Ok(Sent(sent))
}

pub fn upload(url: &str, bytes: u64) -> Result<u16, String> {
    let options = Options { method: Some("POST".to_owned()), ..super::none() };
    let request = request(url, &options)?;
    let body = request.body().map_err(|()| "no body")?;
    let sent = Sent(handle(request, None).map_err(|error| format!("{error:?}"))?);
    let stream = body.write().map_err(|()| "no stream")?;
    let piece = [b'x'; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(piece.len() as u64) as usize;
        if write(&stream, &piece[..size]).is_err() {
            break;
        }
        left -= size as u64;
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    Ok(sent.response()?.status())
}

impl Sent {
    pub fn answer(self) -> Result<Answer, String> {
        let response = self.response()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entries = response.headers().entries();
        let headers = entries.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let mut body = Vec::new();
        read(&response, |part| body.extend_from_slice(part))?;
        Ok(Answer { status: response.status(), headers, body: text(&body) })
    }

    pub fn read(self, part: impl FnMut(&[u8])) -> Result<(), String> {
        read(&self.response()?, part)
    }

    fn response(self) -> Result<IncomingResponse, String> {
        self.0.subscribe().block();
        match self.0.get() {
            Some(Ok(Ok(response))) => Ok(response),
            Some(Ok(Err(error))) => Err(format!("{error:?}")),
            other => Err(format!("no response: {}", other.is_some())),
        }
    }
}

fn read(response: &IncomingResponse, mut part: impl FnMut(&[u8])) -> Result<(), String> {
    let body: IncomingBody = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(bytes) => part(&bytes),
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    bytes.chunks(4096).try_for_each(|piece| stream.blocking_write_and_flush(piece))
}

fn request(url: &str, options: &Options) -> Result<OutgoingRequest, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let bytes = |(name, value): &(String, String)| (name.clone(), value.clone().into_bytes());
    let headers: Vec<_> = options.headers.iter().flatten().map(bytes).collect();
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match options.method.as_deref() {
        None | Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some("TRACE") => Method::Trace,
        Some("CONNECT") => Method::Connect,
        Some(other) => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| "the method is refused")?;
    request.set_scheme(Some(&scheme)).map_err(|()| "the scheme is refused")?;
    request.set_authority(Some(authority)).map_err(|()| "the authority is refused")?;
    request.set_path_with_query(Some(path)).map_err(|()| "the path is refused")?;
    Ok(request)
}
