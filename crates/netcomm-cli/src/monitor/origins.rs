//! What is known of each origin, as lines of a table: pure.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use netcomm::monitor::Snapshot;

/// Origins whose bytes are counted, at most; those beyond are counted as none.
const ORIGINS: usize = 256;

/// One origin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OriginRow {
    pub(super) name: String,
    /// Attempts that came to something.
    pub(super) calls: u64,
    /// Of these, those without an answer and those whose answer was 5xx.
    pub(super) errors: u64,
    pub(super) p50: Option<Duration>,
    pub(super) p90: Option<Duration>,
    /// Of bodies that came.
    pub(super) bytes: u64,
    /// Open connections.
    pub(super) open: u64,
    pub(super) is_broken: bool,
}

/// By what a table is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum By {
    #[default]
    Calls,
    Errors,
    P90,
    Bytes,
    Name,
}

impl By {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Calls => Self::Errors,
            Self::Errors => Self::P90,
            Self::P90 => Self::Bytes,
            Self::Bytes => Self::Name,
            Self::Name => Self::Calls,
        }
    }

    /// Names last: they tell those apart that are equal otherwise, so that lines do not jump.
    pub(super) fn order(self, a: &OriginRow, b: &OriginRow) -> Ordering {
        let order = match self {
            Self::Calls => b.calls.cmp(&a.calls),
            Self::Errors => b.errors.cmp(&a.errors),
            Self::P90 => b.p90.cmp(&a.p90),
            Self::Bytes => b.bytes.cmp(&a.bytes),
            Self::Name => Ordering::Equal,
        };
        order.then_with(|| a.name.cmp(&b.name))
    }
}

/// The table, sorted.
pub(super) fn rows(snapshot: &Snapshot, bytes: &Bytes, by: By) -> Vec<OriginRow> {
    let mut rows: Vec<_> = snapshot
        .origins
        .iter()
        .map(|origin| {
            let bad = |status: Option<u16>| status.is_none_or(|status| status >= 500);
            let failed = origin.requests.iter().filter(|requests| bad(requests.status));
            OriginRow {
                name: origin.origin.clone().unwrap_or_else(|| "others".to_owned()),
                calls: origin.requests.iter().map(|requests| requests.duration.count).sum(),
                errors: failed.map(|requests| requests.duration.count).sum(),
                p50: origin.took.quantile(0.5),
                p90: origin.took.quantile(0.9),
                bytes: origin.origin.as_ref().map_or(0, |name| bytes.of(name)),
                open: origin.open(),
                is_broken: origin.is_broken,
            }
        })
        // What stands for all others is told of if there are any.
        .filter(|row| row.calls > 0 || row.open > 0 || row.name != "others")
        .collect();
    rows.sort_by(|a, b| by.order(a, b));
    rows
}

/// Bytes of bodies that came from each origin.
#[derive(Debug, Default)]
pub(super) struct Bytes(HashMap<String, u64>);

impl Bytes {
    pub(super) fn add(&mut self, origin: &str, bytes: u64) {
        if let Some(own) = self.0.get_mut(origin) {
            *own += bytes;
        } else if self.0.len() < ORIGINS {
            self.0.insert(origin.to_owned(), bytes);
        }
    }

    fn of(&self, origin: &str) -> u64 {
        self.0.get(origin).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::{Method, StatusCode, Version};
    use netcomm::core::{ErrorKind, Event, Observation, Observe as _};
    use netcomm::monitor::Stats;

    use super::*;

    fn ended(stats: &Stats, origin: &str, status: Option<u16>, millis: u64) {
        let event = Event::AttemptEnded {
            number: 1,
            origin: origin.to_owned(),
            method: Method::GET,
            version: status.map(|_| Version::HTTP_11),
            status: status.map(|status| StatusCode::from_u16(status).expect("a status")),
            error: status.is_none().then_some(ErrorKind::Connect),
            reused: false,
            wait: None,
            took: Duration::from_millis(millis),
        };
        stats.observe(&Observation::new(Instant::now(), event));
    }

    #[test]
    fn origins_are_counted_and_sorted() {
        let (stats, mut bytes) = (Stats::new(), Bytes::default());
        for _ in 0..3 {
            ended(&stats, "http://a.example:80", Some(200), 10);
        }
        for status in [Some(503), None] {
            ended(&stats, "http://b.example:80", status, 50);
        }
        bytes.add("http://b.example:80", 7);
        bytes.add("http://b.example:80", 1);
        let snapshot = stats.snapshot();
        let names = |by| rows(&snapshot, &bytes, by).into_iter().map(|row| row.name).collect::<Vec<_>>();
        let (a, b) = ("http://a.example:80", "http://b.example:80");
        for (by, expected) in
            [(By::Calls, [a, b]), (By::Errors, [b, a]), (By::P90, [b, a]), (By::Bytes, [b, a]), (By::Name, [a, b])]
        {
            assert_eq!(names(by), expected, "{by:?}");
        }
        let second = &rows(&snapshot, &bytes, By::Name)[1];
        assert_eq!((second.calls, second.errors, second.bytes), (2, 2, 8));
        assert!(second.p50.is_some_and(|p50| p50 > Duration::from_millis(45)));
        let round = std::iter::successors(Some(By::Calls), |by| Some(by.next()));
        assert_eq!(round.take(6).last(), Some(By::Calls));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut bytes = Bytes::default();
        for number in 0..1000 {
            bytes.add(&format!("http://{number}.example:80"), 1);
        }
        assert_eq!(bytes.0.len(), ORIGINS);
    }
}
