//! What ends an event stream, or a block of it.

use std::error::Error as StdError;
use std::fmt;

use netcomm_core::{Error, ErrorKind};

/// A limit was passed. All else that a server may write means something, or is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    what: Large,
    bytes: usize,
}

/// What is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Large {
    Line,
    Event,
}

impl ParseError {
    pub(crate) fn new(what: Large, bytes: usize) -> Self {
        Self { what, bytes }
    }

    /// The field of [`Limits`](crate::Limits) that was passed.
    #[must_use]
    pub fn limit(&self) -> &'static str {
        match self.what {
            Large::Line => "line_bytes",
            Large::Event => "event_bytes",
        }
    }

    /// How many bytes it allows.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Large::Line => "a line",
            Large::Event => "the data of an event",
        };
        write!(f, "{what} has more than {} bytes ({})", self.bytes, self.limit())
    }
}

impl StdError for ParseError {}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(ErrorKind::TooLarge, "read event stream").with_detail(error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_named() {
        let error = ParseError::new(Large::Event, 10);
        assert_eq!(error.to_string(), "the data of an event has more than 10 bytes (event_bytes)");
        assert_eq!((error.limit(), error.limit_bytes()), ("event_bytes", 10));
        assert_eq!(ParseError::new(Large::Line, 1).limit(), "line_bytes");
        assert_eq!(Error::from(error).kind(), ErrorKind::TooLarge);
    }
}
