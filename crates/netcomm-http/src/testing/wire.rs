//! Requests read from a stream of bytes, and bytes written to it; every buffer is bounded.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::received::{Framing, ReceivedRequest, parse_fields};

/// The longest line of a chunked body.
const CHUNK_LINE_BYTES: usize = 16 * 1024;
/// What may wait unread while nothing wants to read.
const UNREAD_BYTES: usize = 64 * 1024;

/// Why no request came.
#[derive(Debug)]
pub(super) enum Fault {
    /// The client is gone.
    Gone,
    /// It sent something else; in a few words.
    Malformed(&'static str),
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// How much of a request is read and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) head_bytes: usize,
    pub(super) kept_body_bytes: usize,
}

pub(super) struct Wire<S> {
    stream: S,
    input: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The head of the next request; `None` if the client closed before it began.
    pub(super) async fn head(&mut self, connection: usize, bounds: Bounds) -> Result<Option<ReceivedRequest>, Fault> {
        // RFC 9112 §2.2: empty lines before a request line are passed over.
        loop {
            if self.input.starts_with(b"\r\n") {
                drop(self.input.split_to(2));
            } else if self.input.len() >= 2 {
                break;
            } else if !self.fill().await? {
                return Ok(None);
            }
        }
        let head = self.through(b"\r\n\r\n", bounds.head_bytes).await?;
        ReceivedRequest::parse(connection, head).map(Some).map_err(Fault::Malformed)
    }

    /// The body that belongs to a head. What came before a fault stays in the request.
    pub(super) async fn body(&mut self, request: &mut ReceivedRequest, bounds: Bounds) -> Result<(), Fault> {
        match request.framing().map_err(Fault::Malformed)? {
            Framing::Length(0) => {}
            framing => {
                if request.expects_continue() {
                    self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
                let mut body = BytesMut::new();
                let read = self.framed(framing, request, &mut body, bounds.kept_body_bytes).await;
                request.body = body.freeze();
                read?;
            }
        }
        request.complete = true;
        Ok(())
    }

    async fn framed(
        &mut self,
        framing: Framing,
        request: &mut ReceivedRequest,
        body: &mut BytesMut,
        kept: usize,
    ) -> Result<(), Fault> {
        if let Framing::Length(length) = framing {
            return self.data(length, &mut request.body_bytes, body, kept).await;
        }
        loop {
            let line = self.through(b"\r\n", CHUNK_LINE_BYTES).await?;
            let size = line.split(|byte| matches!(byte, b';' | b'\r' | b' ')).next().unwrap_or_default();
            let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
            let size = size.ok_or(Fault::Malformed("a chunk has no size"))?;
            if size == 0 {
                break;
            }
            self.data(size, &mut request.body_bytes, body, kept).await?;
            if self.through(b"\r\n", CHUNK_LINE_BYTES).await? != b"\r\n"[..] {
                return Err(Fault::Malformed("a chunk is longer than its size"));
            }
        }
        loop {
            let line = self.through(b"\r\n", CHUNK_LINE_BYTES).await?;
            let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
            if line.is_empty() {
                return Ok(());
            }
            request.trailers.extend(parse_fields(std::iter::once(line)).map_err(Fault::Malformed)?);
        }
    }

    /// Reads `count` bytes of a body and keeps them as long as there is room.
    async fn data(&mut self, mut count: u64, read: &mut u64, body: &mut BytesMut, kept: usize) -> Result<(), Fault> {
        while count > 0 {
            if self.input.is_empty() && !self.fill().await? {
                return Err(Fault::Gone);
            }
            let part = usize::try_from(count).unwrap_or(usize::MAX).min(self.input.len());
            let data = self.input.split_to(part);
            body.extend_from_slice(&data[..part.min(kept.saturating_sub(body.len()))]);
            *read += part as u64;
            count -= part as u64;
        }
        Ok(())
    }

    /// All bytes up to and with `end`.
    async fn through(&mut self, end: &[u8], max_bytes: usize) -> Result<Bytes, Fault> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.input[searched..].windows(end.len()).position(|window| window == end) {
                return Ok(self.input.split_to(searched + at + end.len()).freeze());
            }
            searched = self.input.len().saturating_sub(end.len() - 1);
            if self.input.len() > max_bytes {
                return Err(Fault::Malformed("a line or a head is too long"));
            }
            if !self.fill().await? {
                return Err(Fault::Gone);
            }
        }
    }

    /// Reads some bytes; `false` at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Ends the own half of the connection.
    pub(super) async fn end(&mut self) -> Result<(), Fault> {
        Ok(self.stream.shutdown().await?)
    }

    /// Waits until the client closes. A client that sends much meanwhile is read no further, as a server would that has
    /// fallen silent.
    pub(super) async fn until_gone(&mut self) {
        while self.input.len() < UNREAD_BYTES {
            if !self.fill().await.unwrap_or(false) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Reads and forgets until the client closes.
    pub(super) async fn drain(&mut self) {
        loop {
            self.input.clear();
            if !self.fill().await.unwrap_or(false) {
                return;
            }
        }
    }
}
