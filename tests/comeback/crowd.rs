//! A run: clients that are connected, and stay so if they can.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netcomm_core::{Env, Random};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{AcceptOptions, Connection, Socket};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::door::Door;
use crate::strategy::Strategy;
use crate::tally::Tally;

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) clients: u32,
    /// How long all are connected before the server dies.
    pub(crate) before: Duration,
    pub(crate) outage: Duration,
    pub(crate) after: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            seed: 1,
            clients: 10_000,
            before: Duration::from_secs(30),
            outage: Duration::from_secs(32),
            after: Duration::from_secs(30),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clients of one server, which dies and is back after {} s; meanwhile it refuses at once; seed {}",
            self.clients,
            self.outage.as_secs_f64(),
            self.seed
        )
    }
}

/// Lets all clients come back in that way.
pub(crate) fn run(setting: &Setting, strategy: &Strategy) -> netcomm_core::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O").block_on(async {
        let (open, is_open) = watch::channel(true);
        let died = Arc::new(Mutex::new(None));
        let tally = Arc::new(Mutex::new(Tally::new(setting)));
        let door =
            Door { server: server(is_open.clone()), is_open, died: Arc::clone(&died), tally: Arc::clone(&tally) };
        let env = Env::new(door, TokioClock::new());
        let mut clients = Vec::new();
        for number in 0..setting.clients {
            let random = Random::seeded(setting.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)));
            let env = env.with_random(random);
            let client = Connection::builder(&env, "ws://server.example/").reconnect((strategy.reconnect)()).open()?;
            clients.push(client);
        }
        for (connection, _) in &clients {
            connection.ready().await?;
        }
        sleep(setting.before).await;
        *died.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        open.send_replace(false);
        sleep(setting.outage).await;
        open.send_replace(true);
        sleep(setting.after).await;
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(tally)
    })
}

/// A server that holds its connections until it dies, and then drops them without a word.
fn server(is_open: watch::Receiver<bool>) -> ScriptedDialer {
    let dialer = ScriptedDialer::new();
    let options = AcceptOptions::new(&Env::new(ScriptedDialer::new(), TokioClock::new()));
    dialer.serve_all(move |stream| {
        let (options, mut is_open) = (options.clone(), is_open.clone());
        async move {
            // A client that is gone already is not waited for.
            let Ok(mut socket) = Socket::accept(stream, &options).await else { return };
            tokio::select! {
                _ = socket.recv() => {}
                _ = is_open.wait_for(|is_open| !is_open) => {}
            }
        }
    });
    dialer
}
