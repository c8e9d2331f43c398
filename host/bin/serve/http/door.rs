//! Who may come in: the `Host` and the `Origin` that a request names, and the token that it carries.
//!
//! A web page can have a browser send requests to any address: across sites, which `Origin` tells, or to a name of its own
//! that leads here, which `Host` tells. Neither is set by the page. Knows nothing of what is asked for.

use std::net::IpAddr;
use std::str::FromStr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::{Authority, Uri};

use super::token::Token;

pub struct Door {
    /// Whoever comes has to send it, if there is one.
    pub token: Option<Token>,
    /// Besides this machine's own names, and the address that a connection came to.
    pub hosts: Vec<AllowedHost>,
    /// Besides pages of this machine.
    pub origins: Vec<AllowedOrigin>,
}

/// Why a request is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    Host(String),
    Origin(String),
    NoToken,
    WrongToken,
}

/// `name`, at any port, or `name:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    name: String,
    port: Option<u16>,
}

/// `scheme://name`, or with `:port`, where `*` is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin {
    scheme: String,
    name: String,
    /// Any, if there is none.
    port: Option<u16>,
}

impl Door {
    /// `local` is the address that the connection came to.
    pub fn admit(&self, headers: &HeaderMap, local: IpAddr) -> Result<(), Turned> {
        self.host(headers, local)?;
        self.origin(headers)?;
        let Some(token) = &self.token else { return Ok(()) };
        match bearer(headers) {
            None => Err(Turned::NoToken),
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(Turned::WrongToken),
        }
    }

    fn host(&self, headers: &HeaderMap, local: IpAddr) -> Result<(), Turned> {
        let given = only(headers, HOST).map_err(Turned::Host)?.unwrap_or_default();
        let turned = || Turned::Host(given.to_owned());
        let authority = Authority::try_from(given).map_err(|_| turned())?;
        let name = plain(authority.host());
        // A name that leads somewhere else than it says is no address.
        let here = match IpAddr::from_str(&name) {
            Ok(address) => {
                let address = address.to_canonical();
                address.is_loopback() || address == local.to_canonical()
            }
            Err(_) => name == "localhost",
        };
        let allowed = |host: &AllowedHost| {
            host.name == name && host.port.is_none_or(|port| authority.port_u16() == Some(port))
        };
        match here || self.hosts.iter().any(allowed) {
            true => Ok(()),
            false => Err(turned()),
        }
    }

    fn origin(&self, headers: &HeaderMap) -> Result<(), Turned> {
        // Only browsers send one.
        let Some(given) = only(headers, ORIGIN).map_err(Turned::Origin)? else { return Ok(()) };
        let turned = || Turned::Origin(given.to_owned());
        let (scheme, name, port) = parts(given).ok_or_else(turned)?;
        let here = scheme == "http"
            && (name == "localhost" || IpAddr::from_str(&name).is_ok_and(|it| it.is_loopback()));
        let port = port.or_else(|| usual(&scheme));
        let allowed = |origin: &AllowedOrigin| {
            (&origin.scheme, &origin.name) == (&scheme, &name)
                && origin.port.is_none_or(|it| Some(it) == port)
        };
        match here || self.origins.iter().any(allowed) {
            true => Ok(()),
            false => Err(turned()),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<AllowedHost, String> {
        let wrong = || format!("{text:?} is no host: write a name, or name:port");
        let authority = Authority::try_from(text).map_err(|_| wrong())?;
        if text.contains(['@', '*']) || authority.host().is_empty() {
            return Err(wrong());
        }
        Ok(AllowedHost { name: plain(authority.host()), port: authority.port_u16() })
    }
}

impl FromStr for AllowedOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<AllowedOrigin, String> {
        let wrong = || format!("{text:?} is no origin: write it as in https://app.example.org");
        if let Some(any) = text.strip_suffix(":*") {
            let (scheme, name, None) = parts(any).ok_or_else(wrong)? else { return Err(wrong()) };
            return Ok(AllowedOrigin { scheme, name, port: None });
        }
        let (scheme, name, port) = parts(text).ok_or_else(wrong)?;
        let port = Some(port.or_else(|| usual(&scheme)).ok_or_else(wrong)?);
        Ok(AllowedOrigin { scheme, name, port })
    }
}

/// A header that may be there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "no text".to_owned()),
        (Some(_), Some(_)) => Err("two of them".to_owned()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let given = only(headers, AUTHORIZATION).ok()??;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii().as_bytes())
}

/// Scheme, name and port of an origin, which has nothing else.
fn parts(text: &str) -> Option<(String, String, Option<u16>)> {
    let uri = Uri::try_from(text).ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let more = uri.path_and_query().is_some_and(|it| it.as_str() != "/") || text.ends_with('/');
    if more || text.contains(['@', '*']) || authority.host().is_empty() {
        return None;
    }
    Some((scheme.to_ascii_lowercase(), plain(authority.host()), authority.port_u16()))
}

/// In one spelling: without brackets, without the dot at the end of a full name.
fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn usual(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use http::HeaderValue;

    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn door() -> Door {
        Door {
            token: None,
            hosts: vec![
                "tools.example.org".parse().unwrap(),
                "other.example.org:8443".parse().unwrap(),
            ],
            origins: vec![
                "https://app.example.org".parse().unwrap(),
                "vscode://any:*".parse().unwrap(),
            ],
        }
    }

    #[test]
    fn only_names_of_this_server_are_let_in() {
        let (door, local) = (door(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
        for host in [
            "localhost",
            "LocalHost:80",
            "localhost.",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:1",
            "192.0.2.7:8080",
            "[::ffff:192.0.2.7]",
            "tools.example.org",
            "tools.example.org:99",
            "other.example.org:8443",
        ] {
            assert_eq!(door.admit(&headers(&[(HOST, host)]), local), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example.org",
            "localhost.evil.example.org",
            "192.0.2.8",
            "0.0.0.0",
            "other.example.org",
            "tools.example.org@evil.example.org",
            "2130706433",
            "127.0.0.1.nip.io",
        ] {
            let turned = door.admit(&headers(&[(HOST, host)]), local);
            assert!(matches!(turned, Err(Turned::Host(_))), "{host}");
        }
        let two = headers(&[(HOST, "localhost"), (HOST, "evil.example.org")]);
        assert!(door.admit(&two, local).is_err());
        assert!(door.admit(&HeaderMap::new(), local).is_err());
        let mapped = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped();
        assert!(door.admit(&headers(&[(HOST, "192.0.2.7")]), IpAddr::V6(mapped)).is_ok());
    }

    #[test]
    fn only_pages_of_this_machine_and_those_named_are_let_in() {
        let (door, local) = (door(), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let admit =
            |origin: &str| door.admit(&headers(&[(HOST, "localhost"), (ORIGIN, origin)]), local);
        for origin in [
            "http://localhost",
            "http://localhost:6274",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "https://app.example.org",
            "https://APP.example.org:443",
            "vscode://any:7",
            "vscode://any",
        ] {
            assert_eq!(admit(origin), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example.org",
            "http://app.example.org",
            "https://app.example.org:444",
            "https://localhost",
            "https://app.example.org.evil.example.org",
            "https://x@app.example.org",
            "https://app.example.org/path",
        ] {
            assert!(matches!(admit(origin), Err(Turned::Origin(_))), "{origin}");
        }
        for wrong in [
            "*",
            "app.example.org",
            "https://*.example.org",
            "https://a.example.org/x",
            "x://a",
            "",
        ] {
            assert!(wrong.parse::<AllowedOrigin>().is_err(), "{wrong}");
        }
    }
}
