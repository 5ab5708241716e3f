//! One proxy: how it is written, and how it is shown.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use netcomm_core::{Error, ErrorKind, Host, Secret};
use percent_encoding::percent_decode_str;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    Socks5,
    Socks5h,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

/// As whom one appears before a proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// Why a proxy cannot be used. Never quotes more of a URL than its scheme: the rest can hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    kind: ErrorKind,
    detail: String,
}

impl Fault {
    fn invalid(detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, detail: detail.into() }
    }

    /// The same, with where the URL was found.
    pub(crate) fn of(self, place: impl fmt::Display) -> Self {
        Self { detail: format!("{}, in {place}", self.detail), ..self }
    }

    pub(crate) fn error(&self) -> Error {
        Error::new(self.kind, "choose proxy").with_detail(self.detail.clone())
    }
}

impl Scheme {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            "socks5" => Ok(Self::Socks5),
            "socks5h" => Ok(Self::Socks5h),
            // RFC 3986 §3.1: what cannot be a scheme is not quoted, it may be anything.
            other if other.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
                Err(Fault { kind: ErrorKind::Unsupported, detail: format!("proxies by {other}:// are not supported") })
            }
            _ => Err(Fault::invalid("malformed proxy scheme")),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

impl Server {
    /// Reads `[scheme://][user[:password]@]host[:port][/]`.
    pub(crate) fn parse(url: &str) -> Result<Self, Fault> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = Scheme::parse(scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(Fault::invalid("a proxy's url has no path, and these characters are encoded in passwords"));
        }
        let (user_info, place) = match authority.split_once('@') {
            Some((_, place)) if place.contains('@') => {
                return Err(Fault::invalid("an @ in a password is written %40"));
            }
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        let host = Host::parse(host).map_err(|_| Fault::invalid("malformed proxy host"))?;
        let port = match port {
            "" => scheme.default_port(),
            port => {
                port.parse().ok().filter(|&port| port != 0).ok_or_else(|| Fault::invalid("malformed proxy port"))?
            }
        };
        let server = Self { scheme, host, port, credentials: None };
        let Some(user_info) = user_info else {
            return Ok(server);
        };
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let decode = |text| percent_decode_str(text).decode_utf8().map(String::from);
        match (decode(user), decode(password)) {
            (Ok(user), Ok(password)) => server.or_credentials(user, password.into()),
            _ => Err(Fault::invalid("user and password of a proxy are UTF-8")),
        }
    }

    /// The same with those credentials, unless it has some.
    pub(crate) fn or_credentials(mut self, user: String, password: Secret) -> Result<Self, Fault> {
        if self.credentials.is_some() {
            return Ok(self);
        }
        if self.scheme.is_socks() {
            // RFC 1929 §2 has one byte for each length, and none of them is zero.
            if [user.len(), password.expose().len()].iter().any(|length| !(1..=255).contains(length)) {
                return Err(Fault::invalid("user and password of a SOCKS proxy have 1 to 255 bytes each"));
            }
        } else if user.contains(':') {
            // RFC 7617 §2
            return Err(Fault::invalid("the user of a proxy has no colon"));
        }
        self.credentials = Some(Credentials { user, password });
        Ok(self)
    }

    /// The value for `Proxy-Authorization` (RFC 7617), marked as sensitive.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 is visible ASCII");
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", if self.credentials.is_some() { " with credentials" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        for (url, expected) in [
            ("http://p.example:3128", "http://p.example:3128"),
            ("p.example:3128", "http://p.example:3128"),
            ("p.example", "http://p.example:80"),
            ("HTTPS://P.Example/", "https://p.example:443"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://user:hunter2@p.example:", "http://p.example:80 with credentials"),
            ("user:hunter2@p.example:1", "http://p.example:1 with credentials"),
        ] {
            let server = Server::parse(url).expect(url);
            assert_eq!(format!("{server:?}"), expected);
        }
        let server = Server::parse("http://us%40er:p%2Fw%3a@p.example").expect("a proxy");
        let credentials = server.credentials.as_ref().expect("credentials");
        assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("us@er", "p/w:"));
        let value = server.authorization().expect("credentials");
        assert_eq!((value.is_sensitive(), value.to_str().ok()), (true, Some("Basic dXNAZXI6cC93Og==")));
    }

    #[test]
    fn what_is_refused_is_not_quoted() {
        for (url, kind) in [
            ("ftp://u:hunter2@p.example", ErrorKind::Unsupported),
            ("socks4://p.example", ErrorKind::Unsupported),
            ("hunter2 x://p.example", ErrorKind::Invalid),
            ("http://u:hunter2@x@p.example", ErrorKind::Invalid),
            ("http://u:hunter2/@p.example", ErrorKind::Invalid),
            ("http://u:hunter2?@p.example", ErrorKind::Invalid),
            ("http://p.example/path", ErrorKind::Invalid),
            ("http://p.example:0", ErrorKind::Invalid),
            ("http://p.example:99999", ErrorKind::Invalid),
            ("http://p.example:hunter2", ErrorKind::Invalid),
            ("http://", ErrorKind::Invalid),
            ("", ErrorKind::Invalid),
            ("http://u:%ff@p.example", ErrorKind::Invalid),
            ("http://u%3a:hunter2@p.example", ErrorKind::Invalid),
            ("socks5://hunter2@p.example", ErrorKind::Invalid),
        ] {
            let fault = Server::parse(url).expect_err(url);
            assert_eq!(fault.kind, kind, "{url}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }
}
