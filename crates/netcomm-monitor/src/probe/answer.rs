//! Reads the answer to a probe: pure.

use http::StatusCode;
use netcomm_core::redact_url;

use super::Answer;

/// The head of an answer, as far as it matters.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    /// The word that was to come back, if one was sent, did.
    pub(super) knows_the_word: Option<bool>,
    /// Whether a body is announced.
    pub(super) has_body: bool,
}

/// Who has answered.
pub(super) fn judge(head: &Head, is_secure: bool) -> Answer {
    let portal = || Answer::Portal { location: head.location.as_deref().map(redact_url) };
    if head.status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED {
        // RFC 6585 §6: that is what it is for.
        return portal();
    }
    let is_expected = head.status == StatusCode::NO_CONTENT && head.knows_the_word != Some(false);
    if is_expected {
        return Answer::Good;
    }
    if is_secure {
        // Nobody can answer in its place: it is there, whatever it says.
        return Answer::Good;
    }
    if head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS {
        return Answer::Unclear { status: head.status.as_u16() };
    }
    if head.status.is_client_error() && !head.has_body {
        return Answer::Unclear { status: head.status.as_u16() };
    }
    portal()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, knows_the_word: Option<bool>, is_secure: bool) -> Answer {
        let location = (300..400).contains(&status).then(|| "http://login.example/?from=u".to_owned());
        let status = StatusCode::from_u16(status).expect("a status");
        judge(&Head { status, location, knows_the_word, has_body: true }, is_secure)
    }

    #[test]
    fn who_has_answered() {
        let portal = || Answer::Portal { location: None };
        for (status, word, is_secure, expected) in [
            (204, None, false, Answer::Good),
            (204, Some(true), false, Answer::Good),
            (204, Some(false), false, portal()),
            (200, None, false, portal()),
            (200, Some(true), false, portal()),
            (511, None, false, portal()),
            (511, None, true, portal()),
            (404, None, false, portal()),
            (503, None, false, Answer::Unclear { status: 503 }),
            (429, None, false, Answer::Unclear { status: 429 }),
            (200, None, true, Answer::Good),
            (503, None, true, Answer::Good),
        ] {
            assert_eq!(of(status, word, is_secure), expected, "{status} {word:?} {is_secure}");
        }
        assert_eq!(of(302, None, false), Answer::Portal { location: Some("http://login.example/".to_owned()) });
        let head = Head { status: StatusCode::NOT_FOUND, location: None, knows_the_word: None, has_body: false };
        assert_eq!(judge(&head, false), Answer::Unclear { status: 404 }, "a portal has something to show");
    }
}
