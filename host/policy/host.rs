//! Hosts as text: names and literal addresses, read in one way for grants, secrets and requests alike.
//!
//! Resolves nothing. What has two readings is refused: `0x7f.1` is a name to some and an address to others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is asked: a name, or an address that was written as such.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Host {
    /// Reads `example.org`, `10.0.0.1` or `[::1]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Host, &'static str> {
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address = inner.parse::<Ipv6Addr>();
            return address
                .map(|it| Host::Address(it.into()))
                .map_err(|_| "between `[` and `]` stands an IPv6 address");
        }
        match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Host::Address(address.into())),
            Err(_) => name(text).map(Host::Name),
        }
    }

    /// The name that is this machine to everybody.
    pub fn is_localhost(&self) -> bool {
        matches!(self, Host::Name(name) if name == "localhost")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => to.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(to),
            Host::Address(IpAddr::V6(address)) => write!(to, "[{address}]"),
        }
    }
}

/// The labels of a name, cleaned.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err("it names no host");
    }
    if !text.is_ascii() {
        return Err("write a name outside of ASCII as it is sent, beginning with `xn--`");
    }
    let label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err("it is neither a host name nor an address");
    }
    // `127.1`, `0x7f000001`: resolvers take them for addresses.
    let last = text.rsplit('.').next().unwrap_or(text);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err("it ends like an address and is none: write four decimal numbers");
    }
    Ok(text.to_ascii_lowercase())
}

impl Cidr {
    /// # Errors
    /// The length is more than an address has bits, or bits beyond it are set.
    pub fn new(address: IpAddr, length: u8) -> Result<Cidr, &'static str> {
        let (bits, most) = bits(address);
        if length > most {
            return Err("an address has fewer bits than that");
        }
        if bits & !mask(length, most) != 0 {
            return Err("the address has bits beyond the length of its prefix");
        }
        Ok(Cidr { address, length })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let ((one, most), (other, other_most)) = (bits(self.address), bits(address));
        most == other_most && (one ^ other) & mask(self.length, most) == 0
    }

    /// How many bits all of its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.address, self.length)
    }
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first `length` of `most` bits.
fn mask(length: u8, most: u8) -> u128 {
    let all = u128::MAX >> (128 - u32::from(most));
    let rest = u32::from(most - length);
    all & u128::MAX.checked_shl(rest).unwrap_or(0)
}
