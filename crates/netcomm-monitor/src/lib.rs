#![doc = include_str!("../README.md")]

mod fan;
mod path;
mod probe;
mod quality;
mod reach;
mod recorder;
mod redactor;
mod stats;

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
#[cfg(feature = "har")]
pub use recorder::write_har;
pub use recorder::{
    Decided, Detail, Dropped, Entry, EntryAttempt, EntryBody, EntryConnection, EntryDecision, EntryEnd, EntryEvents,
    EntryHead, EntryMessage, EntrySocket, EntryTimings, Recorder, RecorderBuilder,
};
pub use redactor::Redactor;
pub use stats::{
    Attempts, Bucket, Calls, Closed, Connections, Decisions, Dns, Ended, Held, Histogram, Latency, Messages, Origin,
    Requests, Snapshot, Sockets, Stats, StreamEnds, Streams,
};
