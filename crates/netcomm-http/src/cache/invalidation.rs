//! What an unsafe request makes invalid (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use url::Url;

use crate::address::Address;

/// The URIs whose stored responses are invalid after that answer: the request's own, and those of the same origin that
/// `Location` and `Content-Location` name. None after a safe method, or an answer that is an error.
pub(crate) fn invalidated(method: &Method, uri: &Uri, status: StatusCode, headers: &HeaderMap) -> Vec<Uri> {
    if method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let mut all = vec![uri.clone()];
    let named = [LOCATION, CONTENT_LOCATION].into_iter().filter_map(|name| resolved(uri, headers.get(name)?));
    for named in named {
        let same_origin = named.scheme() == uri.scheme() && named.authority() == uri.authority();
        if same_origin && !all.contains(&named) {
            all.push(named);
        }
    }
    all
}

/// The canonical URI that a field names, relative to that of its request.
pub(crate) fn resolved(base: &Uri, reference: &HeaderValue) -> Option<Uri> {
    let base = Url::parse(&base.to_string()).ok()?;
    Some(Address::parse(reference.to_str().ok()?, Some(&base)).ok()?.uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_invalid() {
        let uri: Uri = "http://a.example/x".parse().expect("a URI");
        let of = |method: &str, status: u16, location: &str| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let status = StatusCode::from_u16(status).expect("a status");
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().expect("a value"))]);
            let all = invalidated(&method, &uri, status, &headers);
            all.iter().map(|uri| uri.path().to_owned()).collect::<Vec<_>>()
        };
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
            assert_eq!(of(method, 200, "/y"), ["/x", "/y"], "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(of(method, 200, "/y").is_empty(), "{method}");
        }
        assert_eq!(of("POST", 303, "z"), ["/x", "/z"]);
        assert_eq!(of("POST", 201, "http://b.example/y"), ["/x"]);
        assert_eq!(of("POST", 201, "https://a.example/y"), ["/x"]);
        assert_eq!(of("POST", 201, "/x"), ["/x"]);
        for status in [400, 404, 500, 503] {
            assert!(of("POST", status, "/y").is_empty(), "{status}");
        }
    }
}
