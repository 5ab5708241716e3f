//! Gates on a clock that stands still: fairness, cancellation, and what must hold whatever happens.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use netcomm_core::{Clock, ErrorKind, Phase, Rate, Result, Scope, Stage};
use netcomm_tests::{ManualClock, TokioClock};
use nonzero_ext::nonzero;

use super::gate::Permit;
use super::*;

mod properties;

fn finish(mut permit: Permit, verdict: Verdict) {
    permit.judge(verdict);
}

/// Set when woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Passing = Pin<Box<dyn Future<Output = Result<Permit>> + Send>>;

/// One who wants to pass, polled by hand and only when woken: a wake-up that is lost is lost here.
struct Caller {
    passing: Passing,
    woken: Arc<Flag>,
}

impl Caller {
    fn new(gate: &Arc<Gate>, until: Instant) -> Self {
        let gate = Arc::clone(gate);
        Self { passing: Box::pin(async move { gate.pass(until).await }), woken: Arc::new(Flag(AtomicBool::new(true))) }
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// What came of it, if it was woken and something did.
    fn poll(&mut self) -> Option<Result<Permit>> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.passing.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn gate(clock: &ManualClock, rate: Option<Rate>, concurrency: Option<Concurrency>) -> Arc<Gate> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Gate::new(rate, concurrency, &clock)
}

fn passed(outcome: Option<Result<Permit>>) -> Permit {
    outcome.expect("something came of it").expect("it passed")
}

fn refusal(outcome: Option<Result<Permit>>) -> (ErrorKind, String) {
    let error = outcome.expect("something came of it").expect_err("it was refused");
    assert_eq!((error.phase(), error.stage()), (Some(Phase::Blocked), Some(Stage::Limit)));
    assert!(error.is_unsent());
    (error.kind(), error.detail().unwrap_or_default().to_owned())
}

#[test]
fn first_come_first_served() {
    let clock = ManualClock::new();
    let gate = gate(&clock, None, Some(Concurrency::fixed(nonzero!(2_usize))));
    let until = clock.now() + secs(9);
    let mut permits: VecDeque<_> = (0..2).map(|_| gate.try_pass(clock.now()).expect("a place is free")).collect();
    let mut callers: Vec<_> = (0..5).map(|_| Caller::new(&gate, until)).collect();
    assert!(callers.iter_mut().all(|caller| caller.poll().is_none()));
    for next in 0..5 {
        drop(permits.pop_front());
        assert!(gate.try_pass(clock.now()).is_none(), "nobody slips past those who wait");
        let woken: Vec<_> = (0..5).filter(|at| callers[*at].is_woken()).collect();
        assert_eq!(woken, [next]);
        permits.push_back(passed(callers[next].poll()));
    }
    drop(permits);
    assert_eq!(gate.with_books(|books| books.counts()), (0, 0));
    assert!(gate.try_pass(clock.now()).is_some());
}

#[test]
fn turns_come_by_rate_and_only_the_first_has_a_timer_for_its_own() {
    let clock = ManualClock::new();
    let gate = gate(&clock, Some(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(1_u32))), None);
    let until = clock.now() + secs(9);
    drop(gate.try_pass(clock.now()).expect("rested"));
    let mut callers: Vec<_> = (0..4).map(|_| Caller::new(&gate, until)).collect();
    assert!(callers.iter_mut().all(|caller| caller.poll().is_none()));
    for next in 0..4 {
        assert_eq!(clock.next_sleep(), Some(ms(100)));
        clock.advance_to_next();
        let woken: Vec<_> = (0..4).filter(|at| callers[*at].is_woken()).collect();
        assert_eq!(woken, [next]);
        drop(passed(callers[next].poll()));
    }
    assert_eq!(clock.elapsed(), ms(400));
}

