//! Host patterns in the grammar of CSP's host-source, with stricter readings: pure.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// Which destinations a rule is about: `[scheme://]host[:port][/path]`, the grammar of CSP 3 §2.3.1.
///
/// | part | reading |
/// |---|---|
/// | scheme | compared without case; without one `https` and `wss` match, and nothing that is sent in the clear |
/// | host | a name; `*.example.com` for everything *below* `example.com`; `*` for every name; an address only where it is written exactly |
/// | port | absent: the default port of the scheme; `*`: any |
/// | path | absent or `/`: all; with a `/` at the end: a prefix; else exact. Compared per segment after percent-decoding |
///
/// Refused when parsed: `*.com` (a whole top-level domain), `*foo.com`, `a.*.com`, user information, queries.
///
/// ```
/// use netcomm_core::Pattern;
///
/// let pattern: Pattern = "*.example.com/api/".parse()?;
/// assert!(pattern.matches("https", "eu.example.com", 443, "/api/v1"));
/// assert!(!pattern.matches("http", "eu.example.com", 80, "/api/v1"));
/// assert!("*.com".parse::<Pattern>().is_err());
/// # Ok::<(), netcomm_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    scheme: Option<String>,
    host: HostPattern,
    port: PortPattern,
    path: PathPattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    Below(String),
    Exact(Host),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortPattern {
    Default,
    Any,
    Exact(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPattern {
    Any,
    Prefix(Vec<Vec<u8>>),
    Exact(Vec<Vec<u8>>),
}

impl Pattern {
    /// Whether the destination matches. `host` is read as [`Host::parse`] reads it; one that cannot be read matches
    /// nothing.
    #[must_use]
    pub fn matches(&self, scheme: &str, host: &str, port: u16, path: &str) -> bool {
        Host::parse(host).is_ok_and(|host| self.matches_host(scheme, &host, port, path))
    }

    pub(crate) fn matches_host(&self, scheme: &str, host: &Host, port: u16, path: &str) -> bool {
        let scheme_matches = match &self.scheme {
            Some(own) => own.eq_ignore_ascii_case(scheme),
            None => scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss"),
        };
        let host_matches = match (&self.host, host) {
            (HostPattern::Any, Host::Name(_)) => true,
            (HostPattern::Below(suffix), Host::Name(name)) => {
                name.len() > suffix.len() + 1
                    && name.ends_with(suffix.as_str())
                    && name.as_bytes()[name.len() - suffix.len() - 1] == b'.'
            }
            (HostPattern::Exact(own), host) => own == host,
            (HostPattern::Any | HostPattern::Below(_), Host::V4(_) | Host::V6(_)) => false,
        };
        let port_matches = match self.port {
            PortPattern::Any => true,
            PortPattern::Exact(own) => own == port,
            PortPattern::Default => default_port(scheme) == Some(port),
        };
        scheme_matches && host_matches && port_matches && self.matches_path(path)
    }

    fn matches_path(&self, path: &str) -> bool {
        match &self.path {
            PathPattern::Any => true,
            // A path with dot segments could mean another place to the server than to this comparison.
            PathPattern::Prefix(_) | PathPattern::Exact(_) if has_dot_segment(path) => false,
            PathPattern::Prefix(own) => {
                let path = segments(path);
                path.len() > own.len() && path.starts_with(own)
            }
            PathPattern::Exact(own) => segments(path) == *own,
        }
    }
}

/// The default port of a scheme that netcomm speaks.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    let is_one_of = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    if is_one_of(["http", "ws"]) {
        Some(80)
    } else if is_one_of(["https", "wss"]) {
        Some(443)
    } else {
        None
    }
}

fn segments(path: &str) -> Vec<Vec<u8>> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(percent_decode).collect()
}

fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| matches!(percent_decode(segment).as_slice(), b"." | b".."))
        || path.split('/').any(|segment| percent_decode(segment).iter().any(|byte| matches!(byte, b'/' | b'\\')))
}

