//! Items that go to a listener together: one lock and one wake for all of them.

use std::fmt;
use std::sync::Arc;

use super::{Feed, Heard, Inner, Items, Queue, Slow};

/// What is on its way to one listener, gathered by the one task that sends to it.
///
/// Nobody sees an item before it is [handed over](Self::hand_over). What is gathered is bounded as what waits is, so that with
/// [`Slow::Wait`] both together are, if nobody else sends to that listener.
pub struct Batch<T, Q: Queue<Item = T> = Items<T>> {
    feed: Arc<Feed<T, Q>>,
    items: Q,
    bytes: usize,
    /// How many items and bytes there was room for when the first of these came.
    room: (usize, usize),
    /// About as many, and as many bytes, as went together lately: the next are often as many.
    hint: (usize, usize),
}

impl<T> Batch<T> {
    /// Adds an item that weighs so many bytes. Whether all has to be handed over before another one is added.
    #[inline]
    #[must_use]
    pub fn add(&mut self, item: T, bytes: usize) -> bool {
        self.add_with(bytes, |items| items.push(item, bytes))
    }
}

impl<T, Q: Queue<Item = T>> Batch<T, Q> {
    /// An empty one.
    #[must_use]
    pub fn new(feed: Arc<Feed<T, Q>>) -> Self {
        Self { feed, items: Q::default(), bytes: 0, room: (0, 0), hint: (0, 0) }
    }

    /// Where it goes.
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed<T, Q>> {
        &self.feed
    }

    /// Adds the item that `put` puts at the end of the queue, of so many bytes. Whether all has to be handed over before
    /// another one is added.
    #[inline]
    #[must_use]
    pub fn add_with(&mut self, bytes: usize, put: impl FnOnce(&mut Q)) -> bool {
        if self.items.is_empty() {
            self.begin();
        }
        put(&mut self.items);
        self.bytes += bytes;
        self.items.len() >= self.room.0 || self.bytes >= self.room.1
    }

    #[inline(never)]
    fn begin(&mut self) {
        self.room = self.feed.room(&self.feed.lock());
        self.items.reserve(self.hint.0, self.hint.1);
    }

    /// Hands all items over, as if they were [pushed](Feed::push) one after the other. Without items it does nothing.
    pub fn hand_over(&mut self) -> Heard {
        if self.items.is_empty() {
            return Heard::Yes;
        }
        // Pieces of a chunk come in turns of large and small ones: to forget slowly saves most of the growing.
        let fading = |hint: usize| hint - hint / 8;
        self.hint = (self.items.len().max(fading(self.hint.0)), self.bytes.max(fading(self.hint.1)));
        let Self { feed, items, .. } = self;
        let (listener, dropped, is_full) = {
            let mut inner = feed.lock();
            if inner.left || inner.ended {
                drop(inner);
                self.clear();
                return Heard::Gone;
            }
            let dropped = match feed.limits.slow {
                Slow::Wait => Feed::add_all(&mut inner, items, self.bytes),
                Slow::DropOldest => feed.add_newest(&mut inner, items),
                Slow::DropNewest => feed.add_oldest(&mut inner, items),
            };
            (inner.listener.take(), dropped, feed.limits.slow == Slow::Wait && !feed.has_room(&inner))
        };
        drop(dropped);
        self.clear();
        if let Some(listener) = listener {
            listener.wake();
        }
        if is_full { Heard::Full } else { Heard::Yes }
    }

    fn clear(&mut self) {
        // Memory for the next ones is taken when they come.
        self.items = Q::default();
        self.bytes = 0;
    }
}

impl<T, Q: Queue<Item = T>> Feed<T, Q> {
    fn add_all(inner: &mut Inner<Q>, items: &mut Q, bytes: usize) -> Q {
        inner.bytes += bytes;
        if inner.items.is_empty() {
            // No item is moved.
            std::mem::swap(&mut inner.items, items);
        } else {
            items.move_all(&mut inner.items);
        }
        Q::default()
    }

