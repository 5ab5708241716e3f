//! Windows in which enough is in flight that what comes is what the network can do.

use std::time::{Duration, Instant};

use super::QualityConfig;
use super::samples::nanos;

/// Counts what transfers bring while there are enough of them.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    transfers: u32,
    /// Begun on a network that was left, and not ended: what they bring says nothing.
    stale: u32,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    last: Instant,
    bytes: u64,
}

impl Throughput {
    pub(super) fn began(&mut self, config: &QualityConfig, at: Instant) {
        self.transfers = self.transfers.saturating_add(1);
        self.open(config, at);
    }

    pub(super) fn ended(&mut self, config: &QualityConfig, at: Instant) {
        // Of two, the one that was begun first is taken to end first.
        if self.stale > 0 {
            self.stale -= 1;
        } else {
            self.transfers = self.transfers.saturating_sub(1);
        }
        if !self.is_full(config) {
            self.window = None;
        }
        self.open(config, at);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.transfers.saturating_add(self.stale)
    }

    pub(super) fn moved(&mut self) {
        self.stale = self.in_flight();
        self.transfers = 0;
        self.window = None;
    }

    /// Takes bytes; gives a sample in bits per second when a window is full. `http_rtt` is asked for then, and after a pause.
    pub(super) fn received(
        &mut self,
        config: &QualityConfig,
        at: Instant,
        bytes: u64,
        http_rtt: impl FnOnce() -> Option<Duration>,
    ) -> Option<u64> {
        let window = self.window.as_mut()?;
        let pause = at.saturating_duration_since(window.last);
        window.last = window.last.max(at);
        window.bytes = window.bytes.saturating_add(bytes);
        let is_enough = window.bytes >= config.min_window_bytes;
        if !is_enough && pause < config.idle_floor {
            return None;
        }
        let rtt = http_rtt().map(nanos);
        let round_trips = pause.as_secs_f64() * 1e9 / rtt.unwrap_or(0).max(1) as f64;
        let is_idle = pause >= config.idle_floor && round_trips >= config.idle_round_trips;
        let took = nanos(window.last.saturating_duration_since(window.since));
        if !is_idle && (!is_enough || took == 0) {
            return None;
        }
        let bytes = window.bytes as f64;
        self.window = None;
        self.open(config, at);
        let is_hanging = rtt.is_some_and(|rtt| bytes * (rtt as f64 / took as f64) < config.initial_window_bytes as f64);
        (!is_idle && !is_hanging).then_some((bytes * 8e9 / took as f64) as u64)
    }

    fn is_full(&self, config: &QualityConfig) -> bool {
        self.stale == 0 && self.transfers >= config.min_transfers
    }

    fn open(&mut self, config: &QualityConfig, at: Instant) {
        if self.window.is_none() && self.is_full(config) {
            self.window = Some(Window { since: at, last: at, bytes: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn full(config: &QualityConfig, at: Instant) -> Throughput {
        let mut throughput = Throughput::default();
        for _ in 0..5 {
            throughput.began(config, at);
        }
        throughput
    }

    #[test]
    fn it_takes_five_transfers_and_enough_bytes() {
        let (config, start) = (QualityConfig::new(), Instant::now());
        let mut throughput = Throughput::default();
        for _ in 0..4 {
            throughput.began(&config, start);
        }
        assert_eq!(throughput.received(&config, start + ms(100), 1_000_000, || None), None, "four");
        throughput.began(&config, start + ms(100));
        assert_eq!(throughput.received(&config, start + ms(200), 31_999, || None), None, "too little");
        assert_eq!(throughput.received(&config, start + ms(300), 1, || None), Some(1_280_000), "32 kB in 200 ms");
        assert_eq!(
            throughput.received(&config, start + ms(400), 32_000, || None),
            Some(2_560_000),
            "a window of its own"
        );
        throughput.ended(&config, start + ms(400));
        assert_eq!(throughput.received(&config, start + ms(500), 1_000_000, || None), None, "four again");
    }

    #[test]
    fn what_hangs_is_no_throughput() {
        let (config, start) = (QualityConfig::new(), Instant::now());
        // 40 kB in a second are 12 kB in 300 ms: less than the first window of TCP.
        assert_eq!(full(&config, start).received(&config, start + ms(1000), 40_000, || Some(ms(300))), None);
        assert_eq!(full(&config, start).received(&config, start + ms(1000), 40_000, || Some(ms(400))), Some(320_000));
    }

    #[test]
    fn a_pause_ends_a_window() {
        let (config, start) = (QualityConfig::new(), Instant::now());
        let mut throughput = full(&config, start);
        assert_eq!(throughput.received(&config, start + ms(3000), 900_000, || Some(ms(600))), None);
        assert_eq!(throughput.received(&config, start + ms(4000), 125_000, || Some(ms(600))), Some(1_000_000));
        let slow = full(&config, start).received(&config, start + ms(3000), 900_000, || Some(ms(601)));
        assert_eq!(slow, Some(2_400_000), "no pause on a network that slow");
    }

    #[test]
    fn transfers_of_a_network_that_was_left() {
        let (config, start) = (QualityConfig::new(), Instant::now());
        let mut throughput = full(&config, start);
        throughput.moved();
        for _ in 0..5 {
            throughput.began(&config, start);
        }
        assert_eq!(
            (throughput.in_flight(), throughput.received(&config, start + ms(100), 99_000, || None)),
            (10, None)
        );
        for _ in 0..5 {
            throughput.ended(&config, start + ms(100));
        }
        assert_eq!(throughput.received(&config, start + ms(200), 100_000, || None), Some(8_000_000));
    }

    #[test]
    fn times_that_stand_or_go_back() {
        let (config, start) = (QualityConfig::new(), Instant::now() + ms(10_000));
        let mut throughput = full(&config, start);
        assert_eq!(throughput.received(&config, start, u64::MAX, || None), None);
        assert_eq!(throughput.received(&config, start - ms(5000), u64::MAX, || None), None);
        assert!(throughput.received(&config, start + ms(1), 1, || None).is_some());
        throughput.ended(&config, start);
    }
}
