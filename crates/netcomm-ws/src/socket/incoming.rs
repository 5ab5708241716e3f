//! A message that is read while it comes.

use std::fmt;
use std::future::poll_fn;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};

use super::drive::{Drive, Piece};
use crate::message::Kind;

/// A message that is read while it comes, from [`Socket::recv_stream`](crate::Socket::recv_stream).
///
/// Dropped before its end, the rest of the message is skipped by whatever receives next.
pub struct Incoming<'a> {
    drive: &'a mut Drive,
    kind: Kind,
    /// The piece that told of the message.
    first: Option<Bytes>,
    ended: bool,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(drive: &'a mut Drive, piece: Piece) -> Self {
        Self { drive, kind: piece.kind, first: Some(piece.data), ended: piece.last }
    }

    /// Which kind of message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next piece, at most 64 KiB of what the wire brought; `None` at the end of the message. Text is valid UTF-8, and is cut
    /// between characters.
    ///
    /// # Errors
    ///
    /// As [`Socket::recv`](crate::Socket::recv), and kind `Incomplete` where the connection ends before the message.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(first) = self.first.take()
            && !(first.is_empty() && self.ended)
        {
            return Ok(Some(first));
        }
        if self.ended {
            return Ok(None);
        }
        loop {
            let Some(piece) = poll_fn(|cx| self.drive.poll_piece(cx)).await else {
                self.ended = true;
                return Err(Error::new(ErrorKind::Incomplete, "receive").with_detail("a message without its end"));
            };
            let piece = piece.inspect_err(|_| self.ended = true)?;
            self.ended = piece.last;
            if !piece.data.is_empty() {
                return Ok(Some(piece.data));
            }
            if self.ended {
                return Ok(None);
            }
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.drive.skip();
        }
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("kind", &self.kind).field("ended", &self.ended).finish_non_exhaustive()
    }
}
