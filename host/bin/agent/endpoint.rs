//! Where requests go, in which API, and with which key.
//!
//! Parses what was said and decides; sends nothing. A key goes to whom it is for: the keys of the usual variables to the
//! APIs that these are named after, and to any other server only the one that was named for it.

use std::net::IpAddr;

use anyhow::{Context as _, bail};
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::api::Api;

#[derive(clap::Args)]
#[command(next_help_heading = "Which model")]
pub struct EndpointArgs {
    /// The model, by the name that its server knows it by
    #[arg(long, short, value_name = "NAME")]
    pub model: Option<String>,
    /// Another server than the API's own, up to what comes before `/chat/completions` or `/v1/messages`, as in
    /// http://localhost:11434/v1
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// What is spoken there [default: what the URL, else the model or the key, suggests]
    #[arg(long, value_enum)]
    api: Option<Api>,
    /// The variable that holds the key [default: ANTHROPIC_API_KEY or OPENAI_API_KEY, for the API's own server; none for
    /// others]
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
    /// Let requests, and the key, go to other machines without TLS
    #[arg(long)]
    insecure: bool,
}

/// Of a conversation that is continued: with whom it was.
pub struct Before<'a> {
    pub api: Api,
    pub base_url: &'a str,
}

pub struct Endpoint {
    pub api: Api,
    /// As it was given, or the API's own.
    pub base_url: String,
    pub url: Url,
    pub key: Key,
    /// Whether it is the server of the company that the API is of.
    pub own_host: bool,
    /// Whether it is on this machine.
    pub local: bool,
}

/// Not printable, so that it is not printed.
pub enum Key {
    /// Nothing is sent. The variable that was not, if there is such a key.
    None {
        unsent: Option<&'static str>,
    },
    Sent {
        variable: String,
        value: String,
    },
}

impl Api {
    fn own_base(self) -> &'static str {
        match self {
            Api::Anthropic => "https://api.anthropic.com",
            Api::Openai => "https://api.openai.com/v1",
        }
    }

    fn own_domain(self) -> &'static str {
        match self {
            Api::Anthropic => "api.anthropic.com",
            Api::Openai => "api.openai.com",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Api::Anthropic => "ANTHROPIC_API_KEY",
            Api::Openai => "OPENAI_API_KEY",
        }
    }
}

