//! A second request where the first one is slow: what the user may set, and when it is sent.

mod latency;

use std::time::Duration;

pub(crate) use self::latency::Latency;

/// Whether a safe call that is slow is sent a second time, so that the first answer of the two counts.
///
/// Only `GET`, `HEAD`, `OPTIONS` and `TRACE` are hedged, only with a body that can be sent again, and each second request
/// takes a token of the [`Budget`](netcomm_core::Budget) that repetitions live on. Breaker and limits hold for it as for
/// any other; it does not wait for them: where there is no room at once, there is no second request. Whichever answers
/// first, and is no failure, is the response; the other one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Hedge {
    after: After,
    min_delay: Duration,
    max_delay: Duration,
    min_samples: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// In hundredths.
    Percentile(u32),
    Delay(Duration),
}

impl Default for Hedge {
    fn default() -> Self {
        Self::percentile(95)
    }
}

impl Hedge {
    /// After the time within which that many of 100 calls to the origin were answered before: 95 by default. Nothing is
    /// hedged until enough is known of an origin ([`min_samples`](Self::min_samples)).
    pub fn percentile(hundredths: u32) -> Self {
        Self {
            after: After::Percentile(hundredths.min(100)),
            min_delay: Duration::from_millis(5),
            max_delay: Duration::from_secs(5),
            min_samples: 32,
        }
    }

    /// After a fixed time.
    pub fn after(delay: Duration) -> Self {
        Self { after: After::Delay(delay), ..Self::percentile(95) }
    }

    /// The least delay, whatever was learned. Default 5 ms.
    pub fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// The greatest delay, whatever was learned. Default 5 s.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How many answers must have been seen before a percentile means anything. Default 32.
    pub fn min_samples(mut self, samples: u32) -> Self {
        self.min_samples = samples.max(1);
        self
    }

    /// When the second request is sent; `None` as long as that is not known.
    pub(crate) fn delay(&self, latency: &Latency) -> Option<Duration> {
        match self.after {
            After::Delay(delay) => Some(delay),
            After::Percentile(_) if latency.count() < self.min_samples => None,
            After::Percentile(hundredths) => {
                Some(latency.percentile(hundredths)?.min(self.max_delay).max(self.min_delay))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_learned_and_bounded() {
        let millis = Duration::from_millis;
        let learned = |count: u32, took: Duration| {
            let mut latency = Latency::default();
            (0..count).for_each(|_| latency.record(took));
            latency
        };
        let hedge = Hedge::default();
        for (latency, expected) in [
            (learned(0, millis(1)), None),
            (learned(31, millis(100)), None),
            (learned(32, millis(1)), Some(millis(5)..=millis(5))),
            (learned(32, millis(100)), Some(millis(100)..=millis(120))),
            (learned(32, Duration::from_secs(60)), Some(millis(5000)..=millis(5000))),
        ] {
            let delay = hedge.delay(&latency);
            assert_eq!(delay.is_some(), expected.is_some());
            assert!(delay.zip(expected).is_none_or(|(delay, expected)| expected.contains(&delay)), "{delay:?}");
        }
        assert_eq!(Hedge::after(millis(1)).delay(&Latency::default()), Some(millis(1)), "what is fixed is not bounded");
    }
}
