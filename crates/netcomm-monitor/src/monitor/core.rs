//! What all handles of a monitor share: facts go in under one lock, and whoever waits is woken after it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Env, Listening, Network, Observation, Subscription};
use tokio::sync::{Notify, watch};

use super::builder::Settings;
use super::hear::{Heard, hear};
use super::hosts::Hosts;
use super::state::State;
use crate::path::PathState;
use crate::probe::ProbeReport;
use crate::quality::{Estimator, Forecast, HistoryPoint, HistorySpan, Quality};
use crate::reach::{Fact, Reachability};

/// States that wait to be handed to listeners, at most.
const MAX_STATES: usize = 64;

pub(super) type Feed<T> = Arc<netcomm_core::Feed<T>>;

/// What all handles share.
pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    pub(super) network: watch::Sender<Network>,
    reports: watch::Sender<Option<Arc<ProbeReport>>>,
    /// Tells the task to look at its deadlines.
    wake: Arc<Notify>,
    core: Mutex<Core>,
}

/// What is known, under the lock.
pub(super) struct Core {
    pub(super) reach: Reachability,
    pub(super) estimator: Estimator,
    pub(super) hosts: Hosts,
    pub(super) has_traffic: bool,
    state: State,
    states: VecDeque<State>,
    state_feeds: Vec<Feed<State>>,
    quality_feeds: Vec<Feed<Quality>>,
    reported: Option<Quality>,
}

/// What the task hands to listeners.
pub(super) struct News {
    pub(super) states: VecDeque<State>,
    pub(super) state_feeds: Vec<Feed<State>>,
}

/// When the task has to look again.
pub(super) struct Due {
    pub(super) tick: Option<Instant>,
    pub(super) probe: Option<Instant>,
    pub(super) has_traffic: bool,
}

impl Shared {
    pub(super) fn new(env: &Env, settings: Settings) -> Arc<Self> {
        let clock = Arc::clone(env.clock());
        let now = clock.now();
        let reach = Reachability::new(settings.reach, settings.probe.is_some(), now);
        let standing = reach.standing();
        let state = State {
            reach: standing.reach,
            reason: standing.reason,
            since: now,
            metered: false,
            generation: 0,
            paths: None,
            probe: None,
        };
        Arc::new(Self {
            clock,
            network: watch::Sender::new(state.network()),
            reports: watch::Sender::new(None),
            wake: Arc::default(),
            core: Mutex::new(Core {
                reach,
                estimator: Estimator::new(settings.quality),
                hosts: Hosts::new(settings.counts_private_hosts),
                has_traffic: false,
                state,
                states: VecDeque::new(),
                state_feeds: Vec::new(),
                quality_feeds: Vec::new(),
                reported: None,
            }),
        })
    }

    pub(super) fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    #[cfg(all(target_os = "linux", feature = "netlink"))]
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn state(&self) -> State {
        self.lock().state.clone()
    }

    pub(super) fn quality(&self) -> Quality {
        let now = self.clock.now();
        self.lock().estimator.quality(now)
    }

    pub(super) fn history(&self, span: Duration) -> Vec<HistoryPoint> {
        let now = self.clock.now();
        self.lock().estimator.history().points(now, span)
    }

    pub(super) fn over(&self, span: Duration) -> HistorySpan {
        let now = self.clock.now();
        self.lock().estimator.history().over(now, span)
    }

    pub(super) fn forecast(&self) -> Forecast {
        let now = self.clock.now();
        self.lock().estimator.forecast(now)
    }

    pub(super) fn states(&self, listening: Listening) -> Subscription<State> {
        let (subscription, feed) = Subscription::new(listening);
        feed.attach();
        let mut core = self.lock();
        // What waits to be handed out is older than what it begins with.
        let waits = std::mem::take(&mut core.states);
        for state in waits {
            core.state_feeds.retain(|feed| feed.push(state.clone(), 0) != netcomm_core::Heard::Gone);
        }
        let _ = feed.push(core.state.clone(), 0);
        core.state_feeds.retain(|feed| !feed.has_left());
        core.state_feeds.push(feed);
        subscription
    }

    pub(super) fn qualities(&self, listening: Listening) -> Subscription<Quality> {
        let (subscription, feed) = Subscription::new(listening);
        feed.attach();
        let mut core = self.lock();
        core.quality_feeds.retain(|feed| !feed.has_left());
        core.quality_feeds.push(feed);
        subscription
    }

    /// Where the next report comes out; `None` if there will be none.
    pub(super) fn want_probe(&self) -> Option<watch::Receiver<Option<Arc<ProbeReport>>>> {
        let now = self.clock.now();
        let mut reports = self.reports.subscribe();
        reports.mark_unchanged();
        let mut core = self.lock();
        core.reach.take(now, Fact::ProbeWanted);
        core.reach.can_probe().then(|| {
            drop(core);
            self.wake.notify_one();
            reports
        })
    }

