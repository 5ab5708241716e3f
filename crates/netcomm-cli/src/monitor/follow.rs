//! `netcomm monitor` where nobody draws: what changes becomes lines, until a signal.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Instant;

use netcomm::Result;
use netcomm::core::{CallId, Event, Observation};

use super::lines::Told;
use super::row::{Row, seconds};
use super::setup::Watching;
use super::standing::Standing;
use crate::output;
use crate::signal::Signals;

/// WebSockets whose URLs are known, at most.
const SOCKETS: usize = 256;

/// Tells lines until a signal, or until nobody reads them.
///
/// # Errors
///
/// Kind `Io` if nobody reads.
pub(super) async fn run(
    json: bool,
    watching: &mut Watching,
    proxy: Option<&str>,
    signals: &mut Signals,
) -> Result<ExitCode> {
    let mut lines = Lines { json, started: watching.env.clock().now(), sockets: VecDeque::new(), missed: 0 };
    let (mut states, mut qualities) = (watching.monitor.states(), watching.monitor.qualities());
    if let Some(url) = proxy {
        lines.tell(watching, &Told::Proxy(url))?;
    }
    let signal = loop {
        tokio::select! {
            biased;
            signal = signals.wait() => break signal,
            Some(Ok(state)) = states.next() => lines.tell(watching, &Told::State(&Standing::of(&state)))?,
            Some(Ok(quality)) = qualities.next() => lines.tell(watching, &Told::Quality(&quality))?,
            Some(seen) = watching.happens.next() => lines.hear(watching, &seen)?,
        }
    };
    // What happened before the signal is told.
    while !watching.happens.is_empty()
        && let Some(seen) = watching.happens.next().await
    {
        lines.hear(watching, &seen)?;
    }
    lines.tell(watching, &Told::End(&watching.stats.snapshot()))?;
    Ok(super::code(signal))
}

struct Lines {
    json: bool,
    started: Instant,
    sockets: VecDeque<(CallId, String)>,
    missed: u64,
}

impl Lines {
    fn hear(&mut self, watching: &Watching, seen: &Observation) -> Result<()> {
        let missed = watching.happens.dropped();
        if missed > self.missed {
            self.tell(watching, &Told::Missed(missed - self.missed))?;
            self.missed = missed;
        }
        match &seen.event {
            Event::CallEnded { .. } => match watching.recorder.entry(seen.call) {
                Some(entry) => self.tell(watching, &Told::Call(&Row::of(&entry))),
                None => Ok(()),
            },
            Event::SocketOpened { url, .. } => {
                self.sockets.push_back((seen.call, url.clone()));
                if self.sockets.len() > SOCKETS {
                    self.sockets.pop_front();
                }
                Ok(())
            }
            Event::SocketClosed { .. } => {
                self.sockets.retain(|(call, _)| *call != seen.call);
                Ok(())
            }
            Event::MessageSent { is_text, bytes } => self.message(watching, seen.call, true, *is_text, *bytes),
            Event::MessageReceived { is_text, bytes } => self.message(watching, seen.call, false, *is_text, *bytes),
            _ => Ok(()),
        }
    }

    fn message(&self, watching: &Watching, call: CallId, is_sent: bool, is_text: bool, bytes: usize) -> Result<()> {
        let url = self.sockets.iter().find(|(own, _)| *own == call).map_or("", |(_, url)| url);
        self.tell(watching, &Told::Message { url, is_sent, is_text, bytes })
    }

    fn tell(&self, watching: &Watching, told: &Told<'_>) -> Result<()> {
        let clock = watching.env.clock();
        match self.json {
            true => output::print(&format!("{}\n", told.json(seconds(clock.wall())))),
            false => {
                let since = clock.now().saturating_duration_since(self.started);
                output::print(&format!("{}\n", told.text(since)))
            }
        }
    }
}
