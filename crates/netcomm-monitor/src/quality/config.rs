//! The constants of the estimate, all of which can be set.

use std::time::Duration;

use super::EffectiveType;

/// By which thresholds the effective type is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Thresholds {
    /// W3C's Network Information: a round trip of at least 2000, 1400, 270 ms, or a downlink of at most 50, 70, 700 kbit/s,
    /// makes a network slow-2g, 2g, 3g. Whichever says the worse is believed.
    #[default]
    W3c,
    /// Chromium's: an HTTP round trip of at least 2010, 1420, 272 ms; the downlink does not matter.
    Chromium,
}

/// The constants of an [`Estimator`](crate::Estimator). The defaults are those of Chromium's network quality estimator, where
/// that has one.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityConfig {
    pub(super) thresholds: Thresholds,
    pub(super) half_life: Duration,
    pub(super) signal_factor: f64,
    pub(super) samples: usize,
    pub(super) min_samples: usize,
    pub(super) lower_bound: f64,
    pub(super) upper_bound: f64,
    pub(super) hanging_transport: f64,
    pub(super) hanging_http: f64,
    pub(super) hanging_floor: Duration,
    pub(super) hanging_in_a_row: u32,
    pub(super) min_transfers: u32,
    pub(super) min_window_bytes: u64,
    pub(super) initial_window_bytes: u64,
    pub(super) idle_round_trips: f64,
    pub(super) idle_floor: Duration,
    pub(super) downlink_factor: f64,
    pub(super) networks: usize,
    pub(super) start_values: bool,
    pub(super) horizons: [Duration; 2],
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::W3c,
            half_life: Duration::from_secs(60),
            signal_factor: 0.8,
            samples: 300,
            min_samples: 5,
            lower_bound: 1.0,
            upper_bound: 3.0,
            hanging_transport: 8.0,
            hanging_http: 6.0,
            hanging_floor: Duration::from_millis(500),
            hanging_in_a_row: 3,
            min_transfers: 5,
            min_window_bytes: 32_000,
            initial_window_bytes: 15_000,
            idle_round_trips: 5.0,
            idle_floor: Duration::from_secs(3),
            downlink_factor: 3.5,
            networks: 10,
            start_values: false,
            horizons: [Duration::from_secs(10), Duration::from_secs(60)],
        }
    }
}

/// The most samples of a kind that may be asked for.
const MAX_SAMPLES: usize = 10_000;

/// The most networks that may be asked for.
const MAX_NETWORKS: usize = 1000;

