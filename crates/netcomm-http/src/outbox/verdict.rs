//! What an attempt's outcome means for its call: pure.

use http::StatusCode;
use netcomm_core::{Error, ErrorKind, Stage};

/// A repetition is answered with 409 while the first sending is still being worked on
/// (draft-ietf-httpapi-idempotency-key-header §2.6). So often that is believed.
const CONFLICTS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    Refused,
    Again,
}

/// What a status means. `conflicts`: how many answers 409 there were to repetitions; `None` if this is no repetition.
pub(super) fn of_status(status: StatusCode, conflicts: Option<u32>) -> Verdict {
    match status.as_u16() {
        ..400 => Verdict::Delivered,
        408 | 425 | 429 => Verdict::Again,
        409 if conflicts.is_some_and(|conflicts| conflicts < CONFLICTS) => Verdict::Again,
        501 | 505 => Verdict::Refused,
        500..600 => Verdict::Again,
        _ => Verdict::Refused,
    }
}

/// What it means that there was no answer. A call is given up only for what cannot change: that it may not be sent, or
/// that the server's answer cannot be taken. What else there is may be the network's fault, a portal's included (TLS).
pub(super) fn of_error(error: &Error) -> Verdict {
    match error.kind() {
        // A right that was taken back, or used up, does not come again.
        _ if error.stage() == Some(Stage::Policy) => Verdict::Refused,
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Redirect | ErrorKind::TooLarge | ErrorKind::Unsupported => {
            Verdict::Refused
        }
        _ => Verdict::Again,
    }
}

/// Whether a failed attempt may have reached the server.
pub(super) fn maybe_sent(error: &Error) -> bool {
    !error.is_unsent() && !matches!(error.kind(), ErrorKind::Busy | ErrorKind::Auth | ErrorKind::Canceled)
}

#[cfg(test)]
mod tests {
    use netcomm_core::Phase;

    use super::*;

    #[test]
    fn statuses() {
        for (codes, first, again) in [
            (&[200, 201, 202, 204, 301, 303, 304][..], Verdict::Delivered, Verdict::Delivered),
            (&[400, 401, 403, 404, 410, 412, 413, 422, 451, 501, 505, 600, 999], Verdict::Refused, Verdict::Refused),
            (&[408, 425, 429, 500, 502, 503, 504, 507, 511, 599], Verdict::Again, Verdict::Again),
            (&[409], Verdict::Refused, Verdict::Again),
        ] {
            for code in codes {
                let status = StatusCode::from_u16(*code).expect("a status");
                assert_eq!(of_status(status, None), first, "{code}");
                assert_eq!(of_status(status, Some(0)), again, "{code}");
            }
        }
        assert_eq!(of_status(StatusCode::CONFLICT, Some(CONFLICTS)), Verdict::Refused);
    }

    #[test]
    fn errors() {
        use ErrorKind as Kind;
        for (kinds, verdict, sent) in [
            (&[Kind::Invalid, Kind::Denied][..], Verdict::Refused, false),
            (&[Kind::Redirect, Kind::TooLarge, Kind::Unsupported], Verdict::Refused, true),
            (&[Kind::Offline, Kind::Dns, Kind::Connect, Kind::Proxy, Kind::Tls], Verdict::Again, false),
            (&[Kind::Busy, Kind::Auth, Kind::Canceled, Kind::Unavailable], Verdict::Again, false),
            (&[Kind::Closed, Kind::Incomplete, Kind::Protocol, Kind::Decode, Kind::Io], Verdict::Again, true),
            (&[Kind::User, Kind::Status], Verdict::Again, true),
        ] {
            for kind in kinds {
                let error = Error::new(*kind, "x");
                assert_eq!((of_error(&error), maybe_sent(&error)), (verdict, sent), "{kind:?}");
            }
        }
        for (phase, sent) in [(Phase::Connect, false), (Phase::Blocked, false), (Phase::Wait, true)] {
            let error = Error::timeout("x", phase);
            assert_eq!((of_error(&error), maybe_sent(&error)), (Verdict::Again, sent), "{phase:?}");
        }
        let revoked = Error::new(Kind::Canceled, "x").with_stage(Stage::Policy);
        assert_eq!((of_error(&revoked), maybe_sent(&revoked)), (Verdict::Refused, false));
        assert!(!maybe_sent(&Error::new(Kind::Closed, "x").with_unsent()));
    }
}
