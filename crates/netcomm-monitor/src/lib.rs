#![doc = include_str!("../README.md")]

mod fan;
mod path;
mod probe;
mod quality;
mod reach;
mod stats;
mod stream;
#[cfg(feature = "tracing")]
mod trace;

pub use fan::{Attached, Fan};
pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, NetworkKey, PathSource, PathState,
};
pub use probe::{Answer, Probe, ProbeReport};
pub use quality::{
    EffectiveType, Estimator, Forecast, History, HistoryPoint, HistorySpan, Outlook, Quality, QualityConfig,
    Thresholds, TransportSample,
};
pub use reach::{ReachConfig, Reason};
#[cfg(feature = "metrics")]
pub use stats::MetricsExporter;
#[cfg(feature = "opentelemetry")]
pub use stats::OpenTelemetryExporter;
pub use stats::{
    Attempts, Bucket, Calls, Closed, Connections, Decisions, Dns, Ended, Held, Histogram, Latency, Messages, Origin,
    Requests, Snapshot, Sockets, Stats, StreamEnds, Streams,
};
pub use stream::{ObservationFeed, ObservationStream};
#[cfg(feature = "tracing")]
pub use trace::Trace;
