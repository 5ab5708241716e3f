//! The task's side.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Instant;

use netcomm_core::{Error, ErrorKind, Result};

use super::{Desk, Inner, Parcel, Request, Shared, TopicChange};
use crate::connection::receipt::{Cargo, Dropped, Slot, Status};
use crate::connection::state::State;
use crate::heartbeat::Rtt;
use crate::message::Message;
use crate::queue::{Entry, Item};

impl Shared {
    /// Whether something may lie on the desk that was not there when it was looked at last.
    #[inline]
    pub(in crate::connection) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// What the owner wants. The task is woken by whatever comes next.
    pub(in crate::connection) fn look_at_desk(&self, cx: &Context<'_>) -> Desk {
        let mut inner = self.lock();
        let order = inner.order.take();
        // Who takes an order looks again: until then nobody wakes it.
        self.has_news.store(order.is_some(), Ordering::Release);
        if order.is_none() {
            inner.leave(cx);
        }
        Desk {
            order,
            next_expiry: inner.queue.next_expiry(),
            has_notes: inner.has_notes(),
            has_queued: !inner.queue.is_empty(),
        }
    }

    /// The next message that may go, and whether others wait behind it.
    pub(in crate::connection) fn pop(&self) -> Option<(Parcel, bool)> {
        let (entry, has_more, expired) = {
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
            if entry.is_some() {
                self.is_writing.store(true, Ordering::Relaxed);
            }
            (entry, !inner.queue.is_empty(), inner.queue.take_expired())
        };
        self.tell_room();
        self.expired(expired);
        Some((parcel(entry?)?, has_more))
    }

    /// A look at the desk and [`pop`](Self::pop) in one, for the usual case: nothing lies there but messages, and they may wait
    /// as long as they must. Else `None`, and the desk is as it was.
    pub(in crate::connection) fn pop_from_desk(&self, cx: &Context<'_>) -> Option<(Parcel, bool)> {
        let (entry, has_more) = {
            let mut inner = self.lock();
            if inner.order.is_some() || inner.has_notes() || inner.queue.next_expiry().is_some() {
                return None;
            }
            let entry = inner.queue.pop_any()?;
            self.has_news.store(false, Ordering::Release);
            inner.leave(cx);
            self.is_writing.store(true, Ordering::Relaxed);
            (entry, !inner.queue.is_empty())
        };
        self.tell_room();
        Some((parcel(entry)?, has_more))
    }

    /// Sorts out whose time is over; says when the next one's is.
    pub(in crate::connection) fn expire(&self) -> Option<Instant> {
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
        self.expired(expired);
        next
    }

    /// Whether something waits.
    pub(in crate::connection) fn has_queued(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// All that was taken from the queue is with the operating system, or given up.
    pub(in crate::connection) fn written(&self, unacknowledged: usize) {
        // Seen by whoever sees what follows.
        self.unacknowledged.store(unacknowledged, Ordering::Relaxed);
        self.is_writing.store(false, Ordering::SeqCst);
        self.tell_idle();
    }

    /// What the peer is to be told: about topics, and the numbers of messages that are had.
    pub(in crate::connection) fn take_notes(&self) -> (Vec<TopicChange>, Vec<u64>) {
        let mut inner = self.lock();
        (std::mem::take(&mut inner.topic_changes), std::mem::take(&mut inner.acks))
    }

    /// The peer's numbers begin anew: those of before mean nothing any more. Tells what is named so from now on.
    pub(in crate::connection) fn begin_session(&self) -> u64 {
        let mut inner = self.lock();
        inner.acks.clear();
        inner.session += 1;
        inner.session
    }

    /// Gives an answer to its request; gives it back if nobody waits for it.
    pub(in crate::connection) fn answer(&self, number: u64, answer: Result<Message>) -> Result<(), Result<Message>> {
        match self.lock().requests.remove(&number) {
            Some(request) => request.answer.send(answer),
            None => Err(answer),
        }
    }

    /// The connection is lost: requests that were sent, and are not sent again, have no answer to expect.
    pub(in crate::connection) fn fail_requests(&self, is_kept: bool, cause: Option<&Error>) {
        let lost: Vec<_> = {
            let mut inner = self.lock();
            let is_lost = |request: &Request| !is_kept || request.volatile;
            let was_sent = |request: &Request| request.slot.status() != Status::Queued;
            inner.requests.extract_if(|_, request| is_lost(request) && was_sent(request)).collect()
        };
        for (_, request) in lost {
            let error = Error::new(ErrorKind::Closed, "request").with_detail("the connection was lost");
            let error = match cause {
                Some(cause) => error.with_source(cause.clone()),
                None => error,
            };
            // Nobody may be waiting any more.
            let _gone = request.answer.send(Err(error));
        }
    }

    /// The state is another.
    pub(in crate::connection) fn set(&self, state: State) {
        self.lock().is_ready = state.is_ready();
        self.state.send_replace(state);
    }

    pub(in crate::connection) fn set_rtt(&self, rtt: Option<Rtt>) {
        self.lock().rtt = rtt;
    }

    /// Volatile messages do not wait for another connection.
    pub(in crate::connection) fn drop_volatile(&self) {
        let volatile = {
            let mut inner = self.lock();
            inner.is_ready = false;
            inner.queue.take_volatile()
        };
        self.dropped(volatile, Dropped::Volatile);
    }
}

impl Inner {
    /// Whether the peer is to be told of topics, or of what was had.
    fn has_notes(&self) -> bool {
        !self.topic_changes.is_empty() || !self.acks.is_empty()
    }

    /// The task leaves word of itself, to be woken by whatever comes next.
    fn leave(&mut self, cx: &Context<'_>) {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
    }
}

/// What has left the queue. Whoever takes it out is the one to have its message.
#[inline]
fn parcel(entry: Entry<Arc<Slot>>) -> Option<Parcel> {
    let Entry { id, item: Item { payload: slot, volatile, .. } } = entry;
    let Cargo { message, topic, request } = slot.take_cargo()?;
    Some(Parcel { id, message, topic, request, volatile, slot })
}
