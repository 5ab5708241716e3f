//! Who passes now: the rate, the places, the server's wish and the line together. Pure: the time is what it is told.

use std::task::Waker;
use std::time::Instant;

use netcomm_core::Rate;

use super::Verdict;
use super::adaptive::Aimd;
use super::concurrency::{Concurrency, Kind, MAX_WAITING};
use super::line::{Line, Standing, Ticket};
use super::rate::Meter;
use super::refusal::{Barrier, Refusal};

/// What somebody who passes takes along, and brings back where places are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// In which round of the adaptive limit it began.
    pub(super) round: u32,
}

/// The state of one gate.
pub(super) struct Books {
    meter: Option<Meter>,
    places: Option<Places>,
    /// Nobody passes before.
    held: Option<Instant>,
    line: Line,
    max_waiting: usize,
}

/// Wakers that are to be used, and those that are of no use any more. Both only after the lock is given back: waking, and
/// even dropping a waker, may run the code of others.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    wake: Vec<Waker>,
    useless: Option<Waker>,
}

impl Wakes {
    /// At most one waker is useless in each step.
    fn discard(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            debug_assert!(self.useless.is_none(), "a waker would be dropped under the lock");
            self.useless = waker;
        }
    }

    pub(super) fn run(self) {
        self.wake.into_iter().for_each(Waker::wake);
    }
}

/// What became of somebody who came or who looks again.
#[derive(Debug)]
pub(super) enum Turn<W> {
    Passed(Pass),
    Waits(W),
    Refused(Refusal),
}

impl Books {
    pub(super) fn new(rate: Option<Rate>, concurrency: Option<Concurrency>, now: Instant) -> Self {
        Self {
            meter: rate.map(|rate| Meter::new(rate, now)),
            places: concurrency.map(|concurrency| Places::new(concurrency.kind)),
            held: None,
            line: Line::default(),
            max_waiting: concurrency.map_or(MAX_WAITING, |concurrency| concurrency.max_waiting),
        }
    }

    /// Lets one pass, if it may go now and nobody waits.
    pub(super) fn try_pass(&mut self, now: Instant) -> Option<Pass> {
        if self.line.is_empty() { self.admit(now).ok() } else { None }
    }

    /// One has come: it passes, has no hope, or joins the line; then it learns when its turn is, as far as that is known
    /// and if nobody before it leaves.
    pub(super) fn join(&mut self, now: Instant, until: Instant, wakes: &mut Wakes) -> Turn<(Ticket, Instant)> {
        self.pump(now, wakes);
        if let Some(pass) = self.try_pass(now) {
            return Turn::Passed(pass);
        }
        if let Some(refusal) = self.hopeless(now, until) {
            return Turn::Refused(refusal);
        }
        if until <= now {
            // What time alone would mend was looked at above.
            return Turn::Refused(Refusal::Hopeless { barrier: Barrier::Places, at: None, before: self.line.len() });
        }
        if self.line.len() >= self.max_waiting {
            return Turn::Refused(Refusal::Crowded { waiting: self.line.len() });
        }
        let turn = self.forecast(now).unwrap_or(until);
        Turn::Waits((self.line.join(until), turn))
    }

    /// Why one that came now could not make it until then, as far as that is known.
    pub(super) fn hopeless(&self, now: Instant, until: Instant) -> Option<Refusal> {
        let before = self.line.len();
        let from = self.held_until(now).unwrap_or(now);
        let turn = self.meter.as_ref().map_or(from, |meter| meter.earliest(from, before));
        if turn <= until {
            return None;
        }
        let barrier = if from > until { Barrier::Held } else { Barrier::Rate };
        Some(Refusal::Hopeless { barrier, at: Some(turn), before })
    }

    /// When one that came now would have its turn at the earliest, if that is a matter of time.
    pub(super) fn forecast(&self, now: Instant) -> Option<Instant> {
        let from = self.held_until(now).unwrap_or(now);
        let turn = self.meter.as_ref().map_or(from, |meter| meter.earliest(from, self.line.len()));
        Some(turn).filter(|turn| *turn > now)
    }

