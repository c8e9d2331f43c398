//! Grants of hosts: which servers a plugin may send requests to. Deny by default.
//!
//! Compares text and numbers alone. To which addresses a granted name may lead is `net/`.

use std::net::{IpAddr, Ipv6Addr};

use super::grants::GrantError;
use super::host::{Cidr, Host, name};

/// Servers, and the ports of them: `api.example.org`, `*.example.org:8443`, `10.0.0.0/8`, `[::1]:3000`, `*`.
///
/// - A name is that host alone; `*.name` is what ends in `.name`, at any depth, and not `name` itself; `*` is every
///   host. All of them lead to public addresses only.
/// - An address, or a range of them as CIDR, is that one as it is written in a URL, and a place to which names
///   that are granted too may lead. It is how addresses that are not public are granted: one alone, or a range that
///   lies in the special one (`10.0.0.0/8` does, `0.0.0.0/0` does not). `localhost` is this machine.
/// - Without a port: 443 by `https`, 80 by `http`. With one: that one by either. `:*` is any.
#[derive(Clone, Debug, PartialEq)]
pub struct NetGrant {
    hosts: Hosts,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    Any,
    One(Host),
    /// `*.name`
    Under(String),
    Range(Cidr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// The scheme's own.
    Usual,
    One(u16),
    Any,
}

/// A port, and whether it is spoken to by `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    pub port: u16,
    pub tls: bool,
}

impl Door {
    /// That of URLs without a port.
    pub fn usual(tls: bool) -> Door {
        Door { port: if tls { 443 } else { 80 }, tls }
    }
}

impl NetGrant {
    /// # Errors
    /// What in the pattern cannot be enforced.
    pub fn parse(pattern: &str) -> Result<NetGrant, GrantError> {
        parse(pattern).map_err(|problem| GrantError::Host { pattern: pattern.to_owned(), problem })
    }

    /// The grant as it is written, cleaned.
    pub fn pattern(&self) -> String {
        let hosts = match &self.hosts {
            Hosts::Any => "*".to_owned(),
            Hosts::One(host) => host.to_string(),
            Hosts::Under(name) => format!("*.{name}"),
            Hosts::Range(cidr) => cidr.to_string(),
        };
        let bracketed = if matches!(self.hosts, Hosts::Range(_)) && hosts.contains(':') {
            format!("[{hosts}]")
        } else {
            hosts.clone()
        };
        match self.ports {
            Ports::Usual => hosts,
            Ports::One(port) => format!("{bracketed}:{port}"),
            Ports::Any => format!("{bracketed}:*"),
        }
    }

    /// The one host that it names, if it names one.
    pub fn host(&self) -> Option<&Host> {
        match &self.hosts {
            Hosts::One(host) => Some(host),
            _ => None,
        }
    }

    /// The one door that it names by its number; any scheme may be spoken there.
    pub fn port(&self) -> Option<u16> {
        match self.ports {
            Ports::One(port) => Some(port),
            _ => None,
        }
    }

    pub fn any_port(&self) -> bool {
        self.ports == Ports::Any
    }

    /// Whether a host, as a request names it, is granted.
    pub fn matches(&self, host: &Host, door: Door) -> bool {
        let by_host = match (&self.hosts, host) {
            // It is a name for what has to be granted by name.
            (Hosts::Any, host) => !host.is_localhost(),
            (Hosts::One(one), host) => one == host,
            (Hosts::Under(above), Host::Name(name)) => {
                name.strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Hosts::Range(cidr), Host::Address(address)) => cidr.contains(*address),
            (Hosts::Under(_), Host::Address(_)) | (Hosts::Range(_), Host::Name(_)) => false,
        };
        by_host && self.opens(door)
    }

    /// Whether it names a host at all, for a question instead of a grant: this machine is a host too, and without a port
    /// any will do.
    pub fn names(&self, host: &Host, door: Door) -> bool {
        let by_host = matches!(self.hosts, Hosts::Any)
            || NetGrant { ports: Ports::Any, ..self.clone() }.matches(host, door);
        by_host && (self.ports == Ports::Usual || self.opens(door))
    }

