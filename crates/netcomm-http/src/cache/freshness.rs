//! How old a stored response is, and how long it is fresh (RFC 9111 §4.2): pure arithmetic.

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::cache::directives::ResponseDirectives;
use crate::cache::entry::EntryParts;
use crate::cache::field;

/// What kind of cache it is, and how it guesses.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Whether it serves several users (RFC 9111 §1).
    pub(crate) shared: bool,
    /// The targeted fields that it obeys, most important first (RFC 9213 §2.2).
    pub(crate) targets: Vec<HeaderName>,
    /// The part of the time since the last modification that a response without explicit lifetime is fresh.
    pub(crate) heuristic_fraction: f64,
    /// The longest lifetime that is guessed.
    pub(crate) heuristic_most: Duration,
    /// How long a stale response may be used while the origin cannot be reached.
    pub(crate) unreachable: Duration,
}

/// A private cache. It guesses a tenth of the time since the last modification, a day at most, and uses what is stale for
/// seven days while the origin cannot be reached.
impl Default for Rules {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { shared: false, targets: Vec::new(), heuristic_fraction: 0.1, heuristic_most: DAY, unreachable: 7 * DAY }
    }
}

/// What the rules make of a stored head; worked out once for each entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) directives: ResponseDirectives,
    pub(crate) lifetime: Duration,
    /// The age that it had when it came (RFC 9111 §4.2.3: `corrected_initial_age`).
    pub(crate) initial_age: Duration,
}

impl Terms {
    pub(crate) fn of(parts: &EntryParts, rules: &Rules) -> Self {
        let headers = parts.headers.as_map();
        let directives = ResponseDirectives::of(headers, &rules.targets);
        let date = field::only_date(headers, &DATE).unwrap_or(parts.received_at);
        if let Some(ttl) = parts.ttl {
            // The caller's word counts from the moment when the response came.
            return Self { directives: ResponseDirectives::default(), lifetime: ttl, initial_age: Duration::ZERO };
        }
        let lifetime = lifetime(&directives, headers, parts.status, date, rules);
        let initial_age = initial_age(headers, date, parts.requested_at, parts.received_at);
        Self { directives, lifetime, initial_age }
    }

    /// RFC 9111 §4.2.3: `current_age`.
    pub(crate) fn age(&self, parts: &EntryParts, now: SystemTime) -> Duration {
        self.initial_age + since(parts.received_at, now)
    }

    /// Whether it may not be used once it is stale, not even without a network (RFC 9111 §4.2.4).
    pub(crate) fn forbids_stale(&self, shared: bool) -> bool {
        let Self { directives: d, .. } = self;
        d.must_revalidate || d.no_cache.is_whole() || (shared && (d.proxy_revalidate || d.s_maxage.is_some()))
    }
}

