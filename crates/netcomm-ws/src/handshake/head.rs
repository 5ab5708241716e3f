//! The head of a message over HTTP/1.1: where it ends, and what is in it. Pure, and strict.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use httparse::{EMPTY_HEADER, Header, Status};
use netcomm_core::{Error, ErrorKind, Result};

use super::{OPERATION, protocol, shown};

/// Looks for the end of a head while its bytes come in; each byte is looked at once.
///
/// A line ends in CR and LF. A peer may be forgiven a bare LF (RFC 9112 §2.2), but what writes one writes no WebSocket
/// server, and two readings of one head are how requests are smuggled.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Up to here nothing is left to be seen.
    seen: usize,
    /// Where the line begins that has not ended yet.
    line: usize,
}

impl Scan {
    /// The length of the head, with the empty line after it; `None` if that has not come. `bytes` is all that came, so that
    /// it begins as it did the last time.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the head is longer than `limit`, `Protocol` if a line ends in a bare LF.
    pub(crate) fn find_end(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>> {
        while let Some(at) = bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + at;
            let line = &bytes[self.line..end];
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(protocol(format!("a line ends in a bare LF: {}", shown(line))));
            };
            (self.seen, self.line) = (end + 1, end + 1);
            if line.is_empty() {
                return if self.seen > limit { Err(too_long(limit)) } else { Ok(Some(self.seen)) };
            }
        }
        self.seen = bytes.len();
        if bytes.len() >= limit { Err(too_long(limit)) } else { Ok(None) }
    }
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// HTTP/1.1, and not 1.0.
    pub(crate) is_modern: bool,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// Reads a whole head.
    ///
    /// # Errors
    ///
    /// `Protocol` saying what is wrong, `TooLarge` for more than `most` fields.
    pub(crate) fn parse(bytes: &[u8], most: usize) -> Result<Self> {
        let mut fields = vec![EMPTY_HEADER; most];
        let mut head = httparse::Response::new(&mut fields);
        complete(head.parse(bytes), bytes, most)?;
        let code = head.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| protocol(format!("status {code}")))?;
        let (is_modern, headers) = (head.version == Some(1), map(head.headers)?);
        Ok(Self { status, is_modern, headers })
    }
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// HTTP/1.1, and not 1.0.
    pub(crate) is_modern: bool,
    pub(crate) headers: HeaderMap,
}

impl RequestHead {
    /// As [`Head::parse`].
    pub(crate) fn parse(bytes: &[u8], most: usize) -> Result<Self> {
        let mut fields = vec![EMPTY_HEADER; most];
        let mut head = httparse::Request::new(&mut fields);
        complete(head.parse(bytes), bytes, most)?;
        let (method, path) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
        let bad = || protocol(format!("request line {}", shown(bytes)));
        Ok(Self {
            method: method.parse().map_err(|_| bad())?,
            uri: path.parse().map_err(|_| bad())?,
            is_modern: head.version == Some(1),
            headers: map(head.headers)?,
        })
    }
}

fn complete(outcome: httparse::Result<usize>, bytes: &[u8], most: usize) -> Result<()> {
    match outcome {
        // The end was found before, so one that is missing stood in front of all else.
        Ok(Status::Complete(length)) if length == bytes.len() => Ok(()),
        Ok(_) => Err(protocol("an empty head")),
        Err(httparse::Error::TooManyHeaders) => Err(Error::new(ErrorKind::TooLarge, OPERATION)
            .with_detail(format!("the head has more than {most} fields (limit headers)"))),
        Err(error) => Err(protocol(format!("the head cannot be read ({error}): {}", shown(bytes))).with_source(error)),
    }
}

fn map(fields: &[Header<'_>]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let bad = || protocol(format!("the field {} cannot be read", shown(field.name.as_bytes())));
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| bad())?);
    }
    Ok(headers)
}

fn too_long(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, OPERATION)
        .with_detail(format!("the head has more than {limit} bytes (limit header_bytes)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: 1\r\nX: 2\r\n\r\n";

    #[test]
    fn a_head_is_found_whatever_its_pieces() {
        let with_more = [HEAD, b"\r\n\r\nmore"].concat();
        for step in [1, 2, 3, 7, 1000] {
            let (mut scan, mut came) = (Scan::default(), 0);
            let end = loop {
                came = (came + step).min(with_more.len());
                if let Some(end) = scan.find_end(&with_more[..came], 1000).expect("a good head") {
                    break end;
                }
            };
            assert_eq!(end, HEAD.len(), "in steps of {step}");
        }
        let head = Head::parse(HEAD, 3).expect("a good head");
        assert_eq!((head.status.as_u16(), head.is_modern, head.headers.len()), (101, true, 3));
    }

    #[test]
    fn a_head_without_end_is_too_large() {
        let find = |bytes: &[u8], limit| Scan::default().find_end(bytes, limit).map_err(|error| error.kind());
        assert_eq!(find(HEAD, HEAD.len()), Ok(Some(HEAD.len())));
        assert_eq!(find(HEAD, HEAD.len() - 1), Err(ErrorKind::TooLarge));
        assert_eq!(find(&HEAD[..10], 11), Ok(None));
        assert_eq!(find(&HEAD[..10], 10), Err(ErrorKind::TooLarge));
        assert_eq!(Head::parse(HEAD, 2).map_err(|error| error.kind()).err(), Some(ErrorKind::TooLarge));
    }

    #[test]
    fn bad_heads() {
        for (text, why) in [
            ("HTTP/1.1 101 x\nUpgrade: websocket\r\n\r\n", "bare LF: \"HTTP/1.1 101 x\""),
            ("HTTP/1.1 101 x\r\nUpgrade: websocket\n\n", "bare LF: \"Upgrade: websocket\""),
            ("\r\n", "empty head"),
            ("\r\n\r\n", "empty head"),
            ("HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\n A: b\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\nA : b\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\n: b\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\nA\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\nA: b\0\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 101 x\r\nA: b\rc\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 10 x\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 1010 x\r\n\r\n", "cannot be read"),
            ("HTTP/1.1 000 x\r\n\r\n", "status 0"),
            ("HTTP/2.0 101 x\r\n\r\n", "cannot be read"),
            ("HTTP/1.11 101 x\r\n\r\n", "cannot be read"),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "cannot be read"),
            ("\x15\x03\x01\r\n\r\n", "cannot be read"),
        ] {
            let read = |bytes: &[u8]| {
                let end = Scan::default().find_end(bytes, 1000)?.expect("an end");
                Head::parse(&bytes[..end], 100)
            };
            let error = read(text.as_bytes()).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{text:?}");
            assert!(error.to_string().contains(why), "{text:?}: {error}");
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    #[test]
    fn an_old_head_is_told_apart() {
        let head = Head::parse(b"HTTP/1.0 200 OK\r\n\r\n", 10).expect("a good head");
        assert!(!head.is_modern);
        let head = RequestHead::parse(b"GET /chat?x HTTP/1.1\r\nHost: a\r\n\r\n", 10).expect("a good head");
        assert_eq!((head.method, head.uri.to_string().as_str(), head.is_modern), (Method::GET, "/chat?x", true));
        for text in ["GET /a b HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n", "\r\n\r\n"] {
            assert!(RequestHead::parse(text.as_bytes(), 10).is_err(), "{text:?}");
        }
    }
}
