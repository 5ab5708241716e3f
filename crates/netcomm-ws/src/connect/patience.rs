//! One deadline for all that a handshake takes.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Error, Phase, Result};

/// As good as never: thirty years.
const FAR: Duration = Duration::from_secs(30 * 366 * 24 * 3600);

/// What the dialer gets beyond its time limit to report which step it was, before it is given up.
const GRACE: Duration = Duration::from_millis(250);

/// How long a refusal's body is waited for: it is good to have, and no more.
const AFTERWORD: Duration = Duration::from_secs(1);

/// How long it all may take, counted from when this is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    clock: &'a Arc<dyn Clock>,
    timeout: Duration,
    deadline: Instant,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(clock: &'a Arc<dyn Clock>, timeout: Duration) -> Self {
        let now = clock.now();
        Self { clock, timeout, deadline: after(now, timeout) }
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }

    /// What the future comes to, or the error of the phase in which the time ran out.
    pub(crate) async fn within<T>(&self, phase: Phase, future: impl Future<Output = Result<T>>) -> Result<T> {
        // The dialer keeps the time itself, and knows better in which phase it ran out.
        let grace = if phase == Phase::Connect { GRACE } else { Duration::ZERO };
        self.before(after(self.deadline, grace), future).await.unwrap_or_else(|| {
            let (operation, what) = match phase {
                Phase::Connect => ("connect", "no connection"),
                _ => ("handshake", "no end of the handshake"),
            };
            Err(Error::timeout(operation, phase)
                .with_detail(format!("{what} within {:?} (timeout connect)", self.timeout)))
        })
    }

    /// What the future comes to, or `None` when the time is over.
    pub(super) async fn until<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.before(self.deadline, future).await
    }

    /// What the future comes to, if it does so soon.
    pub(crate) async fn soon<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.before(self.deadline.min(after(self.clock.now(), AFTERWORD)), future).await
    }

    async fn before<T>(&self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = future => Some(outcome),
            () = self.clock.sleep_until(deadline) => None,
        }
    }
}

fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}