/// From one moment to a later one; zero where the clock was set back.
pub(crate) fn since(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

/// RFC 9111 §4.2.1: `freshness_lifetime`.
fn lifetime(
    directives: &ResponseDirectives,
    headers: &HeaderMap,
    status: StatusCode,
    date: SystemTime,
    rules: &Rules,
) -> Duration {
    let shared = directives.s_maxage.filter(|_| rules.shared);
    if let Some(explicit) = shared.or(directives.max_age) {
        return explicit;
    }
    if !directives.targeted && headers.contains_key(EXPIRES) {
        // RFC 9111 §5.3: what cannot be read lies in the past.
        return field::only_date(headers, &EXPIRES).map_or(Duration::ZERO, |expires| since(date, expires));
    }
    if !directives.public && !is_heuristically_cacheable(status) {
        return Duration::ZERO;
    }
    let Some(modified) = field::only_date(headers, &LAST_MODIFIED) else { return Duration::ZERO };
    since(modified, date).mul_f64(rules.heuristic_fraction).min(rules.heuristic_most)
}

/// RFC 9110 §15.1.
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// RFC 9111 §4.2.3: `corrected_initial_age`.
fn initial_age(headers: &HeaderMap, date: SystemTime, requested_at: SystemTime, received_at: SystemTime) -> Duration {
    let apparent_age = since(date, received_at);
    // RFC 9111 §5.1: of several members the first; one that is no number is ignored. A parameter has no meaning there, but
    // what stands before it is a number.
    let age_value = headers.get(AGE).and_then(|value| {
        let first = field::split(value.as_bytes()).next()?;
        let number = first.split(|byte| *byte == b';').next()?;
        field::seconds(number.trim_ascii_end())
    });
    let corrected_age_value = age_value.unwrap_or_default() + since(requested_at, received_at);
    apparent_age.max(corrected_age_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::Selecting;
    use crate::cache::few::Few;

    fn rules(shared: bool) -> Rules {
        Rules { shared, ..Rules::default() }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
    }

    /// The head of a response that came at second 100 000; `D+5` and `D-5` stand for dates around that.
    fn parts(status: u16, fields: &[(&'static str, &str)]) -> EntryParts {
        let value = |text: &str| match text.strip_prefix('D') {
            None => text.to_owned(),
            Some("") => field::written(at(100_000)),
            Some(offset) => {
                let offset: i64 = offset.parse().expect(offset);
                field::written(at(100_000_u64.checked_add_signed(offset).expect("a date")))
            }
        };
        EntryParts {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: fields
                .iter()
                .map(|(name, text)| (HeaderName::from_static(name), value(text).parse().expect(text)))
                .collect::<HeaderMap>()
                .into(),
            selecting: Selecting::default(),
            requested_at: at(100_000),
            received_at: at(100_000),
            ttl: None,
            length: None,
            segments: Few::default(),
        }
    }

    #[test]
    fn lifetimes() {
        // Status, fields, private, shared.
        for (status, fields, private, shared) in [
            (200, [("cache-control", "max-age=5"), ("expires", "D+9")].as_slice(), 5, 5),
            (200, &[("cache-control", "max-age=5, s-maxage=9")], 5, 9),
            (200, &[("date", "D"), ("expires", "D+9")], 9, 9),
            (200, &[("date", "D+5"), ("expires", "D+9")], 4, 4),
            (200, &[("date", "foo"), ("expires", "D+9")], 9, 9),
            (200, &[("expires", "0"), ("last-modified", "D-1000")], 0, 0),
            (200, &[("expires", "D+9"), ("expires", "D+9")], 0, 0),
            (200, &[("last-modified", "D-1000")], 100, 100),
            (200, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], 86_400, 86_400),
            (200, &[("last-modified", "D+5")], 0, 0),
            (200, &[], 0, 0),
            (201, &[("last-modified", "D-1000")], 0, 0),
            (599, &[("last-modified", "D-1000"), ("cache-control", "public")], 100, 100),
        ] {
            for (is_shared, expected) in [(false, private), (true, shared)] {
                let terms = Terms::of(&parts(status, fields), &rules(is_shared));
                assert_eq!(terms.lifetime, Duration::from_secs(expected), "{fields:?}, shared: {is_shared}");
            }
        }
    }

    #[test]
    fn ages() {
        for (fields, expected) in [
            ([].as_slice(), 0),
            (&[("age", "30")], 30),
            (&[("age", "30, 9000")], 30),
            (&[("age", "abc")], 0),
            (&[("age", "30;foo=9")], 30),
            (&[("age", "-7200")], 0),
            (&[("age", "7200.0")], 0),
            (&[("age", "2147483648")], 1 << 31),
            (&[("date", "D-10")], 10),
            (&[("date", "D-10"), ("age", "25")], 25),
            (&[("date", "D+10"), ("age", "15")], 15),
        ] {
            let parts = parts(200, fields);
            let terms = Terms::of(&parts, &rules(false));
            assert_eq!(terms.initial_age, Duration::from_secs(expected), "{fields:?}");
            assert_eq!(terms.age(&parts, at(100_007)), Duration::from_secs(expected + 7), "{fields:?}");
        }
    }

    #[test]
    fn time_on_the_way_counts_to_what_age_says() {
        let mut parts = parts(200, &[("age", "30"), ("date", "D-10")]);
        parts.requested_at = at(99_996);
        assert_eq!(Terms::of(&parts, &rules(false)).initial_age, Duration::from_secs(34));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_younger_than_it_came() {
        let parts = parts(200, &[("age", "30")]);
        assert_eq!(Terms::of(&parts, &rules(false)).age(&parts, at(0)), Duration::from_secs(30));
    }

    #[test]
    fn the_callers_time_to_live_counts_from_arrival() {
        let mut parts = parts(200, &[("age", "30"), ("cache-control", "no-cache, max-age=1")]);
        parts.ttl = Some(Duration::from_secs(60));
        let terms = Terms::of(&parts, &rules(false));
        assert_eq!((terms.lifetime.as_secs(), terms.initial_age.as_secs()), (60, 0));
        assert!(terms.directives.no_cache.is_absent());
    }

    #[test]
    fn what_may_not_be_used_stale() {
        for (text, private, shared) in [
            ("max-age=1", false, false),
            ("must-revalidate", true, true),
            ("no-cache", true, true),
            ("proxy-revalidate", false, true),
            ("s-maxage=1", false, true),
        ] {
            let terms = Terms::of(&parts(200, &[("cache-control", text)]), &rules(false));
            assert_eq!((terms.forbids_stale(false), terms.forbids_stale(true)), (private, shared), "{text}");
        }
    }
}
