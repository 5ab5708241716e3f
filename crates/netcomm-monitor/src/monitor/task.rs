//! The one task of a monitor: waits for paths, probes, sleep and deadlines.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use netcomm_core::{AddressFamily, Env, Heard};
use tokio::sync::Notify;

use super::core::{Due, Shared};
#[cfg(all(target_os = "linux", feature = "netlink"))]
use super::sampling::Sampler;
use crate::pace::{Pace, Passing};
use crate::path::{AnyPathSource, PathSource, PathState};
use crate::probe::{self, Probe, ProbeReport};
use crate::reach::Fact;
use crate::suspend::SleepWatch;

/// The least time between two estimates that are told of.
const QUALITY_GAP: Duration = Duration::from_secs(1);

/// How long a source may take for its first word, which is to come at once.
const FIRST_PATHS: Duration = Duration::from_secs(1);

/// What the task holds. The monitor itself it holds only while it works.
pub(super) struct Task {
    env: Env,
    shared: Weak<Shared>,
    wake: Arc<Notify>,
    paths: Option<AnyPathSource>,
    probe: Option<Arc<Probe>>,
    pace: Pace,
    sleep: SleepWatch,
    #[cfg(all(target_os = "linux", feature = "netlink"))]
    sampler: Sampler,
    /// The newest paths, which have to wait until then.
    held: Option<(PathState, Instant)>,
    probing: Option<Probing>,
    /// Until when the first word of the paths is waited for, before anything is probed.
    first_paths: Option<Instant>,
    quality_at: Option<Instant>,
}

type Probing = Pin<Box<dyn Future<Output = ProbeReport> + Send>>;

/// What happened.
enum Happened {
    Paths(netcomm_core::Result<PathState>),
    Probed(ProbeReport),
    Something,
}

impl Task {
    pub(super) fn new(
        env: Env,
        shared: &Arc<Shared>,
        paths: Option<AnyPathSource>,
        probe: Option<Probe>,
        pace: Pace,
        sleep: SleepWatch,
    ) -> Self {
        Self {
            env,
            shared: Arc::downgrade(shared),
            wake: Arc::clone(shared.wake()),
            paths,
            probe: probe.map(Arc::new),
            pace,
            sleep,
            #[cfg(all(target_os = "linux", feature = "netlink"))]
            sampler: Sampler::new(),
            held: None,
            probing: None,
            first_paths: None,
            quality_at: None,
        }
    }

    /// Runs until the last handle is gone.
    pub(super) async fn run(mut self) {
        self.first_paths = self.paths.is_some().then(|| self.env.clock().now() + FIRST_PATHS);
        while let Some(next_at) = self.work() {
            let happened = self.wait(next_at).await;
            let Some(shared) = self.shared.upgrade() else { return };
            match happened {
                Happened::Paths(Ok(paths)) => {
                    self.first_paths = None;
                    self.offer(&shared, paths);
                }
                Happened::Paths(Err(_)) => {
                    self.first_paths = None;
                    // Nothing tells any more: there is a path until traffic shows otherwise.
                    self.paths = None;
                    self.held = None;
                    shared.paths(None);
                }
                Happened::Probed(report) => {
                    self.probing = None;
                    shared.probe_ended(report);
                }
                Happened::Something => {}
            }
        }
    }

    /// Does what is due. When to look again; `None` if the monitor is gone.
    fn work(&mut self) -> Option<Instant> {
        let shared = self.shared.upgrade()?;
        let now = self.env.clock().now();
        if self.sleep.check().is_some() {
            shared.slept();
        }
        if let Some((paths, _)) = self.held.take_if(|(_, at)| *at <= now) {
            self.offer(&shared, paths);
        }
        self.first_paths.take_if(|at| *at <= now);
        let due = self.due(&shared);
        if due.tick.is_some_and(|at| at <= now) {
            shared.take(Fact::Tick);
        }
        if due.probe.is_some_and(|at| at <= now) {
            self.begin_probe(&shared);
        }
        if due.has_traffic && self.quality_at.is_none_or(|at| at <= now) {
            self.quality_at = Some(now + QUALITY_GAP);
            #[cfg(all(target_os = "linux", feature = "netlink"))]
            self.sampler.sample(&shared);
            self.tell_quality(&shared);
        }
        tell_states(&shared);
        let due = self.due(&shared);
        let quality = self.quality_at.filter(|_| due.has_traffic);
        let held = self.held.as_ref().map(|(_, at)| *at);
        let slept = now + SleepWatch::CHECK_EVERY;
        [due.tick, due.probe, quality, held].into_iter().flatten().chain([slept]).min()
    }

    fn due(&self, shared: &Shared) -> Due {
        let mut due = shared.due();
        due.probe = due.probe.max(self.first_paths.filter(|_| due.probe.is_some()));
        due
    }

    /// Waits until something happens, or the moment is there.
    async fn wait(&mut self, next_at: Instant) -> Happened {
        let clock = Arc::clone(self.env.clock());
        let paths = async {
            match &mut self.paths {
                Some(paths) => paths.next().await,
                None => pending().await,
            }
        };
        let probed = async {
            match &mut self.probing {
                Some(probing) => probing.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            paths = paths => Happened::Paths(paths),
            report = probed => Happened::Probed(report),
            () = self.wake.notified() => Happened::Something,
            () = clock.sleep_until(next_at) => Happened::Something,
        }
    }

    /// Passes paths on, now or when their time has come.
    fn offer(&mut self, shared: &Shared, paths: PathState) {
        match self.pace.offer(self.env.clock().now()) {
            Passing::Now => {
                self.held = None;
                if shared.path_state().as_deref() != Some(&paths) {
                    shared.paths(Some(paths));
                }
            }
            Passing::At(at) => self.held = Some((paths, at)),
        }
    }

    fn begin_probe(&mut self, shared: &Shared) {
        let Some(probe) = &self.probe else { return };
        shared.take(Fact::ProbeBegan);
        let paths = shared.path_state();
        let families: Vec<_> = [AddressFamily::V4, AddressFamily::V6]
            .into_iter()
            .filter(|family| paths.as_ref().is_none_or(|paths| paths.has_path(*family)))
            .collect();
        let (env, probe) = (self.env.clone(), Arc::clone(probe));
        self.probing = Some(Box::pin(async move { probe::run(&env, &probe, &families).await }));
    }

    fn tell_quality(&self, shared: &Shared) {
        let Some((quality, feeds)) = shared.quality_news() else { return };
        for feed in feeds {
            // Who has left is left out next time.
            let _: Heard = feed.push(quality, 0);
        }
    }
}

fn tell_states(shared: &Shared) {
    let Some(news) = shared.news() else { return };
    for state in news.states {
        for feed in &news.state_feeds {
            let _: Heard = feed.push(state.clone(), 0);
        }
    }
}
