//! An origin in trouble, asked by a plain client and by one that tries again, hedges and keeps its pace.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use netcomm::core::Random;
use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::http::{Backoff, Breaker, Budget, Client, ClientBuilder, Hedge, Rate, Retry};
use tokio::task::JoinSet;

use super::scene::{Broken, Scene, Verdict, ensure, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "trouble",
    title: "An origin in trouble, with and without help",
    origin: "fails 30 % of the time, is slow now and then, answers 429 to a crowd, and is dead for five seconds",
    promise: "retry, breaker, rate and hedge answer nine of ten calls, with fewer than two requests for each",
    play: || Box::pin(play()),
};

/// Calls that come all at once, and those that follow.
const CROWD: usize = 80;
const FOLLOWERS: u32 = 30;
const CALLS: usize = CROWD + FOLLOWERS as usize;
/// From one follower to the next.
const PACE: Duration = Duration::from_millis(200);
/// The origin dies so long after the first call.
const DEATH: Duration = Duration::from_secs(1);
const DEAD_FOR: Duration = Duration::from_secs(5);
/// Requests within a second that the origin bears.
const BEARABLE: usize = 70;
/// A call that has no answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(12);

async fn play() -> Verdict {
    let (plain, helped) = tokio::join!(ask(stage::client()), ask(with_help(stage::client())));
    let (plain, helped) = (plain?, helped?);
    let told = || format!("plain: {plain}; with help: {helped}");
    ensure(helped.answered * 10 >= CALLS * 9, || format!("too few answers: {}", told()))?;
    ensure(helped.answered >= plain.answered + CALLS / 5, || format!("no clear gain: {}", told()))?;
    ensure(helped.requests < 2 * CALLS, || format!("too many requests: {}", told()))?;
    ensure(helped.into_the_grave < plain.into_the_grave, || format!("the dead were not left alone: {}", told()))?;
    Ok(format!("{CALLS} calls; {}", told()))
}

/// The client that does what it can.
fn with_help(builder: ClientBuilder) -> ClientBuilder {
    let millis = Duration::from_millis;
    let of = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    builder
        .retry(Retry::default().attempts(16).elapsed(PATIENCE).backoff(Backoff::new(millis(100), millis(500))))
        .breaker(
            Breaker::default()
                .window(millis(500))
                .min_calls(10)
                .failure_percent(60)
                .pause(Backoff::new(millis(800), millis(1200)))
                .trials(1),
        )
        // A little less than is borne.
        .rate(Rate::per_second(of(55)).with_burst(of(10)))
        .hedge(Hedge::after(millis(150)))
        // Whoever comes back to a closed door pays too, so that to wait for the dead takes more than is sent.
        .budget(Budget::default().with_reserve(2000))
}

/// What came of all calls.
#[derive(Default)]
struct Tally {
    answered: usize,
    requests: usize,
    /// Requests to the dead origin.
    into_the_grave: usize,
    longest: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, requests, into_the_grave, longest } = self;
        let (failed, longest) = (CALLS - answered, longest.as_secs_f64());
        write!(f, "{answered} answered, {failed} failed, {requests} requests ({into_the_grave} to the dead), ")?;
        write!(f, "longest wait {longest:.1} s")
    }
}

/// Makes the calls, at an origin of their own.
async fn ask(builder: ClientBuilder) -> Result<Tally, Broken> {
    let timeouts = stage::timeouts().with_blocked(PATIENCE).with_total(Some(PATIENCE));
    let client = builder.timeouts(timeouts).build()?;
    let begun = Instant::now();
    let mood = Arc::new(Mutex::new(Mood::new(begun)));
    let own = Arc::clone(&mood);
    let origin = ScriptedServer::builder()
        .handler(move |_| own.lock().unwrap_or_else(PoisonError::into_inner).answer(Instant::now()))
        .start()
        .await?;
    let mut calls = JoinSet::new();
    for nth in 0..CALLS {
        let (client, url) = (client.clone(), origin.url("/"));
        let follows = u32::try_from(nth.saturating_sub(CROWD - 1)).unwrap_or(u32::MAX);
        let at = tokio::time::Instant::from_std(begun) + PACE * follows;
        calls.spawn(async move {
            tokio::time::sleep_until(at).await;
            one(&client, &url).await
        });
    }
    let mut tally = Tally::default();
    while let Some(outcome) = calls.join_next().await {
        let (is_answered, took) = outcome?;
        tally.answered += usize::from(is_answered);
        tally.longest = tally.longest.max(took);
    }
    tally.requests = origin.request_count();
    tally.into_the_grave = mood.lock().unwrap_or_else(PoisonError::into_inner).into_the_grave;
    Ok(tally)
}

/// One call: whether it was answered, and after how long.
async fn one(client: &Client, url: &str) -> (bool, Duration) {
    let started = Instant::now();
    let outcome = async { text(client.get(url).send().await?).await }.await;
    (outcome.is_ok(), started.elapsed())
}

/// How the origin feels.
struct Mood {
    random: Random,
    death: Instant,
    /// When the requests of the last second came that were let in.
    lately: VecDeque<Instant>,
    into_the_grave: usize,
}

impl Mood {
    fn new(begun: Instant) -> Self {
        // The same misfortune for both clients, and each time.
        Self { random: Random::seeded(30), death: begun + DEATH, lately: VecDeque::new(), into_the_grave: 0 }
    }

    fn answer(&mut self, now: Instant) -> Reply {
        if now >= self.death && now < self.death + DEAD_FOR {
            self.into_the_grave += 1;
            return Reply::raw("").then_close();
        }
        while self.lately.front().is_some_and(|at| now.saturating_duration_since(*at) >= Duration::from_secs(1)) {
            self.lately.pop_front();
        }
        if self.lately.len() >= BEARABLE {
            return Reply::status(429).header("retry-after", "1");
        }
        self.lately.push_back(now);
        let delay = Duration::from_millis(if self.random.fraction() < 0.05 { 600 } else { 5 });
        match self.random.fraction() {
            chance if chance < 0.3 => Reply::status(503),
            _ => Reply::status(200).delayed(delay).body("at your service"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_turned_away_and_death_lasts_five_seconds() {
        let begun = Instant::now();
        let told = |mood: &mut Mood, millis| format!("{:?}", mood.answer(begun + Duration::from_millis(millis)));
        let mut mood = Mood::new(begun);
        for nth in 0..BEARABLE {
            assert!(!told(&mut mood, 0).contains("429"), "{nth}");
        }
        assert!(told(&mut mood, 999).contains("429"));
        for millis in [1000, 5999] {
            assert!(told(&mut mood, millis).contains("Raw"), "{millis}");
        }
        assert!(told(&mut mood, 6000).contains("status: "));
        assert_eq!(mood.into_the_grave, 2);
    }
}
