//! Where the buckets of histograms end.

use std::time::Duration;

/// Buckets of a histogram that have an upper end.
pub(super) const ENDS: usize = 14;

/// What a histogram is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Seconds, as OpenTelemetry advises for `http.client.request.duration`.
    Request,
    /// Seconds, for what lives long: connections, sockets, streams.
    Life,
    /// Bytes.
    Bytes,
}

const NANOS: f64 = 1e9;

/// In nanoseconds: 5 ms to 10 s.
const REQUEST: [u64; ENDS] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// In nanoseconds: 10 ms to 300 s.
const LIFE: [u64; ENDS] = [
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    120_000_000_000,
    300_000_000_000,
];

/// In bytes: 256 B to 16 GiB, each four times the one before.
const BYTES: [u64; ENDS] = [
    1 << 8,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
    1 << 26,
    1 << 28,
    1 << 30,
    1 << 32,
    1 << 34,
];

impl Scale {
    /// The upper end of each bucket but the last, which has none; a value that is an end lies below it.
    pub(super) const fn ends(self) -> &'static [u64; ENDS] {
        match self {
            Self::Request => &REQUEST,
            Self::Life => &LIFE,
            Self::Bytes => &BYTES,
        }
    }

    /// A value as it is told: in seconds, or in bytes.
    pub(super) fn told(self, value: u64) -> f64 {
        match self {
            Self::Request | Self::Life => value as f64 / NANOS,
            Self::Bytes => value as f64,
        }
    }

    /// The ends as they are told.
    #[cfg(any(test, feature = "opentelemetry"))]
    pub(super) fn told_ends(self) -> Vec<f64> {
        self.ends().iter().map(|end| self.told(*end)).collect()
    }
}

/// A duration in nanoseconds; the largest number for what is longer than 584 years.
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_requests_are_those_that_opentelemetry_advises() {
        let advised = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
        assert_eq!(Scale::Request.told_ends(), advised);
    }

    #[test]
    fn ends_rise() {
        for scale in [Scale::Request, Scale::Life, Scale::Bytes] {
            assert!(scale.ends().is_sorted_by(|one, next| one < next), "{scale:?}");
        }
    }

    #[test]
    fn nothing_is_too_long() {
        assert_eq!(nanos(Duration::from_micros(3)), 3000);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
