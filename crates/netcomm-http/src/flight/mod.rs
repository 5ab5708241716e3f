//! Equal requests in flight share one answer.
//!
//! A flight is one exchange that several callers wait for. No task carries it: it is polled by whoever waits for it,
//! one at a time, and each of them is woken when it moves. So it goes on when the caller that began it leaves, nothing
//! is sent again, and it is called off when the last caller leaves.
//!
//! Others may join until the head has come, and after that for as long as the body is kept from its first byte on: that
//! is, until the slowest reader has begun to read, or half of the window is in use. A flight is over when its body has
//! ended; nothing is ever answered from the past.
//!
//! # Readers of different speed
//!
//! Each reader of a streamed body has its own pace. What the fastest has read is kept for the slowest, up to
//! [`WINDOW_BYTES`](window::WINDOW_BYTES) and one frame beyond, once for all readers. At a full window the fastest
//! stands back for some [turns](state::TURNS) of its executor (microseconds), so that whoever can run catches up,
//! and then goes on as soon as the source has more: it is held up by no clock and by nobody who sleeps. Whoever needed
//! what makes room falls off, and its next read fails with [`ErrorKind::Incomplete`]. A reader that is alone is never
//! too slow: it has the source to itself, and nothing is kept for those that might still come.
//!
//! # Locks
//!
//! Two, always taken in this order: the list of flights, the state of a flight. Neither is held while the exchange is
//! polled, while anybody is woken, or while anything of others (wakers, bodies, futures, bytes) is dropped: see
//! [`Flight::with`]. So an exchange that wakes from within its own poll finds both free, as does a waker that polls.
//! Wakers are cloned under the second.

mod state;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, Result};

use self::state::{After, Head, Source, State, Step};
use self::window::Place;

/// An exchange: the answer, and what the caller wants to know about how it came.
pub(crate) type Exchange<T> = Pin<Box<dyn Future<Output = Result<(http::Response<Body>, T)>> + Send>>;

/// The flights that others may join, by what makes requests equal.
pub(crate) struct Flights<K, T> {
    open: Mutex<HashMap<K, Arc<Flight<K, T>>>>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Joins the flight of this key, or begins it.
    ///
    /// `begin` makes the exchange and must not yet do anything of it: when two callers begin at the same moment, one of
    /// the two is dropped without having been polled. It is called under no lock.
    ///
    /// # Cancel safety
    ///
    /// The exchange goes on as long as anybody waits for it.
    pub(crate) fn join(self: &Arc<Self>, key: K, begin: impl FnOnce() -> Exchange<T>) -> Joined<K, T> {
        let found = self.open().get(&key).and_then(Flight::enter);
        if let Some(seat) = found {
            return Joined { seat: Some(seat), collapsed: true };
        }
        let own = Flight::begin(Arc::downgrade(self), key.clone(), begin());
        let mut open = self.open();
        if let Some(seat) = open.get(&key).and_then(Flight::enter) {
            drop(open);
            return Joined { seat: Some(seat), collapsed: true };
        }
        // A flight that is found here and cannot be joined is about to be taken off the list by another thread.
        let replaced = open.insert(key, Arc::clone(&own.flight));
        drop(open);
        drop(replaced);
        Joined { seat: Some(own), collapsed: false }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<K, Arc<Flight<K, T>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's wait for the head of the answer. Its place among the readers of the body is kept meanwhile.
pub(crate) struct Joined<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    seat: Option<Seat<K, T>>,
    collapsed: bool,
}

/// What a caller gets of a flight.
pub(crate) struct Landed<T> {
    pub(crate) response: http::Response<Body>,
    pub(crate) facts: T,
    /// Whether another caller had begun the flight.
    pub(crate) collapsed: bool,
}

impl<K, T> Future for Joined<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    type Output = Result<Landed<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let seat = this.seat.as_mut().expect("a future is not polled after it was ready");
        let head = loop {
            let (index, waker) = (seat.index, cx.waker());
            match seat.flight.with(|state, after| state.head(index, waker, after)) {
                Step::Done(head) => break head,
                Step::Turn(source) => ready!(seat.take_turn(source, cx)),
                Step::Wait | Step::StandBack => return Poll::Pending,
            }
        };
        seat.has_head = true;
        let seat = this.seat.take();
        let Head { parts, facts, bytes } = Arc::unwrap_or_clone(head?);
        let body = match bytes {
            Some(bytes) => bytes.into(),
            None => seat.map_or_else(Body::empty, |seat| Body::boxed(Box::pin(Reader { seat, over: false }))),
        };
        let response = http::Response::from_parts(parts, body);
        Poll::Ready(Ok(Landed { response, facts, collapsed: this.collapsed }))
    }
}