    fn add_newest(&self, inner: &mut Inner<Q>, items: &mut Q) -> Q {
        let mut dropped = Q::default();
        while !items.is_empty() {
            if !self.has_room(inner) {
                self.make_room(inner, &mut dropped);
            }
            Self::move_first(items, inner);
        }
        dropped
    }

    fn add_oldest(&self, inner: &mut Inner<Q>, items: &mut Q) -> Q {
        while !items.is_empty() && self.has_room(inner) {
            Self::move_first(items, inner);
        }
        inner.lagged += items.len() as u64;
        Q::default()
    }

    fn move_first(items: &mut Q, inner: &mut Inner<Q>) {
        inner.bytes += items.first_bytes();
        items.move_first(&mut inner.items);
    }

    /// How many items and bytes may be added until it has to be looked at again.
    fn room(&self, inner: &Inner<Q>) -> (usize, usize) {
        let (items, bytes) = match self.limits.slow {
            Slow::Wait => self.waiting(inner),
            // There is always room.
            Slow::DropOldest | Slow::DropNewest => (0, 0),
        };
        (self.limits.items.max(1).saturating_sub(items), self.limits.bytes.saturating_sub(bytes))
    }
}

impl<T, Q: Queue<Item = T>> fmt::Debug for Batch<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.items.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::super::{Lagged, Listening, Subscription};
    use super::*;

    fn drain(subscription: &mut Subscription<u32>) -> Vec<Result<u32, Lagged>> {
        let cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match subscription.poll_item(&cx) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        })
        .collect()
    }

    /// What a listener hears of ten items, each of so many bytes, handed over as late as can be, or one by one.
    fn heard(listening: Listening, bytes: usize, is_batch: bool) -> (Vec<Result<u32, Lagged>>, Vec<Heard>) {
        let (mut subscription, feed) = Subscription::new(listening);
        let (mut batch, mut answers, mut items) = (Batch::new(Arc::clone(&feed)), Vec::new(), Vec::new());
        for item in 0..10 {
            let answer = if !is_batch {
                feed.push(item, bytes)
            } else if batch.add(item, bytes) {
                batch.hand_over()
            } else {
                continue;
            };
            answers.push(answer);
            if answer == Heard::Full {
                items.extend(drain(&mut subscription));
            }
        }
        assert_ne!(batch.hand_over(), Heard::Gone);
        items.extend(drain(&mut subscription));
        (items, answers.into_iter().filter(|answer| *answer == Heard::Full).collect())
    }

    #[test]
    fn a_batch_is_heard_as_its_items_are() {
        for slow in [Slow::Wait, Slow::DropOldest, Slow::DropNewest] {
            for (items, bytes) in [(3, 100), (0, 100), (100, 5), (100, 0), (100, 100), (4, 8)] {
                let listening = Listening::default().with_items(items).with_bytes(bytes).with_slow(slow);
                assert_eq!(heard(listening, 2, true), heard(listening, 2, false), "{listening:?}");
            }
        }
    }

    #[test]
    fn nothing_is_heard_before_it_is_handed_over() {
        let (mut subscription, feed) = Subscription::new(Listening::default().with_items(3));
        let mut batch = Batch::new(feed);
        assert!(!batch.add(1, 1) && !batch.add(2, 1));
        assert_eq!(drain(&mut subscription), []);
        assert_eq!(batch.hand_over(), Heard::Yes);
        assert_eq!(batch.hand_over(), Heard::Yes);
        assert!(batch.add(3, 1), "there is room for one");
        assert_eq!(batch.hand_over(), Heard::Full);
        assert_eq!(drain(&mut subscription), [Ok(1), Ok(2), Ok(3)]);
        drop(subscription);
        let _more = batch.add(4, 1);
        assert_eq!(batch.hand_over(), Heard::Gone);
        assert_eq!((batch.items.len(), batch.bytes), (0, 0));
    }
}
