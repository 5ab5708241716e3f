//! Whether the machine was asleep: the clock that goes on in sleep runs ahead of the one that does not.

use std::fmt;
use std::time::Duration;

/// The two clocks that tell sleep, each since a moment of its own.
pub trait SleepClock: Send + 'static {
    /// The time that stands still while the machine sleeps; `None` where the system has no such clock.
    fn awake(&mut self) -> Option<Duration>;

    /// The time that goes on while the machine sleeps; `None` where the system has no such clock.
    fn elapsed(&mut self) -> Option<Duration>;
}

/// Sees that the machine was asleep since it was asked last.
///
/// It costs three readings of a clock and has no timer of its own. Ask it whenever something else wakes you, and at least
/// every [`CHECK_EVERY`](Self::CHECK_EVERY).
///
/// A process that was merely stopped, for however long, was not asleep: both clocks went on. Sleeps shorter than 300 ms are
/// kept until together they are that long.
pub struct SleepWatch {
    clock: Box<dyn SleepClock>,
    seen: Option<Duration>,
}

impl SleepWatch {
    /// How often to ask if nothing else happens: 15 s.
    pub const CHECK_EVERY: Duration = Duration::from_secs(15);

    /// Asks the system's clocks. On Linux, with the feature `netlink`; elsewhere it sees nothing.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemClocks)
    }

    /// Asks those clocks. From now on: what was slept before does not count.
    #[must_use]
    pub fn new(clock: impl SleepClock) -> Self {
        let mut watch = Self { clock: Box::new(clock), seen: None };
        watch.seen = watch.ahead();
        watch
    }

    /// How long the machine slept since this was asked last; `None` if it did not, or if it cannot be told now.
    #[must_use]
    pub fn check(&mut self) -> Option<Duration> {
        let ahead = self.ahead()?;
        let Some(seen) = self.seen else {
            self.seen = Some(ahead);
            return None;
        };
        let slept = ahead.saturating_sub(seen);
        if slept < THRESHOLD {
            return None;
        }
        self.seen = Some(ahead);
        Some(slept)
    }

    /// How far the clock that goes on is ahead. Whoever is stopped between two readings would see a sleep that never
    /// was, so the one is read between two of the other, and believed if these are near each other.
    fn ahead(&mut self) -> Option<Duration> {
        for _ in 0..TRIES {
            let before = self.clock.awake()?;
            let elapsed = self.clock.elapsed()?;
            if self.clock.awake()?.saturating_sub(before) <= NEAR {
                return elapsed.checked_sub(before);
            }
        }
        None
    }
}

impl fmt::Debug for SleepWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepWatch").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Shorter than any sleep that breaks connections, and far longer than what two readings are apart.
const THRESHOLD: Duration = Duration::from_millis(300);
/// How near two readings must be for the one between them to be believed.
const NEAR: Duration = Duration::from_millis(20);
/// How often they are read anew; then it is left to the next time.
const TRIES: u32 = 4;

struct SystemClocks;

#[cfg(all(target_os = "linux", feature = "netlink"))]
impl SleepClock for SystemClocks {
    fn awake(&mut self) -> Option<Duration> {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).ok()
    }

    fn elapsed(&mut self) -> Option<Duration> {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Boottime)).ok()
    }
}

#[cfg(not(all(target_os = "linux", feature = "netlink")))]
impl SleepClock for SystemClocks {
    fn awake(&mut self) -> Option<Duration> {
        None
    }

    fn elapsed(&mut self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Readings in the order in which they are made: awake, elapsed, awake.
    struct Script(VecDeque<Option<u64>>);

    impl SleepClock for Script {
        fn awake(&mut self) -> Option<Duration> {
            self.0.pop_front().flatten().map(Duration::from_millis)
        }

        fn elapsed(&mut self) -> Option<Duration> {
            self.awake()
        }
    }

    fn watch(readings: &[[u64; 3]]) -> SleepWatch {
        SleepWatch::new(Script(readings.iter().flatten().copied().map(Some).collect()))
    }

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_sleep_is_seen_once() {
        let mut watch = watch(&[
            [1000, 5000, 1000],
            [2000, 6000, 2000],
            [2001, 66_001, 2001],
            [3000, 67_000, 3000],
            [3001, 68_001, 3001],
        ]);
        assert_eq!(watch.check(), None);
        assert_eq!(watch.check(), ms(60_000));
        assert_eq!(watch.check(), None, "told already");
        assert_eq!(watch.check(), ms(1000));
    }

    #[test]
    fn short_sleeps_add_up() {
        let mut watch = watch(&[[0, 0, 0], [10, 160, 10], [20, 319, 20], [30, 331, 30]]);
        assert_eq!((watch.check(), watch.check(), watch.check()), (None, None, ms(301)));
    }

    #[test]
    fn a_stopped_process_did_not_sleep() {
        // Stopped for a minute between two checks; between the first two readings; between the last two.
        let mut watch = watch(&[
            [0, 0, 0],
            [60_000, 60_000, 60_000],
            [60_000, 120_000, 120_000],
            [120_000, 120_000, 120_000],
            [120_000, 120_000, 180_000],
            [180_000, 180_000, 180_001],
        ]);
        assert_eq!((watch.check(), watch.check(), watch.check()), (None, None, None));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_next_time() {
        let busy = [[0, 1000, 1000]; 4];
        let mut watch = watch(&[&[[0, 0, 0]][..], &busy, &[[1000, 4000, 1000]]].concat());
        assert_eq!((watch.check(), watch.check()), (None, ms(3000)));
        let mut none = SleepWatch::new(Script(VecDeque::new()));
        assert_eq!((none.check(), none.check()), (None, None));
        let mut late = SleepWatch::new(Script([None, Some(0), Some(900), Some(0)].into()));
        assert_eq!((late.check(), late.check()), (None, None), "the first reading only sets the mark");
    }

    #[test]
    fn clocks_that_go_backwards_do_no_harm() {
        let mut watch = watch(&[[0, 5000, 0], [10, 5, 10], [20, 25, 20]]);
        assert_eq!((watch.check(), watch.check()), (None, None));
    }

    #[test]
    fn this_machine_does_not_sleep_meanwhile() {
        assert_eq!(SleepWatch::system().check(), None);
    }
}
