//! The monitor: one view of the network for everything that waits for it.

mod builder;
mod core;
mod hear;
mod hosts;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod sampling;
mod state;
mod task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{
    Connectivity, Env, Interest, Listening, Network, NetworkChange, Observation, Observe, Slow, Subscription, Tap,
};

pub use self::builder::MonitorBuilder;
use self::core::Shared;
pub use self::state::State;
use crate::fan::Fan;
use crate::probe::ProbeReport;
use crate::quality::{Forecast, HistoryPoint, HistorySpan, Quality};

/// Watches the network, and what becomes of the application's traffic; tells everything that waits when it is back.
///
/// It learns from three sides: the paths of this machine ([`PathSource`](crate::PathSource)), the traffic of all components
/// whose environment is [`env`](Self::env), and a [`Probe`](crate::Probe), if the application names one. It is the
/// [`Connectivity`] of that environment: calls fail or wait while there is no network, connections and event streams come
/// back as soon as there is one, and connections that were opened over a network which is gone are not used again.
///
/// Cheap to clone; clones are the same monitor. Its task ends with the last of them, environments counted. Memory: at most
/// 256 origins, 4 096 calls under way, 64 connections, and what [`Estimator`](crate::Estimator) keeps.
///
/// # Examples
///
/// ```
/// use netcomm_core::{Connectivity, Reach};
/// use netcomm_monitor::{ManualPaths, Monitor, PathState};
/// # use netcomm_tests::{ManualClock, ScriptedDialer};
/// # use netcomm_core::Env;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let env = Env::new(ScriptedDialer::new(), ManualClock::new());
/// let paths = ManualPaths::new(PathState::none());
/// let monitor = Monitor::builder(&env).paths(paths.source()).start();
/// // The components of the application share this one from here on.
/// let env = monitor.env(&env);
///
/// let mut states = monitor.states();
/// while let Some(Ok(state)) = states.next().await {
///     if state.reach == Reach::Offline {
///         break;
///     }
/// }
/// assert_eq!(env.connectivity().current().reach, Reach::Offline);
/// # });
/// ```
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<Shared>,
}

impl Monitor {
    /// A monitor with the system's paths and without a probe.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(env: &Env) -> Self {
        Self::builder(env).start()
    }

    /// A monitor to be set up.
    pub fn builder(env: &Env) -> MonitorBuilder {
        MonitorBuilder::new(env)
    }

    /// An environment whose components wait for this monitor's network, and whose traffic it sees. Observers of `env` go on
    /// observing.
    #[must_use]
    pub fn env(&self, env: &Env) -> Env {
        let own: Arc<dyn Observe> = Arc::new(self.clone());
        let tap = match env.tap().observer() {
            None => Tap::shared(own),
            Some(other) => Tap::new(Fan::new().with_shared(Arc::clone(other)).with_shared(own)),
        };
        env.with_connectivity(Arc::new(self.clone())).with_tap(tap)
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// The state now, and each one that follows. Of more than 64 that wait the oldest go.
    #[must_use]
    pub fn states(&self) -> Subscription<State> {
        self.shared.states(listening())
    }

    /// How good the network is now.
    #[must_use]
    pub fn quality(&self) -> Quality {
        self.shared.quality()
    }

    /// How good the network is, whenever that has changed by a tenth or more ([`Quality::differs`]), at most once a second.
    #[must_use]
    pub fn qualities(&self) -> Subscription<Quality> {
        self.shared.qualities(listening())
    }

    /// How good the network was, in steps, the oldest first: of 10 s for the last hour, of 5 min for the last day.
    #[must_use]
    pub fn history(&self, span: Duration) -> Vec<HistoryPoint> {
        self.shared.history(span)
    }

    /// How good the network was over the last `span` as a whole, up to a day: for percentiles.
    #[must_use]
    pub fn over(&self, span: Duration) -> HistorySpan {
        self.shared.over(span)
    }

    /// How likely it is that the network will be gone before long.
    #[must_use]
    pub fn forecast(&self) -> Forecast {
        self.shared.forecast()
    }

    /// Probes as soon as may be, or waits for the probe that is under way. `None` if there is no probe, or no path to send
    /// one over.
    ///
    /// # Cancel safety
    ///
    /// The probe goes on if the future is dropped.
    pub async fn probe(&self) -> Option<Arc<ProbeReport>> {
        let mut reports = self.shared.want_probe()?;
        reports.changed().await.ok()?;
        reports.borrow_and_update().clone()
    }
}

/// What waits for a listener at most; then the oldest go.
fn listening() -> Listening {
    Listening::default().with_items(64).with_bytes(usize::MAX).with_slow(Slow::DropOldest)
}

impl Connectivity for Monitor {
    fn current(&self) -> Network {
        *self.shared.network.borrow()
    }

    fn changed(&self, seen: Network) -> NetworkChange {
        let mut receiver = self.shared.network.subscribe();
        // The wait keeps the monitor alive: whoever waits wants to be woken.
        let monitor = self.clone();
        Box::pin(async move {
            let change = receiver.wait_for(|network| *network != seen).await.map(|network| *network);
            match change {
                Ok(network) => network,
                Err(_) => monitor.current(),
            }
        })
    }
}

impl Observe for Monitor {
    fn interest(&self) -> Interest {
        Interest::CALL | Interest::ATTEMPT | Interest::CONNECTION | Interest::TRANSFER
    }

    fn observe(&self, observation: &Observation) {
        self.shared.hear(observation);
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("state", &self.state()).finish_non_exhaustive()
    }
}
