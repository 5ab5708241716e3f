//! What a connection's handles and its task have in common.

mod listening;
mod moving;
mod standing;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use netcomm_core::{Clock, Error, ErrorKind, Feed, Heard, Phase, Result};
use tokio::sync::{Notify, oneshot, watch};

use super::Pushback;
use super::counters::Counters;
use super::outbound::{Outbound, Rejected};
use super::receipt::{Cargo, Dropped, Receipt, Slot, Status};
use super::state::{Delivery, Event, Snapshot, State};
use crate::close::CloseBody;
use crate::heartbeat::Rtt;
use crate::message::{Message, Text};
use crate::queue::{Entry, Item, Overflow, Pushed, Queue, QueueLimits};
use standing::Standing;

/// Those who listen to the same thing; shared with whoever is just telling them.
pub(crate) type Listeners<T> = Arc<[Arc<Feed<T>>]>;

/// A message that has left the queue, on its way.
pub(crate) struct Parcel {
    pub(crate) id: u64,
    pub(crate) message: Message,
    pub(crate) topic: Option<Text>,
    pub(crate) request: Option<u64>,
    /// Not numbered, nor sent twice.
    pub(crate) volatile: bool,
    pub(crate) slot: Arc<Slot>,
}

/// What the owner wants of the task.
pub(crate) enum Order {
    /// Connect, if that was not done yet.
    Start,
    /// Drop the connection, and make a new one.
    Renew,
    /// Say goodbye, and no more.
    Close(CloseBody),
}

/// What lies there for the task.
pub(crate) struct Desk {
    pub(crate) order: Option<Order>,
    /// When the first message in the queue is of no use any more.
    pub(crate) next_expiry: Option<Instant>,
    /// Whether the peer is to be told of topics, or of what was had.
    pub(crate) has_notes: bool,
    /// Whether something waits to be sent.
    pub(crate) has_queued: bool,
}

/// A change of what the peer is asked to send.
pub(crate) enum TopicChange {
    Added(Text),
    Left(Text),
}

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    state: watch::Sender<State>,
    /// Told whenever something leaves the queue.
    room: Notify,
    /// Held by the one who looks for room.
    line: tokio::sync::Mutex<()>,
    /// Those who look for room, or stand behind the one who does.
    in_line: Standing,
    /// Told whenever nothing is left to write.
    idle: Notify,
    /// Those who wait for that.
    drainers: Standing,
    clock: Arc<dyn Clock>,
    counters: Counters,
    /// Whether something was laid on the desk since the task began to look at it last. Set under the lock.
    has_news: AtomicBool,
    /// How often those who listen to all messages were others, changed under the lock.
    listener_changes: AtomicU64,
    /// Whether something taken from the queue is not with the operating system yet. Set under the lock, as it is taken.
    is_writing: AtomicBool,
    /// How many are sent and not acknowledged.
    unacknowledged: AtomicUsize,
    /// Some moment, for what asks for one and does not look at it.
    born: Instant,
    /// Whether a sender waits where the queue is full.
    waits_for_room: bool,
}

struct Inner {
    queue: Queue<Arc<Slot>>,
    /// Whether a message could go at once.
    is_ready: bool,
    is_closed: bool,
    /// Whether its owner has said goodbye: nothing that is asked for later counts.
    is_closing: bool,
    order: Option<Order>,
    /// The task.
    waker: Option<Waker>,
    listeners: Listeners<Delivery>,
    events: Listeners<Event>,
    topics: HashMap<Text, Listeners<Delivery>>,
    topic_changes: Vec<TopicChange>,
    /// Numbers that the owner acknowledges, and not told yet.
    acks: Vec<u64>,
    /// Which run of the peer's numbers those belong to.
    session: u64,
    requests: HashMap<u64, Request>,
    next_request: u64,
    rtt: Option<Rtt>,
}

/// A request that waits for its answer.
struct Request {
    answer: oneshot::Sender<Result<Message>>,
    slot: Arc<Slot>,
    /// It is never sent twice.
    volatile: bool,
}

