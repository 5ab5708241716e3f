//! What must never be seen: secrets in values, headers and URLs.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

/// A text that shows itself to no `Debug` and no `Display`: a token, a password.
///
/// Cheap to clone. Comparison takes the same time wherever the texts differ (their length is not hidden).
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever calls this is responsible for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Whether a header's value is a secret by its name: `authorization`, `proxy-authorization`, `cookie`, `set-cookie`,
/// `x-api-key`, `x-auth-token`, and every name that ends in `-token`, `-secret`, `-key` or `-password`.
///
/// `sec-websocket-key` is not one: RFC 6455 §1.3 makes it a nonce.
#[must_use]
pub fn is_secret_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "authorization" | "proxy-authorization" | "cookie" | "cookie2" | "set-cookie" | "apikey" | "api-key" | "token"
    ) || (name != "sec-websocket-key"
        && name != "idempotency-key"
        && ["-token", "-secret", "-key", "-password", "-apikey", "-signature"].iter().any(|end| name.ends_with(end)))
}

/// Whether a query parameter is a secret by its name (case does not matter): `access_token`, `token`, `key`, `sig`,
/// `signature`, `code`, `password`, `api_key` and their like.
#[must_use]
pub fn is_secret_query(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "key" | "sig" | "signature" | "code" | "password" | "passwd" | "pwd" | "auth" | "credential" | "jwt" | "apikey"
    ) || ["token", "secret", "_key", "-key", "-signature", "-credential"].iter().any(|end| name.ends_with(end))
}

/// The URL without user information, query and fragment. Text that is no URL is cut the same way.
#[must_use]
pub fn redact_url(url: &str) -> String {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some(start) = url.find("://").map(|at| at + 3).or_else(|| url.starts_with("//").then_some(2)) else {
        // No authority: an `@` before the first slash could still be user information of a malformed URL.
        let head = url.find('/').unwrap_or(url.len());
        return url[..head].rfind('@').map_or_else(|| url.to_owned(), |at| url[at + 1..].to_owned());
    };
    let end = url[start..].find(['/', '\\']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Shows headers in `Debug` with the values of secret ones as `***`.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a HeaderMap);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.0 {
            if value.is_sensitive() || is_secret_header(name) {
                map.entry(&name.as_str(), &"***");
            } else {
                map.entry(&name.as_str(), value);
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn urls_lose_what_is_secret() {
        for (url, expected) in [
            ("https://a.example/x", "https://a.example/x"),
            ("https://u:p@a.example/x?q=1#f", "https://a.example/x"),
            ("https://u:p@q@a.example", "https://a.example"),
            ("//u:p@a.example/x", "//a.example/x"),
            ("https://a.example/x@y", "https://a.example/x@y"),
            ("u:p@a.example/x", "a.example/x"),
            ("/path?token=1", "/path"),
            ("", ""),
        ] {
            assert_eq!(redact_url(url), expected, "{url}");
        }
    }

    #[test]
    fn secret_names() {
        for name in ["authorization", "cookie", "x-api-key", "x-goog-api-key", "x-csrf-token", "client-secret"] {
            assert!(is_secret_header(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["accept", "sec-websocket-key", "idempotency-key", "etag", "keep-alive"] {
            assert!(!is_secret_header(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["access_token", "Token", "sig", "X-Amz-Signature", "api_key"] {
            assert!(is_secret_query(name), "{name}");
        }
        assert!(!is_secret_query("page"));
    }

    #[test]
    fn debug_hides() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer hunter2"));
        let mut marked = HeaderValue::from_static("hunter2");
        marked.set_sensitive(true);
        headers.insert("x-plain", marked);
        headers.insert("accept", HeaderValue::from_static("text/html"));
        let text = format!("{:?} {:?}", Redacted(&headers), Secret::from("hunter2"));
        assert!(!text.contains("hunter2") && text.contains("text/html"), "{text}");
        assert!(Secret::from("a") == Secret::from("a") && Secret::from("a") != Secret::from("b"));
    }
}
