//! Whether and how a redirect is followed (RFC 9110 §15.4): pure.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST,
    LOCATION, PROXY_AUTHORIZATION, REFERER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use netcomm_core::{Error, ErrorKind, Result, is_secret_header};
use url::Url;

use crate::address::Address;

/// What a client does with redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirects {
    /// Follows them, at most [`Limits::redirects`](netcomm_core::Limits::redirects) in one call; one more is an error.
    /// The default.
    #[default]
    Follow,
    /// Gives the redirecting response to the caller.
    Manual,
}

/// What to do next.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) address: Address,
    pub(crate) method: Method,
    pub(crate) keeps_body: bool,
    pub(crate) crosses_origin: bool,
}

/// The terms under which redirects are followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) mode: Redirects,
    pub(crate) most: usize,
    pub(crate) allow_downgrade: bool,
}

/// Decides on a response: `None` if it is the answer.
pub(crate) fn decide(
    from: &Address,
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    followed: usize,
    terms: Terms,
) -> Result<Option<Follow>> {
    if terms.mode == Redirects::Manual || !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let refuse = |why: String| {
        Err(Error::new(ErrorKind::Redirect, "follow redirect")
            .with_detail(why)
            .with_status(status)
            .with_url(&from.uri.to_string()))
    };
    if followed >= terms.most {
        return refuse(format!("more than {} redirects (limit redirects)", terms.most));
    }
    let Ok(location) = std::str::from_utf8(location.as_bytes()) else {
        return refuse("the Location field is not UTF-8".into());
    };
    let address = match resolve(&from.uri, location) {
        Ok(address) => address,
        Err(error) => return refuse(format!("Location: {}", error.detail().unwrap_or("not a URL"))),
    };
    if from.origin.is_secure() && !address.origin.is_secure() && !terms.allow_downgrade {
        return refuse("from https to http".into());
    }
    // RFC 9110 §15.4.2-4: 301 and 302 turn POST into GET as every user agent does; 303 turns all but HEAD.
    let (method, keeps_body) = match status.as_u16() {
        301 | 302 if *method == Method::POST => (Method::GET, false),
        303 if *method != Method::GET && *method != Method::HEAD => (Method::GET, false),
        _ => (method.clone(), true),
    };
    let crosses_origin = address.origin != from.origin;
    Ok(Some(Follow { address, method, keeps_body, crosses_origin }))
}

fn resolve(from: &Uri, location: &str) -> Result<Address> {
    let base = Url::parse(&from.to_string())
        .map_err(|error| Error::new(ErrorKind::Invalid, "parse url").with_source(error))?;
    let mut address = Address::parse(location, Some(&base))?;
    // Whoever redirects has no say in the credentials that are used.
    address.user = None;
    Ok(address)
}

