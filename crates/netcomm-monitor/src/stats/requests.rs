//! Durations by method, status, version and error: a table without a lock.

use std::array;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use netcomm_core::ErrorKind;

use super::histogram::{Buckets, Sum};
use super::scale::{Scale, nanos};
use super::snapshot::Histogram;
use super::words;

/// How many kinds of requests are told apart; the rest is one.
pub(super) const KINDS: usize = 32;

/// The labels of a request, packed; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels(u32);

const TAKEN: u32 = 1 << 31;
const STATUS_SHIFT: u32 = 4;
const VERSION_SHIFT: u32 = STATUS_SHIFT + 10;
const ERROR_SHIFT: u32 = VERSION_SHIFT + 3;

impl Labels {
    /// Of what found no place in a table.
    pub(super) const REST: Self = Self(TAKEN);

    #[inline]
    pub(super) fn new(
        method: &Method,
        version: Option<Version>,
        status: Option<StatusCode>,
        error: Option<ErrorKind>,
    ) -> Self {
        let Self(answer) = Self::of_call(status, error);
        Self(answer | words::method_number(method) | words::version_number(version) << VERSION_SHIFT)
    }

    /// Of a whole call: what it came to, without the ways there.
    #[inline]
    pub(super) fn of_call(status: Option<StatusCode>, error: Option<ErrorKind>) -> Self {
        // A status has three digits, and so ten bits.
        let status = status.map_or(0, |status| u32::from(status.as_u16()));
        Self(TAKEN | status << STATUS_SHIFT | words::error_number(error) << ERROR_SHIFT)
    }

    pub(super) fn method(self) -> &'static str {
        words::method(self.0 & 0xf)
    }

    pub(super) fn status(self) -> Option<u16> {
        Some((self.0 >> STATUS_SHIFT & 0x3ff) as u16).filter(|status| *status > 0)
    }

    pub(super) fn version(self) -> Option<&'static str> {
        words::version(self.0 >> VERSION_SHIFT & 0x7)
    }

    pub(super) fn error(self) -> Option<&'static str> {
        words::error(self.0 >> ERROR_SHIFT & 0x1f)
    }
}

#[derive(Debug, Default)]
struct Kind {
    labels: AtomicU32,
    durations: Buckets,
}

/// So many kinds of requests, and one for all others: 4.4 KiB.
#[derive(Debug)]
pub(super) struct Requests {
    kinds: Box<[Kind]>,
    rest: Buckets,
}

impl Default for Requests {
    fn default() -> Self {
        let kinds: [Kind; KINDS] = array::from_fn(|_| Kind::default());
        Self { kinds: Box::new(kinds), rest: Buckets::default() }
    }
}

impl Requests {
    #[inline]
    pub(super) fn record(&self, labels: Labels, took: Duration) {
        self.of(labels).record(Scale::Request, nanos(took));
    }

    /// The place of these labels; they take one if they have none.
    #[inline]
    fn of(&self, labels: Labels) -> &Buckets {
        for kind in &self.kinds {
            let mut there = kind.labels.load(Ordering::Relaxed);
            if there == 0 && labels != Labels::REST {
                // Whoever comes first has it; the other one looks whether that was for the same labels.
                let taken = kind.labels.compare_exchange(0, labels.0, Ordering::Relaxed, Ordering::Relaxed);
                there = taken.map_or_else(|first| first, |_| labels.0);
            }
            if there == labels.0 {
                return &kind.durations;
            }
        }
        &self.rest
    }

    /// Moves all to another table. Who counts in the very moment may count under labels that are no longer those.
    pub(super) fn pour(&self, into: &Self) {
        for kind in &self.kinds {
            let labels = kind.labels.swap(0, Ordering::Relaxed);
            if labels != 0 {
                kind.durations.pour(into.of(Labels(labels)));
            }
        }
        self.rest.pour(&into.rest);
    }

    /// All of them, whatever they were.
    pub(super) fn sum(&self) -> Histogram {
        let mut sum = Sum::default();
        self.iter().for_each(|(_, durations)| durations.add_to(&mut sum));
        sum.told(Scale::Request)
    }

    /// What was counted under which labels, what found no place last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Labels, &Buckets)> {
        let kinds = self.kinds.iter().map(|kind| (Labels(kind.labels.load(Ordering::Relaxed)), &kind.durations));
        let rest = (Labels::REST, &self.rest);
        kinds.filter(|(labels, _)| labels.0 != 0).chain([rest]).filter(|(_, durations)| durations.count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Labels {
        Labels::new(&Method::GET, Some(Version::HTTP_11), Some(StatusCode::from_u16(code).unwrap()), None)
    }

    fn counts(requests: &Requests) -> Vec<(Labels, u64)> {
        requests.iter().map(|(labels, durations)| (labels, durations.count())).collect()
    }

    #[test]
    fn labels_come_out_as_they_went_in() {
        let labels = status(999);
        assert_eq!(
            (labels.method(), labels.version(), labels.status(), labels.error()),
            ("GET", Some("1.1"), Some(999), None)
        );
        let labels = Labels::new(&Method::PATCH, None, None, Some(ErrorKind::User));
        assert_eq!(
            (labels.method(), labels.version(), labels.status(), labels.error()),
            ("PATCH", None, None, Some("user"))
        );
        assert_eq!((Labels::REST.method(), Labels::REST.status(), Labels::REST.error()), ("_OTHER", None, None));
    }

    #[test]
    fn what_finds_no_place_is_counted_together() {
        let requests = Requests::default();
        for code in 200..200 + KINDS as u16 + 5 {
            requests.record(status(code), Duration::from_millis(1));
        }
        requests.record(status(200), Duration::from_millis(1));
        let seen = counts(&requests);
        assert_eq!(seen.len(), KINDS + 1);
        assert_eq!((seen[0], seen[KINDS]), ((status(200), 2), (Labels::REST, 5)));
    }

    #[test]
    fn what_is_poured_is_all_of_it_and_leaves_room() {
        let (from, into) = (Requests::default(), Requests::default());
        for code in [200, 404, 200] {
            from.record(status(code), Duration::from_millis(1));
        }
        into.record(status(404), Duration::from_millis(1));
        from.pour(&into);
        assert_eq!(counts(&from), []);
        assert_eq!(counts(&into), [(status(404), 2), (status(200), 2)]);
        from.record(status(500), Duration::from_millis(1));
        assert_eq!(counts(&from), [(status(500), 1)]);
        assert_eq!(from.kinds[0].labels.load(Ordering::Relaxed), status(500).0);
    }

    #[test]
    fn threads_that_come_with_the_same_labels_share_a_place() {
        let requests = Requests::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for code in (200..216).cycle().take(1600) {
                        requests.record(status(code), Duration::from_millis(1));
                    }
                });
            }
        });
        let mut seen = counts(&requests);
        seen.sort_by_key(|(labels, _)| labels.0);
        let expected: Vec<_> = (200..216).map(|code| (status(code), 400)).collect();
        assert_eq!(seen, expected);
    }
}
