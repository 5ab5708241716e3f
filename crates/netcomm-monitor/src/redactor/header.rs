//! One header field as it may be shown: pure.

use http::header::{
    AUTHORIZATION, CONTENT_LOCATION, COOKIE, LINK, LOCATION, PROXY_AUTHORIZATION, REFERER, REFRESH, SET_COOKIE,
};
use http::{HeaderName, HeaderValue};

use super::{HIDDEN, Redactor};

/// The schemes whose names are shown. Of another, who knows where the secret begins?
const SCHEMES: [&str; 5] = ["Basic", "Bearer", "Digest", "Negotiate", "AWS4-HMAC-SHA256"];

pub(super) fn redact(redactor: &Redactor, name: &HeaderName, value: &HeaderValue) -> HeaderValue {
    let shown = if *name == COOKIE {
        Some(cookies(value.as_bytes()))
    } else if *name == SET_COOKIE {
        Some(set_cookie(value.as_bytes()))
    } else if *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION {
        Some(credentials(value.as_bytes()))
    } else if value.is_sensitive() || redactor.hides_header(name) {
        Some(HIDDEN.to_owned())
    } else if [LOCATION, CONTENT_LOCATION, REFERER, LINK, REFRESH].contains(name) {
        Some(redactor.url(&String::from_utf8_lossy(value.as_bytes())))
    } else {
        None
    };
    match shown {
        // What cannot be written is not shown either.
        Some(shown) => HeaderValue::from_bytes(shown.as_bytes()).unwrap_or(HeaderValue::from_static(HIDDEN)),
        None => value.clone(),
    }
}

/// RFC 6265 §4.2: names stay, values go. What has no name is a value.
fn cookies(value: &[u8]) -> String {
    let pairs: Vec<_> = value.split(|&byte| byte == b';').map(pair).collect();
    pairs.join("; ")
}

/// RFC 6265 §4.1: of the first pair the name stays, of the rest all does.
fn set_cookie(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    format!("{}{}", pair(&value[..end]), String::from_utf8_lossy(&value[end..]))
}

fn pair(pair: &[u8]) -> String {
    match pair.iter().position(|&byte| byte == b'=') {
        Some(at) => format!("{}={HIDDEN}", String::from_utf8_lossy(pair[..at].trim_ascii())),
        None => HIDDEN.to_owned(),
    }
}

fn credentials(value: &[u8]) -> String {
    let scheme = SCHEMES.iter().find(|scheme| {
        let (start, rest) = value.split_at(scheme.len().min(value.len()));
        start.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first() == Some(&b' ')
    });
    scheme.map_or_else(|| HIDDEN.to_owned(), |scheme| format!("{scheme} {HIDDEN}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_goes_and_what_is_not_stays() {
        let redactor = Redactor::new().with_headers([HeaderName::from_static("x-own")]);
        for (name, value, expected) in [
            ("accept", "text/html", "text/html"),
            ("authorization", "Bearer hunter2", "Bearer ***"),
            ("authorization", "basic aHVudGVyMg==", "Basic ***"),
            ("authorization", "hunter2", "***"),
            ("authorization", "Own hunter2", "***"),
            ("proxy-authorization", "Basic hunter2", "Basic ***"),
            ("cookie", "a=hunter2; b=hunter2=hunter2", "a=***; b=***"),
            ("cookie", "hunter2", "***"),
            ("set-cookie", "sid=hunter2; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
            ("x-api-key", "hunter2", "***"),
            ("x-own", "hunter2", "***"),
            (
                "location",
                "https://u:hunter2@a.example/cb?state=1&code=hunter2",
                "https://***@a.example/cb?state=1&code=***",
            ),
            ("referer", "https://a.example/?token=hunter2#x", "https://a.example/?token=***#x"),
            ("link", "<https://a.example/?token=hunter2>; rel=next", "<https://a.example/?token=***>; rel=next"),
            ("refresh", "5; url=/?sig=hunter2", "5; url=/?sig=***"),
        ] {
            let shown = redactor.header(&HeaderName::from_static(name), &HeaderValue::from_static(value));
            assert_eq!(shown, expected, "{name}: {value}");
        }
    }

    #[test]
    fn what_is_marked_goes_whatever_its_name() {
        let mut value = HeaderValue::from_static("hunter2");
        value.set_sensitive(true);
        let shown = Redactor::new().header(&HeaderName::from_static("x-plain"), &value);
        assert_eq!(format!("{shown:?}"), "\"***\"");
    }
}
