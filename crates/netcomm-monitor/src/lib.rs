#![doc = include_str!("../README.md")]

mod path;
mod probe;
mod reach;

pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, NetworkKey, PathSource, PathState,
};
pub use probe::{Answer, Probe, ProbeReport};
pub use reach::{ReachConfig, Reason};
