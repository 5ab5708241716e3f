//! Stories of whole connections.

mod connection;
mod socket;
mod world;
