#![doc = include_str!("../README.md")]

mod close;
mod limits;
mod message;
mod role;
mod violation;

pub use close::{CloseCode, Closed, Closer};
pub use limits::Limits;
pub use message::{Kind, Message, Text};
pub use role::Role;
pub use violation::Violation;
