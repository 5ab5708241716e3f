//! How often something may be done: plain data.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// So many in so much time, spread evenly, with a burst: what a token bucket or GCRA is set to.
///
/// After a rest, [`burst`](Self::burst) may go at once; after that one goes each [`per`](Self::per) /
/// [`count`](Self::count). In any span of time `t` that is never more than `burst + count * t / per`.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// use netcomm_core::Rate;
///
/// let ten = NonZeroU32::new(10).ok_or("zero")?;
/// let rate = Rate::per_second(ten);
/// assert_eq!((rate.count(), rate.per(), rate.burst()), (ten, Duration::from_secs(1), ten));
/// assert_eq!(rate.with_burst(NonZeroU32::MIN).to_string(), "10 per 1s, 1 at once");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
    burst: NonZeroU32,
}

impl Rate {
    /// `count` in each `per`, and as many at once. A `per` of zero is read as one nanosecond.
    #[must_use]
    pub const fn new(count: NonZeroU32, per: Duration) -> Self {
        let per = if per.is_zero() { Duration::from_nanos(1) } else { per };
        Self { count, per, burst: count }
    }

    /// `count` in each second, and as many at once.
    #[must_use]
    pub const fn per_second(count: NonZeroU32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// `count` in each minute, and as many at once.
    #[must_use]
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// The same rate with `burst` at once after a rest. Default: the count.
    ///
    /// What waits for its turn is woken by a timer, and timers come late by up to a millisecond. A burst of more than one
    /// makes up for it; with a burst of one, less than the rate gets through where it is above some hundreds a second.
    #[must_use]
    pub const fn with_burst(self, burst: NonZeroU32) -> Self {
        Self { burst, ..self }
    }

    /// How many go in each [`per`](Self::per).
    #[must_use]
    pub const fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// The time in which [`count`](Self::count) may go. Never zero.
    #[must_use]
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// How many may go at once after a rest.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.count, self.per)?;
        if self.burst != self.count {
            write!(f, ", {} at once", self.burst)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_says_what_it_was_made_of() {
        let of = |count| NonZeroU32::new(count).expect("not zero");
        for (rate, count, per, burst, text) in [
            (Rate::per_second(of(10)), 10, Duration::from_secs(1), 10, "10 per 1s"),
            (Rate::per_minute(of(90)), 90, Duration::from_secs(60), 90, "90 per 60s"),
            (Rate::per_minute(of(90)).with_burst(of(3)), 90, Duration::from_secs(60), 3, "90 per 60s, 3 at once"),
            (Rate::new(of(1), Duration::ZERO), 1, Duration::from_nanos(1), 1, "1 per 1ns"),
        ] {
            assert_eq!((rate.count(), rate.per(), rate.burst()), (of(count), per, of(burst)));
            assert_eq!(rate.to_string(), text);
        }
    }
}
