//! The tool itself: a page asked for, found through redirects, read as far as it goes, and answered in the reference server's words.
//!
//! How a request is sent it does not know; the tests here answer themselves.

use std::collections::HashMap;

use url::{Position, Url};

use crate::{article, charset, robots, text};

/// What can be fetched from.
pub trait Web {
    /// Sends a `GET`. The answer's body is not read yet.
    ///
    /// # Errors
    /// Why there is no answer, after "Failed to fetch URL: ".
    fn get(&mut self, url: &Url, user_agent: &str) -> Result<Answer, String>;
}

pub struct Answer {
    pub status: u16,
    /// Empty if the server does not say.
    pub content_type: String,
    pub location: Option<String>,
    /// In pieces, as they come.
    pub body: Box<dyn Iterator<Item = Result<Vec<u8>, String>>>,
}

pub struct Request<'a> {
    pub url: &'a str,
    pub max_length: u32,
    pub start_index: u32,
    pub form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Simplified,
    Raw,
}

/// Who asks, by the user's word.
pub struct Asker {
    pub user_agent: String,
    pub robots: Honoured,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Honoured {
    Yes,
    No,
}

/// One more than these is a loop.
const MOST_REDIRECTS: usize = 20;
/// What is read of a page, in bytes.
const MOST_BYTES: usize = 8 << 20;
/// What is read of a robots.txt, in bytes: more than has to be (RFC 9309, 2.5).
const MOST_ROBOTS: usize = 512 << 10;
/// What is shown of a robots.txt, in characters.
const MOST_SHOWN: usize = 5000;

/// # Errors
/// What the model is told.
pub fn fetch(web: &mut impl Web, asker: &Asker, request: &Request) -> Result<String, String> {
    if !(1..=999_999).contains(&request.max_length) {
        return Err("max_length must be at least 1 and at most 999999".to_owned());
    }
    let asked =
        parse(request.url).map_err(|error| format!("Invalid URL {:?}: {error}", request.url))?;
    let mut fetching = Fetching { web, asker, permitted: HashMap::new() };
    let page = fetching.page(&asked)?;
    let (content, prefix) = page.content(request.form);
    let part = window(&content, request, page.whole);
    Ok(format!("{prefix}Contents of {asked}:\n{part}"))
}

struct Fetching<'a, W> {
    web: &'a mut W,
    asker: &'a Asker,
    /// Each site's robots.txt, by its address; None if it forbids nothing.
    permitted: HashMap<String, Option<Vec<u8>>>,
}

struct Page {
    content_type: String,
    body: Vec<u8>,
    whole: bool,
}

impl<W: Web> Fetching<'_, W> {
    fn page(&mut self, asked: &Url) -> Result<Page, String> {
        let failed = |error: String| format!("Failed to fetch {asked}: {error}");
        self.permitted(asked)?;
        let mut url = asked.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.web.get(&url, &self.asker.user_agent).map_err(failed)?;
            if let Some(next) = redirect(&url, &answer).map_err(failed)? {
                self.permitted(&next)?;
                url = next;
                continue;
            }
            if answer.status >= 400 {
                return Err(format!("Failed to fetch {asked} - status code {}", answer.status));
            }
            let (body, whole) = read(answer.body, MOST_BYTES, |head| {
                match charset::is_binary(head, &answer.content_type) {
                    true => Err(not_text(&answer.content_type)),
                    false => Ok(()),
                }
            })
            .map_err(failed)?;
            return Ok(Page { content_type: answer.content_type, body, whole });
        }
        Err(failed(format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// # Errors
    /// If the page's site does not want it to be fetched.
    fn permitted(&mut self, url: &Url) -> Result<(), String> {
        if self.asker.robots == Honoured::No {
            return Ok(());
        }
        let address = format!("{}/robots.txt", &url[..Position::BeforePath]);
        if !self.permitted.contains_key(&address) {
            let robots = self.robots(&address)?;
            self.permitted.insert(address.clone(), robots);
        }
        let user_agent = &self.asker.user_agent;
        match &self.permitted[&address] {
            Some(robots) if !robots::allows(robots, user_agent, url) => {
                let robots = String::from_utf8_lossy(robots);
                let (shown, _) = text::window(&robots, 0, MOST_SHOWN).unwrap_or_default();
                Err(format!(
                    "The sites robots.txt ({address}), specifies that autonomous fetching of this page is not allowed, \
                     <useragent>{user_agent}</useragent>\n<url>{url}</url><robots>\n{shown}\n</robots>\n\
                     The assistant must let the user know that it failed to view the page. The assistant may provide further \
                     guidance based on the above information."
                ))
            }
            _ => Ok(()),
        }
    }

    /// None if there is none.
    fn robots(&mut self, address: &str) -> Result<Option<Vec<u8>>, String> {
        let failed = |error: String| {
            format!("Failed to fetch robots.txt {address} due to a connection issue: {error}")
        };
        let mut url = parse(address).map_err(failed)?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.web.get(&url, &self.asker.user_agent).map_err(failed)?;
            if let Some(next) = redirect(&url, &answer).map_err(failed)? {
                url = next;
                continue;
            }
            return match answer.status {
                // A server that cannot say now has not said yes (RFC 9309, 2.3.1.4).
                401 | 403 | 500.. => Err(format!(
                    "When fetching robots.txt ({address}), received status {} so assuming that autonomous fetching is not \
                     allowed",
                    answer.status
                )),
                400..500 => Ok(None),
                _ => Ok(Some(read(answer.body, MOST_ROBOTS, |_| Ok(())).map_err(failed)?.0)),
            };
        }
        Err(failed(format!("more than {MOST_REDIRECTS} redirects")))
    }
}

