//! The tries of a hop: whether there is a network, then one try after the other until one is good enough or nothing
//! speaks for another. What is decided is decided in [`crate::retry`]; here it is done.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use netcomm_core::{Body, Class, Error, ErrorKind, Event, GaveUp, Interest, Network, Reach, Result, Stage, classify};

use super::{Answer, Call, Fields};
use crate::alarm::{Alarm, after};
use crate::client::Wire;
use crate::idempotency;
use crate::offline::{Offline, is_local};
use crate::retry::{self, Decision, Failure, Feedback, Retry, SoFar, Tried, Verdict};
use crate::standing::Standing;
use crate::trail::Reason;

/// What holds for all tries of a hop.
#[derive(Clone, Copy)]
pub(super) struct Tries<'t> {
    pub(super) method: &'t Method,
    pub(super) fields: Fields<'t>,
    pub(super) standing: &'t Arc<Standing>,
}

impl<'c> Call<'c> {
    /// What has to be sent for a hop, as often as that is of use and allowed.
    pub(super) async fn attempts(&mut self, method: &Method, fields: Fields<'_>, body: Body) -> Result<Answer> {
        let network = self.network();
        if network.reach == Reach::Offline && self.needs_network() {
            Box::pin(self.wait_for_network()).await?;
        }
        if self.is_unguarded() {
            return self.send(method, fields, body, Reason::First).await;
        }
        Box::pin(self.tries(method, fields, body)).await
    }

    /// Whether nothing stands between the call and the wire.
    fn is_unguarded(&self) -> bool {
        let client = self.client;
        !client.inner.resilience.is_on() && client.gates.is_empty() && self.options.resilience.is_none()
    }