    /// Whether an address is granted as such, that lies in a special range of addresses with `special` bits in common.
    pub fn lends(&self, address: IpAddr, special: u8, door: Door) -> bool {
        let by_address = match &self.hosts {
            Hosts::One(Host::Address(one)) => *one == address,
            Hosts::Range(cidr) => cidr.contains(address) && cidr.length() >= special,
            _ => false,
        };
        by_address && self.opens(door)
    }

    fn opens(&self, door: Door) -> bool {
        match self.ports {
            Ports::Usual => door == Door::usual(door.tls),
            Ports::One(port) => port == door.port,
            Ports::Any => true,
        }
    }
}

fn parse(pattern: &str) -> Result<NetGrant, &'static str> {
    if pattern.contains("://") {
        return Err(
            "it is a URL: write its host, with a port if need be, as in `example.org:8443`",
        );
    }
    let (hosts, port) = split(pattern)?;
    let ports = match port {
        None => Ports::Usual,
        Some("*") => Ports::Any,
        Some(port) => Ports::One(number(port).ok_or("a port is a number from 1 to 65535, or `*`")?),
    };
    let hosts = if hosts == "*" {
        Hosts::Any
    } else if let Some(above) = hosts.strip_prefix("*.") {
        Hosts::Under(name(above)?)
    } else if hosts.contains('*') {
        return Err(
            "`*` stands alone, or for all that is in front of a dot, as in `*.example.org`",
        );
    } else if let Some((address, length)) = hosts.split_once('/') {
        let address = address.parse::<IpAddr>();
        let address =
            address.map_err(|_| "what stands before `/` is not an address; a grant has no path")?;
        let length = number(length).and_then(|it| u8::try_from(it).ok());
        let length = length.or((hosts.ends_with("/0")).then_some(0));
        Hosts::Range(Cidr::new(address, length.ok_or("after `/` stands a number of bits")?)?)
    } else if let Ok(address) = hosts.parse::<Ipv6Addr>() {
        Hosts::One(Host::Address(address.into()))
    } else {
        Hosts::One(Host::parse(hosts)?)
    };
    Ok(NetGrant { hosts, ports })
}

/// What stands for hosts, without brackets, and what for a port.
fn split(pattern: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = pattern.strip_prefix('[') {
        let (inner, rest) = rest.split_once(']').ok_or("`[` is not closed")?;
        if !inner.contains(':') {
            return Err("between `[` and `]` stands an IPv6 address");
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((inner, Some(port))),
            None if rest.is_empty() => Ok((inner, None)),
            None => Err("only a port follows on `]`"),
        };
    }
    match pattern.split_once(':') {
        // More than one: an IPv6 address, which has its port behind brackets.
        Some((_, rest)) if rest.contains(':') => Ok((pattern, None)),
        Some((hosts, port)) => Ok((hosts, Some(port))),
        None => Ok((pattern, None)),
    }
}

