use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::{Special, V4, V6};
use crate::network::{AddressRange, Network};

fn name(address: &str) -> &'static str {
    Special::of(address.parse().unwrap()).map_or("public", |range| range.name)
}

/// Each range at its first and last address and one beyond each, as the RFCs draw it: nothing is taken
/// from the table that is tested.
#[test]
fn every_range_is_named_up_to_its_edges_and_not_beyond() {
    let cases = [
        ("0.0.0.0", "this network"),
        ("0.255.255.255", "this network"),
        ("1.0.0.0", "public"),
        ("9.255.255.255", "public"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("11.0.0.0", "public"),
        ("100.63.255.255", "public"),
        ("100.64.0.0", "carrier-grade NAT"),
        ("100.100.100.199", "carrier-grade NAT"),
        ("100.100.100.200", "metadata"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("100.128.0.0", "public"),
        ("126.255.255.255", "public"),
        ("127.0.0.0", "loopback"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("128.0.0.0", "public"),
        ("168.63.129.15", "public"),
        ("168.63.129.16", "metadata"),
        ("168.63.129.17", "public"),
        ("169.253.255.255", "public"),
        ("169.254.0.0", "link-local"),
        ("169.254.169.253", "link-local"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "link-local"),
        ("169.254.255.255", "link-local"),
        ("169.255.0.0", "public"),
        ("172.15.255.255", "public"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("191.255.255.255", "public"),
        ("192.0.0.0", "IETF protocol"),
        ("192.0.0.192", "IETF protocol"),
        ("192.0.0.255", "IETF protocol"),
        ("192.0.1.0", "public"),
        ("192.0.2.0", "documentation"),
        ("192.0.2.255", "documentation"),
        ("192.0.3.0", "public"),
        ("192.88.98.255", "public"),
        ("192.88.99.0", "6to4 relay"),
        ("192.88.99.255", "6to4 relay"),
        ("192.88.100.0", "public"),
        ("192.167.255.255", "public"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        ("192.169.0.0", "public"),
        ("198.17.255.255", "public"),
        ("198.18.0.0", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.20.0.0", "public"),
        ("198.51.99.255", "public"),
        ("198.51.100.0", "documentation"),
        ("198.51.100.255", "documentation"),
        ("198.51.101.0", "public"),
        ("203.0.112.255", "public"),
        ("203.0.113.0", "documentation"),
        ("203.0.113.255", "documentation"),
        ("203.0.114.0", "public"),
        ("223.255.255.255", "public"),
        ("224.0.0.0", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.0", "reserved"),
        ("255.255.255.254", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "IPv4-compatible"),
        ("::10.0.0.1", "IPv4-compatible"),
        ("::ffff:ffff", "IPv4-compatible"),
        ("::1:0:0", "not assigned"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:9.9.9.9", "public"),
        ("::ffff:0:127.0.0.1", "not assigned"),
        ("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "not assigned"),
        ("64:ff9b::", "NAT64"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b::ffff:ffff", "NAT64"),
        ("64:ff9b::1:0:0", "not assigned"),
        ("64:ff9b:1::", "NAT64"),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "NAT64"),
        ("64:ff9b:2::", "not assigned"),
        ("100::", "discard"),
        ("100::ffff:ffff:ffff:ffff", "discard"),
        ("100:0:0:1::", "not assigned"),
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not assigned"),
        ("2000::", "public"),
        ("2001::", "Teredo"),
        ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo"),
        ("2001:1::1", "IETF protocol"),
        ("2001:2::", "benchmarking"),
        ("2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking"),
        ("2001:2:1::", "IETF protocol"),
        ("2001:10::", "ORCHID"),
        ("2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHID"),
        ("2001:20::", "ORCHID"),
        ("2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHID"),
        ("2001:30::", "IETF protocol"),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "IETF protocol"),
        ("2001:200::", "public"),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "public"),
        ("2001:db8::", "documentation"),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
        ("2001:db9::", "public"),
        ("2002::", "6to4"),
        ("2002:7f00:1::", "6to4"),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
        ("2003::", "public"),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "public"),
        ("3fff::", "documentation"),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
        ("3fff:1000::", "public"),
        ("4000::", "not assigned"),
        ("5f00::", "SRv6"),
        ("5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "SRv6"),
        ("5f01::", "not assigned"),
        ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not assigned"),
        ("fc00::", "unique local"),
        ("fd00:ec2::253", "unique local"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local"),
        ("fe00::", "not assigned"),
        ("fe80::", "link-local"),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
        ("fec0::", "site-local"),
        ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
        ("ff00::", "multicast"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
    ];
    for (address, expected) in cases {
        assert_eq!(name(address), expected, "{address}");
    }
}

#[test]
fn every_range_says_where_it_comes_from() {
    for special in V4.iter().map(|range| range.2).chain(V6.iter().map(|range| range.2)) {
        assert!(!special.name.is_empty() && special.source.len() > 6, "{special}");
    }
}

fn allowing(range: &str) -> Network {
    Network { allow: vec![range.parse().unwrap()], ..Network::default() }
}

#[test]
fn an_allowed_range_lets_through_what_it_holds_and_nothing_that_embeds_it() {
    let network = allowing("10.0.0.0/8");
    for let_through in ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1"] {
        assert_eq!(network.refuses(let_through.parse().unwrap()), None, "{let_through}");
    }
    for refused in ["64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1", "2001:0:a00:1::", "127.0.0.1"] {
        assert!(network.refuses(refused.parse().unwrap()).is_some(), "{refused}");
    }
    assert!(allowing("2002::/16").refuses("2002:a00:1::".parse().unwrap()).is_none());
}

#[test]
fn nothing_but_loopback_is_let_through_for_tests() {
    let network = Network::loopback();
    assert_eq!(network.allow, ["127.0.0.0/8".parse::<AddressRange>().unwrap()]);
    assert!(network.refuses("169.254.169.254".parse().unwrap()).is_some());
}

proptest! {
    /// However it is written, an IPv4 address inside a mapped IPv6 one is judged as itself.
    #[test]
    fn an_address_mapped_into_ipv6_is_judged_as_itself(bits: u32) {
        let address = std::net::Ipv4Addr::from_bits(bits);
        prop_assert_eq!(Special::of(IpAddr::V4(address)), Special::of(IpAddr::V6(address.to_ipv6_mapped())));
    }

    /// The standard library's own judgement, where it has one, agrees.
    #[test]
    fn what_the_standard_library_calls_special_is_never_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        if address.is_loopback()
            || address.is_multicast()
            || address.is_unique_local()
            || address.is_unicast_link_local()
            || address.is_unspecified()
        {
            prop_assert!(Special::of(IpAddr::V6(address)).is_some());
        }
        let address = std::net::Ipv4Addr::from_bits(bits as u32);
        if address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_documentation()
            || address.is_broadcast()
            || address.is_unspecified()
        {
            prop_assert!(Special::of(IpAddr::V4(address)).is_some());
        }
    }
}