impl Endpoint {
    /// `variable` reads the environment.
    ///
    /// # Errors
    /// The URL is none that requests can go to, nothing tells which API it is, the key is missing or cannot be sent, or
    /// the conversation so far would go to somebody else without that being said.
    pub fn resolve(
        args: &EndpointArgs,
        before: Option<&Before>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Endpoint> {
        let given = args.base_url.as_deref().map(|text| parse(text, args.insecure)).transpose()?;
        let api = match (args.api, before) {
            (Some(api), Some(before)) if api != before.api => bail!(
                "the transcript is a conversation by the API {}, which cannot be continued by {}",
                before.api.name(),
                api.name()
            ),
            (Some(api), _) => api,
            (None, Some(before)) => before.api,
            (None, None) => detect(args, given.as_ref(), &variable)?,
        };
        let base_url = match &args.base_url {
            Some(text) => text.clone(),
            None => api.own_base().to_owned(),
        };
        if let (None, Some(before)) = (&args.base_url, before)
            && before.base_url != base_url
        {
            bail!(
                "the transcript is a conversation with {0}: say where it goes on, with --base-url {0} or that of \
                 another server",
                before.base_url
            );
        }
        let base = match given {
            Some(url) => url,
            None => parse(&base_url, args.insecure)?,
        };
        let host = base.host_str().unwrap_or_default().to_owned();
        let own = api.own_domain();
        let own_host = host == own || host.ends_with(&format!(".{own}"));
        let key = key(args, api, own_host, &variable)?;
        Ok(Endpoint {
            url: with_path(api, base.clone()),
            local: is_local(&base),
            api,
            base_url,
            key,
            own_host,
        })
    }
}

fn parse(text: &str, insecure: bool) -> anyhow::Result<Url> {
    let url = Url::parse(text);
    // Not with the text of what may hold a password.
    let url = url.context("--base-url is no URL, as in http://localhost:11434/v1")?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!("--base-url has a name or password in it, which are not sent: use --key-env");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("--base-url has a query or fragment, and a path is put behind it");
    }
    match url.scheme() {
        _ if url.host_str().is_none_or(str::is_empty) => bail!("--base-url {text} names no host"),
        "https" => {}
        "http" if insecure || is_local(&url) => {}
        "http" => bail!(
            "--base-url {text}: what is said, and the key, would go to another machine in clear text; use https, or \
             --insecure where the network between is yours"
        ),
        other => bail!("--base-url {text}: requests go by http or https, not {other}"),
    }
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn detect(
    args: &EndpointArgs,
    url: Option<&Url>,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Api> {
    if let Some(url) = url {
        // Several companies have both, the one at `/anthropic`.
        let anthropic = url.as_str().to_ascii_lowercase().contains("anthropic");
        return Ok(if anthropic { Api::Anthropic } else { Api::Openai });
    }
    let claude = args.model.as_deref().is_some_and(|model| model.starts_with("claude"));
    let has = |api: Api| variable(api.variable()).is_some();
    match (has(Api::Anthropic), has(Api::Openai)) {
        _ if claude => Ok(Api::Anthropic),
        (true, false) => Ok(Api::Anthropic),
        (_, true) => Ok(Api::Openai),
        (false, false) if args.key_env.is_some() => {
            bail!("nothing tells which API the key is for: --api anthropic or --api openai")
        }
        (false, false) => bail!(
            "there is no key: set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name a server that needs none, as in \
             --base-url http://localhost:11434/v1"
        ),
    }
}

fn key(
    args: &EndpointArgs,
    api: Api,
    own_host: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Key> {
    let usual = api.variable();
    let name = match &args.key_env {
        Some(name) => name,
        None if own_host => usual,
        None => return Ok(Key::None { unsent: variable(usual).map(|_| usual) }),
    };
    let value = variable(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    if value.is_empty() {
        bail!("there is no key: the variable {name} is not set");
    }
    if HeaderValue::from_str(&value).is_err() || !value.is_ascii() {
        bail!("what is in the variable {name} is no key: it has characters that cannot be sent");
    }
    Ok(Key::Sent { variable: name.to_owned(), value })
}

/// Base URLs are given as the companies' own libraries take them.
fn with_path(api: Api, mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    let end = match api {
        Api::Anthropic if path.ends_with("/messages") => "",
        Api::Anthropic if path.ends_with("/v1") => "/messages",
        Api::Anthropic => "/v1/messages",
        Api::Openai if path.ends_with("/chat/completions") => "",
        Api::Openai if path.is_empty() => "/v1/chat/completions",
        Api::Openai => "/chat/completions",
    };
    url.set_path(&format!("{path}{end}"));
    url
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        endpoint: EndpointArgs,
    }

    /// With both usual keys, and one of another name.
    fn resolve(line: &str) -> anyhow::Result<Endpoint> {
        let args = Line::parse_from(["x"].into_iter().chain(line.split_whitespace())).endpoint;
        let set = |name: &str| match name {
            "ANTHROPIC_API_KEY" => Some("key-a".to_owned()),
            "OPENAI_API_KEY" => Some("key-o\n".to_owned()),
            "OTHER" => Some("key-x".to_owned()),
            "ODD" => Some("a\nb".to_owned()),
            _ => None,
        };
        Endpoint::resolve(&args, None, set)
    }

    fn sent(endpoint: &Endpoint) -> Option<&str> {
        match &endpoint.key {
            Key::Sent { value, .. } => Some(value),
            Key::None { .. } => None,
        }
    }

    #[test]
    fn a_key_goes_to_whom_it_is_for() {
        let cases = [
            ("--model claude-x", "https://api.anthropic.com/v1/messages", Some("key-a")),
            ("--model gpt-x", "https://api.openai.com/v1/chat/completions", Some("key-o")),
            (
                "--base-url http://localhost:11434",
                "http://localhost:11434/v1/chat/completions",
                None,
            ),
            ("--base-url http://[::1]:1/v1/", "http://[::1]:1/v1/chat/completions", None),
            (
                "--base-url https://api.example.org/v1",
                "https://api.example.org/v1/chat/completions",
                None,
            ),
            (
                "--base-url https://api.example.org/v1 --key-env OTHER",
                "https://api.example.org/v1/chat/completions",
                Some("key-x"),
            ),
            (
                "--base-url https://example.org/anthropic",
                "https://example.org/anthropic/v1/messages",
                None,
            ),
            (
                "--base-url https://api.openai.com.example.org",
                "https://api.openai.com.example.org/v1/chat/completions",
                None,
            ),
            (
                "--base-url https://eu.api.openai.com/v1",
                "https://eu.api.openai.com/v1/chat/completions",
                Some("key-o"),
            ),
            (
                "--api anthropic --base-url http://127.0.0.1:9/v1 --key-env OTHER",
                "http://127.0.0.1:9/v1/messages",
                Some("key-x"),
            ),
        ];
        for (line, url, key) in cases {
            let endpoint = resolve(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!((endpoint.url.as_str(), sent(&endpoint)), (url, key), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_or_should_not_be_sent_to_is_refused() {
        for (line, why) in [
            ("--base-url http://example.org/v1", "clear text"),
            ("--base-url http://127.0.0.1.example.org", "clear text"),
            ("--base-url https://me:word@example.org", "--key-env"),
            ("--base-url https://example.org/?key=1", "query"),
            ("--base-url ftp://example.org", "http or https"),
            ("--base-url example", "no URL"),
            ("--base-url https://example.org --key-env MISSING", "MISSING is not set"),
            ("--base-url https://example.org --key-env ODD", "cannot be sent"),
        ] {
            let error = resolve(line).err().unwrap_or_else(|| panic!("{line} is taken"));
            let error = format!("{error:#}");
            assert!(error.contains(why) && !error.contains("me:word"), "{line}: {error}");
        }
        assert!(resolve("--base-url http://example.org/v1 --insecure").is_ok());
    }
}
