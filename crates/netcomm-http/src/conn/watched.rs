//! A stream whose bytes are looked at on their way in, and noticed on their way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use netcomm_core::Io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bell::Inlet;

/// Looks at bytes before the wire engine does.
pub(super) trait Look: Unpin {
    /// The next bytes, never none.
    fn look(&mut self, bytes: &[u8]);

    /// Bytes have been taken on their way out.
    fn wrote(&mut self) {}
}

/// A connection with somebody who looks.
#[derive(Debug)]
pub(super) struct Watched<L> {
    io: Io,
    look: L,
    inlet: Option<Inlet>,
}

impl<L> Watched<L> {
    /// `inlet` is who is told, instead of the task that reads, when there is something to read: of use where one task at a
    /// time moves the connection on.
    pub(super) fn new(io: Io, look: L, inlet: Option<Inlet>) -> Self {
        Self { io, look, inlet }
    }
}

impl<L: Look> AsyncRead for Watched<L> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let io = Pin::new(&mut this.io);
        let outcome = match &this.inlet {
            Some(inlet) => inlet.poll(|cx| io.poll_read(cx, buffer)),
            None => io.poll_read(cx, buffer),
        };
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            this.look.look(new);
        }
        outcome
    }
}

impl<L: Look> Watched<L> {
    fn noticed(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.look.wrote();
        }
        written
    }
}

impl<L: Look> AsyncWrite for Watched<L> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buffer);
        self.noticed(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        // The engine sends a list even where it has one buffer. The system takes that one faster if it is no list.
        let written = match buffers {
            [only] => io.poll_write(cx, only),
            _ => io.poll_write_vectored(cx, buffers),
        };
        self.noticed(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
