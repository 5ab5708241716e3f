//! From the one task of a connection to whoever listens: bounded, with a word about what was left out.

mod batch;
mod queue;

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;

pub use batch::Batch;
pub use queue::{Items, Queue};

/// What happens to a listener that is slower than what it listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slow {
    /// The connection stops reading until there is room: nothing is left out, and the peer has to wait. Of a full queue a
    /// sixteenth has to be taken, or sixteen items, before it reads on.
    Wait,
    /// The oldest item goes, and the listener is told how many went.
    DropOldest,
    /// The newest item goes, and the listener is told how many went.
    DropNewest,
}

/// How much waits for a listener, and what happens when that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// Items that wait at most; 0 is read as 1. Default 256.
    pub items: usize,
    /// Bytes of payload that wait at most; one item may always wait. Default 4 MiB.
    pub bytes: usize,
    /// What happens when more comes. Default [`Slow::Wait`].
    pub slow: Slow,
}

impl Default for Listening {
    fn default() -> Self {
        Self { items: 256, bytes: 4 * 1024 * 1024, slow: Slow::Wait }
    }
}

impl Listening {
    /// The same with another [`items`](Self::items).
    #[must_use]
    pub const fn with_items(self, items: usize) -> Self {
        Self { items, ..self }
    }

    /// The same with another [`bytes`](Self::bytes).
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same with another [`slow`](Self::slow).
    #[must_use]
    pub const fn with_slow(self, slow: Slow) -> Self {
        Self { slow, ..self }
    }
}

/// So many items were left out since the last one: the listener was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items left out for a slow listener", self.0)
    }
}

impl StdError for Lagged {}

/// What a listener holds: a [`Stream`] that ends when its connection is closed for good, or its subject is given up.
///
/// Dropping it ends the listening.
pub struct Subscription<T, Q: Queue<Item = T> = Items<T>> {
    feed: Arc<Feed<T, Q>>,
    /// What was taken in one go, to be handed out without a lock. It still counts as what waits.
    taken: Q,
    /// What was handed out of it since the feed was told.
    untold: Untold,
    leave: Option<Leave>,
}

/// What a feed is told of in one go: to tell it of each item would take longer than to hand it out.
#[derive(Default)]
struct Untold {
    items: u32,
    bytes: usize,
}

/// What is to be done when a listener leaves.
type Leave = Box<dyn FnOnce() + Send + Sync>;

/// The other end of a [`Subscription`], kept by the connection.
pub struct Feed<T, Q: Queue<Item = T> = Items<T>> {
    state: Mutex<Inner<Q>>,
    limits: Listening,
    /// What the listener has taken in one go and not handed out. It alone writes these, and adds to them under the lock.
    taken_items: AtomicU32,
    taken_bytes: AtomicUsize,
    /// Somebody waits for room: whoever makes some has to look.
    is_awaited: AtomicBool,
}

/// Whether somebody heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Heard {
    /// Somebody did.
    Yes,
    /// And the next one has to [wait](Feed::poll_room).
    Full,
    /// Nobody listens any more.
    Gone,
}

struct Inner<Q> {
    items: Q,
    bytes: usize,
    lagged: u64,
    /// How many may still send; when the last one has ended, nothing more will come.
    senders: u32,
    ended: bool,
    /// Whether nobody listens any more.
    left: bool,
    listener: Option<Waker>,
    /// Who waits for room.
    waiting: Vec<Waker>,
}

impl<T> Subscription<T> {
    /// Both ends.
    #[must_use]
    pub fn new(limits: Listening) -> (Self, Arc<Feed<T>>) {
        Self::with_queue(limits)
    }
}

