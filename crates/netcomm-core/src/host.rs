//! A host as the WHATWG URL standard reads it: a domain in ASCII, or an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Error, ErrorKind, Result};

/// A host in its one canonical form: punycode and lower case for names, without a trailing dot; every spelling of an
/// IPv4 address (`0x7f.1`, `2130706433`, `017700000001`) as the address that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host {
    /// Parses a host: a name (also with non-ASCII letters), an IPv4 address in any spelling, an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        if is_plain_name(text) {
            return Ok(Self::Name(text.to_owned()));
        }
        if let Some(address) = plain_v4(text) {
            return Ok(Self::V4(address));
        }
        let host = url::Host::parse(text).map_err(|error| {
            Error::new(ErrorKind::Invalid, "parse host").with_detail(format!("{text:?}")).with_source(error)
        })?;
        Ok(match host {
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                if name.is_empty() || name.ends_with('.') || name.starts_with('.') || name.contains("..") {
                    return Err(Error::new(ErrorKind::Invalid, "parse host").with_detail("empty label in host name"));
                }
                Self::Name(name.to_owned())
            }
            url::Host::Ipv4(address) => Self::V4(address),
            url::Host::Ipv6(address) => Self::V6(address),
        })
    }

    /// Whether `text` surely stands in canonical form already, told without parsing. `false` says nothing.
    #[must_use]
    pub fn is_canonical(text: &str) -> bool {
        is_plain_name(text) || plain_v4(text).is_some()
    }

    /// The address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

/// An IPv4 address in the one spelling that every parser reads alike: four decimal numbers without leading zeros.
fn plain_v4(text: &str) -> Option<Ipv4Addr> {
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) { text.parse().ok() } else { None }
}

/// Whether `text` is a name that every parser reads alike and that stands in canonical form already: lower-case
/// letters, digits, hyphens, single dots, no punycode, and a last label that begins with a letter (so that it cannot
/// be a number). Saves the full parser on the way that almost all calls take.
pub(crate) fn is_plain_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 253 {
        return false;
    }
    let mut label_start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'.' => {
                if at == label_start {
                    return false;
                }
                label_start = at + 1;
            }
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'-' if at != label_start && bytes.get(at + 1) != Some(&b'-') => {}
            _ => return false,
        }
    }
    bytes.get(label_start).is_some_and(u8::is_ascii_lowercase)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for (text, expected) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
            ("localhost", "localhost"),
            ("a-b.c1", "a-b.c1"),
        ] {
            assert_eq!(Host::parse(text).map(|host| host.to_string()).ok().as_deref(), Some(expected), "{text}");
        }
        for text in
            ["", ".", "a..b", "a b", "a%00b", "1.2.3.4.5", "[::1", "256.1.1.1", "a/b", "a@b", ".a", "exa\r\nmple"]
        {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_short_way_agrees_with_the_full_parser() {
        for text in
            ["a", "a.b", "a-b.example", "x1.y2", "1a.example", "a.1x", "xn--a", "a-", "-a", "a..b", "a.", "A", "0x7f"]
        {
            if is_plain_name(text) {
                assert_eq!(url::Host::parse(text).map(|host| host.to_string()).as_deref(), Ok(text));
            }
        }
    }
}
