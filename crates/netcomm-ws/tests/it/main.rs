//! Stories of whole connections.

mod backpressure;
mod cancel;
mod closing;
mod cluster;
mod connection;
mod faults;
mod floods;
mod handshake;
mod liveness;
mod memory;
mod pair;
mod pieces;
mod sinks;
mod socket;
mod violations;
mod world;
