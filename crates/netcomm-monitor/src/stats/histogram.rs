//! Histograms that many threads fill: one of few buckets for export, one of many for percentiles.

use std::array;
use std::time::Duration;

use super::counter::Counter;
use super::scale::{ENDS, Scale, nanos};
use super::snapshot::{Histogram, Latency};

/// Few buckets: 128 bytes.
#[derive(Debug)]
pub(super) struct Buckets {
    counts: [Counter; ENDS + 1],
    sum: Counter,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { counts: array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl Buckets {
    #[inline]
    pub(super) fn record(&self, scale: Scale, value: u64) {
        let at = scale.ends().partition_point(|end| *end < value);
        self.counts[at].one();
        self.sum.add(value);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().map(Counter::get).sum()
    }

    pub(super) fn pour(&self, into: &Self) {
        self.counts.iter().zip(&into.counts).for_each(|(from, into)| from.pour(into));
        self.sum.pour(&into.sum);
    }

    pub(super) fn add_to(&self, sum: &mut Sum) {
        self.counts.iter().zip(&mut sum.counts).for_each(|(from, into)| *into += from.get());
        sum.sum = sum.sum.wrapping_add(self.sum.get());
    }

    pub(super) fn snapshot(&self, scale: Scale) -> Histogram {
        let mut sum = Sum::default();
        self.add_to(&mut sum);
        sum.told(scale)
    }
}

/// Several of them together.
#[derive(Debug, Default)]
pub(super) struct Sum {
    counts: [u64; ENDS + 1],
    sum: u64,
}

impl Sum {
    pub(super) fn told(&self, scale: Scale) -> Histogram {
        Histogram::new(scale, self.counts, self.sum)
    }
}

/// Steps of an octave.
const STEPS: u64 = 16;
/// The unit of the first steps, which are all alike, as a power of two of nanoseconds: 256 ns.
const UNIT_BITS: u32 = 8;
/// Octaves above the first steps; the last one ends at 73 minutes.
const OCTAVES: usize = 30;
/// All steps: 3.9 KiB.
pub(super) const ALL_STEPS: usize = STEPS as usize * (OCTAVES + 1);

/// Many steps, each a sixteenth of its octave: what lies in a step is known within 3.2 %, from 4 µs to 73 minutes.
#[derive(Debug)]
pub(super) struct Steps(Box<[Counter]>);

impl Default for Steps {
    fn default() -> Self {
        Self((0..ALL_STEPS).map(|_| Counter::default()).collect())
    }
}

impl Steps {
    #[inline]
    pub(super) fn record(&self, nanos: u64) {
        // The number of a step is below their number by construction; `get` keeps that from being a panic.
        if let Some(step) = self.0.get(step_of(nanos)) {
            step.one();
        }
    }

    pub(super) fn pour(&self, into: &Self) {
        self.0.iter().zip(&into.0).for_each(|(from, into)| from.pour(into));
    }

    /// Adds what was counted to the counts of others.
    pub(super) fn add_to(&self, counts: &mut [u64]) {
        counts.iter_mut().zip(&self.0).for_each(|(count, step)| *count += step.get());
    }
}

#[inline]
fn step_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    if units < STEPS {
        return units as usize;
    }
    let octave = units.ilog2() - STEPS.ilog2();
    let step = (units >> octave) - STEPS;
    let at = (u64::from(octave) + 1) * STEPS + step;
    (at as usize).min(ALL_STEPS - 1)
}

/// The middle of a step, in nanoseconds.
fn middle_of(step: usize) -> u64 {
    let step = step as u64;
    if step < STEPS {
        return (step << UNIT_BITS) + (1 << (UNIT_BITS - 1));
    }
    let octave = step / STEPS - 1;
    let low = (STEPS + step % STEPS) << octave << UNIT_BITS;
    low + (1 << octave << UNIT_BITS) / 2
}

/// The value below which that part of all values lies, as near as the steps tell.
pub(super) fn quantile(counts: &[u64], part: f64) -> Option<Duration> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = ((part.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total);
    let mut seen = 0;
    let step = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    })?;
    Some(Duration::from_nanos(middle_of(step)))
}

/// Both histograms of a latency: 4.1 KiB.
#[derive(Debug, Default)]
pub(super) struct Timing {
    buckets: Buckets,
    steps: Steps,
}

impl Timing {
    #[inline]
    pub(super) fn record(&self, took: Duration) {
        let nanos = nanos(took);
        self.buckets.record(Scale::Request, nanos);
        self.steps.record(nanos);
    }

    pub(super) fn snapshot(&self) -> Latency {
        let mut counts = vec![0; ALL_STEPS];
        self.steps.add_to(&mut counts);
        Latency::new(self.buckets.snapshot(Scale::Request), counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_narrow_and_holds_its_middle() {
        for nanos in (0..62).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3]) {
            let step = step_of(nanos);
            if step == ALL_STEPS - 1 {
                assert!(nanos > 3600 * 1_000_000_000);
                continue;
            }
            assert_eq!(step_of(middle_of(step)), step, "{nanos}");
            if nanos >= 4096 {
                let error = (middle_of(step) as f64 - nanos as f64).abs() / nanos as f64;
                assert!(error < 0.033, "{nanos} is told as {}", middle_of(step));
            }
        }
        assert_eq!(step_of(u64::MAX), ALL_STEPS - 1);
    }

    #[test]
    fn steps_follow_each_other() {
        let firsts: Vec<u64> = (0..ALL_STEPS).map(middle_of).collect();
        assert!(firsts.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn quantiles_of_a_known_distribution() {
        let timing = Timing::default();
        (1..=10_000_u64).for_each(|micros| timing.record(Duration::from_micros(micros * 10)));
        let latency = timing.snapshot();
        for (part, micros) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (1.0, 100_000.0), (0.0, 10.0)] {
            let told = latency.quantile(part).unwrap().as_secs_f64() * 1e6;
            assert!((told / micros - 1.0).abs() < 0.05, "{part}: {told} instead of {micros}");
        }
        assert_eq!(Timing::default().snapshot().quantile(0.5), None);
    }

    #[test]
    fn a_value_at_the_end_of_a_bucket_lies_in_it() {
        let buckets = Buckets::default();
        for millis in [0, 5, 6, 10_000, 10_001] {
            buckets.record(Scale::Request, millis * 1_000_000);
        }
        let told = buckets.snapshot(Scale::Request);
        assert_eq!((told.count, told.sum), (5, 20.012));
        assert_eq!(told.buckets[0].count, 2);
        assert_eq!(told.buckets[1].count, 3);
        assert_eq!(told.buckets[13].count, 4, "what is above the last end is in `count` alone");
    }
}
