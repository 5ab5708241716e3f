//! What of a response's head the wire engine lets pass and we do not: pure.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use netcomm_core::{Error, ErrorKind, Limits, Result};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What a head says about its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
    /// How long the peer keeps it idle.
    pub(super) keep_alive: Option<Duration>,
}

/// Checks a head, in one pass over its fields; an error if the response must not be believed at all.
pub(super) fn check(version: Version, status: StatusCode, headers: &HeaderMap, limits: &Limits) -> Result<Verdict> {
    let protocol = |why: &'static str| Err(Error::new(ErrorKind::Protocol, "read response").with_detail(why));
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return protocol("101 without a request to switch protocols (RFC 9110 §15.2.2)");
    }
    let (mut bytes, mut keep_alive) = (0, None);
    let (mut codings, mut chunked, mut has_length) = (0, false, false);
    let (mut says_close, mut says_keep_alive) = (false, false);
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len() + ": \r\n".len();
        if name == CONTENT_LENGTH {
            has_length = true;
        } else if name == CONNECTION {
            says_close |= has_option(value, "close");
            says_keep_alive |= has_option(value, "keep-alive");
        } else if name == TRANSFER_ENCODING {
            codings += 1;
            chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
        } else if name == KEEP_ALIVE {
            keep_alive = keep_alive.or_else(|| timeout(value));
        }
    }
    if headers.len() > limits.headers || bytes > limits.header_bytes {
        return Err(too_large(limits));
    }
    if version >= Version::HTTP_2 {
        return Ok(Verdict { reusable: true, keep_alive });
    }
    if codings > 1 || (codings == 1 && !chunked) {
        return protocol("a transfer coding other than chunked, which was not offered (RFC 9112 §7)");
    }
    // RFC 9112 §9.3, and §6.1: a length beside a transfer coding, or a coding from an HTTP/1.0 peer, may be an attempt
    // at smuggling. The coding wins, and the connection is not trusted any further.
    let persists = if version == Version::HTTP_11 { !says_close } else { says_keep_alive && !says_close };
    let trusted = codings == 0 || (!has_length && version == Version::HTTP_11);
    Ok(Verdict { reusable: persists && trusted, keep_alive })
}

fn has_option(value: &HeaderValue, option: &str) -> bool {
    value.to_str().is_ok_and(|value| value.split(',').any(|own| own.trim().eq_ignore_ascii_case(option)))
}

/// `timeout` of a `Keep-Alive` field (RFC 2068 §19.7.1.1; in use though never standardised since).
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| value.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds))
}

/// The error for a head that passes a limit.
pub(super) fn too_large(limits: &Limits) -> Error {
    Error::new(ErrorKind::TooLarge, "read response").with_detail(format!(
        "the head has more than {} fields (limit headers) or {} bytes (limit header_bytes)",
        limits.headers, limits.header_bytes
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(version: Version, status: u16, fields: &[(&'static str, &'static str)]) -> Result<Verdict> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(version, StatusCode::from_u16(status).expect("status"), &headers, &Limits::default().with_headers(3))
    }

    fn reusable(version: Version, fields: &[(&'static str, &'static str)]) -> bool {
        verdict(version, 200, fields).expect("a head to be believed").reusable
    }

    #[test]
    fn which_connections_go_on() {
        let (h1, h10) = (Version::HTTP_11, Version::HTTP_10);
        assert!(reusable(h1, &[("content-length", "3")]));
        assert!(reusable(h1, &[("transfer-encoding", "Chunked")]));
        assert!(!reusable(h1, &[("transfer-encoding", "chunked"), ("content-length", "3")]));
        assert!(!reusable(h1, &[("connection", "x, Close")]));
        assert!(!reusable(h10, &[]));
        assert!(reusable(h10, &[("connection", "keep-alive")]));
        assert!(!reusable(h10, &[("connection", "keep-alive"), ("transfer-encoding", "chunked")]));
    }

    #[test]
    fn what_is_not_believed() {
        let h1 = Version::HTTP_11;
        for coding in ["gzip", "gzip, chunked", "identity", "chunked, chunked", "xchunked"] {
            let error = verdict(h1, 200, &[("transfer-encoding", coding)]).expect_err(coding);
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        assert!(verdict(h1, 200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]).is_err());
        assert_eq!(verdict(h1, 101, &[]).expect_err("101").kind(), ErrorKind::Protocol);
        let many = verdict(h1, 200, &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]).expect_err("too many");
        assert_eq!(many.kind(), ErrorKind::TooLarge);
        assert!(many.to_string().contains("3 fields"), "{many}");
    }

    #[test]
    fn keep_alive_timeouts() {
        for (value, expected) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 7", Some(7)),
            ("timeout=x", None),
            ("max=3", None),
            ("", None),
        ] {
            let verdict = verdict(Version::HTTP_11, 200, &[("keep-alive", value)]).expect(value);
            assert_eq!(verdict.keep_alive, expected.map(Duration::from_secs), "{value}");
        }
    }
}
