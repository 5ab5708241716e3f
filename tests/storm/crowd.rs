//! A run: clients that call at random moments, whatever became of their calls before.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netcomm_core::{Env, Random, Timeouts};
use netcomm_http::Client;
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::time::{Instant, sleep_until};

use crate::origin::Origin;
use crate::strategy::Strategy;
use crate::tally::Tally;

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) clients: u32,
    /// Calls a second of all clients together.
    pub(crate) per_second: f64,
    /// Answers a second that the origin can give.
    pub(crate) capacity: f64,
    /// Requests that may wait before it.
    pub(crate) queue: u32,
    /// How long a client waits for an answer.
    pub(crate) patience: Duration,
    pub(crate) before: Duration,
    pub(crate) outage: Duration,
    pub(crate) after: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            seed: 1,
            clients: 1000,
            per_second: 700.0,
            capacity: 1000.0,
            queue: 4000,
            patience: Duration::from_secs(1),
            before: Duration::from_secs(30),
            outage: Duration::from_secs(30),
            after: Duration::from_secs(180),
        }
    }
}

impl Setting {
    pub(crate) fn length(&self) -> Duration {
        self.before + self.outage + self.after
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clients make {} calls/s together; the origin answers {}/s, lets {} wait, and freezes from {} s to {} s; \
             a client waits {} s for an answer; seed {}",
            self.clients,
            self.per_second,
            self.capacity,
            self.queue,
            self.before.as_secs(),
            (self.before + self.outage).as_secs(),
            self.patience.as_secs(),
            self.seed
        )
    }
}

/// Lets all clients try again in that way.
pub(crate) fn run(setting: &Setting, strategy: &Strategy) -> netcomm_core::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O").block_on(async {
        let start = Instant::now();
        let origin = Origin::new(setting, start);
        let tally = Arc::new(Mutex::new(Tally::new(setting)));
        let mut tasks = Vec::new();
        for number in 0..setting.clients {
            let random = Random::seeded(setting.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)));
            let env = Env::new(ScriptedDialer::new(), TokioClock::new()).with_random(random.clone());
            let timeouts = Timeouts::default().with_header(setting.patience);
            let builder = Client::builder(&env).transport(origin.clone()).timeouts(timeouts);
            let client = (strategy.apply)(builder).build()?;
            tasks.push(tokio::spawn(calls(client, random, setting.clone(), start, Arc::clone(&tally))));
        }
        for task in tasks {
            task.await.expect("a client does not panic");
        }
        sleep_until(start + setting.length()).await;
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tally.sends = origin.sends();
        Ok(tally)
    })
}

/// One client: its calls come as those of a Poisson process do.
async fn calls(client: Client, random: Random, setting: Setting, start: Instant, tally: Arc<Mutex<Tally>>) {
    let mean = f64::from(setting.clients) / setting.per_second;
    let end = start + setting.length();
    let mut at = start;
    loop {
        at += Duration::from_secs_f64(-mean * (1.0 - random.fraction()).ln());
        if at >= end {
            return;
        }
        sleep_until(at).await;
        let (client, tally) = (client.clone(), Arc::clone(&tally));
        tokio::spawn(async move {
            let second = |at: Instant| usize::try_from((at - start).as_secs()).unwrap_or(usize::MAX);
            tally.lock().unwrap_or_else(PoisonError::into_inner).asked(second(Instant::now()));
            let outcome = client.get("http://origin.example/").send().await;
            if outcome.is_ok_and(|response| response.status().is_success()) {
                tally.lock().unwrap_or_else(PoisonError::into_inner).answered(second(Instant::now()));
            }
        });
    }
}
