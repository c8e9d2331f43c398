//! Who a request is for: its scheme, host and port, in the one form that grants are compared with.

use std::fmt;

use http::Uri;
use http::uri::Scheme;

use crate::policy::{Door, Host};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub tls: bool,
    pub host: Host,
    pub port: u16,
}

impl Target {
    /// That of a request of a guest. None if there is no saying who it is: `user@host`, an address that is
    /// written in a way of its own, a port that is no number.
    pub fn of(uri: &Uri) -> Option<Target> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let (host, port) = match authority.rsplit_once(':') {
            // Inside of an IPv6 address.
            Some((_, rest)) if rest.ends_with(']') => (authority, None),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let port = match port {
            None => Door::usual(tls).port,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port != 0)?
            }
            Some(_) => return None,
        };
        Some(Target { tls, host: Host::parse(host).ok()?, port })
    }

    pub fn door(&self) -> Door {
        Door { port: self.port, tls: self.tls }
    }

    /// As the `host` header and a grant name it: with its port, if that is not the scheme's own.
    pub fn authority(&self) -> String {
        match self.door() == Door::usual(self.tls) {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Its origin: `https://api.example.org`.
impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_write_a_host() {
        let origin = |uri: &str| Target::of(&uri.parse().unwrap()).map(|it| it.to_string());
        for (uri, expected) in [
            ("https://API.Example.org./x", Some("https://api.example.org")),
            ("https://api.example.org:443/", Some("https://api.example.org")),
            ("http://api.example.org:443/", Some("http://api.example.org:443")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://[::ffff:127.0.0.1]/", Some("http://[::ffff:127.0.0.1]")),
            ("http://[::1]:3000/", Some("http://[::1]:3000")),
            ("http://2130706433/", None),
            ("http://0x7f.1/", None),
            ("http://127.1/", None),
            ("http://0177.0.0.1/", None),
            ("http://api.example.org@127.0.0.1/", None),
            ("http://api.example.org:0/", None),
            ("ftp://api.example.org/", None),
        ] {
            assert_eq!(origin(uri).as_deref(), expected, "{uri}");
        }
    }
}
