#![doc = include_str!("../README.md")]

mod accept;
mod bell;
mod close;
mod cluster;
mod compression;
mod connect;
mod connection;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
mod dialect;
#[cfg(feature = "json")]
mod dialect_json;
mod extension;
mod frame;
#[cfg(all(fuzzing, feature = "deflate"))]
#[doc(hidden)]
pub mod fuzz;
mod handshake;
mod heartbeat;
mod judge;
mod limits;
mod mask;
mod message;
mod queue;
mod receive;
mod role;
#[cfg(feature = "dial")]
mod shortcut;
mod socket;
mod transmit;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod typed;
mod utf8;
mod violation;

pub use accept::AcceptOptions;
pub use close::{CloseCode, Closed, Closer};
pub use cluster::{Cluster, ClusterBuilder, ClusterSnapshot, Member, MemberSnapshot, Strategy};
pub use connect::{Connect, HttpVersion};
pub use connection::{
    Ack, AtLeastOnce, Connection, ConnectionBuilder, Counts, Delivery, Dropped, Event, Greet, Greeting, Link, Outbound,
    Prepare, Receipt, Rejected, Resume, Snapshot, State, States, Status,
};
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use dialect::{Dialect, Plain, Reading, Writing};
#[cfg(feature = "json")]
pub use dialect_json::JsonDialect;
pub use heartbeat::{Heartbeat, Rtt};
pub use limits::Limits;
pub use message::{Kind, Message, Text};
pub use netcomm_core::{Attempt, Lagged, Listening, Reconnect, Refused, Slow, Subscription, Verdict};
pub use queue::{Overflow, Priority, QueueLimits};
pub use role::Role;
#[cfg(feature = "dial")]
pub use shortcut::connect;
pub use socket::{Incoming, Outgoing, Socket};
pub use violation::Violation;