    /// One in line looks whether it is its turn. Otherwise it is told when to look again at the latest, woken or not: if it
    /// is the first, at its turn, else at `backstop`.
    pub(super) fn look(
        &mut self,
        ticket: Ticket,
        now: Instant,
        (until, backstop): (Instant, Instant),
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> Turn<Instant> {
        let known = self.line.take_waker(ticket);
        self.pump(now, wakes);
        let turn = match self.line.standing(ticket) {
            Standing::Called(pass) => {
                wakes.discard(known);
                return Turn::Passed(pass);
            }
            Standing::Out => {
                wakes.discard(known);
                return Turn::Refused(self.lost_hope(now, until));
            }
            Standing::First => self.next_turn(now),
            Standing::Waiting => None,
        };
        let too_late = turn.filter(|(_, at)| *at > until);
        if now >= until || too_late.is_some() {
            wakes.discard(known);
            self.leave(ticket, now, wakes);
            return Turn::Refused(match too_late {
                Some((barrier, at)) => Refusal::Hopeless { barrier, at: Some(at), before: 0 },
                None => self.lost_hope(now, until),
            });
        }
        let again = turn.map_or(backstop, |(_, at)| at).min(until);
        match known {
            Some(known) if known.will_wake(waker) => self.line.settle(ticket, known, again),
            _ => {
                wakes.discard(known);
                self.line.settle(ticket, waker.clone(), again);
            }
        }
        Turn::Waits(again)
    }

    /// One in line does not want any more.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Instant, wakes: &mut Wakes) {
        let (pass, waker) = self.line.leave(ticket);
        wakes.discard(waker);
        if let Some(pass) = pass {
            self.give_back(pass, Verdict::Neither);
        }
        self.pump(now, wakes);
    }

    /// One that passed is done. Whether somebody waits, so that it is time to [`pump`](Self::pump).
    #[must_use]
    pub(super) fn release(&mut self, pass: Pass, verdict: Verdict) -> bool {
        self.give_back(pass, verdict);
        !self.line.is_empty()
    }

    /// Nobody passes before `at`.
    pub(super) fn hold_until(&mut self, at: Instant, wakes: &mut Wakes) {
        if self.held.is_some_and(|held| held >= at) {
            return;
        }
        self.held = Some(at);
        wakes.wake.append(&mut self.line.drop_impatient(at));
    }

    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held.filter(|held| *held > now)
    }

    /// Lets pass who may, in their order, and sees to it that whoever is first then knows when its turn is.
    pub(super) fn pump(&mut self, now: Instant, wakes: &mut Wakes) {
        while let Some(until) = self.line.first_until() {
            if until < now {
                // It has given up, and would have said so had anybody asked it.
                wakes.wake.extend(self.line.drop_first().and_then(|(_, waker)| waker));
                continue;
            }
            match self.admit(now) {
                Ok(pass) => wakes.wake.extend(self.line.call_first(pass)),
                Err(_) => break,
            }
        }
        if let Some((_, turn)) = self.next_turn(now) {
            wakes.wake.extend(self.line.first_if_late(turn));
        }
    }

    /// Lets one go now, or says what keeps it. What is found out first costs nothing.
    fn admit(&mut self, now: Instant) -> Result<Pass, Barrier> {
        if self.held_until(now).is_some() {
            return Err(Barrier::Held);
        }
        if self.places.as_ref().is_some_and(Places::is_full) {
            return Err(Barrier::Places);
        }
        if let Some(meter) = &self.meter {
            meter.take(now).map_err(|_| Barrier::Rate)?;
        }
        Ok(Pass { round: self.places.as_mut().map_or(0, Places::enter) })
    }

    /// When the first in line has its turn, and what it waits for; `None` if that is a place.
    fn next_turn(&self, now: Instant) -> Option<(Barrier, Instant)> {
        let held = self.held_until(now);
        let from = held.unwrap_or(now);
        if held.is_none() && self.places.as_ref().is_some_and(Places::is_full) {
            return None;
        }
        let turn = self.meter.as_ref().map_or(from, |meter| meter.earliest(from, 0));
        Some((if turn > from { Barrier::Rate } else { Barrier::Held }, turn))
    }

    /// Why one that hoped does so no more.
    fn lost_hope(&self, now: Instant, until: Instant) -> Refusal {
        match self.held.filter(|held| *held > until) {
            Some(held) => Refusal::Hopeless { barrier: Barrier::Held, at: Some(held.max(now)), before: 0 },
            None => Refusal::TimedOut,
        }
    }

    fn give_back(&mut self, pass: Pass, verdict: Verdict) {
        if let Some(places) = &mut self.places {
            places.leave(pass.round, verdict);
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.places.as_ref().map_or(0, |places| places.used), self.line.len())
    }

    /// How many were called and have not looked yet.
    #[cfg(test)]
    pub(super) fn called(&self) -> usize {
        self.line.called()
    }

    #[cfg(test)]
    pub(super) fn limit(&self) -> usize {
        self.places.as_ref().map_or(usize::MAX, |places| places.limit)
    }
}