/// Takes out of the caller's header fields what the next hop must not see. What is taken out stays out, also when a
/// later hop leads back.
pub(crate) fn strip(headers: &mut HeaderMap, follow: &Follow, secret: &[HeaderName]) {
    if !follow.keeps_body {
        for name in
            [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, TRANSFER_ENCODING]
        {
            headers.remove(name);
        }
    }
    headers.remove(HOST);
    if follow.crosses_origin {
        let gone: Vec<HeaderName> = headers
            .iter()
            .filter(|(name, value)| {
                **name == AUTHORIZATION
                    || **name == COOKIE
                    || **name == PROXY_AUTHORIZATION
                    || **name == REFERER
                    || name.as_str() == "origin"
                    || value.is_sensitive()
                    || is_secret_header(name)
                    || secret.contains(name)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TERMS: Terms = Terms { mode: Redirects::Follow, most: 10, allow_downgrade: false };

    fn go(from: &str, method: &str, status: u16, location: &str) -> Result<Option<Follow>> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).expect(location));
        let method = Method::from_bytes(method.as_bytes()).expect(method);
        let status = StatusCode::from_u16(status).expect("status");
        decide(&Address::parse(from, None).expect(from), &method, status, &headers, 0, TERMS)
    }

    #[test]
    fn methods_and_bodies() {
        for (status, method, then, keeps_body) in [
            (301, "GET", "GET", true),
            (301, "POST", "GET", false),
            (302, "POST", "GET", false),
            (301, "PUT", "PUT", true),
            (303, "PUT", "GET", false),
            (303, "HEAD", "HEAD", true),
            (303, "GET", "GET", true),
            (307, "POST", "POST", true),
            (308, "POST", "POST", true),
        ] {
            let follow = go("http://a.example/x/y", method, status, "z").expect("followed").expect("redirect");
            assert_eq!((follow.method.as_str(), follow.keeps_body), (then, keeps_body), "{status} {method}");
            assert_eq!(follow.address.uri, "http://a.example/x/z");
            assert!(!follow.crosses_origin);
        }
        for status in [200, 300, 304, 305, 306, 400] {
            assert!(go("http://a.example/", "GET", status, "/z").expect("no redirect").is_none(), "{status}");
        }
    }

    #[test]
    fn where_to() {
        for (location, then, crosses) in [
            ("//b.example/", "http://b.example/", true),
            ("http://a.example:81/", "http://a.example:81/", true),
            ("https://a.example/", "https://a.example/", true),
            ("http://A.example:80/b", "http://a.example/b", false),
            ("?q", "http://a.example/x?q", false),
            ("#f", "http://a.example/x", false),
            ("http://u:p@b.example/", "http://b.example/", true),
            ("http://2130706433/", "http://127.0.0.1/", true),
            ("http://0x7f.1/", "http://127.0.0.1/", true),
        ] {
            let follow = go("http://a.example/x", "GET", 302, location).expect(location).expect(location);
            assert_eq!((follow.address.uri.to_string().as_str(), follow.crosses_origin), (then, crosses), "{location}");
            assert!(follow.address.user.is_none());
        }
        for location in [
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:alert(1)",
            "http://",
            "http://[::1",
            "ftp://a/",
            "http://a b/",
        ] {
            let error = go("http://a.example/x", "GET", 302, location).expect_err(location);
            assert_eq!(error.kind(), ErrorKind::Redirect, "{location}");
        }
        let error = go("https://a.example/", "GET", 302, "http://a.example/").expect_err("downgrade");
        assert!(error.to_string().contains("https to http"), "{error}");
    }

    #[test]
    fn how_often() {
        let from = Address::parse("http://a.example/", None).expect("address");
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("/"));
        let terms = Terms { most: 2, ..TERMS };
        assert!(decide(&from, &Method::GET, StatusCode::FOUND, &headers, 1, terms).is_ok());
        assert!(decide(&from, &Method::GET, StatusCode::FOUND, &headers, 2, terms).is_err());
        let manual = Terms { mode: Redirects::Manual, ..terms };
        assert!(decide(&from, &Method::GET, StatusCode::FOUND, &headers, 2, manual).expect("manual").is_none());
    }

    #[test]
    fn nothing_secret_crosses_origins() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "x-api-key",
            "x-own",
            "accept",
            "content-type",
            "host",
            "referer",
            "x-session-token",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let mut marked = HeaderValue::from_static("v");
        marked.set_sensitive(true);
        headers.insert("x-marked", marked);
        let own = [HeaderName::from_static("x-own")];
        let mut follow = go("http://a.example/", "POST", 307, "/b").expect("followed").expect("redirect");
        let mut same = headers.clone();
        strip(&mut same, &follow, &own);
        assert_eq!(same.len(), headers.len() - 1, "only Host goes within an origin");
        follow.crosses_origin = true;
        let mut crossed = headers.clone();
        strip(&mut crossed, &follow, &own);
        let mut left: Vec<_> = crossed.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-type"]);
    }
}
