//! The short way in: one line, no environment.

use netcomm_core::Result;

use crate::stream::EventStream;

/// The events of a URL, in a default environment made on the spot. The request is sent with the first poll.
///
/// # Errors
///
/// As [`Builder::stream`](crate::Builder::stream).
pub fn listen(url: impl AsRef<str>) -> Result<EventStream> {
    EventStream::builder(&netcomm_dial::env(), url).stream()
}
