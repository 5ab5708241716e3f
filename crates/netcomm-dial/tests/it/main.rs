//! Dials over real sockets on loopback.

mod plain;
mod proxies;
mod servers;
#[cfg(feature = "tls")]
mod tls;
