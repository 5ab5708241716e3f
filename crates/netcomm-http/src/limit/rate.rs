//! When the next may go: GCRA, pure. The only room that names `governor`.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use netcomm_core::Rate;

/// The longest time that is reckoned with, some 31 years: sums of a few of them fit into 64 bits of nanoseconds.
const LONGEST: u64 = 1_000_000_000_000_000_000;

/// One rate and how much of it is used up.
///
/// The arithmetic is governor's; the time is whatever it is told, and waiting is the affair of others.
pub(super) struct Meter {
    limiter: RateLimiter<NotKeyed, Mark, Hand>,
    mark: Mark,
    base: Instant,
    /// Nanoseconds from one to the next.
    step: u64,
    /// How much earlier than evenly spread one may go, in nanoseconds.
    slack: u64,
}

impl Meter {
    pub(super) fn new(rate: Rate, base: Instant) -> Self {
        // Rounded up: rather a billionth less than promised than more.
        let step = nanos(rate.per()).div_ceil(rate.count().get().into()).max(1);
        // What takes longer than that to come back need not be told from what never does.
        let burst = u32::try_from(LONGEST / step).unwrap_or(u32::MAX).min(rate.burst().get()).max(1);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(step))
            .unwrap_or_else(|| Quota::per_second(rate.count()))
            .allow_burst(burst);
        let mark = Mark::default();
        let limiter = RateLimiter::new(quota, mark.clone(), Hand::default());
        Self { limiter, mark, base, step, slack: step * u64::from(burst.get() - 1) }
    }

    /// Lets one go now.
    ///
    /// # Errors
    ///
    /// The moment at which one may go; nothing has changed.
    pub(super) fn take(&self, now: Instant) -> Result<(), Instant> {
        self.limiter.clock().0.set(self.since_base(now));
        self.limiter.check().map_err(|not_until| self.at(not_until.earliest_possible().as_u64()))
    }

    /// When one may go that comes at `from` with so many others before it.
    pub(super) fn earliest(&self, from: Instant, before: usize) -> Instant {
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        let last = self.mark.get().max(self.since_base(from));
        let turn = last.saturating_add(self.step.saturating_mul(before)).saturating_sub(self.slack);
        self.at(turn).max(from)
    }

    fn since_base(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.base))
    }

    fn at(&self, nanos: u64) -> Instant {
        let after = |nanos| self.base.checked_add(Duration::from_nanos(nanos));
        // A moment that the system's clock cannot name is as good as never.
        after(nanos).or_else(|| after(LONGEST)).unwrap_or(self.base)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST).min(LONGEST)
}

/// The hand of a clock that others move: governor reads the time itself, and here it is the time of the decision.
#[derive(Debug, Default)]
struct Hand(Cell<u64>);

impl Clock for Hand {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get().into()
    }
}

/// The theoretical arrival time of the next, which governor changes and forecasts are made of. Used under a lock; the
/// atomic is there to share it.
#[derive(Clone, Debug, Default)]
struct Mark(Arc<AtomicU64>);

impl Mark {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl StateStore for Mark {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = decide(Some(self.get().into()))?;
        self.0.store(next.into(), Ordering::Relaxed);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use nonzero_ext::nonzero;
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_each_step() {
        let base = Instant::now();
        let meter = Meter::new(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(3_u32)), base);
        // When one comes, and what it is told: how long to wait.
        for (at, wait) in [
            (0, None),
            (0, None),
            (0, None),
            (0, Some(100)),
            (50, Some(50)),
            (100, None),
            (100, Some(100)),
            (350, None),
            (350, None),
            (350, Some(50)),
            (9000, None),
            (9000, None),
            (9000, None),
            (9000, Some(100)),
        ] {
            let now = base + ms(at);
            let got = meter.take(now).err().map(|until| until - now);
            assert_eq!(got, wait.map(ms), "at {at}");
        }
    }

    #[test]
    fn a_forecast_counts_those_before() {
        let base = Instant::now();
        let meter = Meter::new(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(3_u32)), base);
        for (before, wait) in [(0, 0), (2, 0), (3, 100), (13, 1100)] {
            assert_eq!(meter.earliest(base, before) - base, ms(wait), "rested, {before} before");
        }
        for _ in 0..3 {
            assert_eq!(meter.take(base), Ok(()));
        }
        for (from, before, at) in
            [(0, 0, 100), (0, 1, 200), (150, 0, 150), (150, 1, 200), (9000, 2, 9000), (9000, 3, 9100)]
        {
            assert_eq!(meter.earliest(base + ms(from), before) - base, ms(at), "from {from}, {before} before");
        }
    }

    #[test]
    fn the_largest_and_the_smallest_values_are_borne() {
        let base = Instant::now();
        for rate in [
            Rate::new(NonZeroU32::MAX, Duration::from_nanos(1)),
            Rate::new(NonZeroU32::MIN, Duration::MAX).with_burst(NonZeroU32::MAX),
            Rate::new(NonZeroU32::MAX, Duration::MAX),
            Rate::per_second(NonZeroU32::MIN).with_burst(NonZeroU32::MAX),
        ] {
            let meter = Meter::new(rate, base);
            assert_eq!(meter.take(base), Ok(()), "{rate}");
            for at in [base, base + Duration::from_secs(1 << 33)] {
                let earliest = meter.earliest(at, usize::MAX);
                assert!(earliest >= at, "{rate}");
                assert!(meter.take(at).err().is_none_or(|until| until > at), "{rate}");
            }
        }
        // A clock that went back to before the meter was made is read as then.
        let meter = Meter::new(Rate::per_second(NonZeroU32::MIN), base + ms(500));
        assert_eq!(meter.take(base), Ok(()));
        assert_eq!(meter.take(base), Err(base + ms(1500)));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_burst_and_rate_and_a_forecast_is_what_comes(
            count in 1_u32..50, burst in 1_u32..20, gaps in prop::collection::vec(0_u64..200, 1..100),
        ) {
            let base = Instant::now();
            let count = NonZeroU32::new(count).expect("not zero");
            let rate = Rate::per_second(count).with_burst(NonZeroU32::new(burst).expect("not zero"));
            let meter = Meter::new(rate, base);
            let (mut now, mut gone) = (base, Vec::new());
            for gap in gaps {
                now += ms(gap);
                let forecast = meter.earliest(now, 0);
                match meter.take(now) {
                    Ok(()) => {
                        prop_assert_eq!(forecast, now);
                        gone.push(now);
                    }
                    Err(until) => prop_assert_eq!(forecast, until),
                }
            }
            for (first, from) in gone.iter().enumerate() {
                for (last, to) in gone.iter().enumerate().skip(first) {
                    let most = f64::from(burst) + (*to - *from).as_secs_f64() * f64::from(count.get());
                    prop_assert!((last - first + 1) as f64 <= most + 1e-6);
                }
            }
        }
    }
}
