//! The head of a request, read strictly (RFC 9112): pure. What two readers could read in two ways is refused, so that no
//! request can hide in another one.

use http::uri::{Authority, Uri};
use http::{Method, StatusCode};

use super::refusal::Refusal;

/// Bytes of one request head.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Fields of one request head, and of one trailer section.
pub(super) const MAX_FIELDS: usize = 100;

/// What is known of a head that was found good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its length, the empty line included.
    pub(super) bytes: usize,
    pub(super) content: Content,
}

/// How long the content is that follows a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Length(u64),
    Chunked,
}

/// Looks for a whole head at the beginning of `bytes`; `None` if there is more to come. `seen` is how many bytes were
/// looked at before.
pub(super) fn find(bytes: &[u8], seen: &mut usize) -> Result<Option<Head>, Refusal> {
    if bytes.first().is_some_and(|first| !is_token(*first)) {
        return Err(Refusal::bad("this is not HTTP"));
    }
    let from = std::mem::replace(seen, bytes.len());
    for at in (from..bytes.len()).filter(|at| bytes[*at] == b'\n') {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Refusal::bad("a line of the head ends in a bare line feed"));
        }
        if bytes[..at - 1].ends_with(b"\r\n") {
            if at >= MAX_HEAD_BYTES {
                break;
            }
            return read(&bytes[..at - 1]).map(|content| Some(Head { bytes: at + 1, content }));
        }
    }
    if bytes.len() < MAX_HEAD_BYTES {
        return Ok(None);
    }
    Err(match bytes[..MAX_HEAD_BYTES].contains(&b'\n') {
        true => Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is longer than 64 KiB"),
        false => Refusal::new(StatusCode::URI_TOO_LONG, "the request line is longer than 64 KiB"),
    })
}

/// Reads a head without its last, empty line.
fn read(head: &[u8]) -> Result<Content, Refusal> {
    let mut lines = Lines(head);
    let first = lines.next().unwrap_or_default();
    let (method, target, is_11) = request_line(first)?;
    let (mut fields, mut host, mut length, mut chunked) = (0, None, None, false);
    for line in lines {
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head has more than 100 fields"));
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            if host.replace(value).is_some() {
                return Err(Refusal::bad("more than one Host field"));
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(number(value)?).is_some() {
                return Err(Refusal::bad("more than one Content-Length field"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !is_11 {
                return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
            }
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "a transfer coding other than chunked"));
            }
            chunked = true;
        }
    }
    check_host(method, target, host, is_11)?;
    // RFC 9112 §6.1: a request with both is a request with an error.
    let content = match (length, chunked) {
        (Some(_), true) => return Err(Refusal::bad("both Content-Length and Transfer-Encoding")),
        (None, true) => Content::Chunked,
        (length, false) => Content::Length(length.unwrap_or(0)),
    };
    if method == b"TRACE" && content != Content::Length(0) {
        return Err(Refusal::bad("TRACE with content"));
    }
    Ok(content)
}

/// The lines of a head, each ended by CR LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = &self.0[..end - 1];
        self.0 = &self.0[end + 1..];
        Some(line)
    }
}

/// Method, target, and whether it is HTTP/1.1 (RFC 9112 §3).
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], bool), Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::bad("the request line is not method, target and version"));
    };
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Err(Refusal::bad("the method is not a token"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::bad("the target has characters that no URI has"));
    }
    match version {
        b"HTTP/1.1" => Ok((method, target, true)),
        b"HTTP/1.0" => Ok((method, target, false)),
        _ if version.starts_with(b"HTTP/") => {
            Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "neither HTTP/1.1 nor HTTP/1.0"))
        }
        _ => Err(Refusal::bad("the request line is not method, target and version")),
    }
}

/// Name and value of a field (RFC 9112 §5).
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::bad("a folded field"));
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(Refusal::bad("a field without a colon"));
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Refusal::bad(match name.last() {
            Some(b' ' | b'\t') => "white space between a field's name and its colon",
            _ => "a field whose name is not a token",
        }));
    }
    if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Refusal::bad("a control character in a field"));
    }
    Ok((name, value.trim_ascii()))
}

/// A length (RFC 9110 §8.6): digits, and no more than a signed number of 64 bits takes.
fn number(value: &[u8]) -> Result<u64, Refusal> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse::<i64>().ok())
        .and_then(|number| u64::try_from(number).ok())
        .ok_or(Refusal::bad("a Content-Length that is not one number"))
}

