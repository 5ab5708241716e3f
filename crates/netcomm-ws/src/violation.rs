//! How a peer can break the protocol.

use std::error::Error as StdError;
use std::fmt;

use netcomm_core::{Error, ErrorKind};

use crate::close::CloseCode;

/// A rule that the peer broke, or a limit that it passed: the [`source`](StdError::source) of errors of kind `Protocol` and
/// `TooLarge`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set that no extension was agreed on for (RFC 6455 §5.2).
    ReservedBits,
    /// An opcode that means nothing (RFC 6455 §5.2).
    Opcode(u8),
    /// A control frame in pieces (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes (RFC 6455 §5.5).
    LongControl,
    /// A length that was not written in its shortest form, or has its first bit set (RFC 6455 §5.2).
    Length,
    /// A server's frame is masked (RFC 6455 §5.1).
    Masked,
    /// A client's frame is not masked (RFC 6455 §5.1).
    Unmasked,
    /// A continuation without a message to continue (RFC 6455 §5.4).
    StrayContinuation,
    /// A new message before the last one ended (RFC 6455 §5.4).
    Interleaved,
    /// A close frame with a body of one byte (RFC 6455 §5.5.1).
    CloseLength,
    /// A close code that may not be sent (RFC 6455 §7.4).
    CloseCode(u16),
    /// Text that is not UTF-8 (RFC 6455 §8.1).
    Utf8,
    /// Compressed data that cannot be inflated (RFC 7692 §7.2.2).
    Deflate,
    /// A message larger than the limit: that many bytes, after inflating.
    MessageTooLarge(usize),
    /// A frame larger than the limit: that many bytes.
    FrameTooLarge(u64),
    /// More empty fragments in one message than the limit.
    EmptyFragments(u32),
}

impl Violation {
    /// With which code a connection ends for it (RFC 6455 §7.4.1).
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_DATA,
            Self::MessageTooLarge(_) | Self::FrameTooLarge(_) => CloseCode::TOO_LARGE,
            Self::EmptyFragments(_) => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL,
        }
    }

    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let kind = match self {
            Self::MessageTooLarge(_) | Self::FrameTooLarge(_) | Self::EmptyFragments(_) => ErrorKind::TooLarge,
            _ => ErrorKind::Protocol,
        };
        Error::new(kind, operation).with_detail(self.to_string()).with_source(self)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set"),
            Self::Opcode(opcode) => write!(f, "unknown opcode {opcode:#x}"),
            Self::FragmentedControl => f.write_str("a control frame in fragments"),
            Self::LongControl => f.write_str("a control frame of more than 125 bytes"),
            Self::Length => f.write_str("a length not in its shortest form"),
            Self::Masked => f.write_str("a masked frame from a server"),
            Self::Unmasked => f.write_str("an unmasked frame from a client"),
            Self::StrayContinuation => f.write_str("a continuation of no message"),
            Self::Interleaved => f.write_str("a new message inside another"),
            Self::CloseLength => f.write_str("a close frame of one byte"),
            Self::CloseCode(code) => write!(f, "close code {code}, which may not be sent"),
            Self::Utf8 => f.write_str("text that is not utf-8"),
            Self::Deflate => f.write_str("compressed data that cannot be inflated"),
            Self::MessageTooLarge(limit) => write!(f, "a message of more than {limit} bytes"),
            Self::FrameTooLarge(limit) => write!(f, "a frame of more than {limit} bytes"),
            Self::EmptyFragments(limit) => write!(f, "more than {limit} empty fragments in one message"),
        }
    }
}

impl StdError for Violation {}
