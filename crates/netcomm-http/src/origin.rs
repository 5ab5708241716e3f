//! Scheme, host and port: what connections, credentials and limits belong to.

use std::fmt;

use http::Uri;
use http::uri::Authority;
use netcomm_core::Host;

/// An origin (RFC 6454): scheme, host and port. Made from canonical URIs, so that equal origins are equal texts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    authority: Authority,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URI.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        (!authority.host().is_empty()).then(|| Self { secure, authority: authority.clone() })
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The host as it stands in the URI: an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, also where it is the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 })
    }

    pub(crate) fn parsed_host(&self) -> netcomm_core::Result<Host> {
        Host::parse(self.host())
    }

    /// The value of a `Host` field (RFC 9110 §7.2): without the port where it is the scheme's default.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host(), self.port())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let origin = |text: &str| Origin::of(&text.parse().expect(text));
        let plain = origin("http://a.example/x").expect("origin");
        assert_eq!((plain.host(), plain.port(), plain.is_secure()), ("a.example", 80, false));
        assert_eq!(origin("https://a.example:8443/").expect("origin").to_string(), "https://a.example:8443");
        assert_ne!(origin("https://a.example/"), origin("http://a.example/"));
        assert_eq!(origin("/x"), None);
        assert_eq!(origin("ftp://a.example/"), None);
    }
}