impl Page {
    /// The content, and what the reference server writes in front.
    fn content(&self, form: Form) -> (String, String) {
        let Page { content_type, body, .. } = self;
        let text = charset::decode(body, content_type);
        let begins_html = text::window(&text, 0, 100).is_some_and(|(it, _)| it.contains("<html"));
        let html = begins_html || content_type.contains("text/html") || content_type.is_empty();
        if html && form == Form::Simplified {
            return (article::of_page(&text), String::new());
        }
        let prefix = format!(
            "Content type {content_type} cannot be simplified to markdown, but here is the raw content:\n"
        );
        (text, prefix)
    }
}

/// The part of the content that was asked for, and how to get the next one.
fn window(content: &str, request: &Request, whole: bool) -> String {
    let (start, most) = (request.start_index as usize, request.max_length as usize);
    let Some((part, rest)) = text::window(content, start, most) else {
        return "<error>No more content available.</error>".to_owned();
    };
    if !rest.is_empty() {
        let next = start + most;
        return format!(
            "{part}\n\n<error>Content truncated. Call the fetch tool with a start_index of {next} to get more content.</error>"
        );
    }
    if !whole {
        let mib = MOST_BYTES >> 20;
        return format!(
            "{part}\n\n<error>Only the first {mib} MiB of this page were read.</error>"
        );
    }
    part.to_owned()
}

/// # Errors
/// Why it is no URL that can be fetched.
fn parse(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    check(&url)?;
    Ok(url)
}

fn check(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("only http and https can be fetched, not {}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password in it, and those are not sent".to_owned());
    }
    Ok(())
}

/// Where an answer says to go instead.
fn redirect(from: &Url, answer: &Answer) -> Result<Option<Url>, String> {
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (answer.status, &answer.location) else {
        return Ok(None);
    };
    let refused = |error: String| format!("{from} redirects to {location:?}: {error}");
    let mut to = from.join(location).map_err(|error| refused(error.to_string()))?;
    check(&to).map_err(refused)?;
    to.set_fragment(None);
    Ok(Some(to))
}

/// At most `most` bytes of a body, and whether that is all. `check` sees how it begins.
fn read(
    body: impl Iterator<Item = Result<Vec<u8>, String>>,
    most: usize,
    check: impl FnOnce(&[u8]) -> Result<(), String>,
) -> Result<(Vec<u8>, bool), String> {
    let (mut all, mut check) = (Vec::new(), Some(check));
    for piece in body {
        all.extend_from_slice(&piece?);
        if all.len() >= charset::HEAD
            && let Some(check) = check.take()
        {
            check(&all)?;
        }
        if all.len() > most {
            all.truncate(most);
            return Ok((all, false));
        }
    }
    check.map_or(Ok(()), |check| check(&all))?;
    Ok((all, true))
}

fn not_text(content_type: &str) -> String {
    match content_type {
        "" => "it is not text".to_owned(),
        _ => format!("it is not text but {content_type}"),
    }
}
