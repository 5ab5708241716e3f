//! One batch: who is in it, who has left, what its task is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use netcomm_core::{Clock, Error, ErrorKind, Result};
use tokio::sync::{Notify, oneshot};

use super::codec::Codec;
use super::window::{Bounds, Joins, Window};

/// A call that waits in a batch, and where its answer goes.
pub(super) struct Entry<C: Codec> {
    pub(super) call: C::Call,
    pub(super) bytes: usize,
    pub(super) answer: Answer<C>,
}

pub(super) type Answer<C> = oneshot::Sender<Result<<C as Codec>::Answer>>;

pub(super) struct Batch<C: Codec> {
    state: Mutex<State<C>>,
    /// It is to be sent now, before its time.
    due: Notify,
    /// It was sent, and nobody waits for it any more.
    deserted: Notify,
}

struct State<C: Codec> {
    window: Window,
    /// By the order in which they came; those that left are gone.
    entries: BTreeMap<u64, Entry<C>>,
    next: u64,
    /// Callers that wait, before and after it is sent.
    waiting: usize,
    is_sent: bool,
}

/// A call's place in a batch. Dropping it leaves the batch.
pub(super) struct Seat<C: Codec> {
    batch: Arc<Batch<C>>,
    number: u64,
}

/// What came of the wish to join.
pub(super) enum Entered<C: Codec> {
    /// It is in; whether it was the last one that fits.
    Seated(Seat<C>, bool),
    /// It did not fit.
    Back(Entry<C>),
}

impl<C: Codec> Batch<C> {
    /// An empty batch, which every call fits into.
    pub(super) fn open(bounds: Bounds, now: Instant) -> Arc<Self> {
        let window = Window::open(bounds, now);
        let state = State { window, entries: BTreeMap::new(), next: 0, waiting: 0, is_sent: false };
        Arc::new(Self { state: Mutex::new(state), due: Notify::new(), deserted: Notify::new() })
    }

    pub(super) fn enter(self: &Arc<Self>, entry: Entry<C>) -> Entered<C> {
        let mut state = self.state();
        let joins = state.window.join(entry.bytes);
        if joins == Joins::Next {
            return Entered::Back(entry);
        }
        let number = state.next;
        state.next += 1;
        state.waiting += 1;
        state.entries.insert(number, entry);
        Entered::Seated(Seat { batch: Arc::clone(self), number }, joins == Joins::Full)
    }

    /// Has it sent as soon as there is a place for it.
    pub(super) fn hurry(&self) {
        self.due.notify_one();
    }

    /// Ready when its time has come, or somebody is in a hurry.
    pub(super) async fn until_due(&self, clock: &dyn Clock) {
        let closes_at = self.state().window.closes_at();
        if closes_at <= clock.now() {
            return;
        }
        tokio::select! {
            () = self.due.notified() => {}
            () = clock.sleep_until(closes_at) => {}
        }
    }

    /// Takes out all calls that are still in it. Whoever leaves now leaves no gap.
    pub(super) fn take(&self) -> Vec<Entry<C>> {
        let mut state = self.state();
        state.is_sent = true;
        std::mem::take(&mut state.entries).into_values().collect()
    }

    /// Ready when it was sent and everybody has left.
    pub(super) async fn until_deserted(&self) {
        self.deserted.notified().await;
    }

    fn leave(&self, number: u64) {
        let mut state = self.state();
        state.waiting -= 1;
        let entry = state.entries.remove(&number);
        if let Some(entry) = &entry {
            state.window.leave(entry.bytes);
        }
        let is_deserted = state.is_sent && state.waiting == 0;
        drop(state);
        if is_deserted {
            self.deserted.notify_one();
        }
        // The call is code of others: it is dropped under no lock.
        drop(entry);
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Codec> Seat<C> {
    /// Waits for the answer.
    pub(super) async fn wait(self, answer: oneshot::Receiver<Result<C::Answer>>) -> Result<C::Answer> {
        let answer = answer.await;
        drop(self);
        let ended = |_| Error::new(ErrorKind::Canceled, "batch").with_detail("the task that carries it has ended");
        answer.map_err(ended)?
    }
}

impl<C: Codec> Drop for Seat<C> {
    fn drop(&mut self) {
        self.batch.leave(self.number);
    }
}
