//! Observations as a bounded stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::HeaderMap;
use netcomm_core::{Event, Feed, Heard, Interest, Lagged, Listening, Observation, Observe, Slow, Subscription};

/// What is observed, one after the other: for a task that shows, sends or stores it in its own time.
///
/// Made together with an [`ObservationFeed`], which is the observer. Ends when the feed and its clones are gone, after what
/// waits then. What comes faster than it is read is left out, the oldest first, and [counted](Self::dropped): nobody who is
/// observed ever waits.
///
/// # Examples
///
/// ```
/// use netcomm_core::{Interest, Tap};
/// use netcomm_monitor::ObservationStream;
///
/// let (stream, feed) = ObservationStream::new(Interest::DECISION);
/// let tap = Tap::new(feed);
/// assert!(tap.wants(Interest::DECISION));
/// drop(stream);
/// assert!(!tap.wants(Interest::DECISION));
/// ```
pub struct ObservationStream {
    waiting: Subscription<Observation>,
    dropped: u64,
}

/// The observer of an [`ObservationStream`]; a clone feeds the same stream. Wants nothing once the stream is dropped.
#[derive(Clone)]
pub struct ObservationFeed {
    shared: Arc<Shared>,
}

struct Shared {
    feed: Arc<Feed<Observation>>,
    interest: Interest,
    has_left: Arc<AtomicBool>,
}

/// Observations that wait by default.
const ITEMS: usize = 1024;

impl ObservationStream {
    /// A stream of what is wanted, and its observer. At most 1024 observations wait, of 4 MiB together.
    #[must_use]
    pub fn new(interest: Interest) -> (Self, ObservationFeed) {
        Self::with_limits(interest, Listening::default().with_items(ITEMS).with_slow(Slow::DropOldest))
    }

    /// The same within other limits. [`Slow::Wait`] is read as [`Slow::DropOldest`], since who is observed may not wait.
    ///
    /// Bytes are those of an observation itself, of its texts and of its contents.
    #[must_use]
    pub fn with_limits(interest: Interest, limits: Listening) -> (Self, ObservationFeed) {
        let limits = if limits.slow == Slow::Wait { limits.with_slow(Slow::DropOldest) } else { limits };
        let (waiting, feed) = Subscription::new(limits);
        let has_left = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&has_left);
        let waiting = waiting.with_leave(move || leaving.store(true, Ordering::Relaxed));
        feed.attach();
        let shared = Arc::new(Shared { feed, interest, has_left });
        (Self { waiting, dropped: 0 }, ObservationFeed { shared })
    }

    /// The next observation; `None` when no more will come.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Observation> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How many observations were left out before the one that was read last.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many observations wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Stream for ObservationStream {
    type Item = Observation;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.waiting).poll_next(cx)) {
                Some(Ok(observation)) => return Poll::Ready(Some(observation)),
                Some(Err(Lagged(count))) => self.dropped += count,
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for ObservationStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservationStream").field("len", &self.len()).field("dropped", &self.dropped).finish()
    }
}

impl Observe for ObservationFeed {
    fn interest(&self) -> Interest {
        if self.shared.has_left.load(Ordering::Relaxed) { Interest::NONE } else { self.shared.interest }
    }

    fn observe(&self, observation: &Observation) {
        match self.shared.feed.push(observation.clone(), weight(observation)) {
            // It never asks to wait, and that nobody listens is seen in the interest.
            Heard::Yes | Heard::Full | Heard::Gone => {}
        }
    }
}

impl fmt::Debug for ObservationFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservationFeed").field("interest", &self.shared.interest).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.feed.end();
    }
}

/// Bytes that an observation keeps, nearly.
fn weight(observation: &Observation) -> usize {
    let more = match &observation.event {
        Event::CallStarted { url, .. } | Event::SocketOpened { url, .. } | Event::StreamOpened { url, .. } => url.len(),
        Event::Redirected { to, .. } => to.len(),
        Event::RequestHead { url, headers, .. } => url.len() + weight_of_headers(headers),
        Event::ResponseHead { headers, .. } => weight_of_headers(headers),
        Event::RequestBody { data, .. } | Event::ResponseBody { data } | Event::MessageContent { data, .. } => {
            data.len()
        }
        _ => 0,
    };
    size_of::<Observation>() + more
}

fn weight_of_headers(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;

    fn observation(offset: u64) -> Observation {
        Observation::new(Instant::now(), Event::Resumed { offset })
    }

    /// The offsets of all that can be had at once, and whether it has ended.
    fn drain(stream: &mut ObservationStream) -> (Vec<u64>, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut seen = Vec::new();
        loop {
            match Pin::new(&mut *stream).poll_next(&mut cx) {
                Poll::Ready(Some(Observation { event: Event::Resumed { offset }, .. })) => seen.push(offset),
                Poll::Ready(Some(other)) => panic!("{other:?}"),
                Poll::Ready(None) => return (seen, true),
                Poll::Pending => return (seen, false),
            }
        }
    }

    #[test]
    fn who_is_slow_misses_the_oldest_and_knows_how_many() {
        for slow in [Slow::Wait, Slow::DropOldest] {
            let limits = Listening::default().with_items(2).with_slow(slow);
            let (mut stream, feed) = ObservationStream::with_limits(Interest::CALL, limits);
            (1..=5).for_each(|offset| feed.observe(&observation(offset)));
            assert_eq!((drain(&mut stream), stream.dropped()), ((vec![4, 5], false), 3));
            (6..=8).for_each(|offset| feed.observe(&observation(offset)));
            assert_eq!((drain(&mut stream), stream.dropped()), ((vec![7, 8], false), 4));
        }
    }

    #[test]
    fn it_ends_after_what_waits_when_the_last_feed_is_gone() {
        let (mut stream, feed) = ObservationStream::new(Interest::CALL);
        let other = feed.clone();
        feed.observe(&observation(1));
        drop(feed);
        assert_eq!(drain(&mut stream), (vec![1], false));
        other.observe(&observation(2));
        drop(other);
        assert_eq!(drain(&mut stream), (vec![2], true));
    }

    #[test]
    fn contents_count_as_what_they_hold() {
        let limits = Listening::default().with_bytes(2000);
        let (stream, feed) = ObservationStream::with_limits(Interest::CONTENT, limits);
        let data = Bytes::from(vec![0; 1500]);
        (0..5)
            .for_each(|_| feed.observe(&Observation::new(Instant::now(), Event::ResponseBody { data: data.clone() })));
        assert!(stream.len() <= 2, "{stream:?}");
    }
}