fn percent_decode(segment: &str) -> Vec<u8> {
    let bytes = segment.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hex digits fit a byte"));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &'static str| {
            Err(Error::new(ErrorKind::Invalid, "parse pattern").with_detail(format!("{why}: {text:?}")))
        };
        if text.contains(['?', '#', '@', '\\']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("a pattern has no query, fragment, user information, backslash or space");
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        if let Some(scheme) = scheme {
            let mut chars = scheme.chars();
            let valid = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
            if !valid {
                return refuse("not a scheme");
            }
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        let host_end = if authority.starts_with('[') {
            authority.find(']').map_or(authority.len(), |at| at + 1)
        } else {
            authority.find(':').unwrap_or(authority.len())
        };
        let (host, port) = authority.split_at(host_end);
        let port = match port {
            "" => PortPattern::Default,
            ":*" => PortPattern::Any,
            port => match port.strip_prefix(':').map(str::parse::<u16>) {
                Some(Ok(number)) if number > 0 => PortPattern::Exact(number),
                _ => return refuse("not a port"),
            },
        };
        let host = match host.strip_prefix('*') {
            Some("") => HostPattern::Any,
            Some(rest) => {
                let Some(suffix) = rest.strip_prefix('.') else { return refuse("`*` stands for whole labels only") };
                let Host::Name(suffix) = Host::parse(suffix)? else { return refuse("`*.` before an address") };
                if !suffix.contains('.') {
                    return refuse("a whole top-level domain");
                }
                HostPattern::Below(suffix)
            }
            None if host.contains('*') => return refuse("`*` stands at the beginning only"),
            None => HostPattern::Exact(Host::parse(host)?),
        };
        let path = match path {
            "" | "/" => PathPattern::Any,
            path if has_dot_segment(path) => return refuse("a dot segment in the path"),
            path => {
                let mut segments = segments(path);
                if segments.last().is_some_and(Vec::is_empty) {
                    segments.pop();
                    PathPattern::Prefix(segments)
                } else {
                    PathPattern::Exact(segments)
                }
            }
        };
        Ok(Self { scheme: scheme.map(str::to_ascii_lowercase), host, port, path })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Below(suffix) => write!(f, "*.{suffix}")?,
            HostPattern::Exact(host) => write!(f, "{host}")?,
        }
        match self.port {
            PortPattern::Default => {}
            PortPattern::Any => f.write_str(":*")?,
            PortPattern::Exact(port) => write!(f, ":{port}")?,
        }
        let (segments, end) = match &self.path {
            PathPattern::Any => return Ok(()),
            PathPattern::Prefix(segments) => (segments, "/"),
            PathPattern::Exact(segments) => (segments, ""),
        };
        for segment in segments {
            f.write_str("/")?;
            for &byte in segment {
                // The pchar of RFC 3986 §3.3 that stand for themselves; `?`, `#` and `%` are not among them.
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte) {
                    write!(f, "{}", char::from(byte))?;
                } else {
                    write!(f, "%{byte:02X}")?;
                }
            }
        }
        f.write_str(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_what() {
        // pattern, scheme, host, port, path, matches
        let cases = [
            ("example.com", "https", "example.com", 443, "/", true),
            ("example.com", "https", "EXAMPLE.com.", 443, "/x", true),
            ("example.com", "wss", "example.com", 443, "/", true),
            ("example.com", "http", "example.com", 80, "/", false),
            ("example.com", "https", "example.com", 8443, "/", false),
            ("example.com:*", "https", "example.com", 8443, "/", true),
            ("http://example.com", "http", "example.com", 80, "/", true),
            ("http://example.com", "https", "example.com", 443, "/", false),
            ("*.example.com", "https", "a.example.com", 443, "/", true),
            ("*.example.com", "https", "a.b.example.com", 443, "/", true),
            ("*.example.com", "https", "example.com", 443, "/", false),
            ("*.example.com", "https", "aexample.com", 443, "/", false),
            ("*", "https", "anything.example", 443, "/", true),
            ("*", "https", "93.184.216.34", 443, "/", false),
            ("*", "https", "[2001:db8::1]", 443, "/", false),
            ("http://127.0.0.1:*", "http", "127.0.0.1", 8080, "/", true),
            ("http://127.0.0.1:*", "http", "2130706433", 8080, "/", true),
            ("http://127.0.0.1:*", "http", "localhost", 8080, "/", false),
            ("http://[::1]:*", "http", "[0:0::1]", 8080, "/", true),
            ("example.com/api/", "https", "example.com", 443, "/api/", true),
            ("example.com/api/", "https", "example.com", 443, "/api/v1", true),
            ("example.com/api/", "https", "example.com", 443, "/api", false),
            ("example.com/api/", "https", "example.com", 443, "/apiary", false),
            ("example.com/api/", "https", "example.com", 443, "/api/../admin", false),
            ("example.com/api/", "https", "example.com", 443, "/api/%2e%2E/admin", false),
            ("example.com/api/", "https", "example.com", 443, "/api/..%2fadmin", false),
            ("example.com/api/", "https", "example.com", 443, "/%61pi/v1", true),
            ("example.com/api", "https", "example.com", 443, "/api", true),
            ("example.com/api", "https", "example.com", 443, "/api/v1", false),
            ("example.com/%3f%2541%82/", "https", "example.com", 443, "/%3F%2541%82/x", true),
            ("bücher.example", "https", "xn--bcher-kva.example", 443, "/", true),
        ];
        for (pattern, scheme, host, port, path, expected) in cases {
            let parsed: Pattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.matches(scheme, host, port, path), expected, "{pattern} {scheme}://{host}:{port}{path}");
            let again: Pattern = parsed.to_string().parse().expect("displays as it parses");
            assert_eq!(again, parsed);
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in [
            "",
            "*.com",
            "*foo.com",
            "a.*.com",
            "**",
            "*.",
            "*.1.2.3.4",
            "a b",
            "u@a.example",
            "a.example?q",
            "a.example#f",
            "a.example:0",
            "a.example:99999",
            "a.example:x",
            "://a.example",
            "1x://a.example",
            "a.example/../b",
            "[::1",
            "none:",
            "[::1]\u{454}",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
