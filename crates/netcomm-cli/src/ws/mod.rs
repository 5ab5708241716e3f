//! `netcomm ws`: a WebSocket that comes back, between stdin and stdout.

mod ending;
mod feed;
mod input;
mod setup;
mod show;
mod stop;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use netcomm::Result;
use netcomm::ws::{CloseCode, Connection, Event};
use tokio::time::{Instant, sleep_until};

use crate::args::{Patience, Ws};
use ending::Ending;
use feed::Feed;
use input::Input;
use show::Show;
use stop::{Stop, Why};

/// How long answers may let one wait after the end of what was piped in.
const PATIENCE: Patience = Patience::For(Duration::from_secs(1));
/// On a terminal the end of stdin is its owner's word that it is over.
const AT_ONCE: Patience = Patience::For(Duration::ZERO);

/// Talks, and tells how it ended.
pub(crate) async fn run(args: &Ws) -> ExitCode {
    let mut show = Show::new(&args.talk);
    let ending = talk(args, &mut show).await.unwrap_or_else(Ending::failed);
    show.ending(&ending);
    ending.code()
}

async fn talk(args: &Ws, show: &mut Show) -> Result<Ending> {
    // Not before somebody listens to what happens to it.
    let (connection, mut messages) = setup::builder(args).await?.lazy(true).open()?;
    let mut events = connection.events(None);
    connection.start();

    let stop = Stop::new();
    let signals = stop.heed_signals(connection.clone());
    let input = Input::new(tokio::io::stdin(), args.talk.binary, setup::most(&args.bounds));
    let mut feeding = tokio::spawn(Feed::new(connection.clone(), stop.clone()).run(input));
    let usual = if std::io::stdin().is_terminal() { AT_ONCE } else { PATIENCE };
    let mut ending = Ending::default();
    let mut silence = Silence::new(args.talk.wait.unwrap_or(usual));
    let (mut has_left, mut fed) = (false, false);
    let (mut events_end, mut messages_end) = (false, false);
    while !(events_end && messages_end && fed) {
        let has_enough = stop.why() == Some(Why::Enough);
        if has_enough && fed && !std::mem::replace(&mut has_left, true) {
            leave(&connection);
        }
        let until = silence.until().filter(|_| fed && !has_left);
        tokio::select! {
            biased;
            event = events.next(), if !events_end => match event {
                Some(Ok(event)) => {
                    silence.note(&event);
                    ending.note(show.event(&event), &stop);
                    if let Event::Closed { closed, cause } = event {
                        (ending.closed, ending.cause) = (closed, cause);
                        stop.set(Why::Over);
                    }
                }
                // Some of what happened was not told.
                Some(Err(_)) => {}
                None => events_end = true,
            },
            message = messages.next(), if !messages_end => match message {
                Some(Ok(delivery)) => {
                    silence.broken();
                    if args.talk.count.is_some_and(|most| ending.messages >= most) {
                        continue;
                    }
                    ending.messages += 1;
                    show.message(&delivery.message);
                    if args.talk.count == Some(ending.messages) {
                        stop.set(Why::Enough);
                    }
                    if messages.is_empty() || show.is_full() {
                        ending.note(show.flush(), &stop);
                    }
                }
                // Whoever waits for its listener leaves nothing out.
                Some(Err(_)) => {}
                None => messages_end = true,
            },
            outcome = &mut feeding, if !fed => {
                silence.broken();
                fed = true;
                match outcome {
                    Ok(outcome) => ending.take(outcome, &stop),
                    Err(error) => ending.note(Err(feed::broken(error)), &stop),
                }
            }
            () = until_then(until), if until.is_some() => {
                has_left = true;
                leave(&connection);
            }
        }
    }
    signals.abort();
    ending.note(show.flush(), &stop);
    ending.interrupted = stop.why() == Some(Why::Interrupted);
    Ok(ending)
}

/// For how long nothing came. Where there is no connection nothing can: first it has to come back.
struct Silence {
    patience: Patience,
    is_ready: bool,
    since: Instant,
}

impl Silence {
    fn new(patience: Patience) -> Self {
        Self { patience, is_ready: false, since: Instant::now() }
    }

    fn broken(&mut self) {
        self.since = Instant::now();
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Ready { .. } => (self.is_ready, self.since) = (true, Instant::now()),
            Event::Lost { .. } | Event::Closed { .. } => self.is_ready = false,
            _ => {}
        }
    }

    /// When it has been long enough.
    fn until(&self) -> Option<Instant> {
        match self.patience {
            Patience::For(patience) if self.is_ready => self.since.checked_add(patience),
            _ => None,
        }
    }
}

/// Says goodbye. That it is over is told by the events.
fn leave(connection: &Connection) {
    let connection = connection.clone();
    drop(tokio::spawn(async move { drop(connection.close(CloseCode::NORMAL, "").await) }));
}

async fn until_then(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