impl<T, Q: Queue<Item = T>> Subscription<T, Q> {
    /// Both ends, with a queue of another kind between them.
    #[must_use]
    pub fn with_queue(limits: Listening) -> (Self, Arc<Feed<T, Q>>) {
        let inner = Inner {
            items: Q::default(),
            bytes: 0,
            lagged: 0,
            senders: 0,
            ended: false,
            left: false,
            listener: None,
            waiting: Vec::new(),
        };
        let feed = Arc::new(Feed {
            state: Mutex::new(inner),
            limits,
            taken_items: AtomicU32::new(0),
            taken_bytes: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
        });
        (Self { feed: Arc::clone(&feed), taken: Q::default(), untold: Untold::default(), leave: None }, feed)
    }

    /// The same, and `leave` is called after it is dropped.
    #[must_use]
    pub fn with_leave(self, leave: impl FnOnce() + Send + Sync + 'static) -> Self {
        let mut with = self;
        with.leave = Some(Box::new(leave));
        with
    }

    /// The next item; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// [`Lagged`] where items are missing before the next one; never with [`Slow::Wait`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T, Lagged>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.len() + self.feed.lock().items.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until [`taken`](Self::taken) has a first item. `None` when no more will come.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    #[inline]
    pub fn poll_taken(&mut self, cx: &Context<'_>) -> Poll<Option<Result<(), Lagged>>> {
        if self.taken.is_empty() { self.feed.poll_take(&mut self.taken, cx) } else { Poll::Ready(Some(Ok(()))) }
    }

    /// A queue whose first item counts as handed out from here on: whoever asks has to take it out.
    #[inline]
    pub fn taken(&mut self) -> &mut Q {
        let left = self.taken.len().saturating_sub(1);
        self.untold.items += 1;
        self.untold.bytes += self.taken.first_bytes();
        if left == 0 || self.feed.is_worth_telling(&self.untold) {
            self.feed.handed_out(left, std::mem::take(&mut self.untold).bytes);
        }
        &mut self.taken
    }

    #[inline]
    fn poll_item(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T, Lagged>>> {
        match ready!(self.poll_taken(cx)) {
            Some(Ok(())) => {}
            Some(Err(lagged)) => return Poll::Ready(Some(Err(lagged))),
            None => return Poll::Ready(None),
        }
        // Items are large: one is moved as seldom as can be.
        let item = self.taken().pop().map(Ok);
        if self.taken.is_empty() {
            self.taken.rest();
        }
        Poll::Ready(item)
    }
}

/// Items are handed out, never pinned.
impl<T, Q: Queue<Item = T>> Unpin for Subscription<T, Q> {}

impl<T, Q: Queue<Item = T>> Stream for Subscription<T, Q> {
    type Item = Result<T, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }
}

impl<T, Q: Queue<Item = T>> Drop for Subscription<T, Q> {
    fn drop(&mut self) {
        let (items, waiting) = {
            let mut inner = self.feed.lock();
            inner.left = true;
            inner.bytes = 0;
            (std::mem::take(&mut inner.items), std::mem::take(&mut inner.waiting))
        };
        drop(items);
        waiting.into_iter().for_each(Waker::wake);
        if let Some(leave) = self.leave.take() {
            leave();
        }
    }
}

impl<T, Q: Queue<Item = T>> fmt::Debug for Subscription<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.feed.lock();
        let len = self.taken.len() + inner.items.len();
        f.debug_struct("Subscription").field("len", &len).field("ended", &inner.ended).finish()
    }
}

impl<T, Q: Queue<Item = T>> fmt::Debug for Feed<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Feed").field("len", &self.waiting(&inner).0).field("left", &inner.left).finish()
    }
}

impl<T> Feed<T> {
    /// Takes an item that weighs so many bytes.
    #[inline]
    pub fn push(&self, item: T, bytes: usize) -> Heard {
        self.push_with(bytes, || item)
    }

