//! A whole answer, told in the usual words.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;

use super::gate::Gate;
use super::script::Script;

/// An answer to one request; converts into a [`Script`].
///
/// `Content-Length` comes by itself unless it is among the headers, the body is chunked or ends with the connection, or
/// the status has no body (1xx, 204, 304). To `HEAD` the body is left away. Nothing is checked: a status of 999, a header
/// with a line break or a wrong length go out as they are.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use netcomm_http::testing::Reply;
///
/// let slow = Reply::status(200).body("0123456789").in_pieces(1, Duration::from_millis(200));
/// let short = Reply::status(200).header("content-length", "100").body("too short").then_close();
/// let nonsense = Reply::raw("HTTP/1.1 abc\r\n\r\n").then_close();
/// # drop((slow, short, nonsense));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    content: Content,
    hold: Option<Gate>,
    delay: Duration,
    pieces: Option<(usize, Duration)>,
    after: Script,
}

#[derive(Clone, Debug)]
enum Content {
    Raw(Bytes),
    Message { status: u16, headers: Vec<(String, String)>, body: Body },
}

#[derive(Clone, Debug)]
enum Body {
    Length(Bytes),
    Chunked { chunks: Vec<Bytes>, trailers: Vec<(String, String)> },
    UntilClose(Bytes),
}

impl Reply {
    /// An answer of that status, without headers and with an empty body.
    pub fn status(status: u16) -> Self {
        let body = Body::Length(Bytes::new());
        Self::new(Content::Message { status, headers: Vec::new(), body })
    }

    /// These bytes, whatever they are.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Raw(bytes.into()))
    }

    fn new(content: Content) -> Self {
        Self { content, hold: None, delay: Duration::ZERO, pieces: None, after: Script::new() }
    }

    /// Adds a header. Without effect on [`raw`](Self::raw) bytes, as the body setters are.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Content::Message { headers, .. } = &mut self.content {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// A body of known length.
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        self.with_body(Body::Length(bytes.into()))
    }

    /// A body in these chunks; empty ones are left away, since they would be its end.
    pub fn chunked(self, chunks: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let chunks = chunks.into_iter().map(Into::into).filter(|chunk: &Bytes| !chunk.is_empty()).collect();
        self.with_body(Body::Chunked { chunks, trailers: Vec::new() })
    }

    /// Adds a trailer to a [`chunked`](Self::chunked) body.
    pub fn trailer(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Content::Message { body: Body::Chunked { trailers, .. }, .. } = &mut self.content {
            trailers.push((name.into(), value.into()));
        }
        self
    }

    /// A body without any length; the connection is closed at its end.
    pub fn until_close(self, bytes: impl Into<Bytes>) -> Self {
        self.with_body(Body::UntilClose(bytes.into())).then_close()
    }

    /// Sends the answer, head included, in pieces of `bytes` with a pause after each but the last. 0 is read as 1.
    pub fn in_pieces(mut self, bytes: usize, pause: Duration) -> Self {
        self.pieces = Some((bytes, pause));
        self
    }

    /// Waits before the first byte.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits at the gate before the first byte.
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.hold = Some(gate.clone());
        self
    }

    /// Closes the connection after the last byte. A header `Connection: close` does the same.
    pub fn then_close(self) -> Self {
        self.then(Script::new().close())
    }

    /// Resets the connection after the last byte.
    pub fn then_reset(self) -> Self {
        self.then(Script::new().reset())
    }

    /// Falls silent after the last byte, with the connection open.
    pub fn then_stall(self) -> Self {
        self.then(Script::new().stall())
    }

    /// Goes on with this script after the last byte.
    pub fn then(mut self, script: impl Into<Script>) -> Self {
        self.after = script.into();
        self
    }

    fn with_body(mut self, new: Body) -> Self {
        if let Content::Message { body, .. } = &mut self.content {
            *body = new;
        }
        self
    }

    /// What goes over the wire in answer to that method.
    pub(super) fn bytes(&self, method: &str) -> Bytes {
        let (status, headers, body) = match &self.content {
            Content::Raw(bytes) => return bytes.clone(),
            Content::Message { status, headers, body } => (*status, headers, body),
        };
        let has = |name: &str| headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
        push_fields(&mut head, headers);
        let bodiless = matches!(status, 100..=199 | 204 | 304);
        match body {
            Body::Length(bytes) if !bodiless && !has("content-length") && !has("transfer-encoding") => {
                push_fields(&mut head, &[("content-length".to_owned(), bytes.len().to_string())]);
            }
            Body::Chunked { .. } if !has("transfer-encoding") => {
                push_fields(&mut head, &[("transfer-encoding".to_owned(), "chunked".to_owned())]);
            }
            _ => {}
        }
        head.push_str("\r\n");
        let mut out = BytesMut::from(head.as_bytes());
        if method != "HEAD" {
            match body {
                Body::Length(bytes) | Body::UntilClose(bytes) => out.put_slice(bytes),
                Body::Chunked { chunks, trailers } => {
                    for chunk in chunks {
                        out.put_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                        out.put_slice(chunk);
                        out.put_slice(b"\r\n");
                    }
                    let mut end = "0\r\n".to_owned();
                    push_fields(&mut end, trailers);
                    out.put_slice(end.as_bytes());
                    out.put_slice(b"\r\n");
                }
            }
        }
        out.freeze()
    }

    /// Whether a header announces the end of the connection.
    fn announces_close(&self) -> bool {
        match &self.content {
            Content::Raw(_) => false,
            Content::Message { headers, .. } => headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")),
        }
    }
}

fn push_fields(text: &mut String, fields: &[(String, String)]) {
    for (name, value) in fields {
        write!(text, "{name}: {value}\r\n").expect("a string takes all text");
    }
}

impl From<Reply> for Script {
    fn from(mut reply: Reply) -> Self {
        let after = std::mem::take(&mut reply.after);
        let after = if after.is_empty() && reply.announces_close() { after.close() } else { after };
        let mut script = Self::new();
        if let Some(gate) = reply.hold.take() {
            script = script.wait_for(&gate);
        }
        if !reply.delay.is_zero() {
            script = script.pause(reply.delay);
        }
        let pieces = reply.pieces.take();
        script.answer(reply, pieces).then(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_on_the_wire() {
        let text = |reply: &Reply, method| String::from_utf8(reply.bytes(method).to_vec()).unwrap();
        let reply = Reply::status(200).header("A", "b").body("hello");
        assert_eq!(text(&reply, "GET"), "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(text(&reply, "HEAD"), "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 5\r\n\r\n");
        let reply = Reply::status(200).chunked(["hello", "", " world"]).trailer("t", "1");
        assert_eq!(
            text(&reply, "GET"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nt: 1\r\n\r\n"
        );
        assert_eq!(text(&Reply::status(204), "GET"), "HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(text(&Reply::status(999), "GET"), "HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n");
        assert_eq!(text(&Reply::status(200).until_close("x"), "GET"), "HTTP/1.1 200 OK\r\n\r\nx");
        let reply = Reply::status(200).header("Content-Length", "9").body("short");
        assert_eq!(text(&reply, "GET"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
        assert_eq!(text(&Reply::raw("junk"), "HEAD"), "junk");
    }
}