/// RFC 9112 §3.2: one `Host`, and the same as in the target.
fn check_host(method: &[u8], target: &[u8], host: Option<&[u8]>, is_11: bool) -> Result<(), Refusal> {
    let host = match host {
        None if is_11 => return Err(Refusal::bad("no Host field")),
        None => None,
        Some(host) => match Authority::try_from(host) {
            Ok(host) if !host.as_str().contains('@') => Some(host),
            _ => return Err(Refusal::bad("a Host that is not a host")),
        },
    };
    // A reader of URIs passes over what comes after the sign without a word.
    if target.contains(&b'#') {
        return Err(Refusal::bad("a fragment in the target"));
    }
    let Ok(uri) = Uri::try_from(target) else { return Err(Refusal::bad("the target is not a URI")) };
    let Some(authority) = uri.authority() else {
        let is_own = target == b"*" && method == Method::OPTIONS.as_str().as_bytes();
        return if is_own || target.starts_with(b"/") { Ok(()) } else { Err(Refusal::bad("the target is not a URI")) };
    };
    if authority.as_str().contains('@') {
        return Err(Refusal::bad("user information in the target"));
    }
    let Some(scheme) = uri.scheme_str() else {
        return if method == b"CONNECT" { Ok(()) } else { Err(Refusal::bad("the target is not a URI")) };
    };
    let default = if scheme == "https" { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    match host {
        Some(host) if !host.host().eq_ignore_ascii_case(authority.host()) || port(&host) != port(authority) => {
            Err(Refusal::bad("Host differs from the host of the target"))
        }
        _ => Ok(()),
    }
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Result<Option<Head>, Refusal> {
        find(text, &mut 0)
    }

    fn status(text: &[u8]) -> u16 {
        whole(text).err().map_or(0, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn good_heads() {
        for (text, content) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Content::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Content::Length(0)),
            ("POST /x?y HTTP/1.1\r\nhost:a:80\r\ncontent-length: 5\r\n\r\n", Content::Length(5)),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Content::Chunked),
            ("GET http://A.example/ HTTP/1.1\r\nHost: a.EXAMPLE:80\r\n\r\n", Content::Length(0)),
            ("GET http://a.example/ HTTP/1.0\r\n\r\n", Content::Length(0)),
            ("GET https://[::1]:444/ HTTP/1.1\r\nHost: [::1]:444\r\n\r\n", Content::Length(0)),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Content::Length(0)),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Content::Length(0)),
            ("M-SEARCH / HTTP/1.1\r\nHost: a\r\nX: \t odd \u{e4} value\t\r\nY:\r\n\r\n", Content::Length(0)),
        ] {
            let bytes = text.len();
            assert_eq!(whole(text.as_bytes()), Ok(Some(Head { bytes, content })), "{text}");
            // However it is cut into pieces, and whatever follows.
            let followed = format!("{text}\r\n\0 rest");
            let mut seen = 0;
            for end in 0..bytes {
                assert_eq!(find(&text.as_bytes()[..end], &mut seen), Ok(None), "{text} to {end}");
            }
            assert_eq!(find(followed.as_bytes(), &mut seen).expect("good").expect("whole").bytes, bytes);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -5",
            "Content-Length: 0x5",
            "Content-Length: 5 5",
            "Content-Length:",
            "Content-Length: 99999999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: \u{b}chunked",
            "X: a\r\n b",
            " X: a",
            "X : a",
            ": a",
            "X",
            "X: a\0b",
            "X: a\rb",
            "X: a\nY: b",
            "X: a\u{7f}",
            "X\u{e4}: a",
            "Host: a",
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
            assert_eq!(status(text.as_bytes()), 400, "{lines:?}");
        }
        for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;x", ""] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
            assert_eq!(status(text.as_bytes()), 501, "{coding:?}");
        }
        let twice = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(status(twice.as_bytes()), 501);
    }

    #[test]
    fn request_lines_and_hosts_that_are_refused() {
        for (text, expected) in [
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
            ("\r\n", 400),
            ("\x16\x03\x01", 400),
            ("GET /\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
            ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
            ("PRI * HTTP/2.0\r\n\r\n", 505),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
        ] {
            assert_eq!(status(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn heads_that_are_too_long() {
        let fields = |count: usize| "x: y\r\n".repeat(count);
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(99)).as_bytes()), 0);
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(100)).as_bytes()), 431);
        let long = "y".repeat(MAX_HEAD_BYTES);
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}\r\n\r\n").as_bytes()), 431);
        assert_eq!(status(format!("GET / HTTP/1.1\r\nx: {long}").as_bytes()), 431);
        assert_eq!(status(format!("GET /{long}").as_bytes()), 414);
    }
}
