//! What a connection's handles and its task have in common.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use netcomm_core::{Clock, Error, Result};
use tokio::sync::{Notify, oneshot, watch};

use super::Pushback;
use super::outbound::{Outbound, Rejected};
use super::receipt::{Dropped, Receipt, Slot, Status};
use super::state::{Counts, Delivery, Event, Snapshot, State};
use super::subscription::{Channel, Heard};
use crate::close::CloseBody;
use crate::heartbeat::Rtt;
use crate::message::{Message, Text};
use crate::queue::{Entry, Item, Overflow, Pushed, Queue, QueueLimits};

/// Those who listen to the same thing; shared with whoever is just telling them.
pub(crate) type Listeners<T> = Arc<[Arc<Channel<T>>]>;

/// A message on its way.
pub(crate) struct Parcel {
    pub(crate) id: u64,
    pub(crate) message: Message,
    pub(crate) topic: Option<Text>,
    pub(crate) request: Option<u64>,
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
    /// Told whenever nothing is left to write.
    idle: Notify,
    clock: Arc<dyn Clock>,
    /// Whether a sender waits where the queue is full.
    waits_for_room: bool,
}

struct Inner {
    queue: Queue<Parcel>,
    /// Whether a message could go at once.
    is_ready: bool,
    is_closed: bool,
    /// Whether something taken from the queue is not with the operating system yet.
    is_writing: bool,
    order: Option<Order>,
    /// The task.
    waker: Option<Waker>,
    listeners: Listeners<Delivery>,
    events: Listeners<Event>,
    topics: HashMap<Text, Listeners<Delivery>>,
    topic_changes: Vec<TopicChange>,
    requests: HashMap<u64, Request>,
    next_request: u64,
    unacknowledged: usize,
    counts: Counts,
    rtt: Option<Rtt>,
}

/// A request that waits for its answer.
struct Request {
    answer: oneshot::Sender<Result<Message>>,
    slot: Arc<Slot>,
}

