#![doc = include_str!("../README.md")]

mod path;
mod probe;
mod quality;
mod reach;

pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, NetworkKey, PathSource, PathState,
};
pub use probe::{Answer, Probe, ProbeReport};
pub use quality::{
    EffectiveType, Estimator, Forecast, History, HistoryPoint, HistorySpan, Outlook, Quality, QualityConfig,
    Thresholds, TransportSample,
};
pub use reach::{ReachConfig, Reason};
