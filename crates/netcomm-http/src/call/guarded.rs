//! One try behind the guards of its origin: the breaker, then the limits; and what they learn from how it went.

use std::time::Instant;

use netcomm_core::{Body, Class, Error, ErrorKind, Event, Interest, Phase, Result, Stage, classify};

use super::Call;
use super::tries::Tries;
use crate::breaker::Turn;
use crate::standing::Terms;
use crate::trail::Reason;

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
        _patience: Patience,
    ) -> Result<http::Response<Body>> {
        let client = self.client;
        let begun = self.soon();
        let terms = Terms { clock: &**client.clock(), random: client.inner.env.random(), deadline: self.deadline };
        let admitted = tries.standing.admit(terms, begun).map_err(unavailable)?;
        let outcome = self.send(tries.method, tries.fields, body, reason).await;
        let now = client.clock().now();
        let is_fine = !is_failure(&outcome);
        // What was not the origin's doing says nothing of it.
        if is_fine && outcome.is_err() {
            return outcome;
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
}

fn unavailable(until: Instant) -> Error {
    Error::new(ErrorKind::Unavailable, "call")
        .with_stage(Stage::Breaker)
        .with_retry_at(until)
        .with_detail("too many calls to the origin have failed (circuit breaker)")
}

/// Whether an outcome speaks against the origin.
fn is_failure(outcome: &Result<http::Response<Body>>) -> bool {
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
