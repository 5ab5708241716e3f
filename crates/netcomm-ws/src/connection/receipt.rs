//! What became of a message.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::shared::Shared;
use crate::message::{Message, Text};

/// Where a message stands. It only moves down this list, and ends at one of the last three, or at `Written` where no
/// acknowledgements are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It waits for its turn, or for a connection.
    Queued,
    /// All of it was handed to the operating system. Without acknowledgements this is the last that is known.
    Written,
    /// The peer has said that it has it.
    Acknowledged,
    /// It was never sent.
    Dropped(Dropped),
    /// The connection was lost after it was begun to be sent, and before there was word of it: the peer may have it or not.
    Unknown,
}

/// Why a message was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// Its time to live was over.
    Expired,
    /// It made room for others: the queue was full.
    Evicted,
    /// The queue was full, and the newcomer had to go.
    Full,
    /// It was volatile, and there was no connection.
    Volatile,
    /// It was called off.
    Canceled,
    /// The connection was closed for good.
    Closed,
    /// The dialect could not put it into words.
    Refused,
}

/// Tells what becomes of one message. Dropping it changes nothing for the message.
pub struct Receipt {
    id: u64,
    slot: Arc<Slot>,
}

/// The far end of a receipt; while a message waits, the message lies there too.
pub(crate) struct Slot {
    state: Mutex<Inner>,
}

/// A message that waits.
pub(crate) struct Cargo {
    pub(crate) message: Message,
    pub(crate) topic: Option<Text>,
    pub(crate) request: Option<u64>,
}

struct Inner {
    status: Status,
    waker: Option<Waker>,
    /// Gone when the message has left the queue, also where somebody holds on to the receipt.
    cargo: Option<Cargo>,
    /// In whose queue it waits, and under which number: in a cluster it may move.
    home: Weak<Shared>,
    id: u64,
}

impl Receipt {
    pub(super) fn new(id: u64, slot: Arc<Slot>) -> Self {
        Self { id, slot }
    }

    /// The number of the message, unique within its connection and rising in the order of sending.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where the message stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.slot.status()
    }

    /// Waits until the message has left the queue in one way or the other: any status but `Queued`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn written(&mut self) -> Status {
        poll_fn(|cx| self.slot.poll_until(cx, |status| status != Status::Queued)).await
    }

    /// Waits until no more can happen to the message: `Acknowledged`, `Dropped` or `Unknown`. On a connection without
    /// acknowledgements `Written` never becomes more: wait for [`written`](Self::written) there.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn settled(&mut self) -> Status {
        let settled = |status| !matches!(status, Status::Queued | Status::Written);
        poll_fn(|cx| self.slot.poll_until(cx, settled)).await
    }

    /// Calls the message off. Tells whether that was in time: it is then `Dropped`, and was not sent.
    #[must_use = "the message may have been sent already"]
    pub fn cancel(&self) -> bool {
        let (home, id) = self.slot.home();
        home.upgrade().is_some_and(|shared| shared.cancel(id))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("id", &self.id).field("status", &self.status()).finish()
    }
}

impl Slot {
    pub(super) fn new(cargo: Cargo, home: Weak<Shared>, id: u64) -> Arc<Self> {
        let inner = Inner { status: Status::Queued, waker: None, cargo: Some(cargo), home, id };
        Arc::new(Self { state: Mutex::new(inner) })
    }

    /// The message, for whoever takes it out of the queue.
    #[inline]
    pub(super) fn take_cargo(&self) -> Option<Cargo> {
        self.lock().cargo.take()
    }

    /// Whether the message that waits is a request.
    pub(super) fn is_request(&self) -> bool {
        self.lock().cargo.as_ref().is_some_and(|cargo| cargo.request.is_some())
    }

    pub(super) fn set_home(&self, home: Weak<Shared>, id: u64) {
        let mut inner = self.lock();
        (inner.home, inner.id) = (home, id);
    }

    fn home(&self) -> (Weak<Shared>, u64) {
        let inner = self.lock();
        (Weak::clone(&inner.home), inner.id)
    }

    pub(super) fn status(&self) -> Status {
        self.lock().status
    }

    /// Moves on; what is settled stays.
    #[inline]
    pub(super) fn set(&self, status: Status) {
        let waker = {
            let mut inner = self.lock();
            if !matches!(inner.status, Status::Queued | Status::Written) {
                return;
            }
            inner.status = status;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_until(&self, cx: &Context<'_>, reached: impl Fn(Status) -> bool) -> Poll<Status> {
        let mut inner = self.lock();
        if reached(inner.status) {
            return Poll::Ready(inner.status);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
