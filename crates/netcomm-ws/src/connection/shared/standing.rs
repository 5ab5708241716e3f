//! How many wait for something, so that word of it goes out only where somebody waits.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many wait. Whoever waits is counted before it looks whether it has to; whoever changes something looks here after that:
/// one of the two sees the other. That holds for what is changed under a lock, and for what is written and read in the one
/// order of all (`SeqCst`).
#[derive(Debug, Default)]
pub(super) struct Standing(AtomicUsize);

/// One of those who wait, until it is dropped.
pub(super) struct Stand<'a>(&'a Standing);

impl Standing {
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    pub(super) fn stand(&self) -> Stand<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Stand(self)
    }
}

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_waits_no_more() {
        let standing = Standing::default();
        let (one, other) = (standing.stand(), standing.stand());
        drop(one);
        assert!(standing.any());
        drop(other);
        assert!(!standing.any());
    }
}
