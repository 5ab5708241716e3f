//! What a call may do by itself: how often it is sent, until when, and what it tells of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use netcomm_core::{Backoff, Budget, Event, Jitter, Timeouts};
use netcomm_http::{ClientBuilder, Hedge, Reason, Retry};
use proptest::option::weighted;
use proptest::prelude::{Strategy, any};
use tokio::time::Instant;

use super::origin::{Dialled, Sent};
use super::plan::{Ask, asks, dials, kinds, origin};
use super::{MILLI, Outcome, Told, World, storm};

/// What a client does against failures.
#[derive(Clone, Debug)]
struct Terms {
    seed: u64,
    attempts: u32,
    backoff: Duration,
    hedge: Option<Duration>,
    budget: Budget,
    dials: Vec<Dialled>,
}

impl Terms {
    fn client(&self, world: &World) -> ClientBuilder {
        let timeouts = Timeouts::default().with_header(2000 * MILLI);
        let backoff = Backoff::new(self.backoff, 16 * self.backoff).with_jitter(Jitter::Half);
        let builder = netcomm_http::Client::builder(&world.env).timeouts(timeouts).budget(self.budget);
        let builder = builder.retry(Retry::default().attempts(self.attempts).backoff(backoff));
        match self.hedge {
            Some(delay) => builder.hedge(Hedge::after(delay)),
            None => builder,
        }
    }
}

fn terms() -> impl Strategy<Value = Terms> {
    let budget = (0..5_u32, 0..100_u32, 0..10_u32).prop_map(|(reserve, percent, per_minute)| {
        Budget::NONE.with_reserve(reserve).with_percent(percent).with_per_minute(per_minute)
    });
    let hedge = weighted(0.6, (0..200_u32).prop_map(|millis| millis * MILLI));
    (any::<u64>(), 1..6_u32, (1..500_u32).prop_map(|millis| millis * MILLI), hedge, budget, dials()).prop_map(
        |(seed, attempts, backoff, hedge, budget, dials)| Terms { seed, attempts, backoff, hedge, budget, dials },
    )
}

/// No budget stands in the way.
fn lavish() -> impl Strategy<Value = Terms> {
    terms().prop_map(|terms| Terms { budget: Budget::NONE.with_reserve(1000), ..terms })
}

async fn play(terms: &Terms, asks: &[Ask]) -> (World, Vec<Told>) {
    let world = World::new(terms.dials.clone(), terms.seed);
    let told = world.play(terms.client(&world), asks).await;
    (world, told)
}

#[test]
fn an_origin_is_never_sent_more_than_its_calls_and_their_budget() {
    storm(300, (terms(), asks(kinds(), 40)), |(terms, asks)| async move {
        let start = Instant::now();
        let (world, told) = play(&terms, &asks).await;
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        for number in 0..3 {
            let host = format!("{}.example", origin(number));
            let mut sent = world.origins.sent();
            sent.retain(|sent| sent.origin == host);
            let calls = asks.iter().filter(|ask| ask.origin == number).count();
            let asked = sent.iter().map(|sent| sent.id).collect::<HashSet<_>>().len();
            // What a stale connection costs is not on the budget.
            let mine = told.iter().filter(|told| asks[told.id].origin == number);
            let replays: usize = mine.map(|told| replays(told, &sent)).sum();
            let Budget { reserve, percent, per_minute, .. } = terms.budget;
            let most = f64::from(reserve) + calls as f64 * f64::from(percent) / 100.0 + minutes * f64::from(per_minute);
            let more = (sent.len() - asked).saturating_sub(replays);
            assert!(more as f64 <= most, "{more} more than {asked} calls, {most} allowed at {host}");
        }
    });
}

/// How many sends of a call a stale connection has cost, at most.
fn replays(told: &Told, sent: &[Sent]) -> usize {
    match &told.outcome {
        Outcome::Answered(answer) => answer.attempts.iter().filter(|attempt| attempt.reason == Reason::Replay).count(),
        // These do not tell.
        Outcome::Failed(_) | Outcome::Dropped => {
            sent.iter().filter(|sent| sent.id == told.id && sent.reused && sent.status.is_none()).count()
        }
    }
}

