//! One connection: what users hold.

mod drive;
mod incoming;
mod open;
mod outgoing;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use http::HeaderMap;
use netcomm_core::{ConnectInfo, Env, Error, ErrorKind, Result};

use crate::close::{CloseBody, CloseCode, Closed};
use crate::connect::Connect;
use crate::heartbeat::Rtt;
use crate::message::{Kind, Message, Text};

pub(crate) use drive::Drive;
pub use incoming::Incoming;
pub(crate) use open::Manner;
pub use outgoing::Outgoing;

/// One WebSocket connection.
///
/// It has no task of its own: whoever sends, receives or closes drives it, in both directions. A sender that has to wait
/// for the wire reads meanwhile (up to [`Limits::read_ahead_bytes`](crate::Limits)), answers pings and keeps deadlines; a
/// receiver writes what was fed. While nobody polls it, nothing happens: no ping is answered, no silence noticed. For a connection
/// that lives by itself, and comes back, take a [`Connection`](crate::Connection).
///
/// Memory: about 4 KiB while idle, with compression see [`Deflate`](crate::Deflate); buffers are given back as soon as they are
/// empty. Dropping it closes the connection at once, without a close frame.
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// let mut socket = netcomm_ws::connect("wss://echo.example/").await?;
/// socket.send("hello").await?;
/// while let Some(message) = socket.recv().await? {
///     println!("{:?}", message.as_text());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Socket {
    drive: Box<Drive>,
}

impl Socket {
    /// Prepares a connection to a `ws` or `wss` URL.
    pub fn builder(env: &Env, url: impl AsRef<str>) -> Connect {
        Connect::new(env, url)
    }

    pub(crate) fn new(drive: Drive) -> Self {
        Self { drive: Box::new(drive) }
    }

    pub(crate) fn drive(&mut self) -> &mut Drive {
        &mut self.drive
    }

    /// Sends one message: [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// Kind `Closed` with [`Closed`] as source once the connection has ended or a close frame was sent; or what ended it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message was taken whole or not at all. Who needs to know which, calls `feed` and
    /// `flush`.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<()> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Takes one message, to be sent with those that follow: by [`flush`](Self::flush), or by whatever polls the socket
    /// next. Waits only while [`write_buffer_bytes`](crate::Limits) are full.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// A future that was dropped before it was ready has taken nothing.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<()> {
        let mut message = Some(message.into());
        poll_fn(|cx| {
            std::task::ready!(self.drive.poll_ready(cx))?;
            Poll::Ready(message.take().map_or(Ok(()), |message| self.drive.start_send(message)))
        })
        .await
    }

    /// Waits until everything taken so far has been handed to the operating system.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), unless all had gone before a close frame came or went.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: what is left goes out with the next poll of any kind.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.drive.poll_flush(cx)).await
    }

    /// The next message; `None` after a close frame came or was sent, see [`closed`](Self::closed).
    ///
    /// # Errors
    ///
    /// Once, what ended the connection otherwise: `Closed` if it broke, `Timeout` if the peer gave no sign of life,
    /// `Protocol` and `TooLarge` with a [`Violation`](crate::Violation) as source. After that `None`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        poll_fn(|cx| self.drive.poll_recv(cx)).await.transpose()
    }

    /// The next message, to be read while it comes: for messages larger than memory. `None` as for [`recv`](Self::recv).
    ///
    /// [`message_bytes`](crate::Limits) does not bound it, unless it began to come while the socket was sending.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn recv_stream(&mut self) -> Result<Option<Incoming<'_>>> {
        match poll_fn(|cx| self.drive.poll_piece(cx)).await.transpose()? {
            Some(piece) => Ok(Some(Incoming::new(&mut self.drive, piece))),
            None => Ok(None),
        }
    }

    /// Begins a message that is given piece by piece, each a fragment of its own: for messages larger than memory.
    ///
    /// # Errors
    ///
    /// `Invalid` while another such message has not ended; else as [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// A future that was dropped before it was ready has begun nothing.
    pub async fn send_stream(&mut self, kind: Kind) -> Result<Outgoing<'_>> {
        poll_fn(|cx| self.drive.poll_ready(cx)).await?;
        self.drive.begin(kind)?;
        Ok(Outgoing::new(&mut self.drive))
    }

    /// Says goodbye, and waits for the peer's goodbye and the end of the connection, at most as long as the
    /// [`close_timeout`](Connect::close_timeout). What was taken before is sent first. Messages that come meanwhile can
    /// still be received, as many as fit into [`read_ahead_bytes`](crate::Limits); further ones are dropped.
    ///
    /// On a connection that has ended it tells how, at once.
    ///
    /// # Errors
    ///
    /// `Invalid` for a code that may not be sent ([`CloseCode::is_sendable`]), or a reason of more than 123 bytes. A peer
    /// that does not answer is no error: [`Closed::clean`] tells.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the goodbye is said by whatever polls the socket next.
    pub async fn close(&mut self, code: CloseCode, reason: impl Into<Text>) -> Result<Closed> {
        self.drive.start_close(CloseBody::checked(code, reason.into())?);
        Ok(poll_fn(|cx| self.drive.poll_closed(cx)).await)
    }

    /// How the connection ended; `None` while it has not.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.drive.closed()
    }

    /// The subprotocol that the server chose (RFC 6455 §1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.drive.welcome().subprotocol.as_deref()
    }

    /// The headers of the handshake's answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.drive.welcome().headers
    }

    /// What is known of the connection beneath: addresses, TLS, the time of each step.
    #[must_use]
    pub fn info(&self) -> &ConnectInfo {
        &self.drive.welcome().info
    }

    /// Whether messages may be compressed, in either direction.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.drive.welcome().compressed
    }

    /// What an operation says that needs a connection after it has ended without an error.
    pub(crate) fn farewell(&self, operation: &'static str) -> Error {
        let error = Error::new(ErrorKind::Closed, operation).with_url(&self.drive.welcome().url);
        match self.drive.closed() {
            Some(closed) => error.with_source(closed.clone()),
            None => error,
        }
    }

    /// Round-trip times as the heartbeat measured them; `None` before the first pong.
    #[must_use]
    pub fn rtt(&self) -> Option<Rtt> {
        self.drive.rtt()
    }
}

/// Ends after a close frame, or after the error that ended the connection.
impl Stream for Socket {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        self.drive.poll_recv(cx)
    }
}

/// Closing it is [`Socket::close`] with 1000 and no reason.
impl Sink<Message> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.drive.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<()> {
        self.drive.start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.drive.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.drive.start_close(CloseBody::code_alone(CloseCode::NORMAL));
        self.drive.poll_closed(cx).map(|_| Ok(()))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("subprotocol", &self.subprotocol()).field("closed", &self.closed()).finish()
    }
}
