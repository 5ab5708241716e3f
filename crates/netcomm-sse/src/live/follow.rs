//! Where changes come from: one act.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use netcomm_core::{Error, Result};

use super::change::Change;

/// Brings the changes of a document: over an event stream ([`EventChanges`](super::EventChanges)), a WebSocket, or anything
/// that keeps their order. Closures of that shape do it too.
pub trait Follow: Send + Sync + 'static {
    /// A stream of the changes behind that number. Called after each fetch, and again where a stream has ended with an error
    /// that another try may mend; the one before is dropped. Must not block: what has to be opened is opened as the
    /// stream is polled.
    fn follow(&self, after: u64) -> Following;
}

impl<F: Fn(u64) -> Following + Send + Sync + 'static> Follow for F {
    fn follow(&self, after: u64) -> Following {
        self(after)
    }
}

/// Any [`Follow`].
pub(super) type AnyFollow = Arc<dyn Follow>;

/// What is heard of a document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum News {
    /// The stream is open, or open once more: from here on each change comes.
    Open {
        /// The number that the server was asked to go on behind; `None` for the last one that came.
        after: Option<u64>,
    },
    /// A change.
    Change(Change),
    /// The stream is alive.
    Alive,
    /// The stream was lost for this reason, or could not be opened, and opens once more by itself.
    Lost(Error),
    /// Something came that should have been a change and is none: the document has to be fetched.
    Unreadable(Error),
}

/// A stream of [`News`]. It ends where the document will not change any more, and with an error where it gives up.
pub struct Following(Pin<Box<dyn Stream<Item = Result<News>> + Send>>);

impl Following {
    /// Any stream of them.
    pub fn new(stream: impl Stream<Item = Result<News>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// One that fails.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self::new(Failed(Some(error)))
    }
}

impl Stream for Following {
    type Item = Result<News>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Following")
    }
}

struct Failed(Option<Error>);

impl Stream for Failed {
    type Item = Result<News>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}