impl Shared {
    pub(super) fn new(queue: QueueLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        let waits_for_room = queue.overflow == Overflow::Wait;
        let inner = Inner {
            queue: Queue::new(queue),
            is_ready: false,
            is_closed: false,
            is_writing: false,
            order: None,
            waker: None,
            listeners: Arc::new([]),
            events: Arc::new([]),
            topics: HashMap::new(),
            topic_changes: Vec::new(),
            requests: HashMap::new(),
            next_request: 1,
            unacknowledged: 0,
            counts: Counts::default(),
            rtt: None,
        };
        let (state, _) = watch::channel(State::Idle);
        Arc::new(Self {
            inner: Mutex::new(inner),
            state,
            room: Notify::new(),
            idle: Notify::new(),
            clock,
            waits_for_room,
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    // The owner's side.

    /// Takes a message, if there is room.
    pub(super) fn push(self: &Arc<Self>, outbound: Outbound, request: Option<u64>) -> Result<Receipt, Pushback> {
        self.push_with(outbound, request, Slot::new())
    }

    /// Takes a request, and gives where its answer will come.
    pub(super) fn ask(
        self: &Arc<Self>,
        number: u64,
        outbound: Outbound,
    ) -> Result<(Receipt, oneshot::Receiver<Result<Message>>), Pushback> {
        let slot = Slot::new();
        let (answer, answered) = oneshot::channel();
        // Before it can be sent: the answer may be quick.
        self.lock().requests.insert(number, Request { answer, slot: Arc::clone(&slot) });
        match self.push_with(outbound, Some(number), slot) {
            Ok(receipt) => Ok((receipt, answered)),
            Err(pushback) => {
                self.forget_request(number);
                Err(pushback)
            }
        }
    }

    fn push_with(
        self: &Arc<Self>,
        outbound: Outbound,
        request: Option<u64>,
        slot: Arc<Slot>,
    ) -> Result<Receipt, Pushback> {
        let now = self.clock.now();
        let (pushed, waker) = {
            let mut inner = self.lock();
            if inner.is_closed {
                return Err(Pushback::Rejected(Rejected { outbound, why: Dropped::Closed }));
            }
            let Outbound { message, priority, time_to_live, volatile, topic } = outbound;
            let item = Item {
                bytes: message.len(),
                payload: Parcel { id: 0, message, topic, request, slot: Arc::clone(&slot) },
                priority,
                expires: time_to_live.and_then(|time| now.checked_add(time)),
                volatile,
            };
            let is_ready = inner.is_ready;
            let pushed = inner.queue.push(item, is_ready, now);
            let waker = if matches!(pushed, Pushed::Queued { .. }) { inner.waker.take() } else { None };
            (pushed, waker)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        let dropped = |item: Item<Parcel>, why| {
            item.payload.slot.set(Status::Dropped(why));
            self.count(|counts| counts.dropped += 1);
            u64::MAX
        };
        let give_back = |item: Item<Parcel>| {
            let Item { payload: Parcel { message, topic, .. }, priority, volatile, expires, .. } = item;
            let time_to_live = expires.map(|at| at.saturating_duration_since(now));
            Outbound { message, priority, time_to_live, volatile, topic }
        };
        let id = match pushed {
            Pushed::Queued { id, evicted } => {
                self.dropped(evicted, Dropped::Evicted);
                id
            }
            Pushed::Full(item) if self.waits_for_room => return Err(Pushback::Wait(give_back(item))),
            Pushed::Full(item) | Pushed::TooLarge(item) => {
                let rejected = Rejected { outbound: give_back(item), why: Dropped::Full };
                return Err(Pushback::Rejected(rejected));
            }
            Pushed::Dropped(item) => dropped(item, Dropped::Full),
            Pushed::Offline(item) => dropped(item, Dropped::Volatile),
            Pushed::Expired(item) => dropped(item, Dropped::Expired),
        };
        Ok(Receipt::new(id, slot, Arc::downgrade(self)))
    }

    /// Waits for room, as far as one can tell: somebody else may be faster.
    pub(super) async fn room(&self) {
        let room = self.room.notified();
        if !self.lock().is_closed {
            room.await;
        }
    }

    /// Waits until nothing waits any more, and all of it was written.
    pub(super) async fn idle(&self) -> bool {
        loop {
            let idle = self.idle.notified();
            {
                let inner = self.lock();
                if inner.queue.is_empty() && !inner.is_writing && inner.unacknowledged == 0 {
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
            if !matches!(inner.order, Some(Order::Close(_))) {
                inner.order = Some(order);
            }
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn cancel(&self, id: u64) -> bool {
        let entry = self.lock().queue.cancel(id);
        let found = entry.is_some();
        self.tell_room();
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
            unacknowledged: inner.unacknowledged,
            requests: inner.requests.len(),
            counts: inner.counts,
            rtt: inner.rtt,
        }
    }

    pub(super) fn listen(&self, channel: Arc<Channel<Delivery>>) {
        let mut inner = self.lock();
        if inner.is_closed {
            channel.end();
        } else {
            add(&mut inner.listeners, channel);
        }
    }

    pub(super) fn listen_events(&self, channel: Arc<Channel<Event>>) {
        let mut inner = self.lock();
        if inner.is_closed {
            channel.end();
        } else {
            add(&mut inner.events, channel);
        }
    }

    pub(super) fn listen_topic(&self, topic: &Text, channel: Arc<Channel<Delivery>>) {
        let waker = {
            let mut inner = self.lock();
            if inner.is_closed {
                drop(inner);
                return channel.end();
            }
            let is_new = !inner.topics.contains_key(topic);
            add(inner.topics.entry(topic.clone()).or_insert_with(|| Arc::new([])), channel);
            if !is_new {
                return;
            }
            inner.topic_changes.push(TopicChange::Added(topic.clone()));
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A listener of that topic has left.
    pub(super) fn leave_topic(&self, topic: &Text) {
        let waker = {
            let mut inner = self.lock();
            let Some(listeners) = inner.topics.get_mut(topic) else {
                return;
            };
            prune(listeners);
            if !listeners.is_empty() {
                return;
            }
            inner.topics.remove(topic);
            inner.topic_changes.push(TopicChange::Left(topic.clone()));
            inner.waker.take()
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

    // The task's side.

    /// What the owner wants. The task is woken by whatever comes next.
    pub(super) fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut inner = self.lock();
        if let Some(order) = inner.order.take() {
            return Poll::Ready(order);
        }
        match &inner.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => inner.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The next message that may go.
    pub(super) fn pop(&self) -> Option<Entry<Parcel>> {
        let (entry, expired) = {
            let mut inner = self.lock();
            if inner.queue.is_empty() {
                return None;
            }
            // The time is of interest only to those that may be too late.
            let now = if inner.queue.next_expiry().is_some() { Some(self.clock.now()) } else { None };
            let entry = match now {
                Some(now) => inner.queue.pop(now),
                None => inner.queue.pop_any(),
            };
            inner.is_writing |= entry.is_some();
            (entry, inner.queue.take_expired())
        };
        self.tell_room();
        self.dropped(expired, Dropped::Expired);
        entry.map(|mut entry| {
            entry.item.payload.id = entry.id;
            entry
        })
    }

    pub(super) fn put_back(&self, entry: Entry<Parcel>) {
        self.lock().queue.put_back(entry);
    }

    /// Sorts out whose time is over; says when the next one's is.
    pub(super) fn expire(&self) -> Option<Instant> {
        let (expired, next) = {
            let mut inner = self.lock();
            let next = inner.queue.next_expiry()?;
            let now = self.clock.now();
            if next > now {
                return Some(next);
            }
            inner.queue.expire(now);
            (inner.queue.take_expired(), inner.queue.next_expiry())
        };
        self.tell_room();
        self.dropped(expired, Dropped::Expired);
        next
    }

    /// Whether something waits.
    pub(super) fn has_queued(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// Something has left the queue. Who comes in because of that leaves too one day, and tells the next.
    fn tell_room(&self) {
        if self.waits_for_room {
            self.room.notify_one();
        }
    }

    /// All that was taken from the queue is with the operating system, or given up.
    pub(super) fn written(&self, unacknowledged: usize) {
        let is_idle = {
            let mut inner = self.lock();
            inner.is_writing = false;
            inner.unacknowledged = unacknowledged;
            inner.queue.is_empty() && unacknowledged == 0
        };
        if is_idle {
            self.idle.notify_waiters();
        }
    }

    pub(super) fn take_topic_changes(&self) -> Vec<TopicChange> {
        std::mem::take(&mut self.lock().topic_changes)
    }

    /// All topics; those that were just added are among them.
    pub(super) fn topics(&self) -> Vec<Text> {
        let mut inner = self.lock();
        inner.topic_changes.clear();
        inner.topics.keys().cloned().collect()
    }

    pub(super) fn listeners(&self, topic: Option<&Text>) -> Listeners<Delivery> {
        let inner = self.lock();
        match topic {
            Some(topic) => inner.topics.get(topic).cloned().unwrap_or_else(|| Arc::new([])),
            None => Arc::clone(&inner.listeners),
        }
    }

    /// Forgets those who have left.
    pub(super) fn prune(&self) {
        let mut inner = self.lock();
        prune(&mut inner.listeners);
        prune(&mut inner.events);
    }

    /// Gives an answer to its request; gives it back if nobody waits for it.
    pub(super) fn answer(&self, number: u64, answer: Result<Message>) -> Result<(), Result<Message>> {
        match self.lock().requests.remove(&number) {
            Some(request) => request.answer.send(answer),
            None => Err(answer),
        }
    }

    /// The connection is lost: requests that were sent have no answer to expect.
    pub(super) fn fail_requests(&self, error: &Error) {
        let lost: Vec<_> = {
            let mut inner = self.lock();
            inner.requests.extract_if(|_, request| request.slot.status() != Status::Queued).collect()
        };
        for (_, request) in lost {
            // Nobody may be waiting any more.
            let _gone = request.answer.send(Err(error.clone()));
        }
    }

    /// The state is another.
    pub(super) fn set(&self, state: State) {
        self.lock().is_ready = state.is_ready();
        self.state.send_replace(state);
    }

    pub(super) fn set_rtt(&self, rtt: Option<Rtt>) {
        self.lock().rtt = rtt;
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    /// Volatile messages do not wait for another connection.
    pub(super) fn drop_volatile(&self) {
        let volatile = {
            let mut inner = self.lock();
            inner.is_ready = false;
            inner.queue.take_volatile()
        };
        self.dropped(volatile, Dropped::Volatile);
    }

    /// Tells what was never sent.
    pub(super) fn dropped(&self, entries: impl IntoIterator<Item = Entry<Parcel>>, why: Dropped) {
        for Entry { id, item } in entries {
            item.payload.slot.set(Status::Dropped(why));
            self.count(|counts| counts.dropped += 1);
            self.tell(|| Event::Dropped { id, why });
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

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<T>(listeners: &mut Listeners<T>, channel: Arc<Channel<T>>) {
    *listeners = listeners.iter().filter(|channel| !channel.has_left()).cloned().chain([channel]).collect();
}

fn prune<T>(listeners: &mut Listeners<T>) {
    *listeners = listeners.iter().filter(|channel| !channel.has_left()).cloned().collect();
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}
