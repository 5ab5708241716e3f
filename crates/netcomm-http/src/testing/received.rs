//! What a scripted server received; the parsing is pure.

use bytes::Bytes;

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The number of its connection, from 1 in the order of acceptance.
    pub connection: usize,
    /// The method, as it was spelt.
    pub method: String,
    /// The target, as it was spelt: a path with query, or in absolute form a whole URL.
    pub target: String,
    /// The header fields in their order, names as they were spelt, bytes beyond UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// All bytes of the head, the empty line included.
    pub head: Bytes,
    /// The body without its framing; of a long one the beginning (see
    /// [`kept_body_bytes`](super::ScriptedServerBuilder::kept_body_bytes)).
    pub body: Bytes,
    /// How long the body was.
    pub body_bytes: u64,
    /// The trailer fields.
    pub trailers: Vec<(String, String)>,
    /// Whether all of it came; `false` if the connection ended in the middle, or the script asked for the head only.
    pub complete: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

impl ReceivedRequest {
    /// The value of the first field of that name; case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).first().copied()
    }

    /// The values of all fields of that name; case does not matter.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The path of the target, without query; of a target in absolute form too.
    #[must_use]
    pub fn path(&self) -> &str {
        let target = self.target.split(['?', '#']).next().unwrap_or_default();
        let Some((_, rest)) = target.split_once("://") else {
            return target;
        };
        rest.find('/').map_or("/", |at| &rest[at..])
    }

    /// The query of the target, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The body as text, bytes beyond UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads a head; the error says what is wrong with it.
    pub(super) fn parse(connection: usize, head: Bytes) -> Result<Self, &'static str> {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("the request line has not three parts");
        };
        if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/1.") {
            return Err("the request line is none of HTTP/1");
        }
        let headers = parse_fields(lines)?;
        let (method, target) = (method.to_owned(), target.to_owned());
        Ok(Self { connection, method, target, headers, head, ..Self::default() })
    }

    /// How the body ends (RFC 9112 §6.3): chunked before a length, without either there is none.
    pub(super) fn framing(&self) -> Result<Framing, &'static str> {
        if self.header_all("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().ends_with("chunked")) {
            return Ok(Framing::Chunked);
        }
        match self.header("content-length") {
            None => Ok(Framing::Length(0)),
            Some(length) => length.parse().map(Framing::Length).map_err(|_| "Content-Length is no number"),
        }
    }

    /// Whether the client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub(super) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    /// Whether the client wants no further answer on this connection.
    pub(super) fn wants_close(&self) -> bool {
        let says = |what: &str| {
            self.header_all("connection")
                .iter()
                .flat_map(|value| value.split(','))
                .any(|option| option.trim().eq_ignore_ascii_case(what))
        };
        says("close") || (self.head.windows(9).any(|text| text == b"HTTP/1.0\r") && !says("keep-alive"))
    }
}

/// Reads header or trailer fields up to an empty line.
pub(super) fn parse_fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Vec<(String, String)>, &'static str> {
    lines
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let line = String::from_utf8_lossy(line);
            let (name, value) = line.split_once(':').ok_or("a header field has no colon")?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &'static str) -> Result<ReceivedRequest, &'static str> {
        ReceivedRequest::parse(1, Bytes::from_static(head.as_bytes()))
    }

    #[test]
    fn heads() {
        let request = parse("POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two:2 \r\n\r\n").unwrap();
        assert_eq!((request.method.as_str(), request.path(), request.query()), ("POST", "/a/b", Some("c=d")));
        assert_eq!(request.headers[1], ("X-Two".to_owned(), "1".to_owned()));
        assert_eq!(request.header_all("X-TWO"), ["1", "2"]);
        assert_eq!(request.framing(), Ok(Framing::Length(0)));
        for head in
            ["", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n"]
        {
            assert!(parse(head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn paths_of_all_forms() {
        for (target, path) in [("/x?y", "/x"), ("http://a.example/x?y", "/x"), ("http://a.example", "/"), ("*", "*")] {
            let request = ReceivedRequest { target: target.to_owned(), ..ReceivedRequest::default() };
            assert_eq!(request.path(), path, "{target}");
        }
    }

    #[test]
    fn framing_and_wishes() {
        for (head, framing) in [
            ("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", Ok(Framing::Length(7))),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\ncontent-length: 1\r\n\r\n", Ok(Framing::Chunked)),
            ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Err("Content-Length is no number")),
        ] {
            assert_eq!(parse(head).unwrap().framing(), framing);
        }
        assert!(parse("GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n").unwrap().wants_close());
        assert!(parse("GET / HTTP/1.0\r\n\r\n").unwrap().wants_close());
        assert!(!parse("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").unwrap().wants_close());
        assert!(!parse("GET / HTTP/1.1\r\n\r\n").unwrap().wants_close());
        assert!(parse("PUT / HTTP/1.1\r\nexpect: 100-Continue\r\n\r\n").unwrap().expects_continue());
    }
}
