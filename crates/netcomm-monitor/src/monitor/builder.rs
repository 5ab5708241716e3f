//! How a monitor is set up.

use std::time::Duration;

use netcomm_core::Env;

use super::Monitor;
use super::core::Shared;
use super::task::Task;
use crate::pace::Pace;
use crate::path::{AnyPathSource, PathSource, system_paths};
use crate::probe::Probe;
use crate::quality::QualityConfig;
use crate::reach::ReachConfig;
use crate::suspend::SleepWatch;

/// Sets up a [`Monitor`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct MonitorBuilder {
    env: Env,
    paths: Paths,
    settings: Settings,
    pace: Duration,
    sleep: SleepWatch,
}

/// Where word of the paths comes from.
#[derive(Debug)]
enum Paths {
    System,
    None,
    Given(AnyPathSource),
}

/// What a monitor goes by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) probe: Option<Probe>,
    pub(super) reach: ReachConfig,
    pub(super) quality: QualityConfig,
    pub(super) counts_private_hosts: bool,
}

impl MonitorBuilder {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            env: env.clone(),
            paths: Paths::System,
            settings: Settings {
                probe: None,
                reach: ReachConfig::default(),
                quality: QualityConfig::default(),
                counts_private_hosts: false,
            },
            pace: Pace::DEFAULT_GAP,
            sleep: SleepWatch::system(),
        }
    }

    /// Where word of the paths comes from. Default: the system, if it tells.
    pub fn paths(mut self, source: impl PathSource) -> Self {
        self.paths = Paths::Given(AnyPathSource::new(source));
        self
    }

    /// Nothing tells of paths: there is one until traffic or a probe shows otherwise.
    pub fn without_paths(mut self) -> Self {
        self.paths = Paths::None;
        self
    }

    /// What is asked to learn whether the network leads anywhere. Default: nothing; then a path is enough for
    /// [`Online`](netcomm_core::Reach::Online), and no portal is found.
    pub fn probe(mut self, probe: Probe) -> Self {
        self.settings.probe = Some(probe);
        self
    }

    /// How readily the network is taken to be there or away.
    pub fn reach(mut self, config: ReachConfig) -> Self {
        self.settings.reach = config;
        self
    }

    /// How the quality is estimated.
    pub fn quality(mut self, config: QualityConfig) -> Self {
        self.settings.quality = config;
        self
    }

    /// Whether this machine itself, and hosts with private addresses, count as hosts that everybody can reach: for an
    /// application whose servers are there. Default no: that they answer says nothing of the network beyond, and their
    /// speed nothing of its quality.
    pub fn private_hosts(mut self, count: bool) -> Self {
        self.settings.counts_private_hosts = count;
        self
    }

    /// The least time between two changes of the paths that are passed on; the first passes at once. Default 250 ms.
    pub fn path_gap(mut self, gap: Duration) -> Self {
        self.pace = gap;
        self
    }

    /// How sleep of the machine is noticed. Default: by the system's clocks, where it has two that tell.
    pub fn sleep_watch(mut self, sleep: SleepWatch) -> Self {
        self.sleep = sleep;
        self
    }

    /// Starts the monitor.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self) -> Monitor {
        let paths = match self.paths {
            Paths::System => system_paths().ok(),
            Paths::None => None,
            Paths::Given(source) => Some(source),
        };
        let probe = self.settings.probe.clone();
        let shared = Shared::new(&self.env, self.settings);
        let task = Task::new(self.env, &shared, paths, probe, Pace::new(self.pace), self.sleep);
        // The task ends by itself with the last handle.
        drop(tokio::spawn(task.run()));
        Monitor { shared }
    }
}
