#![doc = include_str!("../README.md")]

mod path;

pub use path::{
    AnyPathSource, DefaultRoute, Interface, InterfaceAddress, InterfaceKind, NetworkKey, PathSource, PathState,
};
