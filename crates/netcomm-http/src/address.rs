//! What a caller writes as an address, made into one absolute, canonical URI.

use http::Uri;
use http::uri::PathAndQuery;
use netcomm_core::{Error, ErrorKind, Result, Secret};
use url::Url;

use crate::origin::{self, Origin};

/// Something that names a resource: text, an [`http::Uri`], or a reference to either. Relative references are resolved
/// against the client's base URL.
///
/// Sealed: text and `http::Uri` are all there is.
pub trait IntoAddress: sealed::IntoAddress {}

impl<T: sealed::IntoAddress> IntoAddress for T {}

mod lately;

pub(crate) use lately::{Found, Lately};

pub(crate) mod sealed {
    use http::Uri;

    use super::{Address, Spelled};
    use url::Url;

    #[expect(unnameable_types, reason = "the trait is sealed by being out of reach")]
    pub trait IntoAddress {
        /// `exact`: whether path and query of a `Uri` stay as they are.
        fn into_address(self, base: Option<&Url>, exact: bool) -> netcomm_core::Result<Address>;

        /// How it is written; `None` if it is not absolute.
        fn spelled(&self) -> Option<Spelled<'_>>;
    }

    impl IntoAddress for &str {
        fn into_address(self, base: Option<&Url>, _: bool) -> netcomm_core::Result<Address> {
            Address::parse(self, base)
        }

        fn spelled(&self) -> Option<Spelled<'_>> {
            Spelled::of_text(self)
        }
    }

    impl IntoAddress for String {
        fn into_address(self, base: Option<&Url>, _: bool) -> netcomm_core::Result<Address> {
            Address::parse(&self, base)
        }

        fn spelled(&self) -> Option<Spelled<'_>> {
            Spelled::of_text(self)
        }
    }

    impl IntoAddress for &String {
        fn into_address(self, base: Option<&Url>, _: bool) -> netcomm_core::Result<Address> {
            Address::parse(self, base)
        }

        fn spelled(&self) -> Option<Spelled<'_>> {
            Spelled::of_text(self)
        }
    }

    impl IntoAddress for Uri {
        fn into_address(self, base: Option<&Url>, exact: bool) -> netcomm_core::Result<Address> {
            let uri = self;
            if exact { Address::from_exact(uri, base) } else { Address::from_uri(uri, base) }
        }

        fn spelled(&self) -> Option<Spelled<'_>> {
            Spelled::of(self)
        }
    }

    impl IntoAddress for &Uri {
        fn into_address(self, base: Option<&Url>, exact: bool) -> netcomm_core::Result<Address> {
            let uri = self.clone();
            if exact { Address::from_exact(uri, base) } else { Address::from_uri(uri, base) }
        }

        fn spelled(&self) -> Option<Spelled<'_>> {
            Spelled::of(self)
        }
    }
}

/// How an absolute address is written, in parts that can be compared without being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "it stands in the signature of a sealed trait")]
pub struct Spelled<'a> {
    is_secure: bool,
    authority: &'a str,
    /// The query too.
    path: &'a str,
}

impl<'a> Spelled<'a> {
    fn of(uri: &'a Uri) -> Option<Self> {
        let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
        Some(Self { is_secure: origin::is_secure(uri)?, authority: uri.authority()?.as_str(), path })
    }

