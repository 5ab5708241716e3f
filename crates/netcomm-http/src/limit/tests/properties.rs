//! What must hold whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

/// What happens next; numbers choose among those whom it may befall.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One comes that waits so many milliseconds.
    Come(u64),
    /// One that waits leaves.
    Leave(usize),
    /// One that has passed is done. In the second case whoever is woken is dropped before it looks.
    Done(usize, bool),
    /// Milliseconds pass.
    Pass(u64),
    /// The server wants to be left alone for so many milliseconds.
    Hold(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..3000).prop_map(Step::Come),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(which, drops)| Step::Done(which, drops)),
        4 => (0_u64..600).prop_map(Step::Pass),
        1 => (0_u64..800).prop_map(Step::Hold),
    ]
}

/// The rules, kept by heart: what the gate must have done.
struct Model {
    clock: ManualClock,
    gate: Arc<Gate>,
    limit: Option<usize>,
    rate: Option<(Duration, u32)>,
    /// When shares of the rate went, those lost by whoever left in the moment of being called included.
    spent: Vec<Instant>,
    held: Option<Instant>,
    /// In the order in which they came.
    waiting: Vec<(Instant, Caller)>,
    permits: Vec<Permit>,
}

impl Model {
    fn new(limit: Option<usize>, rate: Option<(u32, u32)>) -> Self {
        let of = |count| std::num::NonZeroU32::new(count).expect("not zero");
        let clock = ManualClock::new();
        let concurrency = limit.map(|limit| Concurrency::fixed(std::num::NonZeroUsize::new(limit).expect("not zero")));
        let terms = rate.map(|(count, burst)| Rate::per_second(of(count)).with_burst(of(burst)));
        let gate = gate(&clock, terms, concurrency);
        let rate = rate.map(|(count, burst)| (Duration::from_nanos(1_000_000_000_u64.div_ceil(count.into())), burst));
        Self { clock, gate, limit, rate, spent: Vec::new(), held: None, waiting: Vec::new(), permits: Vec::new() }
    }

    /// When the next may go by rate and hold: a leaky bucket, reckoned anew from all that went.
    fn free_at(&self) -> Instant {
        let now = self.clock.now();
        let held = self.held.map_or(now, |held| held.max(now));
        let Some((each, burst)) = self.rate else { return held };
        let full = self
            .spent
            .iter()
            .fold(None, |full: Option<Instant>, spent| Some(full.map_or(*spent, |full| full.max(*spent)) + each));
        full.and_then(|full| full.checked_sub(each * (burst - 1))).map_or(held, |free| free.max(held))
    }

    fn has_place(&self) -> bool {
        self.limit.is_none_or(|limit| self.permits.len() < limit)
    }

    /// Polls whoever is woken until nobody is, and checks each outcome.
    fn settle(&mut self) {
        while let Some(at) = self.waiting.iter().position(|(_, caller)| caller.is_woken()) {
            let now = self.clock.now();
            let Some(outcome) = self.waiting[at].1.poll() else { continue };
            let (until, _) = self.waiting.remove(at);
            match outcome {
                Ok(permit) => {
                    assert!(now <= until, "it passed when its time was over");
                    assert!(self.has_place(), "more under way than may be");
                    assert!(self.free_at() <= now, "too early by rate or hold");
                    self.spent.push(now);
                    self.permits.push(permit);
                }
                Err(error) => match error.kind() {
                    // Others that left since may have made room, so that only the first is held to its reason.
                    ErrorKind::Busy if at == 0 => assert!(self.free_at() > until || now >= until, "{error}"),
                    ErrorKind::Busy => {}
                    kind => assert!(kind == ErrorKind::Timeout && now >= until, "{error}"),
                },
            }
        }
        let now = self.clock.now();
        assert!(self.waiting.iter().all(|(until, _)| *until > now), "one waits longer than it may");
        if self.waiting.is_empty() || !self.has_place() {
            return;
        }
        // Who could go has gone, and who is first has a timer for its turn.
        let turn = self.free_at();
        assert!(turn > now, "the first in line could pass");
        let alarm = self.clock.next_sleep().map(|wait| now + wait);
        assert!(alarm.is_some_and(|alarm| alarm <= turn), "nobody will look when its turn comes");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Come(patience) => {
                let until = self.clock.now() + ms(patience);
                self.waiting.push((until, Caller::new(&self.gate, until)));
            }
            Step::Leave(which) if !self.waiting.is_empty() => {
                let which = which % self.waiting.len();
                drop(self.waiting.remove(which));
            }
            Step::Done(which, drops) if !self.permits.is_empty() => {
                let which = which % self.permits.len();
                drop(self.permits.swap_remove(which));
                let called = |model: &Self| model.gate.with_books(|books| books.called());
                while let Some(at) = self.waiting.iter().position(|(_, caller)| drops && caller.is_woken()) {
                    let before = called(self);
                    drop(self.waiting.remove(at));
                    // The next may have been called by that, with a share of its own.
                    if before > 0 {
                        self.spent.push(self.clock.now());
                        let again = called(self) == before;
                        if !again {
                            break;
                        }
                    }
                }
            }
            Step::Pass(millis) => {
                let end = self.clock.now() + ms(millis);
                while let Some(wait) = self.clock.next_sleep().filter(|wait| self.clock.now() + *wait <= end) {
                    self.clock.advance(wait);
                    self.settle();
                }
                self.clock.advance(end.saturating_duration_since(self.clock.now()));
            }
            Step::Hold(millis) => {
                let at = self.clock.now() + ms(millis);
                self.gate.hold_until(at);
                self.held = self.held.max(Some(at));
            }
            Step::Leave(_) | Step::Done(..) => {}
        }
        self.settle();
        let used = self.limit.map_or(0, |_| self.permits.len());
        assert_eq!(self.gate.with_books(|books| books.counts()), (used, self.waiting.len()));
    }
}

fn run(limit: Option<usize>, rate: Option<(u32, u32)>, steps: Vec<Step>) {
    let mut model = Model::new(limit, rate);
    for step in steps {
        model.step(step);
    }
    // Time heals everything: at the end all have passed or given up.
    while !model.waiting.is_empty() {
        model.permits.clear();
        model.settle();
        model.step(Step::Pass(100));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn places_alone(limit in 1_usize..5, steps in prop::collection::vec(step(), 1..80)) {
        run(Some(limit), None, steps);
    }

    #[test]
    fn a_rate_alone(count in 1_u32..20, burst in 1_u32..5, steps in prop::collection::vec(step(), 1..80)) {
        run(None, Some((count, burst)), steps);
    }

    #[test]
    fn both(limit in 1_usize..5, count in 1_u32..20, burst in 1_u32..5, steps in prop::collection::vec(step(), 1..80)) {
        run(Some(limit), Some((count, burst)), steps);
    }

    #[test]
    fn neither(steps in prop::collection::vec(step(), 1..40)) {
        run(None, None, steps);
    }
}