/// One reader of a streamed body.
struct Reader<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    seat: Seat<K, T>,
    over: bool,
}

impl<K, T> HttpBody for Reader<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { seat, over } = self.get_mut();
        while !*over {
            let (index, waker) = (seat.index, cx.waker());
            let (place, stood_back) = (&mut seat.place, &mut seat.stood_back);
            match seat.flight.with(|state, after| state.read(place, stood_back, index, waker, after)) {
                Step::Done(Some(Ok(piece))) => return Poll::Ready(Some(Ok(piece.into_frame()))),
                Step::Done(end) => {
                    *over = true;
                    return Poll::Ready(end.map(|piece| piece.map(window::Piece::into_frame)));
                }
                Step::Turn(source) => ready!(seat.take_turn(source, cx)),
                Step::Wait => return Poll::Pending,
                Step::StandBack => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.seat.flight.state().window.is_over(self.seat.place)
    }

    fn size_hint(&self) -> SizeHint {
        match self.over {
            true => SizeHint::with_exact(0),
            false => self.seat.flight.state().window.size_hint(self.seat.place),
        }
    }
}

/// One caller of a flight, from its joining to the end of its body.
struct Seat<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    flight: Arc<Flight<K, T>>,
    index: usize,
    has_head: bool,
    place: Place,
    /// How often it has let others go first since it read the last piece.
    stood_back: u32,
}

impl<K, T> Seat<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn new(flight: Arc<Flight<K, T>>, index: usize) -> Self {
        Self { flight, index, has_head: false, place: Place::default(), stood_back: 0 }
    }

    /// Polls the exchange in everybody's name.
    fn take_turn(&self, source: Source<T>, cx: &Context<'_>) -> Poll<()> {
        let flight = &self.flight;
        let mut crash = Crash { flight: Some(flight) };
        // The exchange wakes all that wait, whoever of them has polled it.
        let progress = source.poll(&mut Context::from_waker(&Waker::from(Arc::clone(flight))));
        crash.flight = None;
        flight.with(|state, after| state.apply(progress, self.index, cx.waker(), after))
    }
}

impl<K, T> Drop for Seat<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        let (index, has_head, place) = (self.index, self.has_head, self.place);
        self.flight.with(|state, after| state.leave(index, has_head, place, after));
    }
}

/// Ends the flight for all if the exchange panics under one of them: it cannot be polled on.
struct Crash<'f, K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    flight: Option<&'f Arc<Flight<K, T>>>,
}

impl<K, T> Drop for Crash<'_, K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(flight) = self.flight {
            let error = Error::new(ErrorKind::Canceled, "share answer").with_detail("the shared exchange panicked");
            flight.with(|state, after| state.fail(&error, after));
        }
    }
}

/// One exchange and those who wait for it.
struct Flight<K, T> {
    flights: Weak<Flights<K, T>>,
    state: Mutex<State<K, T>>,
}

impl<K, T> Flight<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn begin(flights: Weak<Flights<K, T>>, key: K, exchange: Exchange<T>) -> Seat<K, T> {
        let (state, index) = State::new(key, exchange);
        Seat::new(Arc::new(Self { flights, state: Mutex::new(state) }), index)
    }

    /// A seat in it, if newcomers still get everything.
    fn enter(self: &Arc<Self>) -> Option<Seat<K, T>> {
        let index = self.state().enter()?;
        Some(Seat::new(Arc::clone(self), index))
    }

    fn state(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and then does what must not be done under the lock.
    fn with<R>(&self, change: impl FnOnce(&mut State<K, T>, &mut After<K, T>) -> R) -> R {
        let mut after = After::default();
        let changed = change(&mut self.state(), &mut after);
        if let Some(key) = after.closed.take()
            && let Some(flights) = self.flights.upgrade()
        {
            let mut open = flights.open();
            let is_own = open.get(&key).is_some_and(|flight| std::ptr::eq(&raw const **flight, self));
            let taken = if is_own { open.remove_entry(&key) } else { None };
            drop(open);
            drop(taken);
        }
        after.wake.drain(..).for_each(Waker::wake);
        changed
    }
}

impl<K, T> Wake for Flight<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.with(State::signal);
    }
}
