//! What a caller writes as a URL, made into where to dial and what to ask for (RFC 6455 §3): pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use netcomm_core::{Error, ErrorKind, Host, Result, Secret};
use url::{Position, Url};

/// An absolute `ws` or `wss` URL in canonical form, and what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// With neither user information nor fragment.
    pub(crate) uri: Uri,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) is_secure: bool,
    /// User name and password of the URL, as the value of `Authorization` (RFC 7617).
    pub(crate) credentials: Option<HeaderValue>,
}

impl Address {
    /// Reads a URL; `http` and `https` stand for `ws` and `wss`.
    ///
    /// # Errors
    ///
    /// `Invalid` saying why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        // The WHATWG parser drops tabs and line ends silently; a caller who has them in an address made a mistake.
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(invalid("a control character", &printable(text)));
        }
        let url = Url::parse(text).map_err(|error| {
            let why = match error {
                url::ParseError::RelativeUrlWithoutBase => "no scheme: ws or wss",
                _ => "not a URL",
            };
            invalid(why, &printable(text)).with_source(error)
        })?;
        if url.fragment().is_some() {
            return Err(invalid("a fragment, which a WebSocket URL must not have (RFC 6455 §3)", url.as_str()));
        }
        Self::from_url(&url)
    }

    /// Where a `Location` leads from here. Whoever redirects has no say in the credentials that are used, and its
    /// fragment is of no use.
    pub(super) fn join(&self, location: &str) -> Result<Self> {
        let base = Url::parse(&self.uri.to_string()).map_err(|error| invalid("not a URL", "").with_source(error))?;
        if location.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(invalid("a control character", &printable(location)));
        }
        let mut url =
            base.join(location).map_err(|error| invalid("not a URL", &printable(location)).with_source(error))?;
        url.set_fragment(None);
        Ok(Self { credentials: None, ..Self::from_url(&url)? })
    }

    fn from_url(url: &Url) -> Result<Self> {
        let (is_secure, scheme) = match url.scheme() {
            "ws" | "http" => (false, "ws"),
            "wss" | "https" => (true, "wss"),
            _ => return Err(invalid("the scheme is neither ws nor wss", url.as_str())),
        };
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(|error| error.with_url(url.as_str()))?;
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => {
                Some(basic(name, password.unwrap_or_default()).map_err(|why| invalid(why, url.as_str()))?)
            }
        };
        let authority = match (&host, url.port()) {
            (Host::V6(address), None) => format!("[{address}]"),
            (Host::V6(address), Some(port)) => format!("[{address}]:{port}"),
            (Host::V4(address), None) => address.to_string(),
            (Host::V4(address), Some(port)) => format!("{address}:{port}"),
            (Host::Name(name), None) => name.clone(),
            (Host::Name(name), Some(port)) => format!("{name}:{port}"),
        };
        let uri = format!("{scheme}://{authority}{}", &url[Position::BeforePath..Position::AfterQuery]);
        let uri: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| {
            invalid("path or query cannot be sent", url.as_str()).with_source(error)
        })?;
        let port = url.port().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Self { uri, host, port, is_secure, credentials })
    }

    /// Host and port as they stand in the URL: the value of `Host` (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// `scheme://host:port`, as observations name it.
    pub(super) fn origin(&self) -> String {
        let (scheme, default) = if self.is_secure { ("wss", 443) } else { ("ws", 80) };
        let written = if self.port == default { format!(":{default}") } else { String::new() };
        format!("{scheme}://{}{written}", self.authority())
    }

    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_secure, self.port, &self.host) == (other.is_secure, other.port, &other.host)
    }
}

fn basic(name: &str, password: &str) -> Result<HeaderValue, &'static str> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (name, password) = (decode(name), Secret::from(decode(password)));
    if name.contains(':') || name.chars().chain(password.expose().chars()).any(char::is_control) {
        return Err("a user name has no colon, and neither name nor password a control character (RFC 7617 §2)");
    }
    let text = STANDARD.encode(format!("{name}:{}", password.expose()));
    let mut value =
        HeaderValue::try_from(format!("Basic {text}")).map_err(|_| "the user information cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

fn invalid(why: &'static str, url: &str) -> Error {
    Error::new(ErrorKind::Invalid, "parse url").with_detail(why).with_url(url)
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for (text, expected, origin) in [
            ("ws://example.com", "ws://example.com/", "ws://example.com:80"),
            ("wss://example.com:443/a?b=c", "wss://example.com/a?b=c", "wss://example.com:443"),
            ("WSS://EXAMPLE.com:8443", "wss://example.com:8443/", "wss://example.com:8443"),
            ("http://example.com:80/x", "ws://example.com/x", "ws://example.com:80"),
            ("https://example.com./x", "wss://example.com/x", "wss://example.com:443"),
            ("https://example.com:80/", "wss://example.com:80/", "wss://example.com:80"),
            ("ws://0x7f.1:81/", "ws://127.0.0.1:81/", "ws://127.0.0.1:81"),
            ("ws://[::FFFF:1]/", "ws://[::ffff:1]/", "ws://[::ffff:1]:80"),
            ("ws://bücher.example/ä?ö", "ws://xn--bcher-kva.example/%C3%A4?%C3%B6", "ws://xn--bcher-kva.example:80"),
            ("ws://example.com/a/../b c", "ws://example.com/b%20c", "ws://example.com:80"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.uri.to_string().as_str(), address.origin().as_str()), (expected, origin), "{text}");
            assert!(address.credentials.is_none());
            assert_eq!(format!("{}:{}", address.authority(), address.port).contains("]:"), text.contains('['));
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "/x",
            "example.com",
            "ftp://a.example/",
            "ws://",
            "ws:///x",
            "ws://a b/",
            "ws://a.example:x/",
            "ws://a.example:99999/",
            "ws://a..b/",
            "ws://a.example/\r\nX: y",
            "ws://a.example/#",
            "ws://a.example/#f",
            "ws://u%3Av:p@a.example/",
            "ws://u:%0d@a.example/",
        ] {
            // The standard reads three slashes as two.
            if text == "ws:///x" {
                assert_eq!(Address::parse(text).expect("a host").authority(), "x");
                continue;
            }
            assert_eq!(Address::parse(text).expect_err(text).kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn user_information_becomes_credentials_and_is_seen_nowhere() {
        let address = Address::parse("wss://Aladdin:open%20sesame@a.example/x").expect("address");
        let value = address.credentials.clone().expect("credentials");
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "RFC 7617 §2");
        assert!(value.is_sensitive() && address.uri == "wss://a.example/x");
        let error = Address::parse("wss://u:hidden@a.example/#f").expect_err("a fragment");
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }

    #[test]
    fn relative_references() {
        let from = Address::parse("ws://u:p@a.example/x/y").expect("address");
        for (location, to, same) in [
            ("z", "ws://a.example/x/z", true),
            ("//b.example/", "ws://b.example/", false),
            ("http://A.example:80/b#f", "ws://a.example/b", true),
            ("https://a.example/", "wss://a.example/", false),
            ("ws://v:q@a.example:81/", "ws://a.example:81/", false),
        ] {
            let joined = from.join(location).expect(location);
            assert_eq!((joined.uri.to_string().as_str(), from.is_same_origin(&joined)), (to, same), "{location}");
            assert!(joined.credentials.is_none());
        }
        for location in ["ftp://a/", "javascript:alert(1)", "http://", "http://[::1", "/\nx"] {
            assert!(from.join(location).is_err(), "{location}");
        }
    }
}
