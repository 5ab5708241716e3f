//! Which addresses belong to a public host: a pure decision, and the table behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use netcomm_core::{Error, ErrorKind, Host, Result};

/// IPv4 networks in which no public host lives (RFC 6890 and the IANA special-purpose registry).
const DENIED_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// IPv6 networks in which no public host lives. Those that carry an IPv4 address in their last 32
/// bits are in [`CARRIERS`]; 6to4 and Teredo carry one elsewhere and are denied whole.
const DENIED_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local-use translation"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// IPv6 networks whose addresses carry an IPv4 address in their last 32 bits: it decides.
const CARRIERS: &[Ipv6Net] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),         // IPv4-compatible, RFC 4291 §2.5.5.1
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),    // IPv4-mapped, RFC 4291 §2.5.5.2
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96),    // IPv4-translated, RFC 2765 §2.1
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), // NAT64, RFC 6052 §2.1
];

/// Whether a public host may have that address.
///
/// `false` for loopback, private, link-local, shared, multicast, documentation, benchmarking and
/// reserved addresses, and for every IPv6 address that carries such an IPv4 address: mapped
/// (`::ffff:0:0/96`), translated (`::ffff:0:0:0/96`), compatible (`::/96`) and NAT64
/// (`64:ff9b::/96`). 6to4 and Teredo are refused whole.
///
/// ```
/// use netcomm_dial::is_public;
///
/// assert!(is_public("1.1.1.1".parse().unwrap()));
/// assert!(!is_public("169.254.169.254".parse().unwrap()));
/// assert!(!is_public("::ffff:127.0.0.1".parse().unwrap()));
/// ```
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    denied_as(address).is_none()
}

/// Refuses `host` if one of its addresses is not public: a name that leads to this machine's own
/// network even once in a while is not to be trusted the other times.
pub(crate) fn check(host: &Host, addresses: &[IpAddr]) -> Result<()> {
    let Some((address, what)) = addresses.iter().find_map(|&address| Some((address, denied_as(address)?))) else {
        return Ok(());
    };
    let detail = match host {
        Host::Name(name) => format!("{name} leads to {address}, which is not public ({what})"),
        Host::V4(_) | Host::V6(_) => format!("{address} is not public ({what})"),
    };
    Err(Error::new(ErrorKind::Denied, "dial").with_detail(detail))
}

/// What the address is if no public host may have it: `loopback`, `private`, …
fn denied_as(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => denied_as_v4(address),
        IpAddr::V6(address) => denied_as_v6(address),
    }
}

fn denied_as_v4(address: Ipv4Addr) -> Option<&'static str> {
    DENIED_V4.iter().find(|(net, _)| net.contains(&address)).map(|&(_, what)| what)
}

fn denied_as_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(&(_, what)) = DENIED_V6.iter().find(|(net, _)| net.contains(&address)) {
        return Some(what);
    }
    if !CARRIERS.iter().any(|net| net.contains(&address)) {
        return None;
    }
    let [.., a, b, c, d] = address.octets();
    denied_as_v4(Ipv4Addr::new(a, b, c, d))
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn every_row_denies_its_first_and_last_address() {
        for (net, what) in DENIED_V4 {
            for address in [net.network(), net.broadcast()] {
                assert!(!is_public(address.into()), "{address} {what}");
            }
        }
        for (net, what) in DENIED_V6 {
            for address in [net.network(), net.broadcast()] {
                assert!(!is_public(address.into()), "{address} {what}");
            }
        }
    }

    #[test]
    fn the_table_is_the_one_agreed_upon() {
        for denied in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002::1",
            "2002:808:808::1",
            "3fff::1",
            "64:ff9b:1::1",
            "5f00::1",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "::127.0.0.1",
            "::192.168.0.1",
        ] {
            assert!(!is_public(ip(denied)), "{denied}");
        }
        for allowed in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "::8.8.8.8",
            "2001:1::1",
            "2003::1",
        ] {
            assert!(is_public(ip(allowed)), "{allowed}");
        }
    }

    #[test]
    fn every_spelling_of_loopback_is_denied() {
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "017700000001",
            "0177.0.0.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
        ] {
            let address = Host::parse(text).ok().and_then(|host| host.ip()).expect(text);
            assert!(!is_public(address), "{text}");
        }
    }

    #[test]
    fn one_bad_address_refuses_the_name() {
        let name = Host::parse("a.example").expect("a host");
        assert!(check(&name, &[ip("1.1.1.1"), ip("2606:4700::1")]).is_ok());
        let error = check(&name, &[ip("1.1.1.1"), ip("10.0.0.1")]).expect_err("must be refused");
        assert!(error.is_denied());
        assert_eq!(error.detail(), Some("a.example leads to 10.0.0.1, which is not public (private)"));
        let error = check(&ip("127.0.0.1").into(), &[ip("127.0.0.1")]).expect_err("must be refused");
        assert_eq!(error.detail(), Some("127.0.0.1 is not public (loopback)"));
    }

    proptest! {
        #[test]
        fn a_carried_v4_address_decides(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            for carrier in CARRIERS {
                let v6 = Ipv6Addr::from_bits(carrier.network().to_bits() | u128::from(bits));
                prop_assert_eq!(is_public(v4.into()), is_public(v6.into()), "{} {}", v4, v6);
            }
        }
    }
}