    /// Takes what somebody observed.
    pub(super) fn hear(&self, observation: &Observation) {
        let heard = hear(&mut self.lock(), observation);
        match heard {
            Heard::Nothing => {}
            Heard::Sample => self.wake.notify_one(),
            Heard::Fact => {
                self.wake.notify_one();
                self.publish();
            }
        }
    }

    /// Takes a fact from the task.
    pub(super) fn take(&self, fact: Fact) {
        let now = self.clock.now();
        let changed = self.lock().take(now, fact);
        if changed {
            self.publish();
        }
    }

    /// The paths are others, or nothing tells of them any more.
    pub(super) fn paths(&self, paths: Option<PathState>) {
        let now = self.clock.now();
        self.lock().paths(now, paths);
        self.publish();
    }

    /// The machine slept.
    pub(super) fn slept(&self) {
        let now = self.clock.now();
        {
            let mut core = self.lock();
            core.state.generation += 1;
            core.state.probe = None;
            core.reach.take(now, Fact::Slept);
            core.restate(now);
        }
        self.publish();
    }

    pub(super) fn probe_ended(&self, report: ProbeReport) {
        let now = self.clock.now();
        let report = Arc::new(report);
        {
            let mut core = self.lock();
            core.state.probe = Some(Arc::clone(&report));
            core.reach.take(now, Fact::ProbeEnded(report.found()));
            core.restate(now);
        }
        self.publish();
        self.reports.send_replace(Some(report));
    }

    pub(super) fn due(&self) -> Due {
        let core = self.lock();
        Due { tick: core.reach.tick_at(), probe: core.reach.probe_at(), has_traffic: core.has_traffic }
    }

    /// The families for which there is a path; `None` if nothing tells.
    pub(super) fn path_state(&self) -> Option<Arc<PathState>> {
        self.lock().state.paths.clone()
    }

    /// States that nobody was told of yet, and who is to be told.
    pub(super) fn news(&self) -> Option<News> {
        let mut core = self.lock();
        if core.states.is_empty() {
            return None;
        }
        core.state_feeds.retain(|feed| !feed.has_left());
        Some(News { states: std::mem::take(&mut core.states), state_feeds: core.state_feeds.clone() })
    }

    /// The quality, if it has changed enough to tell of it, and who is to be told.
    pub(super) fn quality_news(&self) -> Option<(Quality, Vec<Feed<Quality>>)> {
        let now = self.clock.now();
        let mut core = self.lock();
        core.has_traffic = false;
        core.quality_feeds.retain(|feed| !feed.has_left());
        if core.quality_feeds.is_empty() {
            return None;
        }
        let quality = core.estimator.quality(now);
        let is_news = match &core.reported {
            Some(reported) => quality.differs(reported),
            None => quality.samples > 0,
        };
        if !is_news {
            return None;
        }
        core.reported = Some(quality);
        Some((quality, core.quality_feeds.clone()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait. Whoever comes last here brings the newest word, whichever thread it is.
    fn publish(&self) {
        self.network.send_if_modified(|network| {
            let newest = self.lock().state.network();
            let changed = *network != newest;
            *network = newest;
            changed
        });
        self.wake.notify_one();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
        let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
        core.state_feeds.drain(..).for_each(|feed| feed.end());
        core.quality_feeds.drain(..).for_each(|feed| feed.end());
    }
}

impl Core {
    /// Takes a fact; whether the state is another now.
    pub(super) fn take(&mut self, now: Instant, fact: Fact) -> bool {
        self.reach.take(now, fact) && self.restate(now)
    }

    fn paths(&mut self, now: Instant, paths: Option<PathState>) {
        let broke = match (&self.state.paths, &paths) {
            (Some(earlier), Some(paths)) => paths.breaks(earlier),
            _ => false,
        };
        if broke {
            self.state.generation += 1;
            self.state.probe = None;
            self.hosts.forget_connections();
        }
        let connected = paths.as_ref().map(PathState::is_connected);
        self.estimator.network(now, paths.as_ref().and_then(PathState::network_key));
        self.state.metered = paths.as_ref().and_then(PathState::metered).unwrap_or_default();
        self.state.paths = paths.map(Arc::new);
        self.reach.take(now, Fact::Path { connected, broke });
        self.restate(now);
    }

    /// Brings the state in line with what is known now. Whether there was something to bring.
    fn restate(&mut self, now: Instant) -> bool {
        let standing = self.reach.standing();
        if standing.reach != self.state.reach {
            self.state.since = now;
        }
        self.state.reach = standing.reach;
        self.state.reason = standing.reason;
        if self.states.len() >= MAX_STATES {
            self.states.pop_front();
        }
        self.states.push_back(self.state.clone());
        true
    }
}
