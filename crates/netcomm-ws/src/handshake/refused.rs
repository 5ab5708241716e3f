//! The body of a server's refusal over HTTP/1.1: how long it is, and its beginning. Pure.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

/// As much of a refusal's body as is kept.
pub(crate) const BODY_BYTES: usize = 4096;

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

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn how_long_a_body_is() {
        let length = |status, fields: &[(&'static str, &'static str)]| {
            let fields =
                fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            length_of(StatusCode::from_u16(status).expect("a status"), &fields.collect())
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
