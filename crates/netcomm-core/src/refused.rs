//! A server that says no, and what it says with it: pure.

use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::error::{Error, ErrorKind};
use crate::redact::Redacted;

/// What is longer is not believed: ten years.
const ABSURD_SECS: u64 = 10 * 365 * 24 * 3600;

/// An answer that does not open what was asked for, a WebSocket or an event stream: the [`source`](StdError::source) of
/// errors of kind [`Status`](ErrorKind::Status).
#[derive(Clone)]
#[non_exhaustive]
pub struct Refused {
    /// Its status: 401, 403, 404, 503, also 200 where something else answers.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// The beginning of its body, at most some KiB, as it came; empty if it did not come soon.
    pub body: Bytes,
}

impl Refused {
    /// Such an answer.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The error of this refusal, of kind [`Status`](ErrorKind::Status), with what `Retry-After` says. `now` and `wall` are
    /// the same moment; `wall` is asked only if the answer names a date.
    #[must_use]
    pub fn into_error(self, operation: &'static str, now: Instant, wall: impl FnOnce() -> SystemTime) -> Error {
        let error = Error::new(ErrorKind::Status, operation).with_status(self.status);
        let error = match retry_after(&self.headers, wall).and_then(|wait| now.checked_add(wait)) {
            Some(at) => error.with_retry_at(at),
            None => error,
        };
        error.with_source(self)
    }
}

/// How long an answer asks to wait (`Retry-After`, RFC 9110 §10.2.3), a date by the clock that its own `Date` shows; of several
/// values the longest wait, at most ten years. What cannot be read says nothing. `wall` is asked only if it is needed.
#[must_use]
pub fn retry_after(headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let mut wall = Some(wall);
    let mut now = None;
    let mut read = |text: &str| {
        let text = text.trim_matches([' ', '\t']);
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX).min(ABSURD_SECS)));
        }
        let at = httpdate::parse_http_date(text).ok()?;
        if now.is_none() {
            let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
            now = date.or_else(|| wall.take().map(|wall| wall()));
        }
        Some(at.duration_since(now?).unwrap_or_default())
    };
    headers.get_all(RETRY_AFTER).iter().filter_map(|value| read(value.to_str().ok()?)).max()
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
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).expect("status");
        Refused::new(status, headers, Bytes::from_static(b"no"))
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
            (&[("retry-after", "7"), ("retry-after", "9"), ("retry-after", "x")], Some(9)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1.5")], None),
            (&[], None),
        ] {
            let error = refused(503, fields).into_error("x", now, || wall);
            let wait = error.retry_at().map(|at| at.duration_since(now).as_secs());
            assert_eq!((wait, error.is_retryable()), (expected, true), "{fields:?}");
        }
    }

    #[test]
    fn what_was_answered_can_be_had_and_no_secret_is_shown() {
        let error = refused(401, &[("set-cookie", "id=hidden"), ("www-authenticate", "Bearer")]).into_error(
            "x",
            Instant::now(),
            SystemTime::now,
        );
        assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::UNAUTHORIZED)));
        let source = error.source().and_then(|source| source.downcast_ref::<Refused>()).expect("its source");
        assert_eq!((source.headers["set-cookie"].as_bytes(), &source.body[..]), (&b"id=hidden"[..], &b"no"[..]));
        let shown = format!("{source:?} {source} {error:?}");
        assert!(shown.contains("www-authenticate") && !shown.contains("hidden"), "{shown}");
    }
}