#[test]
fn one_that_waits_and_is_not_polled_keeps_nobody_else() {
    let clock = ManualClock::new();
    let gate = gate(&clock, Some(Rate::per_second(nonzero!(10_u32)).with_burst(nonzero!(1_u32))), None);
    let until = clock.now() + secs(9);
    drop(gate.try_pass(clock.now()).expect("rested"));
    let mut callers: Vec<_> = (0..3).map(|_| Caller::new(&gate, until)).collect();
    assert!(callers.iter_mut().all(|caller| caller.poll().is_none()));
    clock.advance(ms(100));
    clock.advance(ms(100));
    assert!(callers[1].is_woken());
    assert!(callers[1].poll().is_none(), "the one before goes first, and has its share of the rate");
    clock.advance(ms(100));
    drop(passed(callers[1].poll()));
    drop(passed(callers[0].poll()));
}

#[test]
fn whoever_leaves_makes_room_in_every_state() {
    let clock = ManualClock::new();
    let now = clock.now();
    // Never polled; in line; called and not polled yet; passed.
    for state in 0..4 {
        let gate = gate(&clock, None, Some(Concurrency::fixed(nonzero!(1_usize))));
        let permit = gate.try_pass(now).expect("a place is free");
        let (mut leaves, mut stays) = (Caller::new(&gate, now + secs(9)), Caller::new(&gate, now + secs(9)));
        if state > 0 {
            assert!(leaves.poll().is_none());
        }
        assert!(stays.poll().is_none());
        match state {
            0 | 1 => {
                drop(leaves);
                assert!(!stays.is_woken(), "{state}");
                drop(permit);
            }
            2 => {
                drop(permit);
                assert!(leaves.is_woken() && !stays.is_woken());
                drop(leaves);
            }
            _ => {
                drop(permit);
                let permit = passed(leaves.poll());
                assert!(!stays.is_woken());
                drop(leaves);
                assert!(!stays.is_woken(), "the place is the permit's");
                drop(permit);
            }
        }
        drop(passed(stays.poll()));
        assert_eq!(gate.with_books(|books| books.counts()), (0, 0), "{state}");
    }
}

#[test]
fn the_next_in_line_moves_up_in_time_where_the_first_leaves() {
    let clock = ManualClock::new();
    let gate = gate(&clock, Some(Rate::per_second(nonzero!(1_u32))), None);
    let until = clock.now() + secs(9);
    drop(gate.try_pass(clock.now()).expect("rested"));
    let (mut first, mut second) = (Caller::new(&gate, until), Caller::new(&gate, until));
    assert!(first.poll().is_none() && second.poll().is_none());
    drop(first);
    assert!(second.is_woken(), "its turn is sooner than its timer says");
    assert!(second.poll().is_none());
    assert_eq!(clock.next_sleep(), Some(secs(1)));
    clock.advance_to_next();
    drop(passed(second.poll()));
}

