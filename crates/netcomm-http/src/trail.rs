//! The attempts of a call, as the user may look at them afterwards.

use std::time::Duration;

use http::StatusCode;
use netcomm_core::ErrorKind;

/// One request of a call on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Why it was made.
    pub reason: Reason,
    /// From the start of the call to its own.
    pub started: Duration,
    /// From its start to the head of its response, or to its failure. As long as neither has come, and for one that was
    /// dropped, zero.
    pub took: Duration,
    /// The status of the response, or the kind of the failure: [`ErrorKind::Canceled`] for one that was dropped.
    pub outcome: Result<StatusCode, ErrorKind>,
}

/// Why a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is the first one to its URI: of the call, or of a redirect; or the first one with fresh credentials.
    First,
    /// The connection was given up by its peer before it had processed the one before.
    Replay,
    /// The one before failed.
    Retry,
    /// The one before was slow; both are under way.
    Hedge,
}

/// All of them, in the order of their starts. One needs no allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    only: Option<Attempt>,
    more: Vec<Attempt>,
}

impl Trail {
    pub(crate) fn as_slice(&self) -> &[Attempt] {
        if self.more.is_empty() { self.only.as_slice() } else { &self.more }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.as_slice().len()).unwrap_or(u32::MAX)
    }

    /// Another attempt begins.
    pub(crate) fn begin(&mut self, reason: Reason, started: Duration) {
        self.push(Attempt { reason, started, took: Duration::ZERO, outcome: Err(ErrorKind::Canceled) });
    }

    /// The last one has come to something.
    pub(crate) fn end(&mut self, took: Duration, outcome: Result<StatusCode, ErrorKind>) {
        if let Some(last) = self.more.last_mut().or(self.only.as_mut()) {
            (last.took, last.outcome) = (took, outcome);
        }
    }

    /// Takes in the attempts of another part of the call.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.as_slice().iter().for_each(|attempt| self.push(*attempt));
        self.more.sort_by_key(|attempt| attempt.started);
    }

    fn push(&mut self, attempt: Attempt) {
        match self.only.take() {
            None if self.more.is_empty() => self.only = Some(attempt),
            first => {
                self.more.extend(first);
                self.more.push(attempt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_kept_in_the_order_of_their_starts() {
        let millis = Duration::from_millis;
        let told = |trail: &Trail| {
            let attempts = trail.as_slice().iter();
            attempts.map(|attempt| (attempt.started.as_millis(), attempt.outcome.is_ok())).collect::<Vec<_>>()
        };
        let mut trail = Trail::default();
        assert_eq!(told(&trail), []);
        trail.begin(Reason::First, millis(1));
        assert_eq!((told(&trail), trail.more.capacity()), (vec![(1, false)], 0));
        trail.end(millis(5), Ok(StatusCode::OK));
        trail.begin(Reason::Retry, millis(9));
        let mut other = Trail::default();
        other.begin(Reason::Hedge, millis(4));
        other.end(millis(1), Ok(StatusCode::OK));
        trail.merge(&other);
        assert_eq!(told(&trail), [(1, true), (4, true), (9, false)]);
        other.merge(&Trail::default());
        assert_eq!(told(&other), [(4, true)]);
    }
}