    /// Takes an item that weighs so many bytes and is made where it will lie: a large one is not moved there. `make` is called
    /// under a lock, and only where somebody listens.
    #[inline]
    pub fn push_with(&self, bytes: usize, make: impl FnOnce() -> T) -> Heard {
        let (listener, dropped, is_full) = {
            let mut inner = self.lock();
            if inner.left || inner.ended {
                return Heard::Gone;
            }
            let mut dropped = Items::default();
            match self.limits.slow {
                Slow::DropNewest if !self.has_room(&inner) => {
                    inner.lagged += 1;
                    return Heard::Yes;
                }
                Slow::DropOldest if !self.has_room(&inner) => self.make_room(&mut inner, &mut dropped),
                _ => {}
            }
            inner.items.push(make(), bytes);
            inner.bytes += bytes;
            let is_full = self.limits.slow == Slow::Wait && !self.has_room(&inner);
            (inner.listener.take(), dropped, is_full)
        };
        drop(dropped);
        if let Some(listener) = listener {
            listener.wake();
        }
        if is_full { Heard::Full } else { Heard::Yes }
    }
}

impl<T, Q: Queue<Item = T>> Feed<T, Q> {
    /// Whether nobody listens any more.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.lock().left
    }

    /// Waits until an item can be taken without leaving one out, where the listener asked for that.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.limits.slow != Slow::Wait {
            return Poll::Ready(());
        }
        let mut inner = self.lock();
        if inner.left || self.has_room(&inner) {
            return Poll::Ready(());
        }
        if !inner.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.waiting.push(cx.waker().clone());
        }
        // A listener that hands something out meanwhile sees this, or is seen by the second look.
        self.is_awaited.store(true, Ordering::SeqCst);
        if self.has_room(&inner) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// One more may send.
    pub fn attach(&self) {
        self.lock().senders += 1;
    }

    /// One of those that may send will do so no more.
    pub fn end(&self) {
        let listener = {
            let mut inner = self.lock();
            inner.senders = inner.senders.saturating_sub(1);
            inner.ended = inner.senders == 0;
            if inner.ended { inner.listener.take() } else { None }
        };
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    /// Takes what waits, or tells what comes instead.
    #[inline(never)]
    fn poll_take(&self, taken: &mut Q, cx: &Context<'_>) -> Poll<Option<Result<(), Lagged>>> {
        taken.rest();
        let mut inner = self.lock();
        // What is missing is missing from the front, or from the end.
        let is_front = self.limits.slow == Slow::DropOldest || inner.items.is_empty();
        if inner.lagged > 0 && is_front {
            return Poll::Ready(Some(Err(Lagged(std::mem::take(&mut inner.lagged)))));
        }
        if inner.items.is_empty() {
            if inner.ended {
                return Poll::Ready(None);
            }
            inner.listener = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = if self.limits.slow == Slow::Wait {
            std::mem::swap(&mut inner.items, taken);
            inner.bytes
        } else {
            // One by one: what was taken could be left out no more.
            let bytes = inner.items.first_bytes();
            inner.items.move_first(taken);
            if inner.items.is_empty() {
                inner.items.rest();
            }
            bytes
        };
        inner.bytes -= bytes;
        self.taken_bytes.store(bytes, Ordering::Relaxed);
        self.taken_items.store(narrow(taken.len()), Ordering::SeqCst);
        Poll::Ready(Some(Ok(())))
    }

    /// Whether as much was handed out as a sender that waits should wait for: a sixteenth of what may wait, or sixteen items.
    #[inline]
    fn is_worth_telling(&self, untold: &Untold) -> bool {
        untold.items >= STRIDE
            || untold.items as usize >= self.limits.items / 16
            || untold.bytes >= self.limits.bytes / 16
    }

    /// So many items are left of those that were taken, and so many bytes of them are gone.
    #[inline(never)]
    fn handed_out(&self, left: usize, bytes: usize) {
        let left_bytes = self.taken_bytes.load(Ordering::Relaxed) - bytes;
        self.taken_bytes.store(left_bytes, Ordering::Relaxed);
        self.taken_items.store(narrow(left), Ordering::SeqCst);
        if self.is_awaited.load(Ordering::SeqCst) {
            self.wake_waiting();
        }
    }

    #[cold]
    fn wake_waiting(&self) {
        let waiting = {
            let mut inner = self.lock();
            if !self.has_room(&inner) {
                return;
            }
            self.is_awaited.store(false, Ordering::SeqCst);
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The oldest go to `dropped`, as many as have to: they are dropped where no lock is held.
    #[cold]
    fn make_room(&self, inner: &mut Inner<Q>, dropped: &mut Q) {
        while !inner.items.is_empty() && !self.has_room(inner) {
            inner.bytes -= inner.items.first_bytes();
            inner.lagged += 1;
            inner.items.move_first(dropped);
        }
    }

    fn has_room(&self, inner: &Inner<Q>) -> bool {
        let (items, bytes) = self.waiting(inner);
        items == 0 || (items < self.limits.items.max(1) && bytes < self.limits.bytes)
    }

    /// Items that wait, and their bytes: also what was taken and not handed out.
    fn waiting(&self, inner: &Inner<Q>) -> (usize, usize) {
        let items = inner.items.len() + self.taken_items.load(Ordering::SeqCst) as usize;
        (items, inner.bytes + self.taken_bytes.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many items are handed out at most before a sender hears of room.
const STRIDE: u32 = 16;

/// Idle listeners are many: their numbers are small. Above that many items, only bytes bound what waits.
fn narrow(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::queue::KEPT_ITEMS;
    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listening(slow: Slow) -> (Subscription<u32>, Arc<Feed<u32>>) {
        Subscription::new(Listening::default().with_items(2).with_bytes(10).with_slow(slow))
    }

    /// Everything that can be had at once; `-n` for a lag of n.
    fn drain(subscription: &mut Subscription<u32>) -> Vec<i64> {
        let cx = Context::from_waker(Waker::noop());
        let mut seen = Vec::new();
        while let Poll::Ready(Some(item)) = subscription.poll_item(&cx) {
            seen.push(item.map_or_else(|Lagged(count)| -(count as i64), i64::from));
        }
        seen
    }

    #[test]
    fn who_is_slow_is_told_what_is_missing_and_where() {
        for (slow, expected) in [(Slow::DropOldest, [-3, 4, 5]), (Slow::DropNewest, [1, 2, -3])] {
            let (mut subscription, feed) = listening(slow);
            assert!((1..=5).all(|item| feed.push(item, 1) == Heard::Yes));
            assert_eq!(drain(&mut subscription), expected, "{slow:?}");
            assert_eq!(feed.push(6, 1), Heard::Yes);
            assert_eq!(drain(&mut subscription), [6], "told once");
        }
    }

    #[test]
    fn a_sender_that_waits_is_woken_by_room_and_by_leaving() {
        for leaves in [false, true] {
            let (mut subscription, feed) = listening(Slow::Wait);
            let counter = Arc::new(Counter::default());
            let waker = Waker::from(Arc::clone(&counter));
            let cx = Context::from_waker(&waker);
            assert!(feed.poll_room(&cx).is_ready());
            assert_eq!(feed.push(1, 20), Heard::Full, "one may always wait, whatever its size");
            assert!(feed.poll_room(&cx).is_pending());
            if leaves {
                drop(subscription);
                assert_eq!(feed.push(2, 1), Heard::Gone);
                assert_eq!(feed.push_with(1, || unreachable!("made for nobody")), Heard::Gone);
                assert!(feed.has_left());
            } else {
                assert_eq!(drain(&mut subscription), [1]);
            }
            assert_eq!(counter.0.load(Ordering::Relaxed), 1);
            assert!(feed.poll_room(&cx).is_ready());
        }
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let (mut subscription, feed) = listening(Slow::Wait);
        assert_eq!(feed.push(1, 1), Heard::Yes);
        feed.end();
        assert_eq!(drain(&mut subscription), [1]);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(subscription.poll_item(&cx), Poll::Ready(None));
    }
    #[test]
    fn what_is_taken_in_one_go_still_waits() {
        let (mut subscription, feed) = Subscription::new(Listening::default().with_items(3).with_bytes(10));
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let cx = Context::from_waker(&waker);
        assert_eq!(feed.push(1, 1), Heard::Yes);
        assert_eq!(feed.push(2, 8), Heard::Yes);
        assert_eq!(subscription.poll_item(&cx), Poll::Ready(Some(Ok(1))));
        assert_eq!(subscription.len(), 1);
        assert_eq!(feed.push(3, 2), Heard::Full, "the bytes of what was taken count");
        assert!(feed.poll_room(&cx).is_pending());
        assert_eq!(subscription.len(), 2);
        assert_eq!(subscription.poll_item(&cx), Poll::Ready(Some(Ok(2))));
        assert_eq!(counter.0.load(Ordering::Relaxed), 1, "room is told when there is some, not when all is handed out");
        assert!(feed.poll_room(&cx).is_ready());
        assert_eq!(drain(&mut subscription), [3]);
        assert_eq!(feed.push(4, 10), Heard::Full);
        drop(subscription);
        assert!(feed.poll_room(&cx).is_ready());
    }

    #[test]
    fn room_in_a_long_queue_is_told_by_the_sixteenth() {
        for (items, told_after) in [(31, 1), (32, 2), (64, 4), (256, 16), (4096, 16)] {
            let (mut subscription, feed) = Subscription::new(Listening::default().with_items(items as usize));
            assert!((1..items).all(|item| feed.push(item, 1) == Heard::Yes));
            assert_eq!(feed.push(items, 1), Heard::Full);
            let counter = Arc::new(Counter::default());
            let waker = Waker::from(Arc::clone(&counter));
            let cx = Context::from_waker(&waker);
            assert!(feed.poll_room(&cx).is_pending());
            let taken = (1..=items).take_while(|item| {
                assert_eq!(subscription.poll_item(&cx), Poll::Ready(Some(Ok(*item))));
                counter.0.load(Ordering::Relaxed) == 0
            });
            assert_eq!(taken.count() + 1, told_after, "of {items}");
            assert!(feed.poll_room(&cx).is_ready());
        }
    }

    #[test]
    fn a_queue_that_is_empty_keeps_little() {
        for slow in [Slow::Wait, Slow::DropOldest] {
            let (mut subscription, feed) = Subscription::new(Listening::default().with_slow(slow));
            assert!((0..200).all(|item| feed.push(item, 1) == Heard::Yes));
            assert_eq!(drain(&mut subscription).len(), 200);
            let kept = subscription.taken.capacity() + feed.lock().items.capacity();
            assert!(kept <= 2 * KEPT_ITEMS, "{slow:?}: {kept}");
        }
    }

    #[test]
    fn threads_lose_no_wake() {
        const ITEMS: u32 = 20_000;
        /// Wakes a thread that is parked.
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            loop {
                match poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(done) => return done,
                    Poll::Pending => std::thread::park(),
                }
            }
        }
        let (mut subscription, feed) = listening(Slow::Wait);
        let sender = std::thread::spawn(move || {
            let mut batch = Batch::new(feed);
            for item in 0..ITEMS {
                if batch.add(item, 1) && batch.hand_over() == Heard::Full {
                    block(|cx| batch.feed().poll_room(cx));
                }
            }
            assert_ne!(batch.hand_over(), Heard::Gone);
            batch.feed().end();
        });
        for item in 0..ITEMS {
            assert_eq!(block(|cx| subscription.poll_item(cx)), Some(Ok(item)));
            assert!(subscription.len() <= 2);
        }
        assert_eq!(block(|cx| subscription.poll_item(cx)), None);
        sender.join().unwrap();
    }
}
