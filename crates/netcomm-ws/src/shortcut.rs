//! The short way in: one line, no environment.

use netcomm_core::Result;

use crate::socket::Socket;

/// Opens a connection in a default environment made on the spot.
///
/// # Errors
///
/// As [`Connect::connect`](crate::Connect::connect).
///
/// # Cancel safety
///
/// Dropping the future closes what was opened.
pub async fn connect(url: impl AsRef<str>) -> Result<Socket> {
    Socket::builder(&netcomm_dial::env(), url).connect().await
}
