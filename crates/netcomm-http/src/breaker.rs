//! When an origin is not asked any more, and when it is asked again: a state machine without I/O.

use std::time::{Duration, Instant};

use netcomm_core::{Backoff, Jitter, Random};

/// A circuit breaker for each origin: where too many calls fail, further ones fail at once, until a trial shows that the
/// origin is back.
///
/// *Closed*, all calls go through, and the failures of the last [`window`](Self::window) are counted. When at least
/// [`min_calls`](Self::min_calls) were made and [`failure_percent`](Self::failure_percent) of them failed it *opens*: calls
/// fail with [`ErrorKind::Unavailable`](netcomm_core::ErrorKind::Unavailable), which says when to come back. After a time,
/// which grows with each opening in a row, it is *half open*: [`trials`](Self::trials) calls go through, one at a time. If
/// all succeed it closes, if one fails it opens again.
///
/// What counts as a failure: no answer (connection, time, protocol), and the statuses 500, 502, 503 and 504. A 429 is none:
/// it is an answer, and limits heed it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Breaker {
    window: Duration,
    min_calls: u32,
    failure_percent: u32,
    pause: Backoff,
    trials: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_calls: 20,
            failure_percent: 50,
            pause: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)).with_jitter(Jitter::Half),
            trials: 2,
        }
    }
}

impl Breaker {
    /// Over which time calls and failures are counted. Default 10 s.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.max(Duration::from_millis(10));
        self
    }

    /// How many calls in a window mean something. Default 20; 0 is read as 1.
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls.max(1);
        self
    }

    /// From which part of failures on it opens, in hundredths. Default 50; 0 is read as 1.
    pub fn failure_percent(mut self, hundredths: u32) -> Self {
        self.failure_percent = hundredths.clamp(1, 100);
        self
    }

    /// How long it stays open, by the number of openings in a row. Default 1 s, doubled up to 10 s, of which the upper half
    /// is left to chance: an origin that is back is found out soon.
    pub fn pause(mut self, pause: Backoff) -> Self {
        self.pause = pause;
        self
    }

    /// How many trials in a row must succeed before it closes. Default 2; 0 is read as 1.
    pub fn trials(mut self, trials: u32) -> Self {
        self.trials = trials.max(1);
        self
    }
}

/// Parts of a window that are forgotten one after the other.
const SLICES: usize = 10;

/// The breaker of one origin.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    breaker: Breaker,
    state: State,
    /// How often it opened without closing in between.
    openings: u32,
    /// Which stretch of a state this is: what was admitted in an earlier one says nothing about this one.
    stretch: u32,
}

#[derive(Clone, Debug)]
enum State {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { is_tried: bool, succeeded: u32, since: Instant },
}

/// The right to ask the origin once; how it went must be [recorded](Circuit::record), or that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    stretch: u32,
}

/// A change that observers hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Opened { until: Instant },
    Closed,
}

impl Circuit {
    pub(crate) fn new(breaker: Breaker) -> Self {
        Self { breaker, state: State::Closed(Window::default()), openings: 0, stretch: 0 }
    }

    /// Whether a call may go through now.
    ///
    /// # Errors
    ///
    /// When to come back.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Instant> {
        match &mut self.state {
            State::Closed(_) => {}
            State::Open { until } if now < *until => return Err(*until),
            State::Open { .. } => {
                self.stretch = self.stretch.wrapping_add(1);
                self.state = State::HalfOpen { is_tried: true, succeeded: 0, since: now };
            }
            State::HalfOpen { is_tried: true, since, .. } => {
                // A trial that tells nothing for as long as an opening lasts is not waited for.
                let until = *since + self.breaker.pause.bound(self.openings);
                if now < until {
                    return Err(until);
                }
                *since = now;
                // Nor does it say anything any more: the next one is the trial.
                self.stretch = self.stretch.wrapping_add(1);
            }
            State::HalfOpen { is_tried, since, .. } => (*is_tried, *since) = (true, now),
        }
        Ok(Admission { stretch: self.stretch })
    }

    /// How a call went that was admitted.
    pub(crate) fn record(&mut self, admission: Admission, is_ok: bool, now: Instant, random: &Random) -> Option<Turn> {
        if admission.stretch != self.stretch {
            return None;
        }
        let breaker = self.breaker;
        match &mut self.state {
            State::Closed(window) => {
                window.add(now, breaker.window, is_ok);
                let (calls, failures) = (u64::from(window.calls()), u64::from(window.failures()));
                let is_failing = failures * 100 >= calls * u64::from(breaker.failure_percent);
                (!is_ok && calls >= u64::from(breaker.min_calls) && is_failing).then(|| self.open(now, random))
            }
            State::Open { .. } => None,
            State::HalfOpen { .. } if !is_ok => Some(self.open(now, random)),
            State::HalfOpen { is_tried, succeeded, .. } => {
                *is_tried = false;
                *succeeded += 1;
                (*succeeded >= breaker.trials).then(|| {
                    self.openings = 0;
                    self.stretch = self.stretch.wrapping_add(1);
                    self.state = State::Closed(Window::default());
                    Turn::Closed
                })
            }
        }
    }

    /// Nobody knows how a call went that was admitted: it was called off.
    pub(crate) fn abandon(&mut self, admission: Admission) {
        if let State::HalfOpen { is_tried, .. } = &mut self.state
            && admission.stretch == self.stretch
        {
            *is_tried = false;
        }
    }

    fn open(&mut self, now: Instant, random: &Random) -> Turn {
        self.openings = self.openings.saturating_add(1);
        self.stretch = self.stretch.wrapping_add(1);
        let until = now + self.breaker.pause.wait(self.openings, random);
        self.state = State::Open { until };
        Turn::Opened { until }
    }
}

