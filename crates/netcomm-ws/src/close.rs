//! How a connection ends: codes, reasons, and who said so (RFC 6455 §7).

use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use netcomm_core::{Error, ErrorKind, Result};
use tungstenite::protocol::frame::coding::CloseCode as Known;

use crate::message::Text;
use crate::violation::Violation;

/// The longest reason that fits beside a code into a control frame (RFC 6455 §5.5), in bytes.
const MAX_REASON_BYTES: usize = 123;

/// Why a connection was closed, as a number (RFC 6455 §7.4, and the registry of IANA).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: this kind of data is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: the close frame had no code. Never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a close frame. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: text that is not UTF-8, or data that does not fit its type.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: against the peer's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// 1010: the client needs an extension that the server has not agreed to.
    pub const EXTENSION: Self = Self(1010);
    /// 1011: the peer failed.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server has too much to do: come back later.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 1014: a gateway got a bad answer.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: TLS failed. Never sent.
    pub const TLS: Self = Self(1015);

    /// That number, whatever it means.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether it may stand in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 §7.4.1 and §7.4.2).
    #[must_use]
    pub fn is_sendable(self) -> bool {
        // The second opinion would let 1016 to 2999 pass, which RFC 6455 keeps for itself.
        self.0 == 1014 || (Known::from(self.0).is_allowed() && !(1015..3000).contains(&self.0))
    }

    const fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1005 => "no code given",
            1006 => "ended without a close frame",
            1007 => "invalid data",
            1008 => "policy violation",
            1009 => "message too large",
            1010 => "extension required",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "tls failed",
            3000..=3999 => "registered code",
            4000..=4999 => "private code",
            _ => "unknown code",
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Closer {
    /// This side sent its close frame first.
    Us,
    /// The peer sent its close frame first.
    Peer,
    /// Nobody said so: the connection broke, or was given up.
    Nobody,
}

/// How a connection ended.
///
/// Also the [`source`](StdError::source) of the errors that operations on a closed connection give.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Who.
    pub by: Closer,
    /// The code of whoever closed; [`CloseCode::ABNORMAL`] if nobody did, [`CloseCode::NO_STATUS`] if it came without.
    pub code: CloseCode,
    /// The words beside the code; empty if there were none.
    pub reason: Text,
    /// Whether both sides sent close frames (RFC 6455 §7.1.4).
    pub clean: bool,
}

impl Closed {
    pub(crate) fn abnormal() -> Self {
        Self { by: Closer::Nobody, code: CloseCode::ABNORMAL, reason: Text::default(), clean: false }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.by {
            Closer::Us => "closed here",
            Closer::Peer => "closed by the peer",
            Closer::Nobody => "not closed by anybody",
        };
        write!(f, "{who}: {}", self.code)
    }
}

impl StdError for Closed {}

/// The body of a close frame: a code and a reason, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CloseBody(pub(crate) Option<(CloseCode, Text)>);

impl CloseBody {
    /// What a caller wants to send.
    pub(crate) fn checked(code: CloseCode, reason: Text) -> Result<Self> {
        let invalid = |detail| Err(Error::new(ErrorKind::Invalid, "close").with_detail(detail));
        if !code.is_sendable() {
            return invalid(format!("code {} may not be sent", code.get()));
        }
        if reason.len() > MAX_REASON_BYTES {
            return invalid(format!("a reason of {} bytes, {MAX_REASON_BYTES} fit", reason.len()));
        }
        Ok(Self(Some((code, reason))))
    }

    pub(crate) fn code_alone(code: CloseCode) -> Self {
        Self(Some((code, Text::default())))
    }

    /// Reads the payload of a close frame (RFC 6455 §5.5.1).
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Self(None)) } else { Err(Violation::CloseLength) };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(Violation::CloseCode(code.get()));
        }
        let reason = Text::try_from(Bytes::copy_from_slice(reason)).map_err(|_| Violation::Utf8)?;
        Ok(Self(Some((code, reason))))
    }

    pub(crate) fn to_payload(&self) -> Bytes {
        let Some((code, reason)) = &self.0 else {
            return Bytes::new();
        };
        let mut payload = BytesMut::with_capacity(2 + reason.len());
        payload.put_u16(code.get());
        payload.put_slice(reason.as_bytes());
        payload.freeze()
    }

    pub(crate) fn without_reason(&self) -> Self {
        Self(self.0.as_ref().map(|(code, _)| (*code, Text::default())))
    }

    pub(crate) fn closed(self, by: Closer, clean: bool) -> Closed {
        let (code, reason) = self.0.unwrap_or_else(|| (CloseCode::NO_STATUS, Text::default()));
        Closed { by, code, reason, clean }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent() {
        let sendable: Vec<_> = (0..=u16::MAX).filter(|code| CloseCode(*code).is_sendable()).collect();
        let expected: Vec<_> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(sendable, expected);
    }

    #[test]
    fn bodies_of_close_frames() {
        assert_eq!(CloseBody::parse(b""), Ok(CloseBody(None)));
        assert_eq!(CloseBody::parse(b"\x03"), Err(Violation::CloseLength));
        assert_eq!(CloseBody::parse(b"\x03\xed"), Err(Violation::CloseCode(1005)));
        assert_eq!(CloseBody::parse(b"\x03\xe8\xff"), Err(Violation::Utf8));
        let body = CloseBody::checked(CloseCode::NORMAL, "bye".into()).expect("fits");
        assert_eq!(&body.to_payload()[..], b"\x03\xe8bye");
        assert_eq!(CloseBody::parse(&body.to_payload()), Ok(body));
    }

    #[test]
    fn what_may_not_be_sent_is_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            let error = CloseBody::checked(CloseCode(code), Text::default()).expect_err("not for the wire");
            assert!(error.detail().is_some_and(|detail| detail.contains(&code.to_string())));
        }
        assert!(CloseBody::checked(CloseCode::NORMAL, "x".repeat(123).into()).is_ok());
        assert!(CloseBody::checked(CloseCode::NORMAL, "x".repeat(124).into()).is_err());
    }
}
