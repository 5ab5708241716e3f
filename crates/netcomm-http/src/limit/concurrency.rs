//! What users set: how many at a time, and how many may wait.

use std::num::NonZeroUsize;

/// Calls in line at one gate, unless told otherwise: some 2 MB at worst, beside what the calls hold themselves.
pub(super) const MAX_WAITING: usize = 16_384;

/// How many requests to an origin may be under way at a time, each until the end of its response's body. Others wait,
/// first come first served, as long as their deadlines allow.
///
/// ```
/// use netcomm_http::{Adaptive, Concurrency};
/// use nonzero_ext::nonzero;
///
/// let eight = Concurrency::fixed(nonzero!(8_usize)).with_max_waiting(100);
/// let found_out = Concurrency::adaptive();
/// let within = Concurrency::adaptive_with(Adaptive::default().with_max(nonzero!(64_usize)));
/// # let _ = (eight, found_out, within);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    pub(super) kind: Kind,
    pub(super) max_waiting: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fixed(NonZeroUsize),
    Adaptive(Adaptive),
}

impl Concurrency {
    /// Always this many.
    #[must_use]
    pub const fn fixed(requests: NonZeroUsize) -> Self {
        Self { kind: Kind::Fixed(requests), max_waiting: MAX_WAITING }
    }

    /// As many as the server bears, found out by trying, with the defaults of [`Adaptive`].
    #[must_use]
    pub const fn adaptive() -> Self {
        Self::adaptive_with(Adaptive::DEFAULT)
    }

    /// As many as the server bears, found out by trying, within these bounds.
    #[must_use]
    pub const fn adaptive_with(bounds: Adaptive) -> Self {
        Self { kind: Kind::Adaptive(bounds), max_waiting: MAX_WAITING }
    }

    /// How many may wait for a place; one more is refused at once, with [`Busy`](netcomm_core::ErrorKind::Busy). 0: none
    /// waits. Default 16384, which takes some 2 MB at worst, beside what the calls hold themselves.
    #[must_use]
    pub const fn with_max_waiting(self, calls: usize) -> Self {
        Self { max_waiting: calls, ..self }
    }
}

/// The bounds of a limit that is found out by trying: one more for each round trip in which all places were used and the
/// server bore it, and three quarters of it when the server is overloaded, at most once for each round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    pub(super) min: NonZeroUsize,
    pub(super) max: NonZeroUsize,
    pub(super) initial: NonZeroUsize,
}

impl Adaptive {
    const DEFAULT: Self = Self { min: at_least_one(1), max: at_least_one(256), initial: at_least_one(16) };

    /// What is always allowed, however overloaded the server says it is. Default 1.
    #[must_use]
    pub const fn with_min(self, requests: NonZeroUsize) -> Self {
        Self { min: requests, ..self }
    }

    /// What is never passed; where it is less than the least, the least counts. Default 256.
    #[must_use]
    pub const fn with_max(self, requests: NonZeroUsize) -> Self {
        Self { max: requests, ..self }
    }

    /// What it begins with, brought within the bounds. Default 16.
    #[must_use]
    pub const fn with_initial(self, requests: NonZeroUsize) -> Self {
        Self { initial: requests, ..self }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn at_least_one(count: usize) -> NonZeroUsize {
    match NonZeroUsize::new(count) {
        Some(count) => count,
        None => NonZeroUsize::MIN,
    }
}
