//! Scheme, host and port: what connections, credentials and limits belong to.

use std::fmt;
use std::hash::{Hash, Hasher};

use http::uri::Authority;
use http::{HeaderValue, Uri};
use netcomm_core::Host;

/// An origin (RFC 6454): scheme, host and port. Made from canonical URIs, so that equal origins are equal texts.
#[derive(Clone)]
pub struct Origin {
    authority: Authority,
    /// How much of the authority is the host. It is asked for often, and found but once.
    host_bytes: u16,
    port: u16,
    secure: bool,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URI. User information is no part of it.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let secure = is_secure(uri)?;
        let authority = match uri.authority()?.as_str().rsplit_once('@') {
            None => uri.authority()?.clone(),
            Some((_, place)) => place.parse().ok()?,
        };
        let port = authority.port_u16().unwrap_or_else(|| default_port(secure));
        let host_bytes = authority.host().len();
        (host_bytes > 0).then(|| Self::of_parts(secure, authority, host_bytes, port))?
    }

    /// The origin whose parts are known: of the authority, which has no user information, that many bytes are the host.
    pub(crate) fn of_parts(secure: bool, authority: Authority, host_bytes: usize, port: u16) -> Option<Self> {
        Some(Self { authority, host_bytes: host_bytes.try_into().ok()?, port, secure })
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
        &self.authority.as_str()[..usize::from(self.host_bytes)]
    }

    /// The port, also where it is the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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
        if self.host().len() == authority.len() {
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

/// Whether a URI's scheme is `https`; `None` if it is not `http` either.
pub(crate) fn is_secure(uri: &Uri) -> Option<bool> {
    match uri.scheme_str()? {
        "http" => Some(false),
        "https" => Some(true),
        _ => None,
    }
}

/// The port where none is written.
pub(crate) fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
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
        let six = origin("https://[::1]/").expect("origin");
        assert_eq!((six.host(), six.port(), six.to_string().as_str()), ("[::1]", 443, "https://[::1]:443"));
        assert_eq!(origin("http://[::1]:8080/").map(|origin| origin.port()), Some(8080));
        let named = origin("http://user:secret@a.example:8080/").expect("origin");
        assert_eq!((named.host(), named.to_string().as_str()), ("a.example", "http://a.example:8080"));
        assert_eq!(origin("/x"), None);
        assert_eq!(origin("ftp://a.example/"), None);
    }
}