impl QualityConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// By which thresholds the effective type is told. Default: [`Thresholds::W3c`].
    #[must_use]
    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// How long it takes until a sample counts half. Default 60 s; 0 counts as 1 ms.
    #[must_use]
    pub fn with_half_life(self, half_life: Duration) -> Self {
        Self { half_life: half_life.max(Duration::from_millis(1)), ..self }
    }

    /// How much a sample counts for each step by which the signal differed from now, `0..=1`. Default 0.8; 1 leaves the signal
    /// out. Without word of the signal it is left out anyway.
    #[must_use]
    pub fn with_signal_factor(self, factor: f64) -> Self {
        Self { signal_factor: factor.clamp(0.0, 1.0), ..self }
    }

    /// How many samples of a kind are kept. Default 300, `1..=10_000`.
    #[must_use]
    pub fn with_samples(self, samples: usize) -> Self {
        Self { samples: samples.clamp(1, MAX_SAMPLES), ..self }
    }

    /// How many samples of a kind it takes until they bound another kind. Default 5.
    #[must_use]
    pub fn with_min_samples(self, min_samples: usize) -> Self {
        Self { min_samples, ..self }
    }

    /// The HTTP round trip is at least that many times the transport's and the ping's. Default 1; 0 is no bound.
    #[must_use]
    pub fn with_lower_bound(self, factor: f64) -> Self {
        Self { lower_bound: factor.max(0.0), ..self }
    }

    /// The HTTP round trip is at most that many times the ping's. Default 3; 0 is no bound.
    #[must_use]
    pub fn with_upper_bound(self, factor: f64) -> Self {
        Self { upper_bound: factor.max(0.0), ..self }
    }

    /// An HTTP round trip below that many times the transport's, or the ping's, is one of the network and not one of a server
    /// that keeps its answer back. Default 8.
    #[must_use]
    pub fn with_hanging_transport(self, factor: f64) -> Self {
        Self { hanging_transport: factor.max(0.0), ..self }
    }

    /// The same for that many times the estimated HTTP round trip. Default 6.
    #[must_use]
    pub fn with_hanging_http(self, factor: f64) -> Self {
        Self { hanging_http: factor.max(0.0), ..self }
    }

    /// An HTTP round trip up to that is believed in any case. Default 500 ms.
    #[must_use]
    pub fn with_hanging_floor(self, floor: Duration) -> Self {
        Self { hanging_floor: floor, ..self }
    }

    /// So many hanging requests one after the other are the network's doing: from there on they are believed, or a network
    /// that became slow at once would never be noticed where HTTP is all there is. Default 3; 0 and 1 believe all.
    #[must_use]
    pub fn with_hanging_in_a_row(self, requests: u32) -> Self {
        Self { hanging_in_a_row: requests, ..self }
    }

    /// How many transfers it takes at once until their throughput says something of the network. Default 5; 1 for an application
    /// that loads one large thing at a time.
    #[must_use]
    pub fn with_min_transfers(self, transfers: u32) -> Self {
        Self { min_transfers: transfers.max(1), ..self }
    }

    /// How many bytes make a sample of throughput. Default 32,000.
    #[must_use]
    pub fn with_min_window_bytes(self, bytes: u64) -> Self {
        Self { min_window_bytes: bytes.max(1), ..self }
    }

    /// Less than that per HTTP round trip is no throughput: something hangs. Default 15,000, the first window of TCP; 0 believes
    /// all.
    #[must_use]
    pub fn with_initial_window_bytes(self, bytes: u64) -> Self {
        Self { initial_window_bytes: bytes, ..self }
    }

    /// Transfers that bring nothing for that many HTTP round trips, and for [`with_idle_floor`](Self::with_idle_floor), say
    /// nothing of the network. Default 5.
    #[must_use]
    pub fn with_idle_round_trips(self, round_trips: f64) -> Self {
        Self { idle_round_trips: round_trips.max(0.0), ..self }
    }

    /// See [`with_idle_round_trips`](Self::with_idle_round_trips). Default 3 s.
    #[must_use]
    pub fn with_idle_floor(self, floor: Duration) -> Self {
        Self { idle_floor: floor, ..self }
    }

    /// The downlink is at most that many times what is typical of a network with such round trips: 40, 75, 400 kbit/s for
    /// slow-2g, 2g, 3g; 4g has no bound. Default 3.5; 0 is no bound.
    #[must_use]
    pub fn with_downlink_factor(self, factor: f64) -> Self {
        Self { downlink_factor: factor.max(0.0), ..self }
    }

    /// How many networks that were left are remembered. Default 10, at most 1000; 0 remembers none.
    #[must_use]
    pub fn with_networks(self, networks: usize) -> Self {
        Self { networks: networks.min(MAX_NETWORKS), ..self }
    }

    /// Whether a network of which nothing is known is said to be what such networks usually are, with a confidence of 0.
    /// Default: no; nothing is said.
    #[must_use]
    pub fn with_start_values(self, start_values: bool) -> Self {
        Self { start_values, ..self }
    }

    /// The two times for which [`Forecast`](crate::Forecast) says how likely the network is to be gone. Default 10 s and 60 s; it was
    /// fitted to these, and goes on from them for others.
    #[must_use]
    pub fn with_horizons(self, soon: Duration, later: Duration) -> Self {
        Self { horizons: [soon, later], ..self }
    }

    pub(super) fn half_life_nanos(&self) -> f64 {
        self.half_life.as_secs_f64() * 1e9
    }

    /// The class of a network by what is known of it; `None` if that is nothing.
    pub(super) fn classify(&self, rtt: Option<Duration>, downlink_kbps: Option<f64>) -> Option<EffectiveType> {
        let by_rtt = |slow: u64, two: u64, three: u64| {
            rtt.map(|rtt| match rtt {
                rtt if rtt >= Duration::from_millis(slow) => EffectiveType::Slow2g,
                rtt if rtt >= Duration::from_millis(two) => EffectiveType::TwoG,
                rtt if rtt >= Duration::from_millis(three) => EffectiveType::ThreeG,
                _ => EffectiveType::FourG,
            })
        };
        match self.thresholds {
            Thresholds::Chromium => by_rtt(2010, 1420, 272),
            Thresholds::W3c => {
                let by_downlink = downlink_kbps.map(|kbps| match kbps {
                    kbps if kbps <= 50.0 => EffectiveType::Slow2g,
                    kbps if kbps <= 70.0 => EffectiveType::TwoG,
                    kbps if kbps <= 700.0 => EffectiveType::ThreeG,
                    _ => EffectiveType::FourG,
                });
                by_rtt(2000, 1400, 270).into_iter().chain(by_downlink).min()
            }
        }
    }

    /// The downlink, bounded by what is possible with such round trips.
    pub(super) fn clamp_downlink(&self, kbps: f64, rtt: Option<Duration>) -> f64 {
        let typical = match self.classify(rtt, None) {
            Some(EffectiveType::Slow2g) => 40.0,
            Some(EffectiveType::TwoG) => 75.0,
            Some(EffectiveType::ThreeG) => 400.0,
            Some(EffectiveType::FourG) | None => return kbps,
        };
        if self.downlink_factor > 0.0 { kbps.min(typical * self.downlink_factor) } else { kbps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn classes_of_w3c() {
        let config = QualityConfig::new();
        for (rtt, kbps, expected) in [
            (None, None, None),
            (ms(2000), None, Some(EffectiveType::Slow2g)),
            (ms(1999), None, Some(EffectiveType::TwoG)),
            (ms(1400), None, Some(EffectiveType::TwoG)),
            (ms(1399), None, Some(EffectiveType::ThreeG)),
            (ms(270), None, Some(EffectiveType::ThreeG)),
            (ms(269), None, Some(EffectiveType::FourG)),
            (None, Some(50.0), Some(EffectiveType::Slow2g)),
            (None, Some(50.1), Some(EffectiveType::TwoG)),
            (None, Some(70.1), Some(EffectiveType::ThreeG)),
            (None, Some(700.1), Some(EffectiveType::FourG)),
            (ms(20), Some(60.0), Some(EffectiveType::TwoG)),
            (ms(1500), Some(9000.0), Some(EffectiveType::TwoG)),
        ] {
            assert_eq!(config.classify(rtt, kbps), expected, "{rtt:?} {kbps:?}");
        }
    }

    #[test]
    fn classes_of_chromium() {
        let config = QualityConfig::new().with_thresholds(Thresholds::Chromium);
        for (rtt, expected) in [
            (2010, EffectiveType::Slow2g),
            (2009, EffectiveType::TwoG),
            (1420, EffectiveType::TwoG),
            (1419, EffectiveType::ThreeG),
            (272, EffectiveType::ThreeG),
            (271, EffectiveType::FourG),
        ] {
            assert_eq!(config.classify(ms(rtt), Some(1.0)), Some(expected), "{rtt}");
        }
        assert_eq!(config.classify(None, Some(1.0)), None);
    }

    #[test]
    fn a_downlink_that_no_such_network_has() {
        let config = QualityConfig::new();
        for (rtt, expected) in [(2500, 140.0), (1500, 262.5), (300, 1400.0), (20, 9000.0)] {
            assert_eq!(config.clamp_downlink(9000.0, ms(rtt)), expected, "{rtt}");
        }
        assert_eq!(config.clamp_downlink(9000.0, None), 9000.0);
        assert_eq!(config.with_downlink_factor(0.0).clamp_downlink(9000.0, ms(2500)), 9000.0);
    }
}
