//! What an error says about another connection, unless the user knows better. Pure.

use std::error::Error as _;
use std::time::Instant;

use http::StatusCode;
use netcomm_core::{Class, Error, ErrorKind, classify};

use super::Verdict;
use crate::close::{Closed, Closer};
use crate::violation::Violation;

/// What `error` says, by who closed with which code, by status, by kind, in that order.
pub(super) fn judge(error: &Error, now: Instant) -> Verdict {
    let source = error.source();
    let verdict = if let Some(closed) = source.and_then(|source| source.downcast_ref::<Closed>()) {
        after_close(closed)
    } else if source.is_some_and(|source| source.is::<Violation>()) {
        Verdict::Fatal
    } else {
        after_failure(error)
    };
    let asked = error.retry_at().map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
    match (verdict, asked) {
        (Verdict::Retry, Some(wait)) => Verdict::RetryAfter(wait),
        _ => verdict,
    }
}

fn after_close(closed: &Closed) -> Verdict {
    match (closed.by, closed.code.get()) {
        // Whoever closes does not want it back; a rule that the peer broke will be broken again.
        (Closer::Us, _) => Verdict::Fatal,
        // 1000: many servers say so when they rotate connections. 1005: those who do not care to say.
        (_, 1000 | 1001 | 1005 | 1006 | 1011..=1014) => Verdict::Retry,
        // Registered and private codes: what they mean only the user knows.
        (_, 3000..=4999) => Verdict::Retry,
        _ => Verdict::Fatal,
    }
}

fn after_failure(error: &Error) -> Verdict {
    let retry_if = |is_passing: bool| if is_passing { Verdict::Retry } else { Verdict::Fatal };
    match error.kind() {
        ErrorKind::Invalid
        | ErrorKind::Denied
        | ErrorKind::Canceled
        | ErrorKind::Unsupported
        | ErrorKind::Protocol
        | ErrorKind::TooLarge
        | ErrorKind::Decode
        | ErrorKind::Redirect
        | ErrorKind::User => Verdict::Fatal,
        // Verification fails for as long as certificate and clock are what they are. A handshake that broke off is told
        // apart by the dialer, which marks it unsent. A proxy's statuses are no matter of our credentials; those that pass
        // are marked as well.
        ErrorKind::Tls | ErrorKind::Proxy => retry_if(error.is_retryable()),
        // Who provides them may need the network too; without a mark they are not to be had.
        ErrorKind::Auth => retry_if(error.is_retryable()),
        _ => match error.status() {
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Verdict::RefreshCredentials,
            Some(status) => retry_if(classify(Ok(status)) != Class::Final),
            None => retry_if(error.kind() == ErrorKind::Io || error.is_retryable()),
        },
    }
}
