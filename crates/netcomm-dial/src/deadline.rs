//! The time of one dial: how much is left, and where it went.

use std::future::Future;
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Error, Phase, Result, Sleep, Steps};

/// What stands for "never" where a time limit is too large to add to the present.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The one time limit over all steps of a dial. It knows which step is under way when it passes.
pub(crate) struct Deadline<'a> {
    clock: &'a dyn Clock,
    timeout: Duration,
    passed: Sleep,
    steps: Steps,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(clock: &'a dyn Clock, timeout: Duration) -> Self {
        let now = clock.now();
        let at = now.checked_add(timeout).unwrap_or_else(|| now + FAR);
        Self { clock, timeout, passed: clock.sleep_until(at), steps: Steps::default() }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn steps(&self) -> Steps {
        self.steps
    }

    /// Does a part of `phase`, unless the time runs out. What it took is added to the phase, if it
    /// came to an end.
    pub(crate) async fn step<T>(&mut self, phase: Phase, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.now();
        tokio::select! {
            biased;
            done = work => {
                let took = self.now().saturating_duration_since(began);
                if let Some(step) = self.slot(phase) {
                    *step = Some(step.unwrap_or_default() + took);
                }
                done
            }
            () = self.passed.as_mut() => {
                let detail = format!("no connection within {:?}", self.timeout);
                Err(Error::timeout("dial", phase).with_detail(detail))
            }
        }
    }

    fn slot(&mut self, phase: Phase) -> Option<&mut Option<Duration>> {
        match phase {
            Phase::Dns => Some(&mut self.steps.dns),
            Phase::Connect => Some(&mut self.steps.connect),
            Phase::Proxy => Some(&mut self.steps.proxy),
            Phase::Tls => Some(&mut self.steps.tls),
            _ => None,
        }
    }
}
