//! What a listener holds.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use netcomm_core::{Feed, Lagged, Listening, Subscription};

use super::log::Log;
use crate::event::Event;
use crate::parser::EventRef;

/// The end that the source holds.
pub(super) type EventFeed = Feed<Event, Log>;

/// Events of some types, for one listener: a [`Stream`] that ends when the source does.
///
/// What waits is bounded as [`Listening`] says. Up to 32 KiB of an event's data are copied to where they wait, one event behind
/// the other: [`next_ref`](Self::next_ref) reads them there, at a fraction of what it costs to make an [`Event`] of each.
///
/// Dropping it ends the listening.
pub struct EventSubscription {
    events: Subscription<Event, Log>,
}

impl EventSubscription {
    pub(super) fn new(listening: Listening) -> (Self, std::sync::Arc<EventFeed>) {
        let (events, feed) = Subscription::with_queue(listening);
        (Self { events }, feed)
    }

    pub(super) fn with_leave(self, leave: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { events: self.events.with_leave(leave) }
    }

    /// The next event; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// [`Lagged`] where events are missing before the next one; never with [`Slow::Wait`](netcomm_core::Slow::Wait).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        self.events.next().await
    }

    /// The same as [`next`](Self::next), lent: it is read where it waited, and nothing is allocated for it. Both ways may be
    /// mixed.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(source: netcomm_sse::EventSource) {
    /// use netcomm_sse::Listening;
    ///
    /// let mut ticks = source.subscribe("tick", Listening::default());
    /// let mut bytes = 0;
    /// while let Some(Ok(tick)) = ticks.next_ref().await {
    ///     bytes += tick.data.len();
    /// }
    /// # }
    /// ```
    pub async fn next_ref(&mut self) -> Option<Result<EventRef<'_>, Lagged>> {
        match poll_fn(|cx| self.events.poll_taken(cx)).await? {
            Ok(()) => self.events.taken().next().map(Ok),
            Err(lagged) => Some(Err(lagged)),
        }
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The next event, read where it waited by `read`.
    #[cfg(feature = "json")]
    #[inline]
    pub(crate) fn poll_read<T>(
        &mut self,
        cx: &Context<'_>,
        read: impl FnOnce(EventRef<'_>) -> T,
    ) -> Poll<Option<Result<T, Lagged>>> {
        match std::task::ready!(self.events.poll_taken(cx)) {
            Some(Ok(())) => Poll::Ready(self.events.taken().next().map(|event| Ok(read(event)))),
            Some(Err(lagged)) => Poll::Ready(Some(Err(lagged))),
            None => Poll::Ready(None),
        }
    }
}

impl Stream for EventSubscription {
    type Item = Result<Event, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.get_mut().events).poll_next(cx)
    }
}

impl fmt::Debug for EventSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSubscription").field("len", &self.len()).finish_non_exhaustive()
    }
}
