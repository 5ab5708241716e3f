//! How often word of changes is passed on: the first at once, then so seldom that a storm of them does no harm.

use std::time::{Duration, Instant};

/// Lets one change through per gap of time. The first passes at once; what comes in the gap after it passes, as the latest of
/// it, when the gap is over. Endless changes do not put it off: the moment stands when the first of them comes.
///
/// Pure: it is told the time and holds a moment and a duration. Whoever asks keeps the latest state.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use netcomm_monitor::{Pace, Passing};
///
/// let mut pace = Pace::default();
/// let start = Instant::now();
/// assert_eq!(pace.offer(start), Passing::Now);
/// let due = start + Pace::DEFAULT_GAP;
/// assert_eq!(pace.offer(start + Duration::from_millis(100)), Passing::At(due));
/// assert_eq!(pace.offer(due), Passing::Now);
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    gap: Duration,
    passed: Option<Instant>,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// It passes. The next gap begins.
    Now,
    /// Whatever is the latest then is to be offered again at that moment.
    At(Instant),
}

impl Pace {
    /// The gap unless another is set: 250 ms.
    pub const DEFAULT_GAP: Duration = Duration::from_millis(250);

    /// The longest gap: an hour.
    pub const MAX_GAP: Duration = Duration::from_secs(3600);

    /// Lets one change through per `gap`, at most [`MAX_GAP`](Self::MAX_GAP). Zero lets everything through.
    #[must_use]
    pub const fn new(gap: Duration) -> Self {
        let gap = if gap.as_nanos() > Self::MAX_GAP.as_nanos() { Self::MAX_GAP } else { gap };
        Self { gap, passed: None }
    }

    /// A change comes at `now`, or one that had to wait comes again.
    pub fn offer(&mut self, now: Instant) -> Passing {
        match self.passed.and_then(|passed| passed.checked_add(self.gap)) {
            Some(due) if now < due => Passing::At(due),
            _ => {
                self.passed = Some(now);
                Passing::Now
            }
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(Self::DEFAULT_GAP)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn at_once_then_once_per_gap() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(250));
        assert_eq!(pace.offer(start), Passing::Now);
        for late in [0, 1, 100, 249] {
            assert_eq!(pace.offer(ms(start, late)), Passing::At(ms(start, 250)), "{late}");
        }
        assert_eq!(pace.offer(ms(start, 250)), Passing::Now);
        assert_eq!(pace.offer(ms(start, 251)), Passing::At(ms(start, 500)));
        assert_eq!(pace.offer(ms(start, 9000)), Passing::Now, "after silence at once");
    }

    #[test]
    fn bounds_of_the_gap() {
        let start = Instant::now();
        let mut none = Pace::new(Duration::ZERO);
        assert_eq!((none.offer(start), none.offer(start)), (Passing::Now, Passing::Now));
        let mut endless = Pace::new(Duration::MAX);
        assert_eq!(endless.offer(start), Passing::Now);
        assert_eq!(endless.offer(start), Passing::At(start + Pace::MAX_GAP));
    }

    /// An owner as it is meant: a change is kept, offered, and offered again when it was told.
    fn passes(changes: &[u64], gap: u64) -> Vec<(u64, usize)> {
        let start = Instant::now();
        let since = |at: Instant| u64::try_from(at.duration_since(start).as_millis()).expect("a short test");
        let mut pace = Pace::new(Duration::from_millis(gap));
        let (mut kept, mut timer, mut passed) = (None, None, Vec::new());
        let mut offer = |at: u64, kept: &mut Option<usize>, passed: &mut Vec<_>| match pace.offer(ms(start, at)) {
            Passing::Now => {
                passed.extend(kept.take().map(|change| (at, change)));
                None
            }
            Passing::At(due) => Some(since(due)),
        };
        for (change, &at) in changes.iter().enumerate() {
            while let Some(due) = timer.filter(|due| *due <= at) {
                timer = offer(due, &mut kept, &mut passed);
            }
            kept = Some(change);
            timer = offer(at, &mut kept, &mut passed);
        }
        while let Some(due) = timer {
            timer = offer(due, &mut kept, &mut passed);
        }
        passed
    }

    proptest! {
        #[test]
        fn whatever_comes(gaps in prop::collection::vec(0_u64..400, 1..200), gap in 1_u64..300) {
            let changes: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let passed = passes(&changes, gap);
            prop_assert_eq!(passed[0].0, changes[0], "the first at once");
            prop_assert!(passed.windows(2).all(|two| two[1].0 - two[0].0 >= gap), "at most one per gap");
            prop_assert_eq!(passed.last().expect("one at least").1, changes.len() - 1, "the latest gets through");
            for (change, at) in changes.iter().enumerate() {
                let seen = passed.iter().find(|(_, latest)| *latest >= change).expect("each is seen");
                prop_assert!(seen.0 - at <= gap, "nobody starves");
            }
        }
    }
}
