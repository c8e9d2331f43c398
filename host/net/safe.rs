//! Which requests change nothing at the server, as far as they say: safe ones, as HTTP calls them.

use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use http_body::Body as _;
use wasmtime_wasi_http::WasiBody;

/// Whether a request changes nothing, as its method says, and nothing else in it says otherwise: some servers take another
/// method or path from a header, and those that pass over the body of a `GET` take it for the next request.
pub fn is_safe(request: &Request<WasiBody>) -> bool {
    const OTHERWISE: [&str; 8] = [
        "x-http-method",
        "x-http-method-override",
        "x-method",
        "x-method-override",
        "x-original-method",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
    ];
    let (method, headers) = (request.method(), request.headers());
    let by_method = match *method {
        // Without a length, their bodies are not sent.
        Method::GET | Method::HEAD => true,
        Method::OPTIONS => headers.contains_key(CONTENT_LENGTH) || request.body().is_end_stream(),
        _ => false,
    };
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    by_method
        && lengths.all(|length| length == "0")
        && !OTHERWISE.iter().any(|name| headers.contains_key(*name))
}