#[test]
fn whoever_cannot_make_it_is_told_at_once_and_why() {
    let clock = ManualClock::new();
    let now = clock.now();
    let busy = ErrorKind::Busy;
    let by_rate = gate(&clock, Some(Rate::per_second(nonzero!(2_u32)).with_burst(nonzero!(1_u32))), None);
    drop(by_rate.try_pass(now).expect("rested"));
    assert_eq!(
        refusal(Caller::new(&by_rate, now + ms(200)).poll()),
        (busy, "rate limit of 2 per 1s, 1 at once: its turn is in 500ms, 0 before it, and 200ms are left".into())
    );
    let mut waits = Caller::new(&by_rate, now + secs(9));
    assert!(waits.poll().is_none());
    assert_eq!(
        refusal(Caller::new(&by_rate, now + ms(999)).poll()),
        (busy, "rate limit of 2 per 1s, 1 at once: its turn is in 1s, 1 before it, and 999ms are left".into())
    );

    let by_places = gate(&clock, None, Some(Concurrency::fixed(nonzero!(1_usize)).with_max_waiting(1)));
    let permit = by_places.try_pass(now).expect("a place is free");
    assert_eq!(
        refusal(Caller::new(&by_places, now).poll()),
        (busy, "limit of 1 at a time: no place is free, 0 wait, and no time is left".into())
    );
    let mut waits = Caller::new(&by_places, now + ms(300));
    assert!(waits.poll().is_none());
    assert_eq!(
        refusal(Caller::new(&by_places, now + secs(9)).poll()),
        (busy, "limit of 1 at a time: 1 wait already, and no more may".into())
    );
    clock.advance(ms(300));
    assert_eq!(
        refusal(waits.poll()),
        (ErrorKind::Timeout, "limit of 1 at a time: it was not its turn within 300ms".into())
    );
    drop(permit);

    let held = gate(&clock, None, None);
    let now = clock.now();
    held.hold_until(now + secs(30));
    assert_eq!(
        refusal(Caller::new(&held, now + secs(10)).poll()),
        (busy, "the server asked to be left alone for 30s more, and 10s are left".into())
    );
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let clock = ManualClock::new();
    let now = clock.now();
    let come_back = |gate: &Arc<Gate>| match Caller::new(gate, now).poll() {
        Some(Err(error)) => error.retry_at().map(|at| at - now),
        _ => panic!("there is no time"),
    };
    let both = gate(&clock, Some(Rate::per_second(nonzero!(1_u32))), Some(Concurrency::fixed(nonzero!(1_usize))));
    let permit = both.try_pass(now).expect("rested");
    assert_eq!(come_back(&both), Some(secs(1)));
    let mut waits = Caller::new(&both, now + secs(9));
    assert!(waits.poll().is_none());
    assert_eq!(come_back(&both), Some(secs(2)), "behind those who wait");
    both.hold_until(now + secs(5));
    assert_eq!(come_back(&both), Some(secs(6)));
    drop(permit);
    let places = gate(&clock, None, Some(Concurrency::fixed(nonzero!(1_usize))));
    let _permit = places.try_pass(now).expect("a place is free");
    assert_eq!(come_back(&places), None, "nobody knows");
}

#[test]
fn what_the_server_asks_for_is_heard_by_those_who_wait() {
    let clock = ManualClock::new();
    let gate = gate(&clock, None, Some(Concurrency::fixed(nonzero!(1_usize))));
    let now = clock.now();
    let permit = gate.try_pass(now).expect("a place is free");
    let (mut patient, mut other) = (Caller::new(&gate, now + secs(20)), Caller::new(&gate, now + secs(9)));
    assert!(patient.poll().is_none() && other.poll().is_none());
    assert_eq!(gate.held_until(now), None);
    gate.hold_until(now + secs(10));
    gate.hold_until(now + secs(5));
    assert_eq!(gate.held_until(now), Some(now + secs(10)), "never shortened");
    assert_eq!(refusal(other.poll()).0, ErrorKind::Busy);
    finish(permit, Verdict::Overloaded);
    assert!(patient.poll().is_none());
    assert_eq!(clock.next_sleep(), Some(secs(10)));
    clock.advance_to_next();
    drop(passed(patient.poll()));
    assert_eq!(gate.held_until(clock.now()), None);
    assert!(gate.try_pass(clock.now()).is_some());
}

#[test]
fn a_permit_goes_anywhere() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Permit>();
    check::<Permits>();
    check::<Gates>();
    assert!(size_of::<Permit>() <= 16);
}

#[test]
fn a_scope_s_limits_are_one_for_all_handles_that_carry_it() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let now = clock.now();
    assert!(Gates::of(&Scope::unlimited(), &clock).is_empty());
    assert!(Gates::of(&Scope::builder("free").allow_all().build(), &clock).is_empty());
    let outer = Scope::builder("outer").allow_all().concurrency(nonzero!(2_usize)).build();
    let plugins = ["a", "b"].map(|name| {
        let rate = Rate::per_minute(nonzero!(2_u32));
        outer.narrow(&Scope::builder(name).allow_all().rate(rate).build())
    });
    // Handles of two clients; the second has made its list on its own.
    let handles = plugins.each_ref().map(|scope| [Gates::of(scope, &clock), Gates::of(scope, &clock)]);
    let pass = |gates: &Gates| {
        let mut passing = Box::pin(gates.pass(None, now, now));
        match passing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("nobody waits without time"),
        }
    };
    let first = pass(&handles[0][0]).expect("a's first");
    let second = pass(&handles[0][1]).expect("a's second");
    let error = pass(&handles[1][0]).expect_err("outer's third at a time");
    assert_eq!(
        error.detail(),
        Some("scope \"outer\": limit of 2 at a time: no place is free, 0 wait, and no time is left")
    );
    drop(second);
    let error = pass(&handles[0][1]).expect_err("a's third");
    assert!(error.detail().is_some_and(|detail| detail.starts_with("scope \"a\": rate limit of 2 per 60s")), "{error}");
    let third = pass(&handles[1][1]).expect("b has its own rate, and what was refused has cost no place");
    drop((first, third));
}

