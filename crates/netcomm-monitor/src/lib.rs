#![doc = include_str!("../README.md")]

mod path;
mod reach;

pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, NetworkKey, PathSource, PathState,
};
pub use reach::{ReachConfig, Reason};
