//! Why a request is not forwarded, and the answer that says so.

use std::time::Instant;

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use netcomm::core::{Phase, Stage};
use netcomm::{Body, Error, ErrorKind};

/// RFC 9209: tells machines what the text tells people.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Why a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
}

impl Refusal {
    /// The request breaks HTTP.
    pub(super) const fn bad(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(super) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// The answer to the request.
    pub(super) fn response(self, name: &str) -> Response<Body> {
        let error = match self.status {
            StatusCode::LOOP_DETECTED => "proxy_loop_detected",
            _ => "http_request_error",
        };
        text(name, self.status, error, self.reason)
    }

    /// The answer, after which the connection ends: what follows on it cannot be told from what was refused.
    pub(super) fn last_response(self, name: &str) -> Response<Body> {
        let mut response = self.response(name);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// The answer to a request that the client could not get one for. Tells neither URL nor address: whoever asks need not
/// know what lies behind the proxy. Where it is known when it makes sense to come back, `Retry-After` says so, counted from
/// `now` (RFC 9110 §10.2.3).
pub(super) fn failure(error: &Error, name: &str, now: Instant) -> Response<Body> {
    let (status, kind) = classify(error);
    let mut reason = match error.kind() {
        ErrorKind::Denied | ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Proxy | ErrorKind::Tls | ErrorKind::Io => {
            None
        }
        _ => error.detail(),
    }
    .map_or_else(|| error.kind().as_str().to_owned(), |detail| format!("{}: {detail}", error.kind().as_str()));
    if let Some(phase) = error.phase() {
        reason = format!("{reason} [{}]", phase.as_str());
    }
    let mut response = text(name, status, kind, &reason);
    if let Some(at) = error.retry_at() {
        response.headers_mut().insert(RETRY_AFTER, retry_after(at, now).into());
    }
    response
}

/// Whole seconds from `now` on, rounded up: who comes earlier comes in vain.
fn retry_after(at: Instant, now: Instant) -> u64 {
    let wait = at.saturating_duration_since(now);
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Status, and type of error by RFC 9209 §2.3.
fn classify(error: &Error) -> (StatusCode, &'static str) {
    match error.kind() {
        // It came to nothing before our own limits, and not at the origin.
        ErrorKind::Timeout if error.stage() == Some(Stage::Limit) => {
            (StatusCode::SERVICE_UNAVAILABLE, "connection_limit_reached")
        }
        ErrorKind::Timeout => {
            let kind = match error.phase() {
                Some(Phase::Dns) => "dns_timeout",
                Some(Phase::Connect | Phase::Proxy | Phase::Tls) => "connection_timeout",
                Some(Phase::Blocked) => "connection_limit_reached",
                Some(Phase::Send) => "connection_write_timeout",
                _ => "http_response_timeout",
            };
            (StatusCode::GATEWAY_TIMEOUT, kind)
        }
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "http_request_error"),
        ErrorKind::Denied => (StatusCode::FORBIDDEN, "destination_ip_prohibited"),
        ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "connection_limit_reached"),
        ErrorKind::Offline | ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable"),
        ErrorKind::Dns => (StatusCode::BAD_GATEWAY, "dns_error"),
        ErrorKind::Connect | ErrorKind::Proxy => (StatusCode::BAD_GATEWAY, "connection_refused"),
        ErrorKind::Tls => (StatusCode::BAD_GATEWAY, "tls_protocol_error"),
        ErrorKind::Closed | ErrorKind::Incomplete => (StatusCode::BAD_GATEWAY, "http_response_incomplete"),
        ErrorKind::TooLarge => (StatusCode::BAD_GATEWAY, "http_response_header_section_size"),
        ErrorKind::Protocol => (StatusCode::BAD_GATEWAY, "http_protocol_error"),
        _ => (StatusCode::BAD_GATEWAY, "proxy_internal_error"),
    }
}

/// An answer of our own: one line of text.
fn text(name: &str, status: StatusCode, error: &str, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{name}: {reason}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // Some of these statuses may be stored by default, and none should be (RFC 9110 §15.1).
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = format!("{name}; error={error}").parse() {
        headers.insert(PROXY_STATUS, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_failure_has_a_status() {
        for (error, status, kind) in [
            (Error::new(ErrorKind::Closed, "x"), 502, "http_response_incomplete"),
            (Error::new(ErrorKind::Protocol, "x"), 502, "http_protocol_error"),
            (Error::new(ErrorKind::TooLarge, "x"), 502, "http_response_header_section_size"),
            (Error::new(ErrorKind::Connect, "x"), 502, "connection_refused"),
            (Error::new(ErrorKind::Dns, "x"), 502, "dns_error"),
            (Error::new(ErrorKind::Denied, "x"), 403, "destination_ip_prohibited"),
            (Error::new(ErrorKind::Invalid, "x"), 400, "http_request_error"),
            (Error::timeout("x", Phase::Wait), 504, "http_response_timeout"),
            (Error::timeout("x", Phase::Connect), 504, "connection_timeout"),
            (Error::timeout("x", Phase::Blocked), 504, "connection_limit_reached"),
            (Error::timeout("x", Phase::Blocked).with_stage(Stage::Limit), 503, "connection_limit_reached"),
            (Error::new(ErrorKind::Busy, "x"), 503, "connection_limit_reached"),
            (Error::new(ErrorKind::Offline, "x"), 503, "destination_unavailable"),
            (Error::new(ErrorKind::Unavailable, "x"), 503, "destination_unavailable"),
        ] {
            assert_eq!(classify(&error), (StatusCode::from_u16(status).expect("status"), kind), "{error}");
        }
    }

    #[tokio::test]
    async fn a_failure_tells_the_reason_and_no_place() {
        let error = Error::timeout("exchange", Phase::Wait)
            .with_detail("no response head for 30s (timeout header)")
            .with_url("http://10.0.0.1/inner");
        let response = failure(&error, "here", Instant::now());
        assert!(!response.headers().contains_key(RETRY_AFTER));
        assert_eq!(response.headers()["proxy-status"], "here; error=http_response_timeout");
        let text = response.into_body().collect(1000).await.expect("text");
        assert_eq!(text, "here: timed out: no response head for 30s (timeout header) [wait]\n");
        let error = Error::new(ErrorKind::Connect, "dial").with_detail("10.0.0.1:80 refused");
        let response = failure(&error, "here", Instant::now());
        assert_eq!(response.into_body().collect(1000).await.expect("text"), "here: could not connect\n");
    }

    #[test]
    fn a_moment_to_come_back_is_told_in_whole_seconds_and_never_too_early() {
        let now = Instant::now();
        for (millis, told) in [(0, "0"), (1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let error = Error::new(ErrorKind::Unavailable, "x").with_retry_at(now + Duration::from_millis(millis));
            assert_eq!(failure(&error, "here", now).headers()[RETRY_AFTER], told, "{millis} ms");
        }
        let past = Error::new(ErrorKind::Busy, "x").with_retry_at(now);
        assert_eq!(failure(&past, "here", now + Duration::from_secs(1)).headers()[RETRY_AFTER], "0");
    }
}
