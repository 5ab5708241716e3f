//! A server that says no, and what it says with it: pure.

use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use netcomm_core::{Error, ErrorKind, Redacted};

use super::OPERATION;

/// As much of a refusal's body as is kept.
pub(crate) const BODY_BYTES: usize = 4096;

/// What is longer is not believed: ten years.
const ABSURD_SECS: u64 = 10 * 365 * 24 * 3600;

/// An answer that opens no WebSocket connection: the [`source`](StdError::source) of errors of kind
/// [`Status`](ErrorKind::Status).
#[derive(Clone)]
#[non_exhaustive]
pub struct Refused {
    /// Its status: 401, 403, 404, 503, also 200 where something else than a WebSocket server answers.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// The beginning of its body, at most 4 KiB, as it came; empty if it did not come soon.
    pub body: Bytes,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The error of this refusal. `now` and `wall` are the same moment; `wall` is asked only if the answer names a date.
    pub(crate) fn into_error(self, now: Instant, wall: impl FnOnce() -> SystemTime) -> Error {
        let error = Error::new(ErrorKind::Status, OPERATION).with_status(self.status);
        let error = match retry_after(&self.headers, wall).and_then(|wait| now.checked_add(wait)) {
            Some(at) => error.with_retry_at(at),
            None => error,
        };
        error.with_source(self)
    }
}

/// How long an answer asks to wait (RFC 9110 §10.2.3). What cannot be read says nothing.
fn retry_after(headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX).min(ABSURD_SECS)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    // The peer's own date tells how far its clock is from ours.
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(at.duration_since(date.unwrap_or_else(wall)).unwrap_or_default())
}

/// How many bytes the body of a refusal over HTTP/1.1 has, as far as anybody wants to know; `None` if its head does not
/// tell, so that the end of the connection, or of the patience, ends it too.
pub(crate) fn length_of(status: StatusCode, headers: &HeaderMap) -> Option<usize> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The beginning of a chunked body, and whether its end has come (RFC 9112 §7.1). What is broken ends it.
pub(crate) fn chunked_start(mut coded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    while plain.len() < BODY_BYTES {
        let (at, size) = match httparse::parse_chunk_size(coded) {
            Ok(httparse::Status::Complete((at, size))) => (at, usize::try_from(size).unwrap_or(usize::MAX)),
            Ok(httparse::Status::Partial) => return (plain, false),
            Err(_) => return (plain, true),
        };
        let came = &coded[at..];
        plain.extend_from_slice(&came[..came.len().min(size).min(BODY_BYTES - plain.len())]);
        if size == 0 {
            return (plain, true);
        }
        match came.get(size..).and_then(|rest| rest.get(2..)) {
            Some(rest) => coded = rest,
            None => break,
        }
    }
    let is_full = plain.len() >= BODY_BYTES;
    (plain, is_full)
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A body may be anything, a secret too: only its size is shown.
        f.debug_struct("Refused")
            .field("status", &self.status)
            .field("headers", &Redacted(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)
    }
}

impl StdError for Refused {}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn refused(status: u16, fields: &[(&'static str, &'static str)]) -> Refused {
        let headers =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).expect("status");
        Refused::new(status, headers.collect(), Bytes::from_static(b"no"))
    }

    #[test]
    fn when_to_come_back() {
        let wall = httpdate::parse_http_date(NOW).expect("a date");
        let now = Instant::now();
        for (fields, expected) in [
            (&[("retry-after", "120")][..], Some(120)),
            (&[("retry-after", " 0 ")], Some(0)),
            (&[("retry-after", "99999999999999999999")], Some(ABSURD_SECS)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60)),
            (&[("retry-after", "Sunday, 06-Nov-94 08:49:47 GMT")], Some(10)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:50:30 GMT")], Some(7)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1.5")], None),
            (&[], None),
        ] {
            let error = refused(503, fields).into_error(now, || wall);
            let wait = error.retry_at().map(|at| at.duration_since(now).as_secs());
            assert_eq!((wait, error.is_retryable()), (expected, true), "{fields:?}");
        }
    }

    #[test]
    fn what_was_answered_can_be_had_and_no_secret_is_shown() {
        let error = refused(401, &[("set-cookie", "id=hidden"), ("www-authenticate", "Bearer")])
            .into_error(Instant::now(), SystemTime::now);
        assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::UNAUTHORIZED)));
        let source = error.source().and_then(|source| source.downcast_ref::<Refused>()).expect("its source");
        assert_eq!((source.headers["set-cookie"].as_bytes(), &source.body[..]), (&b"id=hidden"[..], &b"no"[..]));
        let shown = format!("{source:?} {source} {error:?}");
        assert!(shown.contains("www-authenticate") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn how_long_a_body_is() {
        let length = |status, fields: &[_]| {
            let refused = refused(status, fields);
            length_of(refused.status, &refused.headers)
        };
        assert_eq!(length(403, &[("content-length", "12")]), Some(12));
        assert_eq!(length(403, &[("content-length", "x")]), None);
        assert_eq!(length(403, &[("content-length", "12"), ("transfer-encoding", "chunked")]), None);
        assert_eq!(length(204, &[]), Some(0));
        assert_eq!(length(403, &[]), None);
    }

    #[test]
    fn the_beginning_of_a_chunked_body() {
        let whole = b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n";
        for at in 0..whole.len() {
            let (plain, ended) = chunked_start(&whole[..at]);
            assert!(b"Wikipedia".starts_with(&plain[..]), "{at}");
            // The last line of all is of no interest.
            assert_eq!(ended, at >= whole.len() - 2, "{at}");
        }
        assert_eq!(chunked_start(whole), (b"Wikipedia".to_vec(), true));
        assert_eq!(chunked_start(b"zz\r\n"), (Vec::new(), true));
        let (plain, ended) = chunked_start(&[b"fffff\r\n".as_slice(), &[b'x'; 5000]].concat());
        assert_eq!((plain.len(), ended), (BODY_BYTES, true));
        assert!(!chunked_start(b"ffffffffffffffff\r\nx").1);
    }
}