/// A decimal number that is written in one way only; not zero.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, host: &str, door: Door) -> bool {
        NetGrant::parse(pattern).unwrap().matches(&Host::parse(host).unwrap(), door)
    }

    #[test]
    fn a_grant_is_a_host_and_its_ports() {
        let (https, http) = (Door::usual(true), Door::usual(false));
        let at = |port| Door { port, tls: true };
        for (pattern, host, door, expected) in [
            ("api.linear.app", "api.linear.app", https, true),
            ("API.linear.app.", "api.Linear.app.", http, true),
            ("api.linear.app", "api.linear.app", at(8443), false),
            ("api.linear.app", "api.linear.app", at(80), false),
            ("api.linear.app", "linear.app", https, false),
            ("api.linear.app", "xapi.linear.app", https, false),
            ("api.linear.app", "api.linear.app.evil.org", https, false),
            ("*.example.org:8443", "a.example.org", at(8443), true),
            ("*.example.org:8443", "a.b.example.org", at(8443), true),
            ("*.example.org:8443", "example.org", at(8443), false),
            ("*.example.org:8443", "badexample.org", at(8443), false),
            ("*.example.org:8443", "a.example.org", https, false),
            ("10.0.0.0/8", "10.1.2.3", http, true),
            ("10.0.0.0/8", "11.1.2.3", http, false),
            ("10.0.0.0/8", "ten.example", http, false),
            ("10.0.0.0/8:9000", "10.1.2.3", at(9000), true),
            ("127.0.0.1:8080", "127.0.0.1", at(8080), true),
            ("127.0.0.1:8080", "127.0.0.2", at(8080), false),
            ("127.0.0.1:8080", "localhost", at(8080), false),
            ("localhost:3000", "LOCALHOST", at(3000), true),
            ("localhost:3000", "127.0.0.1", at(3000), false),
            ("[::1]:3000", "[::1]", at(3000), true),
            ("::1", "[::1]", https, true),
            ("fd00::/8", "[fd12::1]", https, true),
            ("[fd00::/8]:*", "[fd12::1]", at(1), true),
            ("*", "anything.example", https, true),
            ("*", "1.1.1.1", https, true),
            ("*", "localhost", https, false),
            ("*", "anything.example", at(8443), false),
            ("*:*", "anything.example", at(8443), true),
        ] {
            assert_eq!(matches(pattern, host, door), expected, "{pattern} {host} {door:?}");
        }
    }

    #[test]
    fn a_special_address_is_lent_by_what_lies_in_its_range() {
        let lends = |pattern: &str, address: &str, special| {
            let grant = NetGrant::parse(pattern).unwrap();
            grant.lends(address.parse().unwrap(), special, Door::usual(true))
        };
        assert!(lends("127.0.0.1", "127.0.0.1", 8));
        assert!(lends("127.0.0.0/8", "127.0.0.1", 8));
        assert!(!lends("0.0.0.0/0", "127.0.0.1", 8));
        assert!(!lends("169.254.0.0/16", "169.254.169.254", 32));
        assert!(lends("169.254.169.254", "169.254.169.254", 32));
        for other in ["*", "localhost", "127.0.0.1:8080", "::ffff:127.0.0.1"] {
            assert!(!lends(other, "127.0.0.1", 8), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_enforced_is_an_error() {
        for (pattern, says) in [
            ("", "names no host"),
            ("https://example.org", "it is a URL"),
            ("example.org/path", "has no path"),
            ("me@example.org", "neither a host name"),
            ("a*.example.org", "`*` stands alone"),
            ("*.*.org", "neither a host name"),
            ("*.", "names no host"),
            ("*.0.0.1", "ends like an address"),
            ("example..org", "neither a host name"),
            ("exa mple.org", "neither a host name"),
            ("münchen.example", "xn--"),
            ("127.1", "ends like an address"),
            ("2130706433", "ends like an address"),
            ("0x7f000001", "ends like an address"),
            ("010.0.0.1", "ends like an address"),
            ("10.0.0.1/8", "beyond the length"),
            ("10.0.0.0/33", "fewer bits"),
            ("10.0.0.0/08", "number of bits"),
            ("10.0.0.0/", "number of bits"),
            ("example.org:0", "from 1 to 65535"),
            ("example.org:65536", "from 1 to 65535"),
            ("example.org:+80", "from 1 to 65535"),
            ("example.org:", "from 1 to 65535"),
            ("[::1", "not closed"),
            ("[::1]x", "only a port"),
            ("[example.org]:80", "an IPv6 address"),
            ("fe80::1%eth0", "neither a host name"),
        ] {
            let error = NetGrant::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(says), "{pattern:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_grant_is_read_as_it_is_written(pattern in r"(\*\.)?[a-z0-9*:./\[\]-]{0,24}(:[0-9*]{1,5})?") {
            if let Ok(grant) = NetGrant::parse(&pattern) {
                prop_assert_eq!(NetGrant::parse(&grant.pattern()), Ok(grant));
            }
        }

        #[test]
        fn a_range_holds_what_shares_its_first_bits(address: u32, other: u32, length in 0_u8..=32) {
            let bits = if length == 0 { 0 } else { u32::MAX << (32 - length) };
            let net = std::net::Ipv4Addr::from(address & bits);
            let cidr = Cidr::new(net.into(), length).unwrap();
            let other = std::net::Ipv4Addr::from(other);
            prop_assert_eq!(cidr.contains(other.into()), other.to_bits() & bits == address & bits);
        }
    }
}