    fn of_text(text: &'a str) -> Option<Self> {
        let (is_secure, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        Some(Self { is_secure, authority, path })
    }
}

/// An absolute URI in canonical form, and the user information that stood in it.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "it stands in the signature of a sealed trait")]
pub struct Address {
    pub(crate) uri: Uri,
    pub(crate) origin: Origin,
    pub(crate) user: Option<(String, Secret)>,
}

impl Address {
    /// Parses text. The quick way is taken for what every parser reads alike; all else goes through the WHATWG parser.
    pub(crate) fn parse(text: &str, base: Option<&Url>) -> Result<Self> {
        if is_plain(text)
            && let Ok(uri) = text.parse::<Uri>()
            && let Some(origin) = canonical_origin(&uri)
        {
            return Ok(Self { uri, origin, user: None });
        }
        let invalid = |error: url::ParseError| {
            let why = match error {
                url::ParseError::RelativeUrlWithoutBase => "a relative reference needs a base URL",
                _ => "not a URL",
            };
            Error::new(ErrorKind::Invalid, "parse url").with_detail(why).with_url(&printable(text)).with_source(error)
        };
        // The WHATWG parser drops tabs and line ends silently; a caller who has them in an address made a mistake.
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Error::new(ErrorKind::Invalid, "parse url")
                .with_detail("a control character")
                .with_url(&printable(text)));
        }
        let url = match base {
            Some(base) => base.join(text),
            None => Url::parse(text),
        };
        Self::from_url(url.map_err(invalid)?)
    }

    fn from_uri(uri: Uri, base: Option<&Url>) -> Result<Self> {
        match canonical_origin(&uri) {
            Some(origin) => Ok(Self { uri, origin, user: None }),
            None => {
                let text = uri.to_string();
                // As text, what `http` takes for a scheme may be the beginning of a relative path.
                match uri.scheme_str() {
                    Some(scheme) if !["http", "https"].iter().any(|own| scheme.eq_ignore_ascii_case(own)) => {
                        Err(Error::new(ErrorKind::Invalid, "parse url")
                            .with_detail("the scheme is neither http nor https")
                            .with_url(&printable(&text)))
                    }
                    _ => Self::parse(&text, base),
                }
            }
        }
    }

    /// Takes a URI whose path and query stay as they are, byte for byte; scheme and authority become canonical.
    fn from_exact(uri: Uri, base: Option<&Url>) -> Result<Self> {
        let mut parts = uri.clone().into_parts();
        let (Some(scheme), Some(authority)) = (&parts.scheme, &parts.authority) else {
            return Self::from_uri(uri, base);
        };
        let mut address = Self::parse(&format!("{scheme}://{authority}/"), None)?;
        let canonical = address.uri.into_parts();
        (parts.scheme, parts.authority) = (canonical.scheme, canonical.authority);
        address.uri = Uri::from_parts(parts).map_err(|error| {
            Error::new(ErrorKind::Invalid, "parse url").with_url(&uri.to_string()).with_source(error)
        })?;
        Ok(address)
    }

    fn spelled(&self) -> Option<Spelled<'_>> {
        Spelled::of(&self.uri)
    }

    /// The same address in memory of its own. `None` if not every way of reading comes to it: where paths stay as they
    /// are, some are not canonical.
    fn apart(&self) -> Option<Self> {
        let uri: Uri = self.uri.to_string().parse().ok()?;
        let origin = canonical_origin(&uri).filter(|_| self.user.is_none())?;
        Some(Self { uri, origin, user: None })
    }

    /// The URI without its query, for errors and observations; user information is not part of it.
    pub(crate) fn redacted(&self) -> String {
        let (authority, path) = (self.origin.authority(), self.uri.path());
        let mut text = String::with_capacity("https://".len() + authority.len() + path.len());
        text.push_str(self.origin.scheme());
        text.push_str("://");
        text.push_str(authority);
        text.push_str(path);
        text
    }

    /// Takes a parsed URL.
    pub(crate) fn from_url(mut url: Url) -> Result<Self> {
        let refuse = |why: &'static str, url: &Url| {
            Err(Error::new(ErrorKind::Invalid, "parse url").with_detail(why).with_url(url.as_str()))
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("the scheme is neither http nor https", &url);
        }
        let user = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => {
                let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
                Some((decode(name), Secret::from(decode(password.unwrap_or("")))))
            }
        };
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if url.host_str().is_some_and(|host| host.ends_with('.')) {
            let host = url.host_str().unwrap_or("").trim_end_matches('.').to_owned();
            if url.set_host(Some(&host)).is_err() {
                return refuse("the host is empty", &url);
            }
        }
        url.set_fragment(None);
        if let Some(host) = url.host_str() {
            netcomm_core::Host::parse(host).map_err(|error| error.with_url(url.as_str()))?;
        }
        let uri: Uri = url.as_str().parse().map_err(|error: http::uri::InvalidUri| {
            Error::new(ErrorKind::Invalid, "parse url").with_url(url.as_str()).with_source(error)
        })?;
        match Origin::of(&uri) {
            Some(origin) => Ok(Self { uri, origin, user }),
            None => refuse("no host", &url),
        }
    }
}

/// The origin of a URI that stands in canonical form already.
fn canonical_origin(uri: &Uri) -> Option<Origin> {
    let secure = origin::is_secure(uri)?;
    let authority = uri.authority()?;
    let text = authority.as_str();
    let (host, port) = match text.bytes().rposition(|byte| byte == b':') {
        Some(at) if !text.ends_with(']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    // User information and brackets are no part of a canonical host, so what is taken for one holds neither.
    if !netcomm_core::Host::is_canonical(host) {
        return None;
    }
    let default = origin::default_port(secure);
    let port = match port {
        None => default,
        Some(text) => canonical_port(text).filter(|port| *port != default)?,
    };
    // `http` takes characters as they are that the URL standard encodes.
    if !uri.path_and_query().is_none_or(|path| path.as_str().bytes().all(is_plain_byte)) {
        return None;
    }
    if may_have_dot_segments(uri.path()) { None } else { Origin::of_parts(secure, authority.clone(), host.len(), port) }
}

/// A port in the one spelling that every parser reads alike.
fn canonical_port(text: &str) -> Option<u16> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Whether a path may hold a segment that the WHATWG parser would take out: one that begins with a dot, plain or
/// percent-encoded.
fn may_have_dot_segments(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'/' && matches!(bytes.get(at + 1..), Some([b'.', ..] | [b'%', b'2', b'e' | b'E', ..]))
    })
}

