//! Addresses that lead to this machine, into private networks, or nowhere in particular.
//!
//! From the IANA special-purpose registries (RFC 6890 and its updates) for IPv4 and IPv6, and where clouds keep their
//! instances' credentials. An IPv6 address that carries an IPv4 one is special whatever that is: which machine it
//! leads to is the network's to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses that is reached only where it is granted as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// How many bits its addresses share.
    pub length: u8,
    /// In a user's words.
    pub what: &'static str,
}

const METADATA: &str = "where a cloud keeps the credentials of this machine";

/// The narrower before the wider.
const V4: [([u8; 4], u8, &str); 23] = [
    ([169, 254, 169, 254], 32, METADATA),
    ([169, 254, 170, 2], 32, METADATA),
    ([169, 254, 170, 23], 32, METADATA),
    ([169, 254, 0, 23], 32, METADATA),
    ([169, 254, 42, 42], 32, METADATA),
    ([100, 100, 100, 200], 32, METADATA),
    ([192, 0, 0, 192], 32, METADATA),
    ([168, 63, 129, 16], 32, METADATA),
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "of a carrier's network"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 0, 2, 0], 24, "reserved"),
    ([192, 88, 99, 0], 24, "reserved"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "reserved"),
    ([198, 51, 100, 0], 24, "reserved"),
    ([203, 0, 113, 0], 24, "reserved"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

const V6: [([u16; 8], u8, &str); 22] = [
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, METADATA),
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, METADATA),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "an IPv4 address in IPv6"),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "an IPv4 address in IPv6"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4 address in IPv6"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "an IPv4 address in IPv6 (NAT64)"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "an IPv4 address in IPv6 (NAT64)"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "an IPv4 address in IPv6 (6to4)"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "an IPv4 address in IPv6 (Teredo)"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "reserved"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "reserved"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "reserved"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "private"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "private"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "reserved"),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "reserved"),
];

/// The special range that an address lies in. None of a public one.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => V4.iter().find_map(|(net, length, what)| {
            let rest = 32 - u32::from(*length);
            let same = (address.to_bits() ^ Ipv4Addr::from(*net).to_bits()) >> rest == 0;
            same.then_some(Special { length: *length, what })
        }),
        IpAddr::V6(address) => {
            let known = V6.iter().find_map(|(net, length, what)| {
                let rest = 128 - u32::from(*length);
                let same = (address.to_bits() ^ Ipv6Addr::from(*net).to_bits()) >> rest == 0;
                same.then_some(Special { length: *length, what })
            });
            // Of all others, `2000::/3` alone has been given to anybody.
            let given = address.segments()[0] & 0xe000 == 0x2000;
            known.or((!given).then_some(Special { length: 3, what: "reserved" }))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_public_is_special() {
        for (address, what) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("0.0.0.0", "unspecified"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "of a carrier's network"),
            ("169.254.1.1", "link-local"),
            ("169.254.169.254", METADATA),
            ("100.100.100.200", METADATA),
            ("169.254.170.2", METADATA),
            ("169.254.170.23", METADATA),
            ("169.254.0.23", METADATA),
            ("169.254.42.42", METADATA),
            ("fd00:ec2::23", METADATA),
            ("fd00:42::42", METADATA),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "an IPv4 address in IPv6"),
            ("::ffff:8.8.8.8", "an IPv4 address in IPv6"),
            ("::127.0.0.1", "an IPv4 address in IPv6"),
            ("::ffff:0:127.0.0.1", "an IPv4 address in IPv6"),
            ("64:ff9b::7f00:1", "an IPv4 address in IPv6 (NAT64)"),
            ("64:ff9b:1::7f00:1", "an IPv4 address in IPv6 (NAT64)"),
            ("2002:7f00:1::", "an IPv4 address in IPv6 (6to4)"),
            ("2001::1", "an IPv4 address in IPv6 (Teredo)"),
            ("fd00:ec2::254", METADATA),
            ("fd12::1", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            let found = special(address.parse().unwrap()).map(|special| special.what);
            assert_eq!(found, Some(what), "{address}");
        }
        for public in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
        {
            assert_eq!(special(public.parse().unwrap()), None, "{public}");
        }
    }

    proptest! {
        /// The standard library's own predicates, where it has them.
        #[test]
        fn no_address_that_std_takes_for_special_is_public(bits: u32, six: u128) {
            let four = Ipv4Addr::from(bits);
            if four.is_private() || four.is_loopback() || four.is_link_local() || four.is_multicast()
                || four.is_broadcast() || four.is_documentation() || four.is_unspecified() {
                prop_assert!(special(four.into()).is_some());
            }
            for six in [Ipv6Addr::from(six), four.to_ipv6_mapped(), four.to_ipv6_compatible()] {
                if six.is_loopback() || six.is_multicast() || six.is_unspecified() || six.is_unique_local()
                    || six.is_unicast_link_local() || six.to_ipv4().is_some() {
                    prop_assert!(special(six.into()).is_some());
                }
            }
        }
    }
}
