//! What the two ends of a client's connection tell each other: the guard, which reads requests, and whoever answers them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::refusal::Refusal;

/// The books of one connection. Requests are numbered from 1 in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    heads: AtomicU64,
    begun: AtomicU64,
    answered: AtomicU64,
    content_awaited: AtomicBool,
    reset: AtomicBool,
    refused: Mutex<Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    head: Option<(u64, Refusal)>,
    content: Option<Refusal>,
}

impl Ledger {
    /// A request's head was let through.
    pub(super) fn head_came(&self) -> u64 {
        self.heads.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The head that was let through last is a stand-in for one that was refused.
    pub(super) fn refuse_head(&self, refusal: Refusal) {
        let number = self.head_came();
        self.refused().head = Some((number, refusal));
    }

    /// The content of the request that came last is not to be read on.
    pub(super) fn refuse_content(&self, refusal: Refusal) {
        self.refused().content.get_or_insert(refusal);
    }

    /// The next request is about to be answered: why not, if it was refused.
    pub(super) fn begin_answer(&self) -> Result<(), Refusal> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        match self.refused().head {
            Some((refused, refusal)) if refused == number => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Why the content could not be read, if it could not.
    pub(super) fn content_refusal(&self) -> Option<Refusal> {
        self.refused().content
    }

    /// The last byte of an answer is on its way, or will never be.
    pub(super) fn answer_ended(&self) {
        self.answered.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a request waits for the end of its answer.
    pub(super) fn is_busy(&self) -> bool {
        self.heads.load(Ordering::Acquire) > self.answered.load(Ordering::Acquire)
    }

    pub(super) fn await_content(&self, awaited: bool) {
        self.content_awaited.store(awaited, Ordering::Release);
    }

    /// Whether it is the client that has to send something.
    pub(super) fn is_content_awaited(&self) -> bool {
        self.content_awaited.load(Ordering::Acquire)
    }

    /// The connection must not end as if all were well: where only its end says where an answer ends.
    pub(super) fn demand_reset(&self) {
        self.reset.store(true, Ordering::Release);
    }

    pub(super) fn is_reset_demanded(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