/// Whether text holds only what every parser of URLs reads alike, and stands for itself.
fn is_plain(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://")) && text.bytes().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b':' | b'.' | b'-' | b'_' | b'~' | b'?' | b'=' | b'&' | b'%' | b'+' | b',' | b'[' | b']'
        )
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

/// The request target in origin form (RFC 9112 §3.2.1).
pub(crate) fn origin_form(uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for (text, expected) in [
            ("http://example.com", "http://example.com/"),
            ("http://example.com/a?b=c", "http://example.com/a?b=c"),
            ("HTTP://EXAMPLE.com:80/a b", "http://example.com/a%20b"),
            ("https://example.com:443/", "https://example.com/"),
            ("https://example.com./x", "https://example.com/x"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://[::FFFF:127.0.0.1]:81/", "http://[::ffff:7f00:1]:81/"),
            ("http://example.com/a/../b/./c", "http://example.com/b/c"),
            ("http://example.com:/x", "http://example.com/x"),
            ("http://example.com:0080/x", "http://example.com/x"),
            ("http://example.com/%2e%2e/b", "http://example.com/b"),
            ("http://bücher.example/", "http://xn--bcher-kva.example/"),
            ("http://a.example/#f", "http://a.example/"),
        ] {
            assert_eq!(Address::parse(text, None).expect(text).uri.to_string(), expected);
        }
        for (uri, expected) in [
            ("http://EXAMPLE.com:80/x", "http://example.com/x"),
            ("http://example.com/\u{e4}?\u{f6}", "http://example.com/%C3%A4?%C3%B6"),
            ("http://example.com/\"{|}", "http://example.com/%22%7B|%7D"),
        ] {
            let uri: Uri = uri.parse().expect("uri");
            assert_eq!(Address::from_uri(uri, None).expect("address").uri.to_string(), expected);
        }
    }

    #[test]
    fn an_exact_path_stays_as_it_is() {
        for (uri, expected) in [
            ("http://EXAMPLE.com:80/a/../b/%2e/\\c?{x}|'^", "http://example.com/a/../b/%2e/\\c?{x}|'^"),
            ("https://example.com:8443//", "https://example.com:8443//"),
            ("http://example.com", "http://example.com/"),
        ] {
            let address = Address::from_exact(uri.parse().expect(uri), None).expect(uri);
            assert_eq!(address.uri.to_string(), expected);
            assert_eq!(Some(address.origin.authority()), address.uri.authority().map(http::uri::Authority::as_str));
        }
        let address = Address::from_exact("http://u:p@a.example/../x".parse().expect("uri"), None).expect("address");
        assert_eq!((address.uri.to_string().as_str(), address.user.is_some()), ("http://a.example/../x", true));
        assert!(Address::from_exact("ftp://a.example/x".parse().expect("uri"), None).is_err());
    }

    #[test]
    fn a_uri_of_another_scheme_is_no_relative_path() {
        let base = Url::parse("https://a.example/api/").expect("base");
        for text in ["0tt://bb", "ftp://a.example/", "ws://a.example/"] {
            let error = Address::from_uri(text.parse().expect(text), Some(&base)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "/x",
            "x",
            "ftp://a.example/",
            "file:///etc/passwd",
            "http://",
            "http://a.example/\r\nx",
            "http://a b/",
            "data:,x",
            "http://a.example:x/",
            "http://a..b/",
            "http://a.example:99999/",
            "http://a.example:+81/",
        ] {
            let error = Address::parse(text, None).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn relative_references_and_user_information() {
        let base = Url::parse("https://a.example/api/").expect("base");
        assert_eq!(Address::parse("v1/x?y", Some(&base)).expect("joined").uri, "https://a.example/api/v1/x?y");
        assert_eq!(Address::parse("/x", Some(&base)).expect("joined").uri, "https://a.example/x");
        let address = Address::parse("https://u%40:p%3A@a.example/", None).expect("address");
        assert_eq!(address.uri, "https://a.example/");
        let (name, password) = address.user.expect("user");
        assert_eq!((name.as_str(), password.expose()), ("u@", "p:"));
    }
}
