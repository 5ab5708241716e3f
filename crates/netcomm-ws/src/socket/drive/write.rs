//! Writing: from what is ready to the stream beneath.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use netcomm_core::{Error, ErrorKind};
use tokio::io::AsyncWrite;

use super::{Drive, LINGER, State};
use crate::close::Closed;

impl Drive {
    /// Writes what is ready. Ready if something went, or was flushed, or the wire broke; pending if nothing could be done, or there was nothing
    /// to do.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut wrote = false;
        let outcome = loop {
            let hangs_up = self.hangs_up_next();
            let Some(io) = &mut self.io else {
                break Ok(());
            };
            let chunk = self.transmitter.chunk();
            let step = if !chunk.is_empty() {
                Pin::new(io).poll_write(cx, chunk)
            } else if self.unflushed {
                Pin::new(io).poll_flush(cx).map_ok(|()| 0)
            } else if hangs_up {
                let end = Pin::new(io).poll_shutdown(cx);
                self.hung_up = end.is_ready();
                end.map_ok(|()| 0)
            } else {
                break Ok(());
            };
            match step {
                Poll::Pending => break Ok(()),
                Poll::Ready(Err(error)) => break Err(error),
                // That is news for whoever waits for it, though no byte went.
                Poll::Ready(Ok(0)) if chunk.is_empty() => (wrote, self.unflushed) = (true, false),
                Poll::Ready(Ok(0)) => break Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    if self.transmitter.advance(count) {
                        self.pulse.ping_written(self.clock.now());
                    }
                    self.pulse.wrote(count);
                    (wrote, self.unflushed) = (true, true);
                }
            }
        };
        if let Err(error) = outcome {
            self.broken(error);
            return Poll::Ready(());
        }
        if wrote { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether there is anything that a write would do.
    #[inline]
    pub(super) fn has_output(&self) -> bool {
        !self.transmitter.chunk().is_empty() || self.unflushed || self.hangs_up_next()
    }

    /// RFC 6455 §7.1.1: the server ends the connection beneath, the client waits for that.
    pub(super) fn hangs_up_next(&self) -> bool {
        self.is_server && !self.hung_up && matches!(self.state, State::Ending { .. })
    }

    /// Nothing can be written any more. What the peer said last may still be there to read.
    pub(super) fn broken(&mut self, cause: io::Error) {
        self.unflushed = false;
        if matches!(self.state, State::Ending { .. }) && self.transmitter.is_silent() {
            // All was said before.
            return;
        }
        self.doubt();
        self.transmitter.stop();
        if matches!(self.state, State::Open) {
            let error = Error::new(ErrorKind::Closed, "send").with_url(&self.welcome.url).with_source(cause);
            let deadline = self.clock.now() + LINGER;
            self.state = State::Ending { deadline, closed: Closed::abnormal(), error: Some(error) };
        }
    }
}
