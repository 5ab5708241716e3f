//! Where the time of a call went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use netcomm_core::Steps;

/// How long each phase of the last attempt of a call took, and what came before it.
///
/// `None` stands for a phase that did not happen (a reused connection has no `dns`) or is not over yet (`receive`
/// before the body's end).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From the start of the call to the start of this attempt: redirects, earlier attempts, interceptors.
    pub before: Duration,
    /// Waiting for a free connection, the time of making one not counted.
    pub blocked: Duration,
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Making the TCP connection.
    pub connect: Option<Duration>,
    /// Speaking with the proxy.
    pub proxy: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// Until the connection had taken the last byte of the request.
    pub send: Duration,
    /// From then to the head of the response.
    pub wait: Duration,
    /// From the head to the end of the body.
    pub receive: Option<Duration>,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// The number of the attempt, from 1: every sending of a request in the call counts, redirects included.
    pub attempt: u32,
}

impl Timing {
    /// From the start of the call to the end of the body, or to the head while the body is not at its end.
    #[must_use]
    pub fn total(&self) -> Duration {
        let steps = [self.dns, self.connect, self.proxy, self.tls, self.receive];
        self.before + self.blocked + self.send + self.wait + steps.into_iter().flatten().sum::<Duration>()
    }

    /// The same with the time of the body, where that is told elsewhere.
    pub(crate) fn with_receive(self, receive: Option<&ReceiveTime>) -> Self {
        match receive {
            Some(receive) => Self { receive: receive.get(), ..self },
            None => self,
        }
    }

    pub(crate) fn set_steps(&mut self, steps: &Steps) {
        (self.dns, self.connect, self.proxy, self.tls) = (steps.dns, steps.connect, steps.proxy, steps.tls);
    }
}

/// The end of a body as it is awaited by who asks for the timing: written once by the body, read by the response.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveTime(Arc<AtomicU64>);

impl ReceiveTime {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn set(&self, took: Duration) {
        // 0 means "not over": an instant end counts as one nanosecond.
        self.0.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum() {
        let second = Duration::from_secs(1);
        let timing = Timing { before: second, dns: Some(second), wait: second, ..Timing::default() };
        assert_eq!(timing.total(), 3 * second);
        let receive = ReceiveTime::new();
        assert_eq!(receive.get(), None);
        receive.set(Duration::ZERO);
        assert_eq!(receive.get(), Some(Duration::from_nanos(1)));
    }
}
