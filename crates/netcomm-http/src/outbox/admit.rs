//! Which calls are kept, and what of them is: pure.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Uri};
use netcomm_core::{Error, ErrorKind, Random, Result, is_secret_header, is_secret_query};

use crate::idempotency;

/// The longest order key.
const MAX_ORDER_BYTES: usize = 1024;

/// Whether such a call is kept at all. Secrets are looked for in fields and in the query; what a body holds is not known.
pub(super) fn check(method: &Method, uri: &Uri, headers: &HeaderMap, keeps_secrets: bool) -> Result<()> {
    let refuse = |detail: String| {
        Err(Error::new(ErrorKind::Invalid, "keep call").with_detail(detail).with_url(&uri.to_string()))
    };
    if method.is_safe() || *method == Method::CONNECT {
        return refuse(format!("{method} changes nothing, so that there is nothing to be kept"));
    }
    if keeps_secrets {
        return Ok(());
    }
    if let Some((name, _)) = headers.iter().find(|(name, value)| value.is_sensitive() || is_secret_header(name)) {
        return refuse(format!("the field {name} is a secret, which is not written to disk (setting keep_secrets)"));
    }
    let pairs = uri.query().map(|query| url::form_urlencoded::parse(query.as_bytes()));
    if let Some((name, _)) = pairs.into_iter().flatten().find(|(name, _)| is_secret_query(name)) {
        return refuse(format!(
            "the query parameter {name:?} is a secret, which is not written to disk (setting keep_secrets)"
        ));
    }
    Ok(())
}

pub(super) fn check_order(order: &str) -> Result<()> {
    if order.len() > MAX_ORDER_BYTES {
        let detail = format!("an order key is longer than {MAX_ORDER_BYTES} bytes");
        return Err(Error::new(ErrorKind::Invalid, "keep call").with_detail(detail));
    }
    Ok(())
}

/// Takes out what is about one sending and not about the request.
pub(super) fn strip(headers: &mut HeaderMap) {
    // The body is whole by then, and its framing made anew.
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
}

/// The request's idempotency key; it is given one if it has none.
pub(crate) fn idempotency_key<'a>(headers: &'a mut HeaderMap, random: &Random) -> Result<&'a str> {
    let value = headers.entry(idempotency::KEY).or_insert_with(|| idempotency::made(random));
    value.to_str().map_err(|error| {
        Error::new(ErrorKind::Invalid, "keep call").with_detail("the idempotency key is no text").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_kept() {
        let plain = fields(&[("content-type", "text/plain"), ("idempotency-key", "k")]);
        let (mut marked, mut secret) = (HeaderMap::new(), HeaderValue::from_static("hunter2"));
        secret.set_sensitive(true);
        marked.insert("x-own", secret);
        for (method, url, headers, refused) in [
            ("POST", "http://a.example/?a=b", &plain, None),
            ("DELETE", "http://a.example/", &plain, None),
            ("PURGE", "http://a.example/", &plain, None),
            ("GET", "http://a.example/", &plain, Some("GET")),
            ("HEAD", "http://a.example/", &plain, Some("HEAD")),
            ("OPTIONS", "http://a.example/", &plain, Some("OPTIONS")),
            ("CONNECT", "http://a.example/", &plain, Some("CONNECT")),
            ("PUT", "http://a.example/", &fields(&[("authorization", "Bearer hunter2")]), Some("authorization")),
            ("PUT", "http://a.example/", &fields(&[("cookie", "s=hunter2")]), Some("cookie")),
            ("PUT", "http://a.example/", &marked, Some("x-own")),
            ("PUT", "http://a.example/?x=1&access%5Ftoken=hunter2", &plain, Some("access_token")),
        ] {
            let (method, uri) = (method.parse::<Method>().expect("a method"), url.parse::<Uri>().expect("a URI"));
            let checked = check(&method, &uri, headers, false);
            match refused {
                None => assert!(checked.is_ok(), "{method} {url}"),
                Some(named) => {
                    let error = checked.expect_err("refused");
                    assert_eq!(error.kind(), ErrorKind::Invalid);
                    assert!(error.detail().is_some_and(|detail| detail.contains(named)), "{error}");
                    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
                }
            }
            assert_eq!(check(&method, &uri, headers, true).is_err(), refused == Some(method.as_str()));
        }
        assert!(check_order(&"x".repeat(1024)).is_ok() && check_order(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn keys_are_strings_of_128_bits_that_do_not_meet() {
        let random = Random::seeded(1);
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..100 {
            let mut headers = HeaderMap::new();
            keys.push(idempotency_key(&mut headers, &random).expect("made").to_owned());
            assert_eq!(headers["idempotency-key"], keys[keys.len() - 1]);
            assert_eq!(idempotency_key(&mut headers, &random).expect("there"), keys[keys.len() - 1], "it stays");
        }
        let is_key = |key: &String| {
            key.len() == 34 && key.starts_with('"') && key[1..33].bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        assert!(keys.iter().all(is_key), "{keys:?}");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 100);
        let mut odd = HeaderMap::new();
        odd.insert(idempotency::KEY, HeaderValue::from_bytes(b"\xff").expect("a value"));
        assert!(idempotency_key(&mut odd, &random).is_err());
    }
}
