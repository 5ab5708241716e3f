//! From what components tell of their traffic to facts and samples.

use std::time::{Duration, Instant};

use netcomm_core::{ErrorKind, Event, Observation};

use super::core::Core;
use super::hosts::Place;
use crate::reach::{Fact, Success};

/// What came of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that the task need know of.
    Nothing,
    /// The first sample since the task looked.
    Sample,
    /// The state is another now.
    Fact,
}

/// Takes one observation.
pub(super) fn hear(core: &mut Core, observation: &Observation) -> Heard {
    let Observation { at, call, .. } = *observation;
    let probed = core.reach.probe_at();
    let mut changed = false;
    match &observation.event {
        Event::AttemptStarted { origin, .. } => {
            let place = core.hosts.place(origin);
            if core.hosts.began(call, place) && place.is_public {
                core.estimator.transfer_began(at);
            }
            return Heard::Nothing;
        }
        Event::BodyReceived { bytes } => {
            if core.hosts.of_call(call).is_some_and(|place| place.is_public) {
                core.estimator.received(at, *bytes);
            }
        }
        Event::CallEnded { .. } => {
            if core.hosts.ended(call).is_some_and(|place| place.is_public) {
                core.estimator.transfer_ended(at);
            }
        }
        Event::AttemptEnded { origin, status, error, wait, took, .. } => {
            let place = core.hosts.place(origin);
            let began = at.checked_sub(*took).unwrap_or(at);
            if status.is_some() {
                changed = succeeded(core, at, began, place);
                if place.is_public {
                    core.estimator.outcome(at, true);
                    if let Some(wait) = wait {
                        core.estimator.http_rtt(at, *wait);
                    }
                }
            } else if let Some(error) = error {
                changed = failed(core, at, began, place, *error);
            }
        }
        Event::Connected { peer, local, through_proxy, origin, steps } => {
            if *through_proxy {
                // Whoever is at the other end, it is not the origin; a tunnel leads there.
                let place = core.hosts.place(origin);
                if steps.proxy.is_some() {
                    changed = succeeded(core, at, before(at, steps.total()), place);
                }
            } else {
                let place = core.hosts.connected(origin, *peer);
                changed = succeeded(core, at, before(at, steps.total()), place);
                if let (true, Some(local), Some(peer)) = (place.is_public, local, peer) {
                    core.hosts.opened((*local, *peer));
                }
            }
        }
        Event::ConnectFailed { origin, error } => {
            let place = core.hosts.place(origin);
            changed = failed(core, at, at, place, *error);
        }
        Event::SocketOpened { url, .. } | Event::StreamOpened { url, .. } => {
            let place = core.hosts.place(url);
            core.hosts.began(call, place);
            changed = succeeded(core, at, at, place);
        }
        Event::SocketClosed { .. } | Event::StreamEnded { .. } => {
            core.hosts.ended(call);
        }
        Event::RoundTrip { took } => {
            if let Some(place) = core.hosts.of_call(call) {
                changed = succeeded(core, at, before(at, *took), place);
                if place.is_public {
                    core.estimator.ping_rtt(at, *took);
                }
            }
        }
        _ => return Heard::Nothing,
    }
    let is_first = !std::mem::replace(&mut core.has_traffic, true);
    match () {
        () if changed => Heard::Fact,
        // A success puts the next probe off, and the task need not know; a doubt brings it forward.
        () if is_first || core.reach.probe_at() < probed => Heard::Sample,
        () => Heard::Nothing,
    }
}

fn succeeded(core: &mut Core, at: Instant, began: Instant, place: Place) -> bool {
    let Place { is_public, is_secure, .. } = place;
    core.take(at, Fact::Success(Success { began, is_public, is_secure }))
}

fn failed(core: &mut Core, at: Instant, began: Instant, place: Place, error: ErrorKind) -> bool {
    if !place.is_public || !is_of_the_network(error) {
        return false;
    }
    core.estimator.outcome(at, false);
    core.take(at, Fact::Failure { host: place.host, began })
}

/// Whether an error can be the network's fault. A host that refuses, breaks the protocol or shows a bad certificate is there.
const fn is_of_the_network(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Closed)
}

fn before(at: Instant, took: Duration) -> Instant {
    at.checked_sub(took).unwrap_or(at)
}
