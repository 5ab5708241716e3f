//! The wire engine's errors in our words.

use std::error::Error as StdError;

use netcomm_core::{Error, ErrorKind, Limits};

use super::head;

/// Why a request got no response.
pub(super) fn exchange(error: hyper::Error, limits: &Limits) -> Error {
    if error.is_parse_too_large() {
        return head::too_large(limits);
    }
    let kind = if error.is_parse() {
        ErrorKind::Protocol
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() || error.is_user() {
        // What the engine calls the user's error is the end of its own task here: a body that failed was asked before.
        ErrorKind::Closed
    } else {
        beneath(&error)
    };
    if kind == ErrorKind::TooLarge {
        return head::too_large(limits).with_source(error);
    }
    let detail = match kind {
        ErrorKind::Protocol if error.is_parse() => "the head of the response is malformed",
        ErrorKind::Closed => "the connection ended before a response came",
        _ => "the exchange failed",
    };
    Error::new(kind, "exchange").with_detail(detail).with_source(error)
}

/// Why a body ended before its end.
pub(super) fn body(error: hyper::Error) -> Error {
    let kind = if error.is_parse() { ErrorKind::Protocol } else { beneath(&error) };
    let kind = if kind == ErrorKind::Closed { ErrorKind::Incomplete } else { kind };
    Error::new(kind, "read body").with_detail("the body ended before its end").with_source(error)
}

/// What the sources of an engine's error tell of its kind.
fn beneath(error: &hyper::Error) -> ErrorKind {
    let mut source = error.source();
    while let Some(cause) = source {
        #[cfg(feature = "http2")]
        if let Some(cause) = cause.downcast_ref::<::h2::Error>() {
            return match cause.reason() {
                // Our own word to a peer whose head, or number of frames, is beyond all bounds.
                Some(::h2::Reason::ENHANCE_YOUR_CALM) if !cause.is_remote() => ErrorKind::TooLarge,
                Some(::h2::Reason::ENHANCE_YOUR_CALM | ::h2::Reason::REFUSED_STREAM) => ErrorKind::Closed,
                Some(_) if cause.is_remote() => ErrorKind::Closed,
                Some(_) => ErrorKind::Protocol,
                None => ErrorKind::Closed,
            };
        }
        if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
            return match cause.kind() {
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => ErrorKind::Protocol,
                _ => ErrorKind::Closed,
            };
        }
        source = cause.source();
    }
    ErrorKind::Closed
}

/// How a peer said that it has not processed a request.
#[cfg(feature = "http2")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This stream was refused (RFC 9113 §8.7).
    Stream,
    /// It lies beyond the last stream that a graceful GOAWAY names (RFC 9113 §6.8).
    Leaving,
}

/// Whether the peer said that it has not processed the request.
#[cfg(feature = "http2")]
pub(super) fn refusal(error: &hyper::Error) -> Option<Refusal> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<::h2::Error>() {
            return match cause.reason() {
                Some(::h2::Reason::REFUSED_STREAM) if cause.is_remote() => Some(Refusal::Stream),
                Some(::h2::Reason::NO_ERROR) if cause.is_go_away() && cause.is_remote() => Some(Refusal::Leaving),
                _ => None,
            };
        }
        source = cause.source();
    }
    None
}
