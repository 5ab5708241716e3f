//! What an answer asks of those who come next: `Retry-After` and the `RateLimit` fields. Pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode};
use netcomm_core::retry_after;
use sfv::{BareItem, List, ListEntry, Parser};

/// draft-ietf-httpapi-ratelimit-headers §4: what is left of a quota.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The same draft, §3: the quotas that there are.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is longer is not believed: ten years.
const ABSURD_SECS: u64 = 10 * 365 * 24 * 3600;

/// How long an answer asks to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// `Retry-After` (RFC 9110 §10.2.3), of a response that is a failure.
    pub(crate) retry_after: Option<Duration>,
    /// Until a quota that is used up is filled again.
    pub(crate) quota: Option<Duration>,
}

impl Feedback {
    /// What the head of a response says. What cannot be read says nothing. `wall` is asked only where something depends on it.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Self {
        let is_failure = status.is_client_error() || status.is_server_error();
        Self { retry_after: is_failure.then(|| retry_after(headers, wall)).flatten(), quota: quota(headers) }
    }

    /// The longer of both waits.
    pub(crate) fn wait(self) -> Option<Duration> {
        self.retry_after.max(self.quota)
    }
}

/// The longest wait for a quota of which nothing is left. Where the field does not say for how long that is, the window
/// of the policy of that name does.
fn quota(headers: &HeaderMap) -> Option<Duration> {
    let left = list(headers, &RATE_LIMIT)?;
    let items = left.iter().filter_map(|entry| match entry {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    });
    let waits = items.filter_map(|item| {
        let number = |name| item.params.get(name).and_then(seconds);
        match (number("r")?, number("t")) {
            (0, Some(secs)) => Some(secs),
            (0, None) => window(headers, &item.bare_item),
            _ => None,
        }
    });
    waits.max().map(believable)
}

fn window(headers: &HeaderMap, name: &BareItem) -> Option<u64> {
    list(headers, &RATE_LIMIT_POLICY)?.iter().find_map(|entry| match entry {
        ListEntry::Item(item) if item.bare_item == *name => item.params.get("w").and_then(seconds),
        _ => None,
    })
}

fn list(headers: &HeaderMap, name: &HeaderName) -> Option<List> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    // RFC 9651 §4.2: several field lines are one, joined by commas.
    let joined = values.map(http::HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
    Parser::new(&joined).parse().ok()
}

fn seconds(item: &BareItem) -> Option<u64> {
    match item {
        BareItem::Integer(number) => u64::try_from(i64::from(*number)).ok(),
        _ => None,
    }
}

fn believable(secs: u64) -> Duration {
    Duration::from_secs(secs.min(ABSURD_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn feedback(status: u16, fields: &[(&'static str, &'static str)]) -> (Option<u64>, Option<u64>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        let wall = httpdate::parse_http_date(NOW).expect("a date");
        let status = StatusCode::from_u16(status).expect("a status");
        let feedback = Feedback::of(status, &headers, || wall);
        assert_eq!(feedback.wait(), feedback.retry_after.max(feedback.quota));
        (feedback.retry_after.map(|wait| wait.as_secs()), feedback.quota.map(|wait| wait.as_secs()))
    }

    #[test]
    fn retry_after_in_both_forms() {
        for (value, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            (" 7\t", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("99999999999999999999999999", Some(ABSURD_SECS)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            for status in [503, 429, 413, 404] {
                assert_eq!(feedback(status, &[("retry-after", value)]).0, expected, "{value:?} with {status}");
            }
            assert_eq!(feedback(200, &[("retry-after", value)]).0, None, "a success asks for no patience");
            assert_eq!(feedback(301, &[("retry-after", value)]).0, None);
        }
        assert_eq!(feedback(503, &[("retry-after", "2"), ("retry-after", "9"), ("retry-after", "x")]).0, Some(9));
    }

    #[test]
    fn a_date_is_meant_by_the_clock_of_the_peer() {
        let fields = [("retry-after", "Sun, 06 Nov 1994 09:00:10 GMT"), ("date", "Sun, 06 Nov 1994 09:00:00 GMT")];
        assert_eq!(feedback(503, &fields).0, Some(10));
        let fields = [("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT"), ("date", "yesterday")];
        assert_eq!(feedback(503, &fields).0, Some(3));
    }

    #[test]
    fn quotas_that_are_used_up() {
        let one = |value| feedback(200, &[("ratelimit", value)]).1;
        for (value, expected) in [
            (r#""default";r=0;t=30"#, Some(30)),
            (r#""default";r=1;t=30"#, None),
            (r#""default";r=0"#, None),
            (r#""default";t=30"#, None),
            (r#""a";r=0;t=5, "b";r=0;t=50, "c";r=9;t=500"#, Some(50)),
            (r#""a";r=0;t=-5"#, None),
            (r#""a";r=0;t=1.5"#, None),
            (r#"("a" "b");r=0;t=5"#, None),
            ("limit=10, remaining=0, reset=5", None),
            ("", None),
            (";;;", None),
        ] {
            assert_eq!(one(value), expected, "{value:?}");
        }
        let lines = [("ratelimit", r#""a";r=0;t=5"#), ("ratelimit", r#""b";r=0;t=7"#)];
        assert_eq!(feedback(429, &lines).1, Some(7));
    }

    #[test]
    fn a_policy_tells_the_window_where_the_limit_does_not() {
        let policy = ("ratelimit-policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400"#);
        assert_eq!(feedback(429, &[policy, ("ratelimit", r#""burst";r=0"#)]).1, Some(60));
        assert_eq!(feedback(429, &[policy, ("ratelimit", r#""burst";r=0;t=3"#)]).1, Some(3));
        assert_eq!(feedback(429, &[policy, ("ratelimit", r#""other";r=0"#)]).1, None);
        assert_eq!(feedback(429, &[policy]).1, None, "a policy alone limits nobody yet");
    }
}
