//! The words that stand in labels: a bounded set of each kind, in the spelling of OpenTelemetry where it has one.

use http::{Method, Version};
use netcomm_core::{ErrorKind, GaveUp, Stage};

/// What stands for all that has no word of its own.
pub(super) const OTHER: &str = "_OTHER";

/// How many methods are told apart, the other ones together included.
const METHODS: [&str; 10] = [OTHER, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Which of the known methods it is; 0 for all others.
#[inline]
pub(super) fn method_number(method: &Method) -> u32 {
    match *method {
        Method::GET => 1,
        Method::HEAD => 2,
        Method::POST => 3,
        Method::PUT => 4,
        Method::DELETE => 5,
        Method::CONNECT => 6,
        Method::OPTIONS => 7,
        Method::TRACE => 8,
        Method::PATCH => 9,
        _ => 0,
    }
}

/// The word for that number.
pub(super) fn method(number: u32) -> &'static str {
    METHODS.get(number as usize).copied().unwrap_or(OTHER)
}

const VERSIONS: [&str; 6] = ["", "0.9", "1.0", "1.1", "2", "3"];

/// Which version it is; 0 for none and for one that has no word.
#[inline]
pub(super) fn version_number(version: Option<Version>) -> u32 {
    match version {
        Some(Version::HTTP_09) => 1,
        Some(Version::HTTP_10) => 2,
        Some(Version::HTTP_11) => 3,
        Some(Version::HTTP_2) => 4,
        Some(Version::HTTP_3) => 5,
        _ => 0,
    }
}

/// The word for that number; none for 0.
pub(super) fn version(number: u32) -> Option<&'static str> {
    VERSIONS.get(number as usize).copied().filter(|word| !word.is_empty())
}

/// All kinds of errors with their words, in the order of their declaration.
const ERRORS: [(ErrorKind, &str); 22] = [
    (ErrorKind::Invalid, "invalid"),
    (ErrorKind::Denied, "denied"),
    (ErrorKind::Offline, "offline"),
    (ErrorKind::Dns, "dns"),
    (ErrorKind::Connect, "connect"),
    (ErrorKind::Proxy, "proxy"),
    (ErrorKind::Tls, "tls"),
    (ErrorKind::Timeout, "timeout"),
    (ErrorKind::Closed, "closed"),
    (ErrorKind::Incomplete, "incomplete"),
    (ErrorKind::Protocol, "protocol"),
    (ErrorKind::TooLarge, "too_large"),
    (ErrorKind::Decode, "decode"),
    (ErrorKind::Redirect, "redirect"),
    (ErrorKind::Status, "status"),
    (ErrorKind::Auth, "auth"),
    (ErrorKind::Busy, "busy"),
    (ErrorKind::Unavailable, "unavailable"),
    (ErrorKind::Canceled, "canceled"),
    (ErrorKind::Unsupported, "unsupported"),
    (ErrorKind::Io, "io"),
    (ErrorKind::User, "user"),
];

/// How many numbers [`error_number`] gives.
pub(super) const ERROR_NUMBERS: usize = ERRORS.len() + 2;

/// Which kind it is: 0 for none, the last one for kinds that later versions of core may add.
#[inline]
pub(super) fn error_number(error: Option<ErrorKind>) -> u32 {
    match error {
        None => 0,
        Some(kind) => (kind as u32 + 1).min(ERROR_NUMBERS as u32 - 1),
    }
}

/// The word for that number; none for 0.
pub(super) fn error(number: u32) -> Option<&'static str> {
    let at = (number as usize).checked_sub(1)?;
    Some(ERRORS.get(at).map_or(OTHER, |(_, word)| word))
}

/// All reasons not to try again, in the order of their declaration.
const REASONS: [(GaveUp, &str); 8] = [
    (GaveUp::Final, "final"),
    (GaveUp::Unsafe, "unsafe"),
    (GaveUp::BodySpent, "body_spent"),
    (GaveUp::Attempts, "attempts"),
    (GaveUp::Elapsed, "elapsed"),
    (GaveUp::Deadline, "deadline"),
    (GaveUp::Budget, "budget"),
    (GaveUp::RetryAfter, "retry_after"),
];

/// How many numbers [`reason_number`] gives.
pub(super) const REASON_NUMBERS: usize = REASONS.len() + 1;

/// Which reason it is; the last number is for reasons that later versions of core may add.
pub(super) fn reason_number(why: GaveUp) -> usize {
    (why as usize).min(REASON_NUMBERS - 1)
}

