//! Between two streams.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use netcomm_core::{Error, Event as Observed, GaveUp, Interest, Next, Observation, Reach, Verdict};

use super::{Drive, Phase};
use crate::state::{End, Notice, State};

impl Drive {
    pub(super) fn wait_or_give_up(&mut self, error: Error, verdict: Verdict, now: Instant) {
        let at = match self.schedule.failed(now, verdict, self.env.random()) {
            // What says more than that nothing helps stays.
            Next::GiveUp(GaveUp::Final) if error.gave_up().is_some() => return self.close(End::Failed(error)),
            Next::GiveUp(why) => return self.close(End::Failed(error.with_gave_up(why))),
            Next::At(at) => at,
            Next::RefreshThenAt(at) => {
                self.refresh = true;
                at
            }
        };
        let attempt = self.schedule.attempt().saturating_sub(1);
        let wait = at.saturating_duration_since(now);
        self.env.tap().emit(Interest::DECISION, || Observation::new(now, Observed::Retrying { tries: attempt, wait }));
        self.cause = Some(error.clone());
        self.state = State::Backoff { attempt, until: Some(at), cause: error.clone() };
        self.notes.push_back(Notice::Waiting { attempt, wait: Some(wait), cause: error });
        self.phase = Phase::Wait(self.env.clock().sleep_until(at));
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.poll_network(cx).is_ready() {
            self.notes.push_back(Notice::NetworkChanged);
            self.hurry();
        }
        if let Phase::Wait(sleep) = &mut self.phase
            && sleep.as_mut().poll(cx).is_ready()
        {
            self.schedule.trying();
            self.phase = Phase::Due;
            return Poll::Ready(());
        }
        if self.notes.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The network changed: what failed may go now, but a crowd shall not come at once.
    pub(super) fn hurry(&mut self) {
        let clock = self.env.clock();
        if let Phase::Wait(sleep) = &mut self.phase
            && let Some(sooner) = self.schedule.network_changed(clock.now(), self.env.random())
        {
            *sleep = clock.sleep_until(sooner);
            if let State::Backoff { until, .. } = &mut self.state {
                *until = Some(sooner);
            }
        }
    }

    pub(super) fn poll_offline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.network.reach == Reach::Offline {
            ready!(self.poll_network(cx));
        }
        self.schedule.trying();
        self.phase = Phase::Due;
        Poll::Ready(())
    }
}
