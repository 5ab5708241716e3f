//! Counters, gauges and latencies of all components: an observer that keeps numbers alone.

mod counter;
mod counts;
mod families;
mod histogram;
mod instruments;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod measures;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod origins;
mod prometheus;
mod requests;
mod scale;
mod snapshot;
mod taken;
mod words;

use std::fmt;
use std::sync::Arc;

use netcomm_core::{Interest, Observation, Observe};

use self::counts::Counts;
#[cfg(feature = "metrics")]
pub use self::metrics::MetricsExporter;
#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::OpenTelemetryExporter;
pub use self::snapshot::{
    Attempts, Bucket, Calls, Closed, Connections, Decisions, Dns, Ended, Held, Histogram, Latency, Messages, Origin,
    Requests, Snapshot, Sockets, StreamEnds, Streams,
};

/// Counts what happens: calls, attempts, retries, caches, connections, lookups, sockets, streams. An [`Observe`] that is handed to
/// a [`Tap`](netcomm_core::Tap), and asked with [`snapshot`](Self::snapshot) whenever somebody wants to know.
///
/// A clone counts into the same numbers. Keeps no URL, no header, no content: of a call its method, status, version, error and
/// origin (`scheme://host:port`), nothing else.
///
/// # Cost
///
/// An observation raises a handful of atomic numbers. It takes no lock but where an origin is met for the first time, allocates
/// nothing but there, and reads no clock. 32 KiB, and 8.7 KiB for each origin that is met, of at most 64 by default: 0.6 MiB.
/// Those beyond that take the place of the one that was not met for the longest time, whose numbers go to what is told of all
/// others, so that sums stay right. A request of an origin is told apart by method, status, version and error, in 32 combinations
/// of these; those beyond are told without.
///
/// What is counted in the very moment in which an origin leaves may be told of the one that takes its place.
///
/// # Examples
///
/// ```
/// use netcomm_core::Tap;
/// use netcomm_monitor::Stats;
///
/// let stats = Stats::new();
/// let tap = Tap::new(stats.clone());
/// # drop(tap);
/// let snapshot = stats.snapshot();
/// assert_eq!(snapshot.calls.started, 0);
/// assert!(snapshot.to_prometheus().contains("netcomm_http_cache_hits_total 0"));
/// ```
#[derive(Clone)]
pub struct Stats {
    counts: Arc<Counts>,
}

/// Origins that have a place of their own by default.
const ORIGINS: usize = 64;
/// And at most: a search that fails looks at each.
const MOST_ORIGINS: usize = 1024;

impl Stats {
    /// Nothing counted, and places for 64 origins.
    #[must_use]
    pub fn new() -> Self {
        Self::with_origins(ORIGINS)
    }

    /// Nothing counted, and places for that many origins; more than 1024 is read as 1024. 0: all origins are counted as one.
    #[must_use]
    pub fn with_origins(origins: usize) -> Self {
        Self { counts: Arc::new(Counts::new(origins.min(MOST_ORIGINS))) }
    }

    /// What was counted until now. Takes some microseconds for each origin, during which no origin comes or goes.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.counts.snapshot()
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

/// What is counted: everything but contents.
fn wanted() -> Interest {
    Interest::CALL
        | Interest::ATTEMPT
        | Interest::CONNECTION
        | Interest::DECISION
        | Interest::MESSAGE
        | Interest::TRANSFER
}

impl Observe for Stats {
    fn interest(&self) -> Interest {
        wanted()
    }

    fn observe(&self, observation: &Observation) {
        self.counts.take(&observation.event);
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").field("calls", &self.counts.calls.started.get()).finish_non_exhaustive()
    }
}