/// The word for that number.
pub(super) fn reason(number: usize) -> &'static str {
    REASONS.get(number).map_or(OTHER, |(_, word)| word)
}

/// All stages at which a call may be held, in the order of their declaration.
const STAGES: [Stage; 8] = [
    Stage::Policy,
    Stage::Credentials,
    Stage::Cache,
    Stage::Offline,
    Stage::Breaker,
    Stage::Limit,
    Stage::Attempt,
    Stage::Redirect,
];

/// How many numbers [`stage_number`] gives.
pub(super) const STAGE_NUMBERS: usize = STAGES.len() + 1;

/// Which stage it is; the last number is for stages that later versions of core may add.
pub(super) fn stage_number(stage: Stage) -> usize {
    (stage as usize).min(STAGE_NUMBERS - 1)
}

/// The word for that number.
pub(super) fn stage(number: usize) -> &'static str {
    STAGES.get(number).map_or(OTHER, |stage| stage.as_str())
}

/// The close codes of RFC 6455 §7.4.1, and one number for all others.
pub(super) const CLOSE_NUMBERS: usize = 17;

/// Which close code it is.
pub(super) fn close_number(code: u16) -> usize {
    code.checked_sub(1000).map_or(CLOSE_NUMBERS - 1, usize::from).min(CLOSE_NUMBERS - 1)
}

/// The close code of that number; none for all others together.
pub(super) fn close_code(number: usize) -> Option<u16> {
    let offset = u16::try_from(number).ok().filter(|_| number < CLOSE_NUMBERS - 1)?;
    Some(1000 + offset)
}

/// Address and port of `scheme://host:port`; no port where there is none.
pub(super) fn server(origin: &str) -> (&str, Option<&str>) {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    match authority.rsplit_once(':') {
        // The last colon of a bare IPv6 address is no port's.
        Some((host, port)) if !port.contains(']') && !port.is_empty() => (unbracketed(host), Some(port)),
        _ => (unbracketed(authority), None),
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_the_order_of_core() {
        for (at, (kind, word)) in ERRORS.iter().enumerate() {
            assert_eq!(error_number(Some(*kind)) as usize, at + 1);
            assert_eq!(error(at as u32 + 1), Some(*word));
        }
        assert_eq!((error(error_number(None)), error(ERROR_NUMBERS as u32 - 1)), (None, Some(OTHER)));
        for (at, (why, word)) in REASONS.iter().enumerate() {
            assert_eq!((reason_number(*why), reason(at)), (at, *word));
        }
        for (at, one) in STAGES.iter().enumerate() {
            assert_eq!((stage_number(*one), stage(at)), (at, one.as_str()));
        }
    }

    #[test]
    fn methods_are_those_of_opentelemetry() {
        for word in &METHODS[1..] {
            let known = Method::from_bytes(word.as_bytes()).unwrap();
            assert_eq!(method(method_number(&known)), *word);
        }
        for unknown in ["get", "PROPFIND", "MADE-UP"] {
            let unknown = Method::from_bytes(unknown.as_bytes()).unwrap();
            assert_eq!(method(method_number(&unknown)), "_OTHER");
        }
    }

    #[test]
    fn versions_have_the_words_of_opentelemetry() {
        let all = [
            (Some(Version::HTTP_10), Some("1.0")),
            (Some(Version::HTTP_11), Some("1.1")),
            (Some(Version::HTTP_2), Some("2")),
            (Some(Version::HTTP_3), Some("3")),
            (None, None),
        ];
        for (it, word) in all {
            assert_eq!(version(version_number(it)), word);
        }
    }

    #[test]
    fn close_codes_that_are_not_of_the_protocol_are_one() {
        assert_eq!(close_code(close_number(1006)), Some(1006));
        assert_eq!(close_code(close_number(1015)), Some(1015));
        for code in [0, 999, 1016, 4000, u16::MAX] {
            assert_eq!(close_code(close_number(code)), None);
        }
    }

    #[test]
    fn an_origin_is_an_address_and_a_port() {
        for (origin, address, port) in [
            ("https://example.com:443", "example.com", Some("443")),
            ("http://[::1]:8080", "::1", Some("8080")),
            ("http://[::1]", "::1", None),
            ("unix:", "unix:", None),
            ("example.com", "example.com", None),
        ] {
            assert_eq!(server(origin), (address, port), "{origin}");
        }
    }
}