/// How many are under way, and how many may be.
struct Places {
    used: usize,
    limit: usize,
    aimd: Option<Aimd>,
}

impl Places {
    fn new(kind: Kind) -> Self {
        let aimd = match kind {
            Kind::Fixed(limit) => return Self { used: 0, limit: limit.get(), aimd: None },
            Kind::Adaptive(bounds) => Aimd::new(bounds),
        };
        Self { used: 0, limit: aimd.limit(), aimd: Some(aimd) }
    }

    fn is_full(&self) -> bool {
        self.used >= self.limit
    }

    fn enter(&mut self) -> u32 {
        self.used += 1;
        self.aimd.as_ref().map_or(0, Aimd::round)
    }

    fn leave(&mut self, round: u32, verdict: Verdict) {
        if let Some(aimd) = &mut self.aimd {
            aimd.finished(verdict, round, self.used);
            self.limit = aimd.limit();
        }
        self.used = self.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nonzero_ext::nonzero;

    use super::*;
    use crate::limit::concurrency::Adaptive;

    /// What is asked of a gate, and when in milliseconds.
    struct Bench {
        start: Instant,
        books: Books,
    }

    impl Bench {
        fn new(rate: Option<Rate>, concurrency: Option<Concurrency>) -> Self {
            let start = Instant::now();
            Self { start, books: Books::new(rate, concurrency, start) }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        /// One comes at `now` that waits until then. In words: what becomes of it.
        fn join(&mut self, now: u64, until: u64) -> String {
            let (now, until) = (self.at(now), self.at(until));
            match self.books.join(now, until, &mut Wakes::default()) {
                Turn::Passed(_) => "passes".into(),
                Turn::Waits((ticket, _)) => format!("waits {ticket}"),
                Turn::Refused(refusal) => self.words(refusal),
            }
        }

        fn look(&mut self, ticket: Ticket, now: u64, until: u64) -> String {
            let (now, until) = (self.at(now), self.at(until));
            match self.books.look(ticket, now, (until, until), Waker::noop(), &mut Wakes::default()) {
                Turn::Passed(_) => "passes".into(),
                Turn::Waits(again) => format!("looks again at {}", (again - self.start).as_millis()),
                Turn::Refused(refusal) => self.words(refusal),
            }
        }

        fn words(&self, refusal: Refusal) -> String {
            match refusal {
                Refusal::Hopeless { barrier, at, before } => {
                    let at = at.map(|at| (at - self.start).as_millis());
                    format!("no: {barrier:?} {at:?} {before}")
                }
                Refusal::Crowded { waiting } => format!("crowd of {waiting}"),
                Refusal::TimedOut => "timed out".into(),
            }
        }
    }

    #[test]
    fn one_that_comes() {
        let ten = Some(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(2_u32)));
        let one = Some(Concurrency::fixed(nonzero!(1_usize)).with_max_waiting(2));
        // By rate: two go at once, then one each 100 ms.
        let mut gate = Bench::new(ten, None);
        for (now, until, outcome) in [
            (0, 0, "passes"),
            (0, 0, "passes"),
            (0, 99, "no: Rate Some(100) 0"),
            (0, 100, "waits 0"),
            (0, 199, "no: Rate Some(200) 1"),
            (0, 5000, "waits 1"),
            (60, 299, "no: Rate Some(300) 2"),
        ] {
            assert_eq!(gate.join(now, until), outcome, "at {now} until {until}");
        }
        // By places: nobody knows when.
        let mut gate = Bench::new(None, one);
        for (now, until, outcome) in [
            (0, 0, "passes"),
            (0, 0, "no: Places None 0"),
            (0, 1, "waits 0"),
            (0, 9, "waits 1"),
            (0, 9, "crowd of 2"),
            (5, 5, "no: Places None 1"),
        ] {
            assert_eq!(gate.join(now, until), outcome, "at {now} until {until}");
        }
        // By the server.
        let mut gate = Bench::new(ten, None);
        gate.books.hold_until(gate.at(1000), &mut Wakes::default());
        gate.books.hold_until(gate.at(500), &mut Wakes::default());
        for (now, until, outcome) in [
            (0, 999, "no: Held Some(1000) 0"),
            (0, 1000, "waits 0"),
            (0, 1000, "waits 1"),
            (0, 1000, "no: Rate Some(1100) 2"),
            (0, 999, "no: Held Some(1100) 2"),
            (0, 1100, "waits 2"),
        ] {
            assert_eq!(gate.join(now, until), outcome, "at {now} until {until}");
        }
    }

    #[test]
    fn one_that_looks_again() {
        let ten = Some(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(1_u32)));
        let mut gate = Bench::new(ten, None);
        assert_eq!(
            (gate.join(0, 0), gate.join(0, 150), gate.join(0, 900)),
            ("passes".into(), "waits 0".into(), "waits 1".into())
        );
        assert_eq!(gate.look(0, 0, 150), "looks again at 100");
        assert_eq!(gate.look(1, 0, 900), "looks again at 900", "its turn is not its affair yet");
        assert_eq!(gate.look(1, 100, 900), "looks again at 200", "whoever looks calls all whose turn it is");
        assert_eq!(gate.look(0, 120, 150), "passes");
        gate.books.hold_until(gate.at(500), &mut Wakes::default());
        assert_eq!(gate.look(1, 200, 900), "looks again at 500");
        gate.books.hold_until(gate.at(901), &mut Wakes::default());
        assert_eq!(gate.look(1, 210, 900), "no: Held Some(901) 0");
    }

