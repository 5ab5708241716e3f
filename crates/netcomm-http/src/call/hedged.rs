//! One try of a hop, and a second one beside it where the first is slow.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Poll;

use netcomm_core::{Body, Class, Result, classify};

use super::guarded::Patience;
use super::tries::Tries;
use super::{Answer, Call};
use crate::alarm::{Alarm, after};
use crate::hedge::Hedge;
use crate::trail::Reason;

type Outcome = Result<Answer>;

impl<'c> Call<'c> {
    pub(super) fn hedge(&self) -> Option<Hedge> {
        let own = self.options.resilience.as_deref().and_then(|own| own.hedge);
        own.unwrap_or(self.client.inner.resilience.guards.hedge)
    }

    /// One try; hedged, if that is wanted and safe.
    pub(super) async fn hedged(&mut self, tries: Tries<'_>, body: Body, reason: Reason) -> Outcome {
        let delay = match self.hedge() {
            Some(hedge) if tries.method.is_safe() && self.is_said_idempotent() != Some(false) => {
                hedge.delay(&tries.standing.lock().latency)
            }
            _ => None,
        };
        let (Some(delay), Some(spare)) = (delay, body.try_clone()) else {
            return self.guarded(tries, body, reason, Patience::Waits).await;
        };
        let client = self.client;
        let begun = self.soon();
        let mut alarm = Alarm::new(Arc::clone(client.clock()));
        let mut beside = Box::new(self.beside());
        let (outcome, is_second) = {
            let mut first = pin!(self.guarded(tries, body, reason, Patience::Waits));
            let early = poll_fn(|cx| match first.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => alarm.poll(after(begun, delay), cx).map(|()| None),
            })
            .await;
            match early {
                Some(outcome) => (outcome, false),
                None => {
                    let second = pin!(beside.guarded(tries, spare, Reason::Hedge, Patience::None));
                    better(first, second).await
                }
            }
        };
        if is_second {
            let mut trail = std::mem::take(&mut self.trail);
            trail.merge(&beside.trail);
            *self = Call { trail, ..*beside };
        } else {
            self.trail.merge(&beside.trail);
        }
        outcome
    }

    /// The same call, to make another request of its own.
    fn beside(&mut self) -> Self {
        let made = self.made.get_or_insert_with(|| Arc::new(AtomicU32::new(self.timing.attempt)));
        let made = Some(Arc::clone(made));
        let mut call = Self::with_id(self.client, self.options, self.id, self.address.clone(), self.started);
        call.moment = None;
        call.deadline = self.deadline;
        call.redirects.clone_from(&self.redirects);
        call.crossed = self.crossed;
        call.made = made;
        call
    }
}

/// The first of two outcomes that is no failure; else the later one. Tells whether it is the second's.
async fn better(
    mut first: std::pin::Pin<&mut impl Future<Output = Outcome>>,
    mut second: std::pin::Pin<&mut impl Future<Output = Outcome>>,
) -> (Outcome, bool) {
    let is_good =
        |outcome: &Outcome| classify(outcome.as_ref().map(|answer| answer.status())) == Class::Final && outcome.is_ok();
    let (mut first_failed, mut second_failed) = (None, None);
    poll_fn(|cx| {
        if first_failed.is_none()
            && let Poll::Ready(outcome) = first.as_mut().poll(cx)
        {
            if is_good(&outcome) || second_failed.is_some() {
                return Poll::Ready((outcome, false));
            }
            first_failed = Some(outcome);
        }
        if second_failed.is_none()
            && let Poll::Ready(outcome) = second.as_mut().poll(cx)
        {
            if is_good(&outcome) {
                return Poll::Ready((outcome, true));
            }
            // What the first came to is told: it was asked for.
            if let Some(outcome) = first_failed.take() {
                return Poll::Ready((outcome, false));
            }
            second_failed = Some(());
        }
        Poll::Pending
    })
    .await
}