    pub(super) fn retry(&self) -> Option<&'c Retry> {
        let own = self.options.resilience.as_deref().and_then(|own| own.retry.as_ref());
        own.or(self.client.inner.resilience.guards.retry.as_ref()).filter(|retry| retry.attempts > 1)
    }

    async fn tries(&mut self, method: &Method, fields: Fields<'_>, body: Body) -> Result<Answer> {
        let client = self.client;
        let since = self.soon();
        let standing = client.inner.resilience.standing(&self.address.origin, client.clock(), since);
        let tries = Tries { method, fields, standing: &standing };
        let retry = self.retry();
        if retry.is_some() || self.hedge().is_some() {
            standing.lock().purse.deposit();
        }
        let Some(retry) = retry else {
            return self.hedged(tries, body, Reason::First).await;
        };
        let (mut body, spool) = match retry.spool_bytes {
            bytes if bytes > 0 && body.try_clone().is_none() => {
                let (body, spool) = retry::spool(body, bytes);
                (body, Some(spool))
            }
            _ => (body, None),
        };
        let is_safe = self.may_come_twice(method, fields);
        let mut count = 0;
        let mut reason = Reason::First;
        let mut maybe_sent = false;
        loop {
            count += 1;
            let spare = body.try_clone();
            let outcome = self.hedged(tries, body, reason).await;
            let seen = self.look_at(retry, method, count, &outcome);
            if seen == Seen::GOOD {
                return outcome;
            }
            let unsent = outcome.as_ref().is_err_and(Error::is_unsent);
            let outcome = if maybe_sent { outcome.map_err(Error::with_maybe_sent) } else { outcome };
            maybe_sent |= !unsent;
            let again = spare.or_else(|| spool.as_ref()?.again()).or_else(|| self.untouched());
            let failure = Failure {
                is_worth_it: seen.is_worth_it,
                is_safe: is_safe || unsent,
                has_body: again.is_some(),
                asked: seen.asked,
            };
            let now = client.clock().now();
            let so_far = SoFar { tries: count, since, now, deadline: self.deadline };
            let backoff = || retry.backoff.wait(count, client.inner.env.random());
            let decision = retry::decide(retry, failure, so_far, backoff, &mut standing.lock().purse);
            match (decision, again) {
                (Decision::Again(at), Some(again)) => {
                    self.emit_at(now, Interest::DECISION, || Event::Retrying {
                        tries: count,
                        wait: at.saturating_duration_since(now),
                    });
                    // Its connection is free, or closed, before anybody waits.
                    drop(outcome);
                    let seen = self.network();
                    self.pause(at, seen).await;
                    self.moment = None;
                    if self.network().reach == Reach::Offline && self.needs_network() {
                        let waited = Box::pin(self.wait_for_network()).await;
                        waited.map_err(|error| if maybe_sent { error.with_maybe_sent() } else { error })?;
                    }
                    body = again;
                    reason = Reason::Retry;
                }
                (Decision::Again(_), None) => return self.give_up(outcome, GaveUp::BodySpent, seen.asked, now),
                (Decision::Stop(why), _) => return self.give_up(outcome, why, seen.asked, now),
            }
        }
    }

    /// The moment at which what comes next begins: the last one that is known, if nothing has taken time since.
    pub(super) fn soon(&self) -> Instant {
        self.moment.unwrap_or_else(|| self.client.clock().now())
    }

    /// What an outcome says about another try.
    fn look_at(&self, retry: &Retry, method: &Method, tries: u32, outcome: &Result<Answer>) -> Seen {
        let head = outcome.as_ref().map(|response| (response.status(), response.headers()));
        let class = classify(head.map(|(status, _)| status));
        let verdict = retry.verdict(&Tried { method, uri: &self.address.uri, tries, outcome: head });
        // A guard of our own knows when it lets somebody through.
        let asked = || match outcome {
            Ok(response) => self.feedback(response.status(), response.headers()).wait(),
            Err(error) => error.retry_at().map(|at| at.saturating_duration_since(self.client.clock().now())),
        };
        match verdict {
            Verdict::Default if class == Class::Final => Seen::good_unless(outcome.is_err()),
            Verdict::Default | Verdict::Again => Seen { is_good: false, is_worth_it: true, asked: asked() },
            Verdict::Final => Seen::good_unless(outcome.is_err()),
            Verdict::AgainAfter(wait) => Seen { is_good: false, is_worth_it: true, asked: Some(wait) },
        }
    }

    pub(super) fn feedback(&self, status: http::StatusCode, headers: &HeaderMap) -> Feedback {
        Feedback::of(status, headers, || self.client.clock().wall())
    }

    /// Whether the peer may get the request twice.
    fn may_come_twice(&self, method: &Method, fields: Fields<'_>) -> bool {
        let said = self.is_said_idempotent();
        said.unwrap_or_else(|| method.is_idempotent() || fields.own().contains_key(idempotency::KEY))
    }

    /// What the caller says of it, who knows better than the method.
    pub(super) fn is_said_idempotent(&self) -> Option<bool> {
        self.options.resilience.as_deref().and_then(|own| own.idempotent)
    }

    /// The body of a try that failed before any of it was taken. What interceptors have had in their hands is not what it
    /// was.
    fn untouched(&mut self) -> Option<Body> {
        let (lost, outgoing) = (self.lost.take(), self.outgoing.take());
        if !self.client.inner.attempt_interceptors.is_empty() {
            return None;
        }
        lost.and_then(|lost| lost.body).or_else(|| outgoing?.into_body().into_untouched())
    }

    /// Nothing more is tried: the outcome says why, and when it makes sense to come back.
    fn give_up(
        &mut self,
        outcome: Result<Answer>,
        why: GaveUp,
        asked: Option<Duration>,
        now: Instant,
    ) -> Result<Answer> {
        self.emit_at(now, Interest::DECISION, || Event::GaveUp { why });
        let asked = asked.and_then(|wait| now.checked_add(wait));
        if outcome.is_ok() {
            (self.gave_up, self.retry_at) = (Some(why), asked);
        }
        outcome.map_err(|error| match asked {
            Some(at) => error.with_gave_up(why).with_retry_at(at),
            None => error.with_gave_up(why),
        })
    }

    /// Waits until `at`, or until the network that was away is back.
    fn pause(&self, at: Instant, mut seen: Network) -> impl Future<Output = ()> + Send + use<'c> {
        let client = self.client;
        let mut alarm = Alarm::new(Arc::clone(client.clock()));
        let watches = self.needs_network();
        let mut change = None;
        poll_fn(move |cx| {
            let connectivity = client.inner.env.connectivity();
            while watches && seen.reach == Reach::Offline {
                let changed = change.get_or_insert_with(|| connectivity.changed(seen));
                let Poll::Ready(network) = changed.as_mut().poll(cx) else { break };
                change = None;
                seen = network;
                if seen.reach != Reach::Offline {
                    return Poll::Ready(());
                }
            }
            alarm.poll(at, cx)
        })
    }

    pub(super) fn network(&self) -> Network {
        self.client.inner.env.connectivity().current()
    }

    /// Whether the request leaves this machine.
    fn needs_network(&self) -> bool {
        let inner = &self.client.inner;
        matches!(inner.wire, Wire::Pool(_)) && inner.unix.is_none() && !is_local(&self.address.origin)
    }

    pub(super) fn offline(&self) -> Offline {
        let own = self.options.resilience.as_deref().and_then(|own| own.offline);
        own.unwrap_or(self.client.inner.offline)
    }

    /// There is no network: fails, or waits for it as long as the call may.
    fn wait_for_network(&mut self) -> impl Future<Output = Result<()>> + Send + use<'_, 'c> {
        let begun = self.client.clock().now();
        let until = match self.offline() {
            Offline::WaitUpTo(most) => {
                let until = after(begun, most);
                Some(self.deadline.map_or(until, |deadline| until.min(deadline)))
            }
            _ => None,
        };
        async move {
            let Some(until) = until else { return Err(offline("there is no network")) };
            let mut passed;
            // It may be away again by the time that somebody looks.
            loop {
                let network = self.network();
                passed = network.reach != Reach::Offline;
                if passed || self.client.clock().now() >= until {
                    break;
                }
                self.pause(until, network).await;
            }
            self.moment = None;
            self.emit(Interest::DECISION, || Event::Held {
                stage: Stage::Offline,
                took: self.client.clock().now().saturating_duration_since(begun),
                passed,
            });
            if passed { Ok(()) } else { Err(offline("there was no network for as long as the call may wait")) }
        }
    }
}

fn offline(detail: &'static str) -> Error {
    Error::new(ErrorKind::Offline, "call").with_stage(Stage::Offline).with_detail(detail)
}

/// What an outcome says about another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    is_good: bool,
    is_worth_it: bool,
    asked: Option<Duration>,
}

impl Seen {
    const GOOD: Self = Self { is_good: true, is_worth_it: false, asked: None };

    fn good_unless(is_error: bool) -> Self {
        Self { is_good: !is_error, ..Self::GOOD }
    }
}

impl<'a> Fields<'a> {
    /// Those that the request has of its own.
    fn own(self) -> &'a HeaderMap {
        match self {
            Fields::Bare(headers, _) => headers,
            Fields::Dressed(headers) => headers,
        }
    }
}
