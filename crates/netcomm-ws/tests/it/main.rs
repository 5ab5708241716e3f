//! Stories of whole connections.

mod cluster;
mod connection;
mod handshake;
mod socket;
mod world;
