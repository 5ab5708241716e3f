//! Timings in milliseconds, as HAR counts them: pure.

use std::time::Duration;

use serde::Serialize;

use super::Shown;
use crate::recorder::timings::EntryTimings;

/// HAR §timings: -1 where a part is not known or did not happen; TLS is a part of connecting; the last three are always there.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Timings {
    blocked: f64,
    dns: f64,
    connect: f64,
    ssl: f64,
    send: f64,
    wait: f64,
    receive: f64,
}

impl Timings {
    pub(super) fn of(shown: &Shown<'_>) -> Self {
        let parts = match shown.attempt {
            Some(attempt) => attempt.timings(),
            None => EntryTimings::default(),
        };
        Self::new(parts)
    }

    fn new(parts: EntryTimings) -> Self {
        let EntryTimings { blocked, dns, connect, tls, send, wait, receive } = parts;
        let connect = [connect, tls].into_iter().flatten().reduce(|a, b| a + b);
        Self {
            blocked: millis(blocked, -1.0),
            dns: millis(dns, -1.0),
            connect: millis(connect, -1.0),
            ssl: millis(tls, -1.0),
            send: millis(send, 0.0),
            wait: millis(wait, 0.0),
            receive: millis(receive, 0.0),
        }
    }

    /// All parts that are known, TLS once.
    pub(super) fn total(&self) -> f64 {
        let parts = [self.blocked, self.dns, self.connect, self.send, self.wait, self.receive];
        let total: f64 = parts.into_iter().filter(|part| *part >= 0.0).sum();
        (total * 1000.0).round() / 1000.0
    }
}

fn millis(took: Option<Duration>, unknown: f64) -> f64 {
    took.map_or(unknown, |took| took.as_micros() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_sum_to_the_whole_and_tls_counts_once() {
        let ms = |count| Some(Duration::from_micros(count));
        let parts = EntryTimings {
            blocked: None,
            dns: ms(1500),
            connect: ms(2000),
            tls: ms(3250),
            send: ms(0),
            wait: ms(10_001),
            receive: None,
        };
        let timings = Timings::new(parts);
        let expected =
            Timings { blocked: -1.0, dns: 1.5, connect: 5.25, ssl: 3.25, send: 0.0, wait: 10.001, receive: 0.0 };
        assert_eq!(timings, expected);
        assert!((timings.total() - 16.751).abs() < 1e-9);
        assert_eq!(parts.total(), Duration::from_micros(16_751));
    }
}
