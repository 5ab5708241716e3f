#![doc = include_str!("../README.md")]

mod clock;
mod connectivity;
mod dialer;
mod lab;
mod observer;
mod shaped;
mod tls;
mod wire;

pub use clock::{ManualClock, TokioClock};
pub use connectivity::ManualConnectivity;
pub use dialer::ScriptedDialer;
pub use lab::{CABLES, in_namespace, ip, namespace};
pub use observer::CollectingObserver;
pub use shaped::{LinkControl, LinkProfile, ShapedDialer, ShapedLink};
pub use tls::{TestCa, TestIdentity};
pub use wire::{Fault, FaultyStream, FaultyWire, Way};