/// Calls and failures of the last while, in slices.
#[derive(Clone, Debug, Default)]
struct Window {
    slices: [(u32, u32); SLICES],
    current: usize,
    /// When the current slice began.
    since: Option<Instant>,
}

impl Window {
    fn add(&mut self, now: Instant, length: Duration, is_ok: bool) {
        self.turn(now, length);
        let slice = &mut self.slices[self.current];
        slice.0 = slice.0.saturating_add(1);
        slice.1 = slice.1.saturating_add(u32::from(!is_ok));
    }

    /// Forgets what is older than the window.
    fn turn(&mut self, now: Instant, length: Duration) {
        let slice = length / SLICES as u32;
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since).as_nanos() / slice.as_nanos().max(1);
        if passed == 0 {
            return;
        }
        let turns = usize::try_from(passed).unwrap_or(SLICES).min(SLICES);
        for _ in 0..turns {
            self.current = (self.current + 1) % SLICES;
            self.slices[self.current] = (0, 0);
        }
        let steps = u32::try_from(passed).ok();
        self.since = Some(steps.and_then(|steps| since.checked_add(slice * steps)).unwrap_or(now));
    }

    fn calls(&self) -> u32 {
        self.slices.iter().fold(0, |sum, slice| sum.saturating_add(slice.0))
    }

    fn failures(&self) -> u32 {
        self.slices.iter().fold(0, |sum, slice| sum.saturating_add(slice.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Stage {
        circuit: Circuit,
        random: Random,
        start: Instant,
    }

    impl Stage {
        fn new(breaker: Breaker) -> Self {
            let breaker = breaker.pause(Backoff::new(SECOND, 4 * SECOND).with_jitter(Jitter::None));
            Self { circuit: Circuit::new(breaker), random: Random::seeded(1), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        /// One call: `Err` with milliseconds if it was refused.
        fn call(&mut self, millis: u64, is_ok: bool) -> Result<Option<Turn>, u128> {
            let now = self.at(millis);
            let admission = self.circuit.admit(now).map_err(|until| (until - self.start).as_millis())?;
            Ok(self.circuit.record(admission, is_ok, now, &self.random))
        }

        fn opened(&self, millis: u64) -> Result<Option<Turn>, u128> {
            Ok(Some(Turn::Opened { until: self.at(millis) }))
        }
    }

    #[test]
    fn it_opens_by_the_part_of_failures_once_there_are_enough() {
        let mut stage = Stage::new(Breaker::default().min_calls(4).failure_percent(50));
        assert_eq!([stage.call(0, false), stage.call(0, false), stage.call(0, false)], [Ok(None); 3], "too few");
        assert_eq!(stage.call(0, true), Ok(None), "a success opens nothing");
        assert_eq!(stage.call(1, false), stage.opened(1001));
        assert_eq!(stage.call(1000, true), Err(1001), "refused, with the time to come back");

        let mut stage = Stage::new(Breaker::default().min_calls(4).failure_percent(50));
        for _ in 0..50 {
            assert_eq!(
                (stage.call(0, true), stage.call(0, true), stage.call(0, false)),
                (Ok(None), Ok(None), Ok(None))
            );
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut stage = Stage::new(Breaker::default().min_calls(3).window(SECOND));
        assert_eq!([stage.call(0, false), stage.call(50, false)], [Ok(None); 2]);
        assert_eq!(stage.call(1100, false), Ok(None), "the two are forgotten");
        assert_eq!(stage.call(1150, false), Ok(None));
        assert_eq!(stage.call(1200, false), stage.opened(2200));
        let mut stage = Stage::new(Breaker::default().min_calls(2).window(SECOND));
        assert_eq!(stage.call(0, false), Ok(None));
        assert_eq!(stage.call(999, false), stage.opened(1999), "within the window all counts");
    }

    #[test]
    fn trials_go_one_at_a_time_and_close_it_together() {
        let mut stage = Stage::new(Breaker::default().min_calls(1).trials(2));
        assert_eq!(stage.call(0, false), stage.opened(1000));
        assert_eq!(stage.call(999, true), Err(1000));
        let first = stage.circuit.admit(stage.at(1000)).expect("a trial");
        assert_eq!(stage.call(1100, true), Err(2000), "one at a time");
        let now = stage.at(1200);
        assert_eq!(stage.circuit.record(first, true, now, &stage.random), None, "one of two");
        assert_eq!(stage.call(1300, true), Ok(Some(Turn::Closed)));
        assert_eq!(stage.call(1300, true), Ok(None));
    }

    #[test]
    fn a_trial_that_fails_opens_it_for_longer_and_a_close_forgets_that() {
        let mut stage = Stage::new(Breaker::default().min_calls(1).trials(1));
        assert_eq!(stage.call(0, false), stage.opened(1000));
        assert_eq!(stage.call(1000, false), stage.opened(3000));
        assert_eq!(stage.call(3000, false), stage.opened(7000));
        assert_eq!(stage.call(7000, false), stage.opened(11_000), "at most four seconds");
        assert_eq!(stage.call(11_000, true), Ok(Some(Turn::Closed)));
        assert_eq!(stage.call(11_001, false), stage.opened(12_001));
    }

    #[test]
    fn what_was_admitted_before_says_nothing_about_now() {
        let mut stage = Stage::new(Breaker::default().min_calls(1).trials(1));
        let [early, late] = [0, 0].map(|millis| stage.circuit.admit(stage.at(millis)).expect("closed"));
        assert_eq!(stage.call(0, false), stage.opened(1000));
        let now = stage.at(10);
        assert_eq!(stage.circuit.record(early, false, now, &stage.random), None, "it is open already");
        let trial = stage.circuit.admit(stage.at(1000)).expect("a trial");
        let now = stage.at(1100);
        assert_eq!(stage.circuit.record(late, true, now, &stage.random), None, "no trial, no vote");
        assert_eq!(stage.call(1200, true), Err(2000), "the trial is still under way");
        stage.circuit.abandon(early);
        assert_eq!(stage.call(1200, true), Err(2000));
        stage.circuit.abandon(trial);
        assert_eq!(stage.call(1200, true), Ok(Some(Turn::Closed)), "a trial that was called off makes room");
    }

    #[test]
    fn a_trial_that_never_ends_does_not_hold_the_circuit_open() {
        let mut stage = Stage::new(Breaker::default().min_calls(1).trials(1));
        assert_eq!(stage.call(0, false), stage.opened(1000));
        let lost = stage.circuit.admit(stage.at(1000)).expect("a trial");
        assert_eq!(stage.call(1999, true), Err(2000));
        assert_eq!(stage.call(2000, true), Ok(Some(Turn::Closed)));
        let now = stage.at(2100);
        assert_eq!(stage.circuit.record(lost, false, now, &stage.random), None);
    }

    #[test]
    fn a_trial_that_is_not_waited_for_makes_no_room_when_it_ends() {
        let mut stage = Stage::new(Breaker::default().min_calls(1).trials(2));
        assert_eq!(stage.call(0, false), stage.opened(1000));
        let lost = stage.circuit.admit(stage.at(1000)).expect("a trial");
        stage.circuit.admit(stage.at(2000)).expect("the next");
        stage.circuit.abandon(lost);
        assert_eq!(stage.call(2100, true), Err(3000), "the next is under way");
    }

    #[test]
    fn jumps_of_time_are_survived() {
        let mut stage = Stage::new(Breaker::default().min_calls(2));
        assert_eq!(stage.call(0, false), Ok(None));
        assert_eq!(stage.call(1 << 40, false), Ok(None));
        assert_eq!(stage.call(1 << 40, false), stage.opened((1 << 40) + 1000));
    }
}
