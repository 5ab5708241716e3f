//! Cookies as HAR lists them. Their values are hidden by then.

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use serde::Serialize;

use super::dates;

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cookie {
    name: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    same_site: Option<String>,
}

/// Those that a request sends (RFC 6265 §4.2).
pub(super) fn sent(headers: &HeaderMap) -> Vec<Cookie> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(';')).map(pair).collect()
}

/// Those that a response sets (RFC 6265 §4.1).
pub(super) fn set(headers: &HeaderMap) -> Vec<Cookie> {
    let fields = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    fields.map(one).collect()
}

fn one(field: &str) -> Cookie {
    let mut parts = field.split(';');
    let mut cookie = pair(parts.next().unwrap_or_default());
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value.to_owned()),
            "domain" => cookie.domain = Some(value.to_owned()),
            "expires" => cookie.expires = dates::iso_of_http(value),
            "httponly" => cookie.http_only = Some(true),
            "secure" => cookie.secure = Some(true),
            "samesite" => cookie.same_site = Some(value.to_owned()),
            _ => {}
        }
    }
    cookie
}

fn pair(pair: &str) -> Cookie {
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    Cookie { name: name.trim().to_owned(), value: value.trim().to_owned(), ..Cookie::default() }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn attributes_are_told_apart() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=***; b=***"));
        headers.insert(
            SET_COOKIE,
            HeaderValue::from_static(
                "sid=***; Path=/x; Domain=a.example; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; HttpOnly; SameSite=Lax",
            ),
        );
        let names: Vec<_> = sent(&headers).into_iter().map(|cookie| (cookie.name, cookie.value)).collect();
        assert_eq!(names, [("a".into(), "***".into()), ("b".into(), "***".into())]);
        let expected = Cookie {
            name: "sid".into(),
            value: "***".into(),
            path: Some("/x".into()),
            domain: Some("a.example".into()),
            expires: Some("1994-11-06T08:49:37.000Z".into()),
            http_only: Some(true),
            secure: Some(true),
            same_site: Some("Lax".into()),
        };
        assert_eq!(set(&headers), [expected]);
    }
}
