//! Whether a redirect of a handshake is followed (RFC 6455 §4.1, RFC 9110 §15.4): pure.

use http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, ORIGIN, PROXY_AUTHORIZATION, REFERER};
use http::{HeaderMap, HeaderName, StatusCode};
use netcomm_core::{Error, ErrorKind, Result, is_secret_header};

use super::address::Address;

/// The terms under which redirects are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How many; 0: none, and whoever redirects has refused.
    pub(super) most: usize,
    pub(super) allow_downgrade: bool,
    /// A socket of this machine stands in for the host, so that no other host can be reached.
    pub(super) is_local: bool,
}

/// Decides on an answer: `None` if it is a refusal.
///
/// # Errors
///
/// `Redirect` saying why it is not followed.
pub(super) fn decide(
    from: &Address,
    status: StatusCode,
    headers: &HeaderMap,
    followed: usize,
    terms: Terms,
) -> Result<Option<Address>> {
    if terms.most == 0 || !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let refuse =
        |why: String| Err(Error::new(ErrorKind::Redirect, "follow redirect").with_detail(why).with_status(status));
    if followed >= terms.most {
        return refuse(format!("more than {} redirects", terms.most));
    }
    let Ok(location) = std::str::from_utf8(location.as_bytes()) else {
        return refuse("the Location field is not UTF-8".into());
    };
    let to = match from.join(location) {
        Ok(to) => to,
        Err(error) => return refuse(format!("Location: {}", error.detail().unwrap_or("not a URL"))),
    };
    if from.is_secure && !to.is_secure && !terms.allow_downgrade {
        return refuse("from wss to ws".into());
    }
    if terms.is_local && !from.is_same_origin(&to) {
        return refuse("to another origin, away from the Unix socket".into());
    }
    Ok(Some(to))
}

/// Takes out of the caller's fields what the next hop must not see. What is taken out stays out, also when a later hop
/// leads back.
pub(super) fn strip(headers: &mut HeaderMap, crosses_origin: bool) {
    headers.remove(HOST);
    if !crosses_origin {
        return;
    }
    let is_theirs = |name: &HeaderName| [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, REFERER, ORIGIN].contains(name);
    let gone: Vec<_> = headers
        .iter()
        .filter(|(name, value)| is_theirs(name) || value.is_sensitive() || is_secret_header(name))
        .map(|(name, _)| name.clone())
        .collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TERMS: Terms = Terms { most: 2, allow_downgrade: false, is_local: false };

    fn go(from: &str, status: u16, location: &str, followed: usize, terms: Terms) -> Result<Option<String>> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location.as_bytes()).expect(location))]);
        let status = StatusCode::from_u16(status).expect("status");
        decide(&Address::parse(from).expect(from), status, &headers, followed, terms)
            .map(|to| to.map(|to| to.uri.to_string()))
    }

    #[test]
    fn which_are_followed() {
        let to = |status, followed, terms| go("ws://a.example/x", status, "/y", followed, terms);
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(to(status, 1, TERMS).expect("followed").as_deref(), Some("ws://a.example/y"), "{status}");
            assert_eq!(to(status, 2, TERMS).expect_err("too many").kind(), ErrorKind::Redirect);
            assert_eq!(to(status, 0, Terms { most: 0, ..TERMS }).expect("a refusal"), None);
        }
        for status in [200, 300, 304, 305, 401, 503] {
            assert_eq!(to(status, 0, TERMS).expect("a refusal"), None, "{status}");
        }
        assert_eq!(
            decide(&Address::parse("ws://a/").expect("address"), StatusCode::FOUND, &HeaderMap::new(), 0, TERMS)
                .expect("a refusal")
                .map(|to| to.uri),
            None
        );
    }

    #[test]
    fn where_to() {
        let down = |terms| go("wss://a.example/", 302, "http://a.example/", 0, terms);
        assert!(down(TERMS).expect_err("downgrade").to_string().contains("wss to ws"));
        assert!(down(Terms { allow_downgrade: true, ..TERMS }).is_ok());
        assert!(go("ws://a.example/", 302, "wss://b.example/", 0, TERMS).is_ok());
        let local = Terms { is_local: true, ..TERMS };
        assert!(go("ws://a.example/", 302, "/b", 0, local).is_ok());
        assert!(go("ws://a.example/", 302, "ws://b.example/", 0, local).is_err());
        for location in ["file:///etc/passwd", "javascript:alert(1)", "http://", "ftp://a/"] {
            assert_eq!(go("ws://a/", 302, location, 0, TERMS).expect_err(location).kind(), ErrorKind::Redirect);
        }
    }

    #[test]
    fn nothing_secret_crosses_origins() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "x-session-token", "origin", "host", "referer", "x-own"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let mut marked = HeaderValue::from_static("v");
        marked.set_sensitive(true);
        headers.insert("x-marked", marked);
        let mut same = headers.clone();
        strip(&mut same, false);
        assert_eq!(same.len(), headers.len() - 1, "only Host goes within an origin");
        strip(&mut headers, true);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-own"]);
    }
}