#[test]
fn what_was_passed_already_is_given_back_by_whoever_leaves_at_the_next_gate() {
    let clock = ManualClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let scope = Scope::builder("one").allow_all().concurrency(nonzero!(1_usize)).build();
    let gates = Gates::of(&scope, &shared);
    let origin = gate(&clock, None, Some(Concurrency::fixed(nonzero!(1_usize))));
    let other = origin.try_pass(clock.now()).expect("a place is free");
    let now = clock.now();
    {
        let mut waits = Box::pin(gates.pass(Some(&origin), now, now + secs(1)));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(other);
    let mut passes = Box::pin(gates.pass(Some(&origin), now, now + secs(1)));
    let Poll::Ready(Ok(permits)) = passes.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("both places are free");
    };
    drop(permits.judged(Verdict::Fine));
    assert!(origin.try_pass(now).is_some());
}

/// How many are in the middle, now and at most.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Busy {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

const CROWD: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn a_crowd_of_ten_thousand_passes_eight_at_a_time_in_its_order() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let gate = Gate::new(None, Some(Concurrency::fixed(nonzero!(8_usize))), &clock);
    let (busy, order) = (Arc::new(Busy::default()), Arc::new(AtomicUsize::new(0)));
    let start = clock.now();
    let mut crowd = tokio::task::JoinSet::new();
    for at in 0..CROWD {
        let (gate, clock, busy, order) = (Arc::clone(&gate), Arc::clone(&clock), Arc::clone(&busy), Arc::clone(&order));
        crowd.spawn(async move {
            let permit = gate.pass(start + secs(3600)).await.expect("there is time");
            assert_eq!(order.fetch_add(1, Ordering::Relaxed), at);
            busy.enter();
            clock.sleep_until(clock.now() + ms(8)).await;
            busy.leave();
            finish(permit, Verdict::Fine);
        });
    }
    while let Some(outcome) = crowd.join_next().await {
        outcome.expect("each passed");
    }
    assert_eq!((busy.most.load(Ordering::Relaxed), clock.now() - start), (8, secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_ten_thousand_passes_a_hundred_a_second() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let gate = Gate::new(Some(Rate::per_second(nonzero!(100_u32))), None, &clock);
    let start = clock.now();
    let mut crowd = tokio::task::JoinSet::new();
    for at in 0..CROWD + 100 {
        let (gate, clock) = (Arc::clone(&gate), Arc::clone(&clock));
        // Each tenth has not the time.
        let until = if at % 10 == 9 { start } else { start + secs(100) };
        crowd.spawn(async move { (at, gate.pass(until).await.map(|_| clock.now() - start)) });
    }
    let mut passed = Vec::new();
    while let Some(outcome) = crowd.join_next().await {
        let (at, outcome) = outcome.expect("no panic");
        match outcome {
            Ok(after) => passed.push((at, after)),
            Err(error) => assert_eq!((error.kind(), at % 10), (ErrorKind::Busy, 9)),
        }
    }
    passed.sort_unstable();
    // The burst of a hundred holds the first hundred and ten but for the hopeless among those after it.
    assert!(passed.is_sorted_by_key(|(_, after)| *after));
    for (nth, (_, after)) in passed.iter().enumerate() {
        assert_eq!(*after, ms(10) * u32::try_from(nth.saturating_sub(99)).expect("small"), "the {nth}th");
    }
    assert_eq!(passed.len(), 9 * (CROWD + 100) / 10 + 10, "those of the burst need no time");
}
