//! How long an origin takes, learned from traffic: pure.

use std::time::Duration;

/// Steps to the double: bounds of neighbours are 19 % apart.
const PER_OCTAVE: u32 = 4;
/// The first bound, in microseconds.
const FLOOR_MICROS: u64 = 64;
/// From 64 µs to an hour; the last step holds what is longer too.
const STEPS: usize = 26 * PER_OCTAVE as usize;
/// When that many were seen, each counts half: what was seen long ago is forgotten.
const MEMORY: u32 = 1024;

/// A histogram of times with steps that grow by a fixed factor. 420 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    counts: [u32; STEPS],
    total: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: [0; STEPS], total: 0 }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        if self.total >= MEMORY {
            for count in &mut self.counts {
                *count /= 2;
            }
            self.total = self.counts.iter().sum();
        }
        self.counts[step(took)] += 1;
        self.total += 1;
    }

    /// How many are remembered.
    pub(crate) fn count(&self) -> u32 {
        self.total
    }

    /// The time that this part of all (in hundredths) did not exceed, rounded up to the bound of a step; `None` if
    /// nothing is known.
    pub(crate) fn percentile(&self, hundredths: u32) -> Option<Duration> {
        let rank = (u64::from(self.total) * u64::from(hundredths.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        self.counts
            .iter()
            .position(|count| {
                seen += u64::from(*count);
                seen >= rank
            })
            .map(bound)
    }
}

/// In which step a time falls: the first whose bound it does not exceed.
fn step(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    // The octave tells four steps, of which the bounds tell one.
    let octave = (micros / FLOOR_MICROS).checked_ilog2().unwrap_or(0);
    let first = ((octave * PER_OCTAVE) as usize).min(STEPS - 1);
    (first..STEPS - 1).find(|&step| took <= bound(step)).unwrap_or(STEPS - 1)
}

fn bound(step: usize) -> Duration {
    /// 2^(n/4) in 65536ths.
    const ROOTS: [u64; PER_OCTAVE as usize] = [65_536, 77_936, 92_682, 110_218];
    let (octave, quarter) = (step / PER_OCTAVE as usize, step % PER_OCTAVE as usize);
    Duration::from_micros(((FLOOR_MICROS << octave) * ROOTS[quarter]) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn every_time_falls_in_the_step_that_holds_it() {
        let mut micros = 1_u64;
        while micros < 3_600_000_000 {
            let took = Duration::from_micros(micros);
            let at = step(took);
            assert!(took <= bound(at), "{took:?} in step {at}, up to {:?}", bound(at));
            assert!(at == 0 || took > bound(at - 1), "{took:?} in step {at}, from {:?}", bound(at - 1));
            micros += micros / 7 + 1;
        }
        assert_eq!(step(Duration::MAX), STEPS - 1);
        assert_eq!(step(Duration::ZERO), 0);
    }

    #[test]
    fn percentiles_are_at_most_a_fifth_too_long() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(95), None);
        for millis in 1..=100 {
            latency.record(millis * MILLI);
        }
        assert_eq!(latency.count(), 100);
        for hundredths in [0, 1, 50, 95, 99, 100, 1000] {
            let exact = hundredths.clamp(1, 100) * MILLI;
            let told = latency.percentile(hundredths).expect("known");
            assert!(told >= exact && told <= exact.mul_f64(1.2), "{hundredths}: {told:?} for {exact:?}");
        }
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut latency = Latency::default();
        for _ in 0..2000 {
            latency.record(Duration::from_secs(2));
        }
        for _ in 0..4000 {
            latency.record(MILLI);
        }
        assert!(latency.percentile(95).expect("known") < 2 * MILLI);
        assert!(latency.count() <= MEMORY);
    }
}
