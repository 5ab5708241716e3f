//! What a caller writes as an address, made into one absolute, canonical URI.

use http::Uri;
use http::uri::PathAndQuery;
use netcomm_core::{Error, ErrorKind, Result, Secret};
use url::Url;

use crate::origin::Origin;

/// Something that names a resource: text, an [`http::Uri`], or a reference to either. Relative references are resolved
/// against the client's base URL.
///
/// Sealed: text and `http::Uri` are all there is.
pub trait IntoAddress: sealed::IntoAddress {}

impl<T: sealed::IntoAddress> IntoAddress for T {}

mod sealed {
    use http::Uri;

    use super::Address;
    use url::Url;

    #[expect(unnameable_types, reason = "the trait is sealed by being out of reach")]
    pub trait IntoAddress {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address>;
    }

    impl IntoAddress for &str {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address> {
            Address::parse(self, base)
        }
    }

    impl IntoAddress for String {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address> {
            Address::parse(&self, base)
        }
    }

    impl IntoAddress for &String {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address> {
            Address::parse(self, base)
        }
    }

    impl IntoAddress for Uri {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address> {
            Address::from_uri(self, base)
        }
    }

    impl IntoAddress for &Uri {
        fn into_address(self, base: Option<&Url>) -> netcomm_core::Result<Address> {
            Address::from_uri(self.clone(), base)
        }
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
            None => Self::parse(&uri.to_string(), base),
        }
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
    let authority = uri.authority()?;
    let bare = authority.as_str().len() == authority.host().len();
    let plain = netcomm_core::Host::is_canonical(authority.host())
        && !authority.as_str().contains('@')
        // What follows the host must be a number: `http` lets through what is none.
        && (bare || uri.port_u16().is_some_and(|port| port > 0))
        && uri.port_u16() != if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) };
    if !plain || uri.path().contains("/.") || uri.path().contains("%2e") || uri.path().contains("%2E") {
        return None;
    }
    Origin::of(uri)
}

/// Whether text holds only what every parser of URLs reads alike, and stands for itself.
fn is_plain(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://"))
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'/' | b':' | b'.' | b'-' | b'_' | b'~' | b'?' | b'=' | b'&' | b'%' | b'+' | b',' | b'[' | b']')
        })
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
        let uri: Uri = "http://EXAMPLE.com:80/x".parse().expect("uri");
        assert_eq!(Address::from_uri(uri, None).expect("address").uri.to_string(), "http://example.com/x");
    }

    #[test]
    fn what_is_no_address() {
        for text in ["", "/x", "x", "ftp://a.example/", "file:///etc/passwd", "http://", "http://a.example/\r\nx", "http://a b/", "data:,x", "http://a.example:x/", "http://a.example:99999/"] {
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