#[test]
fn what_must_not_come_twice_never_does() {
    storm(300, (lavish(), asks(kinds(), 30)), |(terms, asks)| async move {
        let (world, _) = play(&terms, &asks).await;
        let mut counts = HashMap::<usize, usize>::new();
        for sent in world.origins.sent() {
            *counts.entry(sent.id).or_default() += 1;
        }
        for (id, count) in counts {
            assert!(count == 1 || asks[id].kind.may_come_twice(), "{:?} came {count} times", asks[id]);
        }
    });
}

#[test]
fn nothing_of_a_call_is_later_than_its_deadline() {
    storm(300, (lavish(), asks(kinds(), 30)), |(terms, asks)| async move {
        let (world, told) = play(&terms, &asks).await;
        let sent = world.origins.sent();
        for Told { id, began, ended, outcome } in &told {
            let Some(timeout) = asks[*id].timeout else { continue };
            let deadline = *began + timeout;
            let ended = match outcome {
                Outcome::Answered(answer) => answer.ended,
                Outcome::Failed(_) | Outcome::Dropped => *ended,
            };
            assert!(ended <= deadline, "call {id} ends {:?} late", ended - deadline);
            let late = sent.iter().find(|sent| sent.id == *id && sent.came >= deadline);
            assert!(late.is_none(), "call {id} is sent {late:?} when it is too late");
        }
    });
}

#[test]
fn what_a_call_tells_is_what_happened() {
    storm(300, (terms(), asks(kinds(), 30)), |(terms, asks)| async move {
        let (world, told) = play(&terms, &asks).await;
        let (sent, mut observed) = (world.origins.sent(), world.observed());
        for Told { id, outcome, .. } in &told {
            let events = observed.remove(id).unwrap_or_default();
            let count = |is: &dyn Fn(&Event) -> bool| events.iter().filter(|seen| is(&seen.event)).count();
            let ends = count(&|event| matches!(event, Event::CallEnded { .. }));
            assert_eq!(ends, usize::from(!events.is_empty()), "call {id} ends once: {events:#?}");
            let mut numbers: Vec<_> = events
                .iter()
                .filter_map(|seen| match seen.event {
                    Event::AttemptStarted { number, .. } => Some(number as usize),
                    _ => None,
                })
                .collect();
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(1..=numbers.len()), "attempts of call {id}: {numbers:?}");
            let mine: Vec<_> = sent.iter().filter(|sent| sent.id == *id).collect();
            assert!(mine.len() <= numbers.len(), "call {id}: {} sent, {} told", mine.len(), numbers.len());
            let gave_up = count(&|event| matches!(event, Event::GaveUp { .. }));
            match outcome {
                Outcome::Answered(answer) => {
                    let of = |reason| answer.attempts.iter().filter(|attempt| attempt.reason == reason).count();
                    assert_eq!(answer.attempts.len(), numbers.len(), "call {id}: {answer:?} {events:#?}");
                    assert_eq!(of(Reason::First), 1, "call {id}: {answer:?}");
                    assert_eq!(of(Reason::Retry), count(&|event| matches!(event, Event::Retrying { .. })));
                    // One whose first answer comes at that very moment is not sent any more.
                    let hedged = count(&|event| matches!(event, Event::Hedged { .. }));
                    assert!(of(Reason::Hedge) <= hedged, "call {id}: {answer:?}");
                    let answered = answer.attempts.iter().filter_map(|attempt| attempt.outcome.ok());
                    for status in answered.map(|status| status.as_u16()).chain([answer.status]) {
                        assert!(mine.iter().any(|sent| sent.status == Some(status)), "call {id}: nobody said {status}");
                    }
                }
                Outcome::Failed(error) => {
                    assert_eq!(error.attempts() as usize, numbers.len(), "call {id}: {error:?} {events:#?}");
                    assert!(error.stage().is_some(), "call {id}: {error:?}");
                    assert!(error.gave_up().is_none() || gave_up == 1, "call {id}: {error:?}");
                }
                Outcome::Dropped => {}
            }
            assert!(gave_up <= 1, "call {id} gives up once");
        }
    });
}
