//! A deadline that moves often and is set off seldom.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Sleep};

/// As good as never: thirty years.
const FAR: Duration = Duration::from_secs(30 * 366 * 24 * 3600);

/// That long after that moment; a wait that no clock can tell ends in thirty years.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

/// Waits for a deadline that each request or chunk pushes back.
///
/// Moving the deadline later touches no timer: the one that runs is left to ring, and is wound up again if the
/// deadline has moved meanwhile. A connection that is busy for an hour so makes a timer each half minute, not one per
/// request.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    sleep: Option<(Instant, Sleep)>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let sleep = match &mut self.sleep {
                Some((at, sleep)) if *at <= deadline => sleep,
                other => &mut other.insert((deadline, self.clock.sleep_until(deadline))).1,
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
            if self.clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("at", &self.sleep.as_ref().map(|(at, _)| at)).finish()
    }
}
