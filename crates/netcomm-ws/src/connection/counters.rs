//! What happened to a connection since its start, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::state::Counts;

/// One number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) attempts: Counter,
    pub(super) connections: Counter,
    pub(super) sent: Counter,
    pub(super) resent: Counter,
    pub(super) received: Counter,
    pub(super) duplicates: Counter,
    pub(super) dropped: Counter,
    pub(super) unknown: Counter,
    pub(super) unclaimed: Counter,
}

impl Counter {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn get(&self) -> Counts {
        Counts {
            attempts: self.attempts.get(),
            connections: self.connections.get(),
            sent: self.sent.get(),
            resent: self.resent.get(),
            received: self.received.get(),
            duplicates: self.duplicates.get(),
            dropped: self.dropped.get(),
            unknown: self.unknown.get(),
            unclaimed: self.unclaimed.get(),
        }
    }
}
