//! Many calls at once at origins that fail in every way: what holds whatever comes. Each story is told some hundred times,
//! with other calls, faults and guards each time.

mod calls;
mod origin;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{CallId, Env, Error, Event, Observation, Random};
use netcomm_http::{Attempt, ClientBuilder, Response};
use netcomm_tests::{CollectingObserver, ScriptedDialer, TokioClock};
use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::time::Instant;

use self::origin::{Dialled, Origins};
use self::plan::Ask;

const MILLI: Duration = Duration::from_millis(1);

/// Tells a story for so many cases, each in a runtime of its own on paused time.
fn storm<S, F>(cases: u32, strategy: S, story: impl Fn(S::Value) -> F)
where
    S: Strategy,
    F: Future<Output = ()>,
{
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"netcomm: calls in every weather.");
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&strategy, |value| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(story(value));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// The origins, the way there, and all that was seen of it.
struct World {
    origins: Origins,
    seen: CollectingObserver,
    env: Env,
}

impl World {
    /// Dials come to that, one after the other and again from the first.
    fn new(dials: Vec<Dialled>, seed: u64) -> Self {
        let origins = Origins::default();
        let dialer = ScriptedDialer::new();
        let seen = CollectingObserver::new();
        let env = Env::new(dialer.clone(), TokioClock::new()).with_tap(seen.tap()).with_random(Random::seeded(seed));
        origins.answer(&dialer, dials);
        Self { origins, seen, env }
    }

    /// Makes all calls, each at its time, and waits until each of them is over.
    async fn play(&self, builder: ClientBuilder, asks: &[Ask]) -> Vec<Told> {
        let client = builder.build().expect("client");
        let mut calls = Vec::new();
        for (id, ask) in asks.iter().enumerate() {
            tokio::time::sleep(ask.after).await;
            let request = ask.request(&client, id);
            let ask = ask.clone();
            calls.push(tokio::spawn(async move {
                let began = Instant::now();
                let call = tokio::time::timeout(ask.patience, request.send());
                let outcome = match call.await {
                    Err(_) => Outcome::Dropped,
                    Ok(Err(error)) => Outcome::Failed(error),
                    Ok(Ok(response)) => Outcome::Answered(Answer::of(&response)).after(response, ask.reads).await,
                };
                Told { id, began, ended: Instant::now(), outcome }
            }));
        }
        let mut told = Vec::new();
        for call in calls {
            told.push(call.await.expect("no panic"));
        }
        // What is called off is over when its connection is closed.
        tokio::time::sleep(MILLI).await;
        told
    }

    /// What was seen of each call, by the number in its path.
    fn observed(&self) -> HashMap<usize, Vec<Observation>> {
        let mut ids = HashMap::<CallId, usize>::new();
        let mut observed = HashMap::<usize, Vec<Observation>>::new();
        for observation in self.seen.observations() {
            if let Event::CallStarted { url, .. } = &observation.event {
                let id = url.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a number");
                assert_eq!(ids.insert(observation.call, id), None, "a call begins once");
            }
            if let Some(id) = ids.get(&observation.call) {
                observed.entry(*id).or_default().push(observation);
            }
        }
        observed
    }
}

/// How a call went.
#[derive(Debug)]
struct Told {
    id: usize,
    began: Instant,
    /// When the head was there, or the failure.
    ended: Instant,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Answered(Answer),
    Failed(Error),
    Dropped,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    attempts: Vec<Attempt>,
    ended: Instant,
}

impl Answer {
    fn of(response: &Response) -> Self {
        Self { status: response.status().as_u16(), attempts: response.attempts().to_vec(), ended: Instant::now() }
    }
}

impl Outcome {
    /// What becomes of the body.
    async fn after(self, response: Response, reads: bool) -> Self {
        if reads {
            // It may break off or take too long: that is no matter here.
            drop(response.bytes().await);
        }
        self
    }
}

/// Shared, as the tasks of a story have it.
type Shared<T> = Arc<std::sync::Mutex<T>>;
