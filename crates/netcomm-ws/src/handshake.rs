//! The opening handshake (RFC 6455 §4, RFC 8441 §5), both ends: pure.
//!
//! What is sent is made here, what came is judged here; nothing is read or written.

mod answer;
mod head;
mod refused;
mod request;
mod server;
mod token;

use std::borrow::Cow;

use http::HeaderName;
use netcomm_core::{Error, ErrorKind};

#[cfg(feature = "http2")]
pub(crate) use answer::check;
#[cfg(test)]
pub(crate) use answer::no_extensions;
pub(crate) use answer::{Agreed, Asked, check_upgrade};
pub(crate) use head::{Head, RequestHead, Scan};
pub(crate) use refused::{BODY_BYTES, chunked_start, length_of};
#[cfg(feature = "http2")]
pub(crate) use request::over_h2;
pub(crate) use request::{Ask, check_headers, check_subprotocols, fields_over_h1, over_h1};
pub(crate) use server::{Judged, Refusal, Terms, judge};

/// What errors of this room call what was going on.
pub(crate) const OPERATION: &str = "handshake";

/// The one version that there is (RFC 6455 §4.1).
const VERSION: &str = "13";

/// As much of a peer's text as an error shows, in bytes.
const SHOWN_BYTES: usize = 64;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

pub(crate) fn protocol(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Protocol, OPERATION).with_detail(detail)
}

/// The beginning of what a peer sent, fit for a line of text.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if cut.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{more}\"", cut.escape_ascii())
}
