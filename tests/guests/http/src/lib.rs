//! Sends requests, well and badly. What each function does is in `http.wit`; what should come of it only the tests know.

use std::fs;
use std::io::{self, Write as _};
use std::time::Duration;

use wasip2::http::types::{Fields, OutgoingRequest};

wit_bindgen::generate!({ path: "http.wit", world: "http-guest" });

mod client;

use client::{Sent, send};
use exports::test::http::requests::{Answer, Guest, Options};

struct Requests;
export!(Requests);

impl Guest for Requests {
    fn request(url: String, options: Options) -> Result<Answer, String> {
        send(&url, &options)?.answer()
    }

    fn follow(url: String, most: u32) -> Result<Answer, String> {
        let mut url = url;
        for _ in 0..most {
            let answer = get(&url)?.answer()?;
            let location = answer.headers.iter().find(|(name, _)| name == "location");
            match location {
                Some((_, to)) if (300..400).contains(&answer.status) => url.clone_from(to),
                _ => return Ok(answer),
            }
        }
        Err("too many redirects".to_owned())
    }

    fn size(url: String) -> Result<u64, String> {
        let mut size = 0;
        get(&url)?.read(|part| size += part.len() as u64)?;
        Ok(size)
    }

    fn upload(url: String, bytes: u64) -> Result<u16, String> {
        client::upload(&url, bytes)
    }

    fn abandon(url: String, body: String, trap: bool) -> Result<(), String> {
        let options = Options { method: Some("POST".to_owned()), body: Some(body), ..none() };
        let sent = send(&url, &Options { unfinished: Some(true), ..options })?;
        std::thread::sleep(Duration::from_millis(5));
        if trap {
            std::process::abort();
        }
        std::mem::forget(sent);
        Ok(())
    }

    fn many(url: String, count: u32) -> Result<u32, String> {
        let sent: Result<Vec<Sent>, String> = (0..count).map(|_| get(&url)).collect();
        let mut good = 0;
        for sent in sent? {
            good += u32::from(sent.answer()?.status == 200);
        }
        Ok(good)
    }

    fn reveal(url: String) -> Result<String, String> {
        let text = decoded(&url)?;
        print!("{text}");
        io::stdout().flush().map_err(|error| error.to_string())?;
        eprint!("{text}");
        Ok(text)
    }

    fn reveal_and_fail(url: String) -> Result<(), String> {
        Err(decoded(&url)?)
    }

    fn post_file(path: String, url: String, into: String) -> Result<(), String> {
        let body = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let options = Options { method: Some("POST".to_owned()), body: Some(body), ..none() };
        let answer = send(&url, &options)?.answer()?;
        fs::write(into, answer.body).map_err(|error| error.to_string())
    }

    fn write_late(ms: u32, path: String, content: String) -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(ms.into()));
        fs::write(path, content).map_err(|error| error.to_string())
    }

    fn set_headers(headers: Vec<(String, String)>) -> Vec<String> {
        let fields = Fields::new();
        let set = |(name, value): (String, String)| match fields.append(&name, value.as_bytes()) {
            Ok(()) => "taken".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        headers.into_iter().map(set).collect()
    }

    fn set_target(path: String, authority: String) -> (bool, bool) {
        let request = OutgoingRequest::new(Fields::new());
        let path = request.set_path_with_query(Some(&path)).is_ok();
        (path, request.set_authority(Some(&authority)).is_ok())
    }

    fn try_all(urls: Vec<String>) -> Vec<String> {
        let tried = |url: String| match get(&url).and_then(Sent::answer) {
            Ok(answer) => answer.status.to_string(),
            Err(error) => error,
        };
        urls.into_iter().map(tried).collect()
    }
}

fn get(url: &str) -> Result<Sent, String> {
    send(url, &none())
}

fn none() -> Options {
    Options {
        method: None,
        headers: None,
        body: None,
        connect: None,
        first_byte: None,
        between_bytes: None,
        unfinished: None,
    }
}

fn decoded(url: &str) -> Result<String, String> {
    let hex = get(url)?.answer()?.body;
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|it| it.to_string());
    let bytes: Result<Vec<u8>, String> = (0..hex.len() / 2).map(|at| byte(2 * at)).collect();
    String::from_utf8(bytes?).map_err(|error| error.to_string())
}
