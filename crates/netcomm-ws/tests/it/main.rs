//! Stories of whole connections.

mod handshake;
mod socket;
