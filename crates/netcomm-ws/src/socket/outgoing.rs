//! A message that is sent while it is made.

use std::fmt;
use std::future::poll_fn;

use bytes::Bytes;
use netcomm_core::Result;

use super::drive::Drive;

/// A message that is sent while it is made, from [`Socket::send_stream`](crate::Socket::send_stream).
///
/// The protocol knows no way to take a message back: dropped before [`finish`](Self::finish), the message stays open, and all
/// further messages are refused with an error of kind `Invalid`. Pings, pongs and the goodbye still go.
pub struct Outgoing<'a> {
    drive: &'a mut Drive,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(drive: &'a mut Drive) -> Self {
        Self { drive }
    }

    /// Sends a piece as a fragment of its own. Text must be valid UTF-8 as a whole; pieces may be cut anywhere.
    ///
    /// # Errors
    ///
    /// As [`Socket::send`](crate::Socket::send).
    ///
    /// # Cancel safety
    ///
    /// A future that was dropped before it was ready may have taken the piece: that is known only to the peer.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<()> {
        self.put(piece.into(), false).await
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// As [`Socket::send`](crate::Socket::send).
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    pub async fn finish(mut self) -> Result<()> {
        self.put(Bytes::new(), true).await
    }

    async fn put(&mut self, piece: Bytes, last: bool) -> Result<()> {
        poll_fn(|cx| self.drive.poll_ready(cx)).await?;
        self.drive.piece(piece, last)?;
        poll_fn(|cx| self.drive.poll_flush(cx)).await
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}
