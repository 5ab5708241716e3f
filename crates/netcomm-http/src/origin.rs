//! Scheme, host and port: what connections, credentials and limits belong to.

use std::fmt;
use std::hash::{Hash, Hasher};

use http::uri::Authority;
use http::{HeaderValue, Uri};
use netcomm_core::Host;

/// An origin (RFC 6454): scheme, host and port. Made from canonical URIs, so that equal origins are equal texts.
#[derive(Clone)]
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

    /// The text of `Display`, made without its machinery: observations want it often.
    pub(crate) fn to_text(&self) -> String {
        let authority = self.authority.as_str();
        let mut text = String::with_capacity(authority.len() + "https://:65535".len());
        text.push_str(self.scheme());
        text.push_str("://");
        text.push_str(authority);
        if self.authority.host().len() == authority.len() {
            text.push_str(if self.secure { ":443" } else { ":80" });
        }
        text
    }

    /// Host and port as they stand in the URI.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The value of a `Host` field (RFC 9110 §7.2): without the port where it is the scheme's default.
    pub(crate) fn host_value(&self) -> HeaderValue {
        HeaderValue::from_str(self.authority.as_str()).expect("an authority is made of visible ASCII")
    }
}

/// By text: canonical authorities are equal only if their bytes are.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.secure == other.secure && self.authority.as_str() == other.authority.as_str()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.authority.as_str().as_bytes());
        state.write_u8(u8::from(self.secure));
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
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
