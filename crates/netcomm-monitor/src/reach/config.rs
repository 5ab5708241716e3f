//! How readily the network is taken to be there or away.

use std::time::Duration;

/// How readily the network is taken to be there or away. All that has a number here has a `with_` method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachConfig {
    /// At how many hosts traffic must fail, without a success in between, for the network to be taken as away. Default 3;
    /// at least 1.
    pub failed_hosts: usize,
    /// For how long a failure is remembered. Default 60 s.
    pub failure_memory: Duration,
    /// After how long of being away, by traffic or by a probe, the application may try by itself again; twice as long each
    /// time that it fails. Default 15 s.
    pub reopen_after: Duration,
    /// The longest of these waits. Default 5 minutes.
    pub reopen_at_most: Duration,
    /// How often is probed while the network is not [`Online`](netcomm_core::Reach::Online) though there is a path. Default 5 s.
    pub probe_when_down: Duration,
    /// After how long without a success it is probed whether the network is still there; `None`: not at all. Default 60 s.
    pub probe_when_idle: Option<Duration>,
    /// The least time between the beginnings of two probes. Default 1 s.
    pub probe_spacing: Duration,
}

impl Default for ReachConfig {
    fn default() -> Self {
        Self {
            failed_hosts: 3,
            failure_memory: Duration::from_secs(60),
            reopen_after: Duration::from_secs(15),
            reopen_at_most: Duration::from_secs(300),
            probe_when_down: Duration::from_secs(5),
            probe_when_idle: Some(Duration::from_secs(60)),
            probe_spacing: Duration::from_secs(1),
        }
    }
}

impl ReachConfig {
    /// The same with another [`failed_hosts`](Self::failed_hosts).
    #[must_use]
    pub const fn with_failed_hosts(self, failed_hosts: usize) -> Self {
        Self { failed_hosts, ..self }
    }

    /// The same with another [`failure_memory`](Self::failure_memory).
    #[must_use]
    pub const fn with_failure_memory(self, failure_memory: Duration) -> Self {
        Self { failure_memory, ..self }
    }

    /// The same with another [`reopen_after`](Self::reopen_after) and [`reopen_at_most`](Self::reopen_at_most).
    #[must_use]
    pub const fn with_reopen(self, reopen_after: Duration, reopen_at_most: Duration) -> Self {
        Self { reopen_after, reopen_at_most, ..self }
    }

    /// The same with another [`probe_when_down`](Self::probe_when_down).
    #[must_use]
    pub const fn with_probe_when_down(self, probe_when_down: Duration) -> Self {
        Self { probe_when_down, ..self }
    }

    /// The same with another [`probe_when_idle`](Self::probe_when_idle).
    #[must_use]
    pub const fn with_probe_when_idle(self, probe_when_idle: Option<Duration>) -> Self {
        Self { probe_when_idle, ..self }
    }

    /// The same with another [`probe_spacing`](Self::probe_spacing).
    #[must_use]
    pub const fn with_probe_spacing(self, probe_spacing: Duration) -> Self {
        Self { probe_spacing, ..self }
    }
}
