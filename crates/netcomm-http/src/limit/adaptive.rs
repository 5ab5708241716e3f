//! How many at a time, where that is found out by trying: additive increase, multiplicative decrease. Pure.

use super::Verdict;
use super::concurrency::Adaptive;

/// What is left of the limit after an overload.
const CUT: f64 = 0.75;

/// A limit that follows what the server bears.
///
/// Round trips are told apart without a clock: whatever was begun before the last cut says nothing about the limit after
/// it, so each attempt carries the round in which it was begun.
#[derive(Debug)]
pub(super) struct Aimd {
    limit: f64,
    min: f64,
    max: f64,
    round: u32,
}

impl Aimd {
    pub(super) fn new(bounds: Adaptive) -> Self {
        let (min, max) = (bounds.min.get() as f64, bounds.max.max(bounds.min).get() as f64);
        Self { limit: (bounds.initial.get() as f64).clamp(min, max), min, max, round: 0 }
    }

    /// How many at a time now; never less than one.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// What an attempt that begins now carries.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// An attempt has ended that began in `round`, while `used` were under way, itself included.
    pub(super) fn finished(&mut self, verdict: Verdict, round: u32, used: usize) {
        if round != self.round {
            return;
        }
        match verdict {
            // A limit that nobody reaches was not put to the test.
            Verdict::Fine if used >= self.limit() => self.limit = (self.limit + 1.0 / self.limit).min(self.max),
            Verdict::Overloaded => {
                self.limit = (self.limit * CUT).max(self.min);
                self.round = self.round.wrapping_add(1);
            }
            Verdict::Fine | Verdict::Neither => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::Verdict::{Fine, Neither, Overloaded};
    use super::*;

    fn aimd(min: usize, initial: usize, max: usize) -> Aimd {
        let of = |count| NonZeroUsize::new(count).expect("not zero");
        Aimd::new(Adaptive::default().with_min(of(min)).with_initial(of(initial)).with_max(of(max)))
    }

    #[test]
    fn one_step_at_a_time() {
        // The limit, the verdict, the rounds ago it began, how many were under way; the limit after it.
        for (limit, verdict, ago, used, after) in [
            (10, Fine, 0, 10, 10.1),
            (10, Fine, 0, 14, 10.1),
            (10, Fine, 0, 9, 10.0),
            (10, Fine, 1, 10, 10.0),
            (10, Neither, 0, 10, 10.0),
            (10, Overloaded, 0, 10, 7.5),
            (10, Overloaded, 0, 1, 7.5),
            (10, Overloaded, 1, 10, 10.0),
            (100, Fine, 0, 100, 100.0),
            (2, Overloaded, 0, 2, 2.0),
        ] {
            let mut aimd = aimd(2, limit, 100);
            aimd.round = 7;
            aimd.finished(verdict, 7 - ago, used);
            let close = (aimd.limit - after).abs() < 1e-9;
            assert!(close, "{limit} {verdict:?} {ago} {used}: {}", aimd.limit);
        }
    }

    #[test]
    fn one_more_for_each_round_trip_in_which_all_places_were_used() {
        let mut aimd = aimd(1, 10, 100);
        for _ in 0..11 {
            aimd.finished(Fine, aimd.round(), aimd.limit());
        }
        assert_eq!(aimd.limit(), 11);
    }

    #[test]
    fn a_crowd_that_is_turned_away_at_once_cuts_once() {
        let mut aimd = aimd(1, 64, 100);
        let round = aimd.round();
        for used in (1..=64).rev() {
            aimd.finished(Overloaded, round, used);
        }
        assert_eq!(aimd.limit(), 48);
        // What began after the cut, and is turned away still, cuts again.
        aimd.finished(Overloaded, aimd.round(), 48);
        assert_eq!(aimd.limit(), 36);
    }

    #[test]
    fn it_stays_within_its_bounds_whatever_they_are() {
        for (min, initial, max, expected) in [(1, 16, 256, 16), (20, 16, 256, 20), (1, 300, 256, 256), (8, 1, 4, 8)] {
            assert_eq!(aimd(min, initial, max).limit(), expected, "{min} {initial} {max}");
        }
        let mut least = aimd(1, 1, 4);
        for _ in 0..100 {
            least.finished(Overloaded, least.round(), 1);
            assert_eq!(least.limit(), 1);
        }
        for _ in 0..100 {
            least.finished(Fine, least.round(), 4);
        }
        assert_eq!(least.limit(), 4);
    }

    #[test]
    fn it_settles_around_what_the_server_bears() {
        // A server that bears 40 at a time and turns the others away, asked by more than that all the time.
        let mut aimd = aimd(1, 4, 256);
        let mut seen = Vec::new();
        for _ in 0..400 {
            let (limit, round) = (aimd.limit(), aimd.round());
            for at in 0..limit {
                aimd.finished(if at < 40 { Fine } else { Overloaded }, round, limit);
            }
            seen.push(aimd.limit());
        }
        let settled = &seen[100..];
        assert!(settled.iter().all(|limit| (29..=41).contains(limit)), "{settled:?}");
    }
}