impl Shared {
    pub(super) fn new(queue: QueueLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        let waits_for_room = queue.overflow == Overflow::Wait;
        let inner = Inner {
            queue: Queue::new(queue),
            is_ready: false,
            is_closed: false,
            is_closing: false,
            order: None,
            waker: None,
            listeners: Arc::new([]),
            events: Arc::new([]),
            topics: HashMap::new(),
            topic_changes: Vec::new(),
            acks: Vec::new(),
            session: 0,
            requests: HashMap::new(),
            next_request: 1,
            rtt: None,
        };
        let (state, _) = watch::channel(State::Idle);
        Arc::new(Self {
            inner: Mutex::new(inner),
            state,
            room: Notify::new(),
            line: tokio::sync::Mutex::new(()),
            in_line: Standing::default(),
            idle: Notify::new(),
            drainers: Standing::default(),
            born: clock.now(),
            clock,
            counters: Counters::default(),
            has_news: AtomicBool::new(true),
            listener_changes: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
            unacknowledged: AtomicUsize::new(0),
            waits_for_room,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    // The owner's side.

    /// Takes a message, if there is room.
    pub(super) fn push(self: &Arc<Self>, outbound: Outbound) -> Result<Receipt, Pushback> {
        self.push_with(outbound, None)
    }

    /// Takes a request, and gives where its answer will come.
    pub(super) fn ask(
        self: &Arc<Self>,
        number: u64,
        outbound: Outbound,
    ) -> Result<(Receipt, oneshot::Receiver<Result<Message>>), Pushback> {
        let (answer, answered) = oneshot::channel();
        self.push_with(outbound, Some((number, answer))).map(|receipt| (receipt, answered))
    }

    fn push_with(
        self: &Arc<Self>,
        outbound: Outbound,
        request: Option<(u64, oneshot::Sender<Result<Message>>)>,
    ) -> Result<Receipt, Pushback> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(Pushback::Rejected(Rejected { outbound, why: Dropped::Closed }));
        }
        // To read a clock costs more than all the rest; most messages wait as long as they must.
        let is_timed = outbound.time_to_live.is_some() || inner.queue.next_expiry().is_some();
        let now = if is_timed { self.clock.now() } else { self.born };
        let Outbound { message, priority, time_to_live, volatile, topic } = outbound;
        let bytes = message.len();
        let id = inner.queue.next_id();
        let number = request.as_ref().map(|(number, _)| *number);
        let slot = Slot::new(Cargo { message, topic, request: number }, Arc::downgrade(self), id);
        if let Some((number, answer)) = request {
            // Before it can be sent: the answer may be quick.
            inner.requests.insert(number, Request { answer, slot: Arc::clone(&slot), volatile });
        }
        let expires = time_to_live.and_then(|time| now.checked_add(time));
        let item = Item { bytes, payload: Arc::clone(&slot), priority, expires, volatile };
        let is_ready = inner.is_ready;
        let pushed = inner.queue.push(item, is_ready, now);
        let expired = inner.queue.take_expired();
        let has_no_room = matches!(pushed, Pushed::Full(_));
        let (item, why) = match pushed {
            Pushed::Queued { evicted, .. } => {
                let waker = self.rouse(&mut inner);
                drop(inner);
                if let Some(waker) = waker {
                    waker.wake();
                }
                self.expired(expired);
                if let Some(evicted) = evicted {
                    self.dropped(evicted, Dropped::Evicted);
                }
                return Ok(Receipt::new(id, slot));
            }
            Pushed::Full(item) | Pushed::TooLarge(item) => {
                let request = number.and_then(|number| inner.requests.remove(&number));
                drop(inner);
                drop(request);
                self.expired(expired);
                let outbound = self.give_back(item);
                return Err(if has_no_room && self.waits_for_room {
                    Pushback::Wait(outbound)
                } else {
                    Pushback::Rejected(Rejected { outbound, why: Dropped::Full })
                });
            }
            Pushed::Dropped(item) => (item, Dropped::Full),
            Pushed::Offline(item) => (item, Dropped::Volatile),
            Pushed::Expired(item) => (item, Dropped::Expired),
        };
        // It has a number like all others, for the word about it to name.
        inner.queue.skip();
        drop(inner);
        self.expired(expired);
        self.dropped([Entry { id, item }], why);
        Ok(Receipt::new(id, slot))
    }

    /// What was to be sent, of a newcomer that the queue gave back.
    fn give_back(&self, item: Item<Arc<Slot>>) -> Outbound {
        let Item { payload, priority, volatile, expires, .. } = item;
        let Cargo { message, topic, .. } =
            payload.take_cargo().expect("it did not leave the queue: it never was in it");
        let now = if expires.is_some() { self.clock.now() } else { self.born };
        let time_to_live = expires.map(|at| at.saturating_duration_since(now));
        Outbound { message, priority, time_to_live, volatile, topic }
    }

    /// Waits for room, as far as one can tell: somebody else may be faster.
    async fn room(&self) {
        let room = self.room.notified();
        if !self.lock().is_closed {
            room.await;
        }
    }

    /// Takes a message by `push` as soon as there is room for it, or its time is over. Those who wait stand in line: only the
    /// first of them looks for room, and newcomers stand behind.
    pub(super) async fn when_room<T>(
        &self,
        outbound: Outbound,
        mut push: impl FnMut(Outbound) -> Result<T, Pushback>,
    ) -> Result<T, Rejected> {
        let outbound = if self.in_line.any() {
            outbound
        } else {
            match push(outbound) {
                Ok(taken) => return Ok(taken),
                Err(Pushback::Rejected(rejected)) => return Err(rejected),
                Err(Pushback::Wait(outbound)) => outbound,
            }
        };
        self.stand_in_line(outbound, push).await
    }

    async fn stand_in_line<T>(
        &self,
        mut outbound: Outbound,
        mut push: impl FnMut(Outbound) -> Result<T, Pushback>,
    ) -> Result<T, Rejected> {
        // Before it looks again: what leaves the queue from now on is told.
        let _stand = self.in_line.stand();
        // Its time runs while it stands here as well.
        let expiry = outbound.time_to_live.and_then(|time| self.now().checked_add(time));
        let mut place = self.line.try_lock().ok();
        loop {
            let is_late = outbound.time_to_live.is_some_and(|left| left.is_zero());
            // What can only be dropped need not stand in line for it.
            let is_futile = is_late || (outbound.volatile && !self.lock().is_ready);
            if place.is_none() && !is_futile {
                place = self.within(self.line.lock(), expiry).await;
            } else {
                outbound = match push(outbound) {
                    Ok(taken) => return Ok(taken),
                    Err(Pushback::Rejected(rejected)) => return Err(rejected),
                    Err(Pushback::Wait(outbound)) => outbound,
                };
                self.within(self.room(), expiry).await;
            }
            if let Some(at) = expiry {
                outbound.time_to_live = Some(at.saturating_duration_since(self.now()));
            }
        }
    }

    /// What `future` comes to, unless that time comes first.
    async fn within<T>(&self, future: impl Future<Output = T>, at: Option<Instant>) -> Option<T> {
        let mut future = pin!(future);
        let mut limit = at.map(|at| self.clock.sleep_until(at));
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            match &mut limit {
                Some(limit) => limit.as_mut().poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until nothing waits any more, and all of it was written.
    pub(super) async fn idle(&self) -> bool {
        let _stand = self.drainers.stand();
        loop {
            let idle = self.idle.notified();
            {
                let inner = self.lock();
                if self.is_idle(&inner) {
                    return !inner.is_closed;
                }
                if inner.is_closed {
                    return false;
                }
            }
            idle.await;
        }
    }

    pub(super) fn order(&self, order: Order) {
        let waker = {
            let mut inner = self.lock();
            // A goodbye is not taken back.
            if inner.is_closing {
                return;
            }
            inner.is_closing = matches!(order, Order::Close(_));
            inner.order = Some(order);
            self.rouse(&mut inner)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn cancel(&self, id: u64) -> bool {
        let entry = self.lock().queue.cancel(id);
        let found = entry.is_some();
        self.dropped(entry, Dropped::Canceled);
        found
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state.borrow().clone();
        let inner = self.lock();
        Snapshot {
            state,
            queued: inner.queue.len(),
            queued_bytes: inner.queue.bytes(),
            unacknowledged: self.unacknowledged.load(Ordering::Relaxed),
            requests: inner.requests.len(),
            counts: self.counters.get(),
            rtt: inner.rtt,
        }
    }

    /// The peer is to be told that its message is had.
    pub(super) fn acknowledge(&self, session: u64, sequence: u64) {
        let waker = {
            let mut inner = self.lock();
            if inner.is_closed || inner.session != session {
                return;
            }
            inner.acks.push(sequence);
            self.rouse(&mut inner)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A number for a request.
    pub(super) fn new_request(&self) -> u64 {
        let mut inner = self.lock();
        let number = inner.next_request;
        inner.next_request += 1;
        number
    }

    pub(super) fn forget_request(&self, number: u64) {
        self.lock().requests.remove(&number);
    }

    /// Something has left the queue. One alone looks for room at any time.
    fn tell_room(&self) {
        if self.in_line.any() {
            self.room.notify_one();
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells what was never sent.
    pub(super) fn dropped(&self, entries: impl IntoIterator<Item = Entry<Arc<Slot>>>, why: Dropped) {
        let mut any = false;
        for Entry { id, item } in entries {
            any = true;
            let cargo = item.payload.take_cargo();
            item.payload.set(Status::Dropped(why));
            self.counters.dropped.one_more();
            self.tell(|| Event::Dropped { id, why });
            if let Some(number) = cargo.and_then(|cargo| cargo.request) {
                // Whoever asked may have left.
                let _gone = self.answer(number, Err(not_asked(why)));
            }
        }
        if any {
            self.tell_room();
            self.tell_idle();
        }
    }

    /// Tells whose time was over while they waited.
    #[inline]
    fn expired(&self, entries: Option<Vec<Entry<Arc<Slot>>>>) {
        if let Some(entries) = entries {
            self.dropped(entries, Dropped::Expired);
        }
    }

    /// Something has left the queue or was written, and maybe it was the last of all.
    #[inline]
    fn tell_idle(&self) {
        if self.drainers.any() && self.is_idle(&self.lock()) {
            self.idle.notify_waiters();
        }
    }

    /// Tells what happened, if somebody listens.
    pub(super) fn tell(&self, make: impl FnOnce() -> Event) {
        let events = Arc::clone(&self.lock().events);
        if events.is_empty() {
            return;
        }
        let event = make();
        let mut left = false;
        for channel in &*events {
            left |= channel.push(event.clone(), 1) == Heard::Gone;
        }
        if left {
            self.prune();
        }
    }

    /// It is over for good.
    pub(super) fn close(&self, state: State, event: Event) {
        let entries = {
            let mut inner = self.lock();
            (inner.is_ready, inner.is_closed, inner.waker) = (false, true, None);
            inner.queue.drain()
        };
        self.dropped(entries, Dropped::Closed);
        self.tell(|| event);
        let (listeners, events, topics, requests) = {
            let mut inner = self.lock();
            (
                std::mem::replace(&mut inner.listeners, Arc::new([])),
                std::mem::replace(&mut inner.events, Arc::new([])),
                std::mem::take(&mut inner.topics),
                std::mem::take(&mut inner.requests),
            )
        };
        listeners.iter().chain(topics.values().flat_map(|listeners| &**listeners)).for_each(|channel| channel.end());
        events.iter().for_each(|channel| channel.end());
        // Whoever waits for an answer sees its sender gone.
        drop(requests);
        self.state.send_replace(state);
        self.room.notify_waiters();
        self.idle.notify_waiters();
    }

    /// There is news on the desk: gives whom to wake for it, which is the task if it has looked at what was there before.
    fn rouse(&self, inner: &mut Inner) -> Option<Waker> {
        self.has_news.store(true, Ordering::Release);
        inner.waker.take()
    }

    /// Notes what the peer is to be told; gives whom to wake for it. A connection that is yet to come begins with
    /// all topics.
    fn topic_changed(&self, inner: &mut Inner, change: TopicChange) -> Option<Waker> {
        if !inner.is_ready {
            return None;
        }
        inner.topic_changes.push(change);
        self.rouse(inner)
    }

    /// Whether nothing waits, and all that did not wait is where it should be. What is unacknowledged is known where nothing is
    /// being written.
    fn is_idle(&self, inner: &Inner) -> bool {
        inner.queue.is_empty()
            && !self.is_writing.load(Ordering::SeqCst)
            && self.unacknowledged.load(Ordering::Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What whoever asked is told of a request that was never sent.
fn not_asked(why: Dropped) -> Error {
    let (error, detail) = match why {
        Dropped::Expired => (Error::timeout("request", Phase::Wait), "its time to live was over"),
        Dropped::Evicted | Dropped::Full => (Error::new(ErrorKind::Busy, "request"), "the queue is full"),
        Dropped::Canceled => (Error::new(ErrorKind::Canceled, "request"), "called off"),
        Dropped::Volatile => (Error::new(ErrorKind::Closed, "request"), "there was no connection"),
        Dropped::Closed | Dropped::Refused => {
            (Error::new(ErrorKind::Closed, "request"), "the connection is closed for good")
        }
    };
    error.with_detail(detail).with_unsent()
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}
