//! The export of `wit/fetch.wit`, with the parameters' defaults, and what the user's policy says by variables.

use std::env;

use bindings::exports::inorder::fetch::web;

use crate::fetch::{Asker, Form, Honoured, Request, fetch};
use crate::http::Http;

#[expect(unsafe_code, reason = "generated: the canonical ABI passes raw memory")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/fetch.wit", world: "fetch" });
    use super::Pages;
    export!(Pages);
}

struct Pages;

const USER_AGENT: &str = concat!(
    "inorder-fetch/",
    env!("CARGO_PKG_VERSION"),
    " (Autonomous; compatible with ModelContextProtocol/1.0)"
);

impl web::Guest for Pages {
    fn fetch(
        url: String,
        max_length: Option<u32>,
        start_index: Option<u32>,
        raw: Option<bool>,
    ) -> Result<String, String> {
        let request = Request {
            url: &url,
            max_length: max_length.unwrap_or(5000),
            start_index: start_index.unwrap_or(0),
            form: if raw.unwrap_or(false) { Form::Raw } else { Form::Simplified },
        };
        fetch(&mut Http, &asker(), &request)
    }
}

fn asker() -> Asker {
    let set = |name| env::var(name).ok().filter(|it| !it.is_empty());
    let ignored = set("FETCH_IGNORE_ROBOTS_TXT").is_some_and(|it| it != "0" && it != "false");
    Asker {
        user_agent: set("FETCH_USER_AGENT").unwrap_or_else(|| USER_AGENT.to_owned()),
        robots: if ignored { Honoured::No } else { Honoured::Yes },
    }
}
