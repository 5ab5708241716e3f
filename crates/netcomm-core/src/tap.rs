//! Where observations leave.

use std::fmt;
use std::hint::cold_path;
use std::sync::Arc;

use crate::observe::{Interest, Observation, Observe};

/// The place where observations leave; off by default.
///
/// Off, it costs one comparison: the closure that builds the observation is not called, no clock is read, nothing is
/// allocated.
#[derive(Clone, Default)]
pub struct Tap {
    observer: Option<Arc<dyn Observe>>,
}

impl Tap {
    /// A tap to which nobody listens.
    #[must_use]
    pub const fn off() -> Self {
        Self { observer: None }
    }

    /// A tap that feeds `observer`.
    #[must_use]
    pub fn new(observer: impl Observe) -> Self {
        Self { observer: Some(Arc::new(observer)) }
    }

    /// A tap that feeds an observer which others hold too.
    #[must_use]
    pub fn shared(observer: Arc<dyn Observe>) -> Self {
        Self { observer: Some(observer) }
    }

    /// Whom it feeds: who wants to listen too puts an observer in its place that passes everything on.
    #[must_use]
    pub const fn observer(&self) -> Option<&Arc<dyn Observe>> {
        self.observer.as_ref()
    }

    /// Whether somebody wants observations of that kind.
    #[must_use]
    #[inline]
    pub fn wants(&self, interest: Interest) -> bool {
        let Some(observer) = &self.observer else { return false };
        cold_path();
        observer.interest().contains(interest)
    }

    /// Passes on what `make` builds, if somebody wants it.
    #[inline]
    pub fn emit(&self, interest: Interest, make: impl FnOnce() -> Observation) {
        let Some(observer) = &self.observer else { return };
        // Out of the way of those whom nobody watches.
        cold_path();
        if observer.interest().contains(interest) {
            observer.observe(&make());
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("on", &self.observer.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Observe for Deaf {
        fn interest(&self) -> Interest {
            Interest::CALL
        }
        fn observe(&self, _: &Observation) {}
    }

    #[test]
    fn what_nobody_wants_is_not_built() {
        for tap in [Tap::off(), Tap::new(Deaf)] {
            assert!(!tap.wants(Interest::ATTEMPT));
            tap.emit(Interest::ATTEMPT, || unreachable!("nobody asked for it"));
        }
        assert!(Tap::new(Deaf).wants(Interest::CALL));
        assert!(!Tap::new(Deaf).wants(Interest::CALL | Interest::ATTEMPT));
    }
}
