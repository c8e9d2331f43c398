//! A request as somebody is asked about it, and as it is known again.

use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::approval::About;
use crate::net::{LOOKED_AT, Sending};

/// Those of the host, and what the body tells by itself.
const OWN: [&str; 2] = ["content-length", "host"];

pub(super) fn about(sending: Sending) -> About {
    About::Request {
        method: sending.request.method,
        origin: sending.request.origin,
        path: sending.path,
        headers: told(&sending.headers),
        secrets: sending.secrets,
        body: text(&sending.body, sending.is_whole),
    }
}

fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let told = headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let told = told.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    // The order in a map of them is nobody's.
    let mut told: Vec<_> = told.collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

fn text(body: &Bytes, is_whole: bool) -> String {
    let start = &body[..body.len().min(LOOKED_AT)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        // Cut off in the midst of a character.
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match (text, is_whole) {
        (Some(text), true) => text.to_owned(),
        (Some(text), false) => format!("{text}\n.. and what more there is of the body"),
        (None, true) => format!("{} bytes, which are not text", body.len()),
        (None, false) => format!("more than {} bytes, which are not text", start.len()),
    }
}

/// Of all of it. None where not all is known: such a request is never the same as another.
pub(super) fn digest(sending: &Sending) -> Option<[u8; 32]> {
    let head = [&*sending.request.method, &sending.request.origin, &sending.path];
    let head = head.into_iter().map(str::as_bytes);
    let headers = sending.headers.iter();
    let headers = headers.flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
    let mut digest = Sha256::new();
    for part in head.chain(headers).chain([&*sending.body]) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    sending.is_whole.then(|| digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_told_as_text_or_by_its_size() {
        let told = |body: &[u8], is_whole| text(&Bytes::copy_from_slice(body), is_whole);
        assert_eq!(told(b"", true), "");
        assert_eq!(told("{\"a\": \"é\"}".as_bytes(), true), "{\"a\": \"é\"}");
        assert_eq!(told(b"\xff\xfe\x00", true), "3 bytes, which are not text");
        let long = "é".repeat(LOOKED_AT);
        let cut = told(&long.as_bytes()[..LOOKED_AT + 1], false);
        assert!(cut.starts_with("éé") && cut.ends_with("é\n.. and what more there is of the body"));
        assert_eq!(told(&[0xff; 100], false), "more than 100 bytes, which are not text");
        // Cut off where nothing more was to come.
        assert_eq!(told(b"a\xc3", true), "2 bytes, which are not text");
    }
}
