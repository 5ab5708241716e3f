//! One number that many threads raise.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter. Relaxed: one observation's numbers may be seen one after the other.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn one(&self) {
        self.add(1);
    }

    #[inline]
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// No counter but a mark: the value of whoever sets it last.
    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Moves what was counted to another one.
    pub(super) fn pour(&self, into: &Self) {
        let count = self.0.swap(0, Ordering::Relaxed);
        if count > 0 {
            into.add(count);
        }
    }
}
