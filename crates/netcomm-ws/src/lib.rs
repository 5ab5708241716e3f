#![doc = include_str!("../README.md")]

#[cfg_attr(not(test), expect(dead_code, reason = "used by the socket"))]
mod accept;
mod close;
#[cfg(feature = "deflate")]
#[cfg_attr(not(test), expect(dead_code, reason = "used by the socket"))]
mod deflate;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the socket"))]
mod extension;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the socket"))]
mod connect;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the socket"))]
mod handshake;
mod limits;
mod message;
mod role;
mod violation;

pub use accept::AcceptOptions;
pub use close::{CloseCode, Closed, Closer};
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use connect::{Connect, HttpVersion};
pub use handshake::Refused;
pub use limits::Limits;
pub use message::{Kind, Message, Text};
pub use role::Role;
pub use violation::Violation;
