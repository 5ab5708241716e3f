//! Stories of whole connections.

mod connection;
mod handshake;
mod socket;
mod world;
