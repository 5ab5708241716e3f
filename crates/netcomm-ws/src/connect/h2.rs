//! The handshake over HTTP/2 (RFC 8441): an extended CONNECT on a connection of its own.
//!
//! One WebSocket per connection: what a pool of such connections would save is little beside what a stream would lose by
//! waiting for others.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::Builder;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use netcomm_core::{Error, ErrorKind, Io, Phase, Refused, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::h1::Bounds;
use super::patience::Patience;
use crate::handshake::{BODY_BYTES, OPERATION, protocol};

/// How much may come before the reader has taken it (RFC 9113 §5.2). Memory follows what comes, not what may.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// What became of the request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A stream that is open both ways.
    Open(Box<(Io, StatusCode, HeaderMap)>),
    /// The server said no.
    Refused(Refused),
    /// The server's SETTINGS do not allow to ask (RFC 8441 §3).
    NotSpoken,
}

/// Asks for a stream. The connection lives in tasks, which end with the stream, or as the future is dropped.
pub(super) async fn ask(
    io: Io,
    uri: &Uri,
    headers: HeaderMap,
    bounds: Bounds,
    patience: &Patience<'_>,
) -> Result<Outcome> {
    let info = io.info().clone();
    let settled = Arc::new(Notify::new());
    let opening = async {
        let (mut send, mut connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(u32::try_from(bounds.header_bytes).unwrap_or(u32::MAX))
            .handshake::<_, Empty<Bytes>>(TokioIo::new(Watched::new(io, Arc::clone(&settled))))
            .await
            .map_err(|error| lost(error).with_unsent())?;
        let mut settled = pin!(settled.notified());
        let ended = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => settled.as_mut().poll(cx).map(|()| None),
        })
        .await;
        if let Some(outcome) = ended {
            let error =
                Error::new(ErrorKind::Closed, OPERATION).with_detail("closed before its SETTINGS").with_unsent();
            return Err(match outcome {
                Ok(()) => error,
                Err(source) => error.with_source(source),
            });
        }
        if !connection.is_extended_connect_protocol_enabled() {
            return Ok(None);
        }
        // Whoever waits on the stream is told of its end; there is nobody else to tell.
        drop(tokio::spawn(connection));
        let response = send.send_request(request(uri, headers)?).await.map_err(lost)?;
        Ok(Some(response))
    };
    let Some(response) = patience.within(Phase::Wait, opening).await? else {
        return Ok(Outcome::NotSpoken);
    };
    let (parts, mut body) = response.into_parts();
    if parts.headers.len() > bounds.headers {
        return Err(Error::new(ErrorKind::TooLarge, OPERATION)
            .with_detail(format!("the head has more than {} fields (limit headers)", bounds.headers)));
    }
    if parts.status == StatusCode::OK {
        let response = http::Response::from_parts(parts.clone(), body);
        let stream = patience.within(Phase::Wait, async { hyper::upgrade::on(response).await.map_err(lost) }).await?;
        return Ok(Outcome::Open(Box::new((Io::new(TokioIo::new(stream), info), parts.status, parts.headers))));
    }
    if parts.status.is_success() {
        return Err(protocol(format!("status {}, where only 200 opens a stream", parts.status)));
    }
    let mut begin = BytesMut::new();
    let reading = async {
        while begin.len() < BODY_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            let data = frame.into_data().unwrap_or_default();
            begin.extend_from_slice(&data[..data.len().min(BODY_BYTES - begin.len())]);
        }
    };
    let _ = patience.soon(reading).await;
    Ok(Outcome::Refused(Refused::new(parts.status, parts.headers, Bytes::copy_from_slice(&begin))))
}

/// RFC 8441 §4: the scheme is that of HTTP.
fn request(uri: &Uri, headers: HeaderMap) -> Result<Request<Empty<Bytes>>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    Ok(request)
}

fn lost(error: hyper::Error) -> Error {
    let kind = if error.is_parse_too_large() { ErrorKind::TooLarge } else { ErrorKind::Closed };
    Error::new(kind, OPERATION).with_source(error)
}

/// A connection that tells when our acknowledgement of the peer's SETTINGS has gone out: it does so once they are in
/// force (RFC 9113 §6.5.3), and the engine has no other word for it.
struct Watched {
    io: Io,
    watch: Option<(Frames, Arc<Notify>)>,
}

impl Watched {
    fn new(io: Io, settled: Arc<Notify>) -> Self {
        Self { io, watch: Some((Frames::default(), settled)) }
    }

    fn wrote(&mut self, bytes: &[u8]) {
        if let Some((_, settled)) = self.watch.take_if(|(frames, _)| frames.acknowledge(bytes)) {
            settled.notify_one();
        }
    }
}

/// A walk over the frames that a client writes (RFC 9113 §3.4 and §4.1).
#[derive(Debug)]
struct Frames {
    /// Bytes to pass before the next frame begins.
    skip: usize,
    head: [u8; 9],
    filled: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self { skip: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len(), head: [0; 9], filled: 0 }
    }
}

impl Frames {
    /// Whether an acknowledgement of SETTINGS is in what comes next.
    fn acknowledge(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let pass = self.skip.min(bytes.len());
            (self.skip, bytes) = (self.skip - pass, &bytes[pass..]);
            let take = (self.head.len() - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
            (self.filled, bytes) = (self.filled + take, &bytes[take..]);
            if self.filled == self.head.len() {
                let [high, middle, low, kind, flags, ..] = self.head;
                if (kind, flags & 1) == (4, 1) {
                    return true;
                }
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.filled = 0;
            }
        }
        false
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buffer);
        if let Poll::Ready(Ok(count)) = &written {
            self.wrote(&buffer[..*count]);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, buffers);
        if let Poll::Ready(Ok(count)) = &written {
            let mut left = *count;
            for buffer in buffers {
                let part = left.min(buffer.len());
                self.wrote(&buffer[..part]);
                left -= part;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acknowledgement_is_found_whatever_the_pieces() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend_from_slice(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0]); // SETTINGS
        bytes.extend_from_slice(&[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 4, 1]); // WINDOW_UPDATE
        let before = bytes.len();
        bytes.extend_from_slice(&[0, 0, 0, 4, 1, 0, 0, 0, 0]); // SETTINGS, acknowledged
        for step in [1, 2, 5, 9, 100] {
            let mut frames = Frames::default();
            let found: Vec<_> = bytes.chunks(step).map(|chunk| frames.acknowledge(chunk)).collect();
            assert_eq!(
                found.iter().position(|found| *found),
                Some(before.div_ceil(step).max((before + 9).div_ceil(step)) - 1),
                "{step}"
            );
        }
        assert!(!Frames::default().acknowledge(&bytes[..before]));
    }
}
