//! What samples are judged by as they come: medians that may be some seconds old, so that a sample costs no sorting.

use std::time::{Duration, Instant};

use super::samples::{Samples, Weigh, Weighted};

/// How old they may be.
const FRESH: Duration = Duration::from_secs(10);

/// The medians of the kinds of round trips, as they were lately. Reckoned anew after 10 s, and as soon as there are half as
/// many samples more of a kind.
#[derive(Debug)]
pub(super) struct Medians {
    at: Option<Instant>,
    counts: [usize; 3],
    values: [Option<u64>; 3],
    /// Room for sorting.
    sorted: Weighted,
}

impl Medians {
    /// None yet, and room for that many samples of a kind.
    pub(super) fn new(samples: usize) -> Self {
        Self { at: None, counts: [0; 3], values: [None; 3], sorted: Weighted::with_capacity(samples) }
    }

    /// Those of the given kinds, in their order.
    pub(super) fn of(&mut self, at: Instant, weigh: Weigh, kinds: [&Samples; 3]) -> [Option<u64>; 3] {
        let is_fresh = self.at.is_some_and(|before| before <= at && at.saturating_duration_since(before) < FRESH);
        let has_grown = kinds.iter().zip(self.counts).any(|(samples, count)| samples.len() > count + count / 2);
        if !is_fresh || has_grown {
            self.at = Some(at);
            for ((samples, count), value) in kinds.into_iter().zip(&mut self.counts).zip(&mut self.values) {
                *count = samples.len();
                self.sorted.fill(samples, weigh);
                *value = self.sorted.median();
            }
        }
        self.values
    }

    /// They are of what is no more.
    pub(super) fn clear(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::QualityConfig;
    use super::super::samples::{Ring, Sample};
    use super::*;

    #[test]
    fn reckoned_anew_after_ten_seconds_and_when_there_is_more() {
        let (at, mut medians, mut samples) = (Instant::now(), Medians::new(300), Ring::new(300));
        let empty = Ring::new(300);
        let mut told = |medians: &mut Medians, at: Instant, value: u64| {
            samples.push(Sample { at, value, signal: None });
            medians.of(at, Weigh::new(&QualityConfig::new(), at, None), [&samples, &empty, &empty])[0]
        };
        assert_eq!(told(&mut medians, at, 8), Some(8));
        assert_eq!(told(&mut medians, at, 2), Some(2), "twice as many");
        assert_eq!(told(&mut medians, at, 3), Some(2), "a half more");
        assert_eq!(told(&mut medians, at, 4), Some(3));
        assert_eq!(told(&mut medians, at + FRESH, 9), Some(4));
        assert_eq!(told(&mut medians, at + FRESH, 9), Some(4));
        medians.clear();
        assert_eq!(told(&mut medians, at + FRESH, 9), Some(8));
    }
}
