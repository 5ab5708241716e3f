//! What the status of an answer means. Pure.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use netcomm_core::{Class, classify};

/// What follows from the status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStatus {
    /// Its body is the event stream.
    Open,
    /// There is nothing more to be had, and nothing is wrong: the source ends.
    Stop,
    /// It may be otherwise later; `Retry-After` is heeded.
    Retry,
    /// It may be otherwise with other credentials: tried again once, where somebody
    /// [prepares](crate::Builder::prepare) requests.
    RefreshCredentials,
    /// It would be the same again: the source ends with an error.
    Fatal,
}

/// Which statuses open a stream, and which are worth another try.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum StatusPolicy {
    /// As in the standard (WHATWG HTML §9.2.3): 200 opens, 204 stops, all others end the source.
    Spec,
    /// The same, and 408, 425, 429, 500, 502, 503 and 504 are tried again; 401 and 403 are, with other credentials. The
    /// default.
    #[default]
    Resilient,
    /// Your code says; see [`own`](Self::own).
    Own(OwnPolicy),
}

/// Your code, as a policy.
#[derive(Clone)]
pub struct OwnPolicy(Arc<Judge>);

type Judge = dyn Fn(StatusCode, &HeaderMap) -> OnStatus + Send + Sync;

impl StatusPolicy {
    /// Your code says what follows from a status and header fields. Called once per answer, not under a lock.
    pub fn own(policy: impl Fn(StatusCode, &HeaderMap) -> OnStatus + Send + Sync + 'static) -> Self {
        Self::Own(OwnPolicy(Arc::new(policy)))
    }

    /// What follows from that answer.
    #[must_use]
    pub fn on(&self, status: StatusCode, headers: &HeaderMap) -> OnStatus {
        match (self, status) {
            (Self::Own(policy), _) => (policy.0)(status, headers),
            (_, StatusCode::OK) => OnStatus::Open,
            (_, StatusCode::NO_CONTENT) => OnStatus::Stop,
            (Self::Spec, _) => OnStatus::Fatal,
            (Self::Resilient, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => OnStatus::RefreshCredentials,
            (Self::Resilient, _) if classify(Ok(status)) != Class::Final => OnStatus::Retry,
            (Self::Resilient, _) => OnStatus::Fatal,
        }
    }
}

impl fmt::Debug for StatusPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "Spec",
            Self::Resilient => "Resilient",
            Self::Own(_) => "Own",
        })
    }
}

impl fmt::Debug for OwnPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPolicy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(policy: &StatusPolicy, code: u16) -> OnStatus {
        policy.on(StatusCode::from_u16(code).expect("a status"), &HeaderMap::new())
    }

    #[test]
    fn the_standard_opens_with_200_alone() {
        assert_eq!(on(&StatusPolicy::Spec, 200), OnStatus::Open);
        assert_eq!(on(&StatusPolicy::Spec, 204), OnStatus::Stop);
        for code in [201, 205, 210, 299, 301, 404, 410, 500, 503] {
            assert_eq!(on(&StatusPolicy::Spec, code), OnStatus::Fatal, "{code}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let policy = StatusPolicy::default();
        for (codes, expected) in [
            (&[200][..], OnStatus::Open),
            (&[204], OnStatus::Stop),
            (&[408, 425, 429, 500, 502, 503, 504], OnStatus::Retry),
            (&[401, 403], OnStatus::RefreshCredentials),
            (&[201, 205, 206, 299, 302, 400, 404, 405, 410, 501, 505], OnStatus::Fatal),
        ] {
            for code in codes {
                assert_eq!(on(&policy, *code), expected, "{code}");
            }
        }
    }

    #[test]
    fn your_code_goes_before_all() {
        let policy = StatusPolicy::own(|status, _| if status == 404 { OnStatus::Retry } else { OnStatus::Open });
        assert_eq!((on(&policy, 404), on(&policy, 204)), (OnStatus::Retry, OnStatus::Open));
    }
}
