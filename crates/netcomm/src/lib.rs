#![doc = include_str!("../README.md")]

pub use netcomm_core as core;
pub use netcomm_dial as dial;
#[cfg(feature = "http")]
pub use netcomm_http as http;
#[cfg(feature = "monitor")]
pub use netcomm_monitor as monitor;
#[cfg(feature = "sse")]
pub use netcomm_sse as sse;
#[cfg(feature = "ws")]
pub use netcomm_ws as ws;

pub use netcomm_core::{
    Body, Env, Error, ErrorKind, Limits, Policy, PrivateAddresses, Result, Scope, Secret, Tap, Timeouts,
};
pub use netcomm_dial::env;
