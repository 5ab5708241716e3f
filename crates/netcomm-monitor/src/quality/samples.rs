//! The last samples of a kind, and their weighted percentiles.

use std::time::{Duration, Instant};

use super::QualityConfig;

/// The last values of a kind with their times, bounded; the oldest goes first. All room is taken at the beginning.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: Vec<T>,
    capacity: usize,
    next: usize,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity), capacity, next: 0 }
    }

    pub(super) fn push(&mut self, item: T) {
        if self.items.len() < self.capacity {
            self.items.push(item);
            return;
        }
        if let Some(slot) = self.items.get_mut(self.next) {
            *slot = item;
        }
        self.next = if self.next + 1 == self.capacity { 0 } else { self.next + 1 };
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.next = 0;
    }

    /// In the order in which they came.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let (later, earlier) = self.items.split_at(self.next);
        earlier.iter().chain(later)
    }
}

/// One measurement: nanoseconds, or bits per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) value: u64,
    pub(super) signal: Option<u8>,
}

pub(super) type Samples = Ring<Sample>;

/// A duration in nanoseconds; what is longer than 584 years is that.
pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

/// What a sample counts now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weigh {
    at: Instant,
    signal: Option<u8>,
    half_life_nanos: f64,
    signal_factor: f64,
}

impl Weigh {
    pub(super) fn new(config: &QualityConfig, at: Instant, signal: Option<u8>) -> Self {
        Self { at, signal, half_life_nanos: config.half_life_nanos(), signal_factor: config.signal_factor }
    }

    /// By its age alone; what comes from the future is new.
    pub(super) fn age(&self, at: Instant) -> f64 {
        let age = nanos(self.at.saturating_duration_since(at)) as f64;
        (-age / self.half_life_nanos).exp2().clamp(f64::MIN_POSITIVE, 1.0)
    }

    fn sample(&self, sample: &Sample) -> f64 {
        let signal = match (self.signal, sample.signal) {
            (Some(now), Some(then)) => self.signal_factor.powi(i32::from(now.abs_diff(then))),
            _ => 1.0,
        };
        (self.age(sample.at) * signal).clamp(f64::MIN_POSITIVE, 1.0)
    }
}

/// Samples in order of their values, each with its weight.
#[derive(Debug)]
pub(super) struct Weighted {
    items: Vec<(u64, f64)>,
    total: f64,
}

impl Weighted {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity), total: 0.0 }
    }

    pub(super) fn of(samples: &Samples, weigh: Weigh) -> Self {
        let mut weighted = Self::with_capacity(samples.len());
        weighted.fill(samples, weigh);
        weighted
    }

    /// Takes other samples, and keeps its room for them.
    pub(super) fn fill(&mut self, samples: &Samples, weigh: Weigh) {
        self.items.clear();
        self.items.extend(samples.items.iter().map(|sample| (sample.value, weigh.sample(sample))));
        // By weight too, so that sums are the same whatever came first.
        self.items.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        self.total = self.items.iter().map(|item| item.1).sum();
    }

    /// How many fresh samples they are worth together.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The least value that, with all below it, has that share of the weight.
    pub(super) fn percentile(&self, share: f64) -> Option<u64> {
        let wanted = self.total * share.clamp(0.0, 1.0);
        let mut sum = 0.0;
        let found = self.items.iter().find(|item| {
            sum += item.1;
            sum >= wanted
        });
        found.or_else(|| self.items.last()).map(|item| item.0)
    }

    pub(super) fn median(&self) -> Option<u64> {
        self.percentile(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[(u64, u64)], now: Instant) -> Samples {
        let mut samples = Ring::new(300);
        for (ago, value) in values {
            samples.push(Sample { at: now - Duration::from_secs(*ago), value: *value, signal: None });
        }
        samples
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10_000)
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut ring = Ring::new(3);
        for item in 0..5 {
            ring.push(item);
        }
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        ring.clear();
        ring.push(9);
        assert_eq!((ring.len(), ring.iter().copied().collect::<Vec<_>>()), (1, vec![9]));
    }

    #[test]
    fn a_sample_counts_half_after_a_minute() {
        let (now, config) = (later(), QualityConfig::new());
        let weigh = Weigh::new(&config, now, None);
        for (ago, expected) in [(0, 1.0), (60, 0.5), (120, 0.25), (600, 1.0 / 1024.0)] {
            assert!((weigh.age(now - Duration::from_secs(ago)) - expected).abs() < 1e-12, "{ago}");
        }
        assert_eq!(weigh.age(now + Duration::from_secs(9)), 1.0);
        let old = Weigh::new(&config, now + Duration::from_secs(100_000_000), None);
        assert_eq!(old.age(now), f64::MIN_POSITIVE);
    }

    #[test]
    fn another_signal_counts_less() {
        let (now, config) = (later(), QualityConfig::new());
        let weigh = Weigh::new(&config, now, Some(4));
        for (signal, expected) in [(Some(4), 1.0), (Some(3), 0.8), (Some(0), 0.4096), (None, 1.0)] {
            let weight = weigh.sample(&Sample { at: now, value: 1, signal });
            assert!((weight - expected).abs() < 1e-12, "{signal:?}");
        }
    }

    #[test]
    fn the_median_follows_what_is_new() {
        let (now, config) = (later(), QualityConfig::new());
        let weigh = Weigh::new(&config, now, None);
        let median = |values: &[(u64, u64)]| Weighted::of(&samples(values, now), weigh).median();
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[(0, 7)]), Some(7));
        assert_eq!(median(&[(0, 1), (0, 2), (0, 3)]), Some(2));
        // Three old ones are worth 3/8, one new one is worth 1.
        assert_eq!(median(&[(180, 100), (180, 101), (180, 102), (0, 5)]), Some(5));
        assert_eq!(median(&[(180, 1), (180, 2), (180, 3), (0, 5)]), Some(5));
    }

    #[test]
    fn percentiles() {
        let (now, config) = (later(), QualityConfig::new());
        let values: Vec<_> = (1..=100).map(|value| (0, value)).collect();
        let weighted = Weighted::of(&samples(&values, now), Weigh::new(&config, now, None));
        for (share, expected) in [(0.0, 1), (0.01, 1), (0.5, 50), (0.95, 95), (1.0, 100), (7.0, 100)] {
            assert_eq!(weighted.percentile(share), Some(expected), "{share}");
        }
    }

    #[test]
    fn durations_that_no_number_holds() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(nanos(Duration::new(1, 5)), 1_000_000_005);
    }
}
