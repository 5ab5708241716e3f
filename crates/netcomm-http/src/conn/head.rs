//! What of a response's head the wire engine lets pass and we do not: pure.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};
use netcomm_core::{Error, ErrorKind, Limits, Result};

/// Whether the connection may carry another request after a response with this head; an error if the response must
/// not be believed at all.
pub(crate) fn check(version: Version, status: StatusCode, headers: &HeaderMap, limits: &Limits) -> Result<bool> {
    let protocol = |why: &'static str| Err(Error::new(ErrorKind::Protocol, "read response").with_detail(why));
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return protocol("101 without a request to switch protocols (RFC 9110 §15.2.2)");
    }
    if headers.len() > limits.headers {
        return Err(too_large(limits));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > limits.header_bytes {
        return Err(too_large(limits));
    }
    if version >= Version::HTTP_2 {
        return Ok(true);
    }
    let reusable = persists(version, headers);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(reusable),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            // RFC 9112 §6.1: a length beside a transfer coding, or a coding from an HTTP/1.0 peer, may be an attempt at
            // smuggling. The coding wins, and the connection is not trusted any further.
            Ok(reusable && !headers.contains_key(CONTENT_LENGTH) && version == Version::HTTP_11)
        }
        _ => protocol("a transfer coding other than chunked, which was not offered (RFC 9112 §7)"),
    }
}

/// Whether the peer means to keep the connection (RFC 9112 §9.3).
fn persists(version: Version, headers: &HeaderMap) -> bool {
    let says = |option: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.split(',').any(|own| own.trim().eq_ignore_ascii_case(option)))
        })
    };
    if version == Version::HTTP_11 { !says("close") } else { says("keep-alive") && !says("close") }
}

/// The error for a head that passes a limit.
pub(crate) fn too_large(limits: &Limits) -> Error {
    Error::new(ErrorKind::TooLarge, "read response").with_detail(format!(
        "the head has more than {} fields (limit headers) or {} bytes (limit header_bytes)",
        limits.headers, limits.header_bytes
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn verdict(version: Version, status: u16, fields: &[(&'static str, &'static str)]) -> Result<bool> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(version, StatusCode::from_u16(status).expect("status"), &headers, &Limits::default().with_headers(3))
    }

    #[test]
    fn verdicts() {
        let h1 = Version::HTTP_11;
        assert_eq!(verdict(h1, 200, &[("content-length", "3")]).ok(), Some(true));
        assert_eq!(verdict(h1, 200, &[("transfer-encoding", "Chunked")]).ok(), Some(true));
        assert_eq!(verdict(h1, 200, &[("transfer-encoding", "chunked"), ("content-length", "3")]).ok(), Some(false));
        assert_eq!(verdict(h1, 200, &[("connection", "x, Close")]).ok(), Some(false));
        assert_eq!(verdict(Version::HTTP_10, 200, &[]).ok(), Some(false));
        assert_eq!(verdict(Version::HTTP_10, 200, &[("connection", "keep-alive")]).ok(), Some(true));
        assert_eq!(verdict(Version::HTTP_10, 200, &[("transfer-encoding", "chunked")]).ok(), Some(false));
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
}
