//! One try behind the guards of its origin: the breaker, then the limits; and what they learn from how it went.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use netcomm_core::{Body, Class, Error, ErrorKind, Event, Interest, Phase, Result, Stage, classify};

use super::tries::Tries;
use super::{Answer, Call};
use crate::alarm::after;
use crate::breaker::Turn;
use crate::limit::Verdict;
use crate::standing::{Standing, Terms};
use crate::trail::Reason;

/// The longest that an origin is left alone on its own word, where no retry policy says otherwise.
const MAX_HOLD: Duration = Duration::from_secs(60);

/// Whether a try waits where the limits have no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Waits,
    None,
}

impl Call<'_> {
    /// One try, unless a guard refuses it.
    pub(super) async fn guarded(
        &mut self,
        tries: Tries<'_>,
        body: Body,
        reason: Reason,
        patience: Patience,
    ) -> Result<Answer> {
        let client = self.client;
        let terms = Terms { clock: &**client.clock(), random: client.inner.env.random(), deadline: self.deadline };
        let standing = &**tries.standing;
        let mut begun = self.soon();
        let mut admitted = standing.admit(terms, begun).map_err(unavailable)?;
        let until = match patience {
            Patience::None => begun,
            Patience::Waits => {
                let most = after(begun, self.timeouts.blocked);
                self.deadline.map_or(most, |deadline| deadline.min(most))
            }
        };
        let permits = {
            let mut passing = pin!(client.gates.pass(Some(&standing.gate), begun, until));
            let at_once = poll_fn(|cx| Poll::Ready(passing.as_mut().poll(cx))).await;
            match at_once {
                Poll::Ready(Ok(permits)) => permits,
                Poll::Ready(Err(error)) => {
                    if patience == Patience::Waits {
                        self.tell_held(begun, false);
                    }
                    return Err(error);
                }
                Poll::Pending => {
                    // While it waits it is none of those whom the breaker has let through.
                    drop(admitted);
                    self.stage = Some(Stage::Limit);
                    let passed = passing.await;
                    self.tell_held(begun, passed.is_ok());
                    begun = client.clock().now();
                    self.moment = Some(begun);
                    admitted = standing.admit(terms, begun).map_err(unavailable)?;
                    passed?
                }
            }
        };
        if patience == Patience::None {
            // Only what is sent costs a token.
            if !standing.lock().purse.withdraw(begun) {
                return Err(Error::new(ErrorKind::Busy, "hedge")
                    .with_stage(Stage::Limit)
                    .with_detail("the budget is used up"));
            }
            self.emit(Interest::DECISION, || Event::Hedged { after: begun.saturating_duration_since(self.started) });
        }
        self.permits = Some(permits);
        let outcome = self.send(tries.method, tries.fields, body, reason).await;
        let permits = self.permits.take();
        let now = client.clock().now();
        self.heed(standing, &outcome, now);
        let is_fine = !is_failure(&outcome);
        if let Err(error) = &outcome {
            drop(permits.map(|permits| permits.judged(load_of_failure(error))));
            // What was not the origin's doing says nothing of it.
            if is_fine {
                return outcome;
            }
        }
        let took = (is_fine && tries.method.is_safe()).then(|| now.saturating_duration_since(begun));
        if let Some(turn) = admitted.record(is_fine, took, now) {
            self.emit_at(now, Interest::DECISION, || Event::BreakerTurned {
                origin: self.address.origin.to_text(),
                until: match turn {
                    Turn::Opened { until } => Some(until),
                    Turn::Closed => None,
                },
            });
        }
        outcome
    }

    /// Lets nobody through as long as the origin has asked for, by a failure or by what is left of a quota.
    fn heed(&self, standing: &Standing, outcome: &Result<Answer>, now: Instant) {
        let Ok(response) = outcome else { return };
        let Some(wait) = self.feedback(response.status(), response.headers()).wait() else { return };
        let wait = wait.min(self.retry().map_or(MAX_HOLD, |retry| retry.max_wait));
        if wait > Duration::ZERO {
            standing.gate.hold_until(now + wait);
            self.emit_at(now, Interest::DECISION, || Event::Deferred { origin: self.address.origin.to_text(), wait });
        }
    }

    fn tell_held(&self, begun: Instant, passed: bool) {
        self.emit(Interest::DECISION, || Event::Held {
            stage: Stage::Limit,
            took: self.client.clock().now().saturating_duration_since(begun),
            passed,
        });
    }
}

/// What a status says of the load of its server.
pub(super) fn load_of(status: StatusCode) -> Verdict {
    match classify(Ok(status)) {
        Class::Overloaded => Verdict::Overloaded,
        _ if status.is_server_error() => Verdict::Neither,
        _ => Verdict::Fine,
    }
}

/// A server that does not answer in time has too much to do, as far as anybody can tell.
fn load_of_failure(error: &Error) -> Verdict {
    let is_late = error.is_timeout() && matches!(error.phase(), Some(Phase::Wait | Phase::Send | Phase::Connect));
    if is_late { Verdict::Overloaded } else { Verdict::Neither }
}

fn unavailable(until: Instant) -> Error {
    Error::new(ErrorKind::Unavailable, "call")
        .with_stage(Stage::Breaker)
        .with_retry_at(until)
        .with_detail("too many calls to the origin have failed (circuit breaker)")
}

/// Whether an outcome speaks against the origin.
fn is_failure(outcome: &Result<Answer>) -> bool {
    match outcome {
        Ok(response) => {
            let status = response.status();
            status.is_server_error() && classify(Ok(status)) != Class::Final
        }
        Err(error) => match error.kind() {
            ErrorKind::Dns
            | ErrorKind::Connect
            | ErrorKind::Proxy
            | ErrorKind::Tls
            | ErrorKind::Closed
            | ErrorKind::Incomplete
            | ErrorKind::Protocol => true,
            // Waiting for a place of our own is not the origin's doing.
            ErrorKind::Timeout => !matches!(error.phase(), Some(Phase::Blocked | Phase::Total)),
            _ => false,
        },
    }
}
