//! Which addresses are not public, and why: pure, so that every range is tested at its edges.
//!
//! The lists follow the registries of IANA (iana-ipv4-special-registry, iana-ipv6-special-registry).
//! Where the registry calls a piece of a special range globally reachable, it is refused all the same:
//! no vendor lives there. Beyond the registries stand the addresses at which clouds hand credentials to
//! whoever asks, one of which (Azure's) is public by its number.
//!
//! An address that embeds another one, for a gateway to unwrap, is refused as what it is, whatever it
//! embeds: we cannot know which gateway stands on the way, and where it would send us. Who allows such
//! a range allows all that it embeds.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A range of addresses that is not the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Special {
    /// What it is: `loopback`, `private`, …
    pub name: &'static str,
    /// The document that says so.
    pub source: &'static str,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.source)
    }
}

impl Special {
    /// The range that holds the address; none: it is public. An IPv4 address mapped into IPv6 counts as
    /// IPv4, because the system connects it so.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => V4.iter().find(|range| range.holds(address)).map(|range| range.2),
            IpAddr::V6(address) => V6
                .iter()
                .find(|range| range.holds(address))
                .map(|range| range.2)
                .or_else(|| (address.segments()[0] & 0xe000 != 0x2000).then_some(NOT_ASSIGNED)),
        }
    }
}

/// The first address of a range, the length of its prefix in bits, and what it is.
struct Range<A>(A, u32, Special);

impl Range<Ipv4Addr> {
    fn holds(&self, address: Ipv4Addr) -> bool {
        (self.0.to_bits() ^ address.to_bits()).leading_zeros() >= self.1
    }
}

impl Range<Ipv6Addr> {
    fn holds(&self, address: Ipv6Addr) -> bool {
        (self.0.to_bits() ^ address.to_bits()).leading_zeros() >= self.1
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u32, name: &'static str, source: &'static str) -> Range<Ipv4Addr> {
    Range(Ipv4Addr::new(a, b, c, d), prefix, Special { name, source })
}

const fn v6(
    [a, b, c, d]: [u16; 4],
    last: u16,
    prefix: u32,
    name: &'static str,
    source: &'static str,
) -> Range<Ipv6Addr> {
    Range(Ipv6Addr::new(a, b, c, d, 0, 0, 0, last), prefix, Special { name, source })
}

/// The first that holds an address names it, so a piece of a range stands before the whole.
const V4: &[Range<Ipv4Addr>] = &[
    v4([169, 254, 169, 254], 32, "metadata", "AWS EC2, Google Cloud and Azure: instance metadata"),
    v4([168, 63, 129, 16], 32, "metadata", "Azure: What is IP address 168.63.129.16"),
    v4([100, 100, 100, 200], 32, "metadata", "Alibaba Cloud ECS: instance metadata"),
    v4([0, 0, 0, 0], 8, "this network", "RFC 791, 3.2"),
    v4([10, 0, 0, 0], 8, "private", "RFC 1918"),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT", "RFC 6598"),
    v4([127, 0, 0, 0], 8, "loopback", "RFC 1122, 3.2.1.3"),
    v4([169, 254, 0, 0], 16, "link-local", "RFC 3927"),
    v4([172, 16, 0, 0], 12, "private", "RFC 1918"),
    v4([192, 0, 0, 0], 24, "IETF protocol", "RFC 6890, 2.1"),
    v4([192, 0, 2, 0], 24, "documentation", "RFC 5737"),
    v4([192, 88, 99, 0], 24, "6to4 relay", "RFC 7526"),
    v4([192, 168, 0, 0], 16, "private", "RFC 1918"),
    v4([198, 18, 0, 0], 15, "benchmarking", "RFC 2544"),
    v4([198, 51, 100, 0], 24, "documentation", "RFC 5737"),
    v4([203, 0, 113, 0], 24, "documentation", "RFC 5737"),
    v4([224, 0, 0, 0], 4, "multicast", "RFC 5771"),
    v4([255, 255, 255, 255], 32, "broadcast", "RFC 919, 7"),
    v4([240, 0, 0, 0], 4, "reserved", "RFC 1112, 4"),
];

const V6: &[Range<Ipv6Addr>] = &[
    v6([0xfd00, 0xec2, 0, 0], 0x254, 128, "metadata", "AWS EC2: instance metadata over IPv6"),
    v6([0xfd20, 0xce, 0, 0], 0x254, 128, "metadata", "Google Cloud: metadata server over IPv6"),
    v6([0, 0, 0, 0], 0, 128, "unspecified", "RFC 4291, 2.5.2"),
    v6([0, 0, 0, 0], 1, 128, "loopback", "RFC 4291, 2.5.3"),
    v6([0, 0, 0, 0], 0, 96, "IPv4-compatible", "RFC 4291, 2.5.5.1"),
    v6([0x64, 0xff9b, 0, 0], 0, 96, "NAT64", "RFC 6052"),
    v6([0x64, 0xff9b, 1, 0], 0, 48, "NAT64", "RFC 8215"),
    v6([0x100, 0, 0, 0], 0, 64, "discard", "RFC 6666"),
    v6([0x2001, 0, 0, 0], 0, 32, "Teredo", "RFC 4380"),
    v6([0x2001, 2, 0, 0], 0, 48, "benchmarking", "RFC 5180"),
    v6([0x2001, 0x10, 0, 0], 0, 28, "ORCHID", "RFC 4843"),
    v6([0x2001, 0x20, 0, 0], 0, 28, "ORCHID", "RFC 7343"),
    v6([0x2001, 0, 0, 0], 0, 23, "IETF protocol", "RFC 2928"),
    v6([0x2001, 0xdb8, 0, 0], 0, 32, "documentation", "RFC 3849"),
    v6([0x2002, 0, 0, 0], 0, 16, "6to4", "RFC 3056"),
    v6([0x3fff, 0, 0, 0], 0, 20, "documentation", "RFC 9637"),
    v6([0x5f00, 0, 0, 0], 0, 16, "SRv6", "RFC 9602"),
    v6([0xfc00, 0, 0, 0], 0, 7, "unique local", "RFC 4193"),
    v6([0xfe80, 0, 0, 0], 0, 10, "link-local", "RFC 4291, 2.5.6"),
    v6([0xfec0, 0, 0, 0], 0, 10, "site-local", "RFC 3879"),
    v6([0xff00, 0, 0, 0], 0, 8, "multicast", "RFC 4291, 2.7"),
];

/// Only 2000::/3 has been given out for the public internet.
const NOT_ASSIGNED: Special = Special { name: "not assigned", source: "IANA IPv6 address space" };

#[cfg(test)]
mod tests;
