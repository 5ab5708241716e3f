#![doc = include_str!("../README.md")]

mod fan;
mod monitor;
mod pace;
mod path;
mod probe;
mod quality;
mod reach;
mod recorder;
mod redactor;
mod stats;
mod stream;
mod suspend;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod transport;

pub use fan::{Attached, Fan};
pub use monitor::{Monitor, MonitorBuilder, State};
pub use pace::{Pace, Passing};
#[cfg(all(target_os = "linux", feature = "netlink"))]
pub use path::LinuxPaths;
#[cfg(feature = "netwatch")]
pub use path::NetwatchPaths;
pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, ManualPaths, ManualSource, NetworkKey,
    PathSource, PathState, system_paths,
};
pub use probe::{Answer, Probe, ProbeReport};
pub use quality::{
    EffectiveType, Estimator, Forecast, History, HistoryPoint, HistorySpan, Outlook, Quality, QualityConfig,
    Thresholds, TransportSample,
};
pub use reach::{ReachConfig, Reason};
#[cfg(feature = "har")]
pub use recorder::write_har;
pub use recorder::{
    Decided, Detail, Dropped, Entry, EntryAttempt, EntryBody, EntryConnection, EntryDecision, EntryEnd, EntryEvents,
    EntryHead, EntryMessage, EntrySocket, EntryTimings, Recorder, RecorderBuilder,
};
pub use redactor::Redactor;
#[cfg(feature = "metrics")]
pub use stats::MetricsExporter;
#[cfg(feature = "opentelemetry")]
pub use stats::OpenTelemetryExporter;
pub use stats::{
    Attempts, Bucket, Calls, Closed, Connections, Decisions, Dns, Ended, Held, Histogram, Latency, Messages, Origin,
    Requests, Snapshot, Sockets, Stats, StreamEnds, Streams,
};
pub use stream::{ObservationFeed, ObservationStream};
pub use suspend::{SleepClock, SleepWatch};
#[cfg(feature = "tracing")]
pub use trace::Trace;
#[cfg(all(target_os = "linux", feature = "netlink"))]
pub use transport::{TcpFigures, TcpProbe};
