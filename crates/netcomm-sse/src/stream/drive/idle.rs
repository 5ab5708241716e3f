//! How long a stream may be silent.

use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Sleep};

/// A deadline that each chunk pushes back; the timer is moved only when it rings.
pub(super) struct Idle {
    after: Option<Duration>,
    clock: Arc<dyn Clock>,
    last: Instant,
    /// Whether somebody waits: silence that nobody heard is none.
    is_waiting: bool,
    sleep: Option<Sleep>,
}

impl Idle {
    pub(super) fn new(after: Option<Duration>, clock: &Arc<dyn Clock>) -> Self {
        Self { after, clock: Arc::clone(clock), last: clock.now(), is_waiting: false, sleep: None }
    }

    /// A stream begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.last = now;
        self.is_waiting = false;
    }

    /// Whoever waited has something to do, for as long as that takes.
    pub(super) fn pause(&mut self) {
        self.is_waiting = false;
    }

    /// Something came.
    pub(super) fn touch(&mut self) {
        if self.after.is_some() {
            self.last = self.clock.now();
        }
    }

    /// The stream is over.
    pub(super) fn end(&mut self) {
        self.sleep = None;
    }

    /// How long nothing came, if that is too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Duration> {
        let after = self.after?;
        let was_waiting = std::mem::replace(&mut self.is_waiting, true);
        loop {
            let due = self.last.checked_add(after)?;
            let clock = &self.clock;
            let sleep = self.sleep.get_or_insert_with(|| clock.sleep_until(due));
            if sleep.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.sleep = None;
            let now = self.clock.now();
            if now < due {
                continue;
            }
            if was_waiting || after.is_zero() {
                return Some(after);
            }
            // Perhaps there was no silence, and what came is about to be read.
            self.last = now;
        }
    }
}