    #[test]
    fn a_turn_that_moved_beyond_hope_is_told_at_once() {
        let rate = Some(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(1_u32)));
        let mut gate = Bench::new(rate, Some(Concurrency::fixed(nonzero!(1_usize))));
        for expected in ["passes", "waits 0", "waits 1"] {
            assert_eq!(gate.join(0, 320), expected);
        }
        // The one before kept its place until 250, so that the next turn by rate is only at 350.
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
        assert_eq!(gate.look(0, 250, 320), "passes");
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
        assert_eq!(gate.look(1, 260, 320), "no: Rate Some(350) 0");
        assert_eq!(gate.books.counts(), (0, 0));
    }

    #[test]
    fn time_runs_out() {
        let mut gate = Bench::new(None, Some(Concurrency::fixed(nonzero!(1_usize))));
        for expected in ["passes", "waits 0", "waits 1"] {
            assert_eq!(gate.join(0, 10), expected);
        }
        assert_eq!(gate.look(0, 10, 10), "timed out");
        // Whoever does not look is not waited for.
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
        assert_eq!(gate.join(11, 11), "passes");
        assert_eq!(gate.look(1, 11, 10), "timed out");
        assert_eq!(gate.books.counts(), (1, 0));
    }

    #[test]
    fn nobody_slips_past_those_who_wait() {
        let mut gate = Bench::new(None, Some(Concurrency::fixed(nonzero!(1_usize))));
        assert_eq!((gate.join(0, 10), gate.join(0, 10)), ("passes".into(), "waits 0".into()));
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
        assert!(gate.books.try_pass(gate.at(1)).is_none());
        assert_eq!(gate.look(0, 1, 10), "passes");
    }

    #[test]
    fn a_limit_that_grows_lets_more_pass_and_one_that_shrinks_waits_until_it_is_kept() {
        let bounds = Adaptive::default().with_initial(nonzero!(2_usize));
        let mut gate = Bench::new(None, Some(Concurrency::adaptive_with(bounds)));
        for expected in ["passes", "passes", "waits 0", "waits 1", "waits 2"] {
            assert_eq!(gate.join(0, 10), expected);
        }
        let mut wakes = Wakes::default();
        for _ in 0..2 {
            let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
            gate.books.pump(gate.at(1), &mut wakes);
        }
        assert_eq!((gate.books.limit(), gate.books.counts()), (2, (2, 1)));
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Fine);
        gate.books.pump(gate.at(1), &mut wakes);
        assert_eq!((gate.books.limit(), gate.books.counts()), (3, (2, 0)));
        for _ in 0..2 {
            gate.join(1, 10);
        }
        let _ = gate.books.release(Pass { round: 0 }, Verdict::Overloaded);
        gate.books.pump(gate.at(2), &mut wakes);
        assert_eq!((gate.books.limit(), gate.books.counts()), (2, (2, 1)), "one too many is waited for");
    }
}
