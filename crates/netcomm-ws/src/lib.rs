#![doc = include_str!("../README.md")]

mod accept;
mod close;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the cluster"))]
mod cluster;
mod compression;
mod connect;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
mod extension;
mod frame;
mod handshake;
mod heartbeat;
mod limits;
mod mask;
mod message;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the returning connection"))]
mod queue;
mod receive;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the returning connection"))]
mod reconnect;
mod role;
mod shortcut;
mod socket;
mod transmit;
mod utf8;
mod violation;

pub use accept::AcceptOptions;
pub use close::{CloseCode, Closed, Closer};
pub use cluster::Strategy;
pub use connect::{Connect, HttpVersion};
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use handshake::Refused;
pub use heartbeat::{Heartbeat, Rtt};
pub use limits::Limits;
pub use message::{Kind, Message, Text};
pub use queue::{Overflow, Priority, QueueLimits};
pub use reconnect::{Reconnect, Verdict};
pub use role::Role;
#[cfg(feature = "dial")]
pub use shortcut::connect;
pub use socket::{Incoming, Outgoing, Socket};
pub use violation::Violation;
