//! Recorded exchanges as HAR 1.2, in the dialect that browsers read back in: an exchange on the wire is an entry, so that
//! redirects and repetitions are seen as what they were.

mod cookies;
mod dates;
mod message;
mod own;
mod times;

use std::io;

use serde::Serialize;

use self::message::{Request, Response};
use self::own::{Own, SocketMessage};
use self::times::Timings;
use super::Recorder;
use super::entry::{Entry, EntryAttempt};

impl Recorder {
    /// All that is kept, as HAR 1.2.
    ///
    /// Each attempt is an entry, and so is an answer from a cache; `_netcomm` says to which call it belongs, and with the last one
    /// of each call what was decided. WebSockets have `_webSocketMessages` as browsers write them. Secrets are gone as
    /// everywhere. Needs memory for the text, and for a copy of what is kept while it is written.
    #[must_use]
    pub fn to_har(&self) -> String {
        let mut text = Vec::new();
        let written = self.write_har(&mut text);
        debug_assert!(written.is_ok(), "memory takes all");
        String::from_utf8(text).unwrap_or_default()
    }

    /// The same, written as it is made.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn write_har(&self, out: impl io::Write) -> io::Result<()> {
        write_har(&self.entries(), out)
    }
}

/// Writes these entries as HAR 1.2: a part of what a [`Recorder`] has.
///
/// # Errors
///
/// What the writer says.
pub fn write_har<'e>(entries: impl IntoIterator<Item = &'e Entry>, out: impl io::Write) -> io::Result<()> {
    let entries: Vec<_> = entries.into_iter().flat_map(exchanges).collect();
    let creator = Creator { name: "netcomm", version: env!("CARGO_PKG_VERSION") };
    let log = Log { version: "1.2", creator, pages: [], entries };
    serde_json::to_writer(out, &Har { log }).map_err(io::Error::from)
}

#[derive(Serialize)]
struct Har<'e> {
    log: Log<'e>,
}

#[derive(Serialize)]
struct Log<'e> {
    version: &'static str,
    creator: Creator,
    pages: [(); 0],
    entries: Vec<Exchange<'e>>,
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Nothing {}

/// An entry, as HAR calls it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exchange<'e> {
    started_date_time: String,
    time: f64,
    request: Request<'e>,
    response: Response<'e>,
    cache: Nothing,
    timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    server_ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    #[serde(rename = "_resourceType")]
    resource_type: &'static str,
    #[serde(rename = "_fromCache", skip_serializing_if = "Option::is_none")]
    from_cache: Option<&'static str>,
    #[serde(rename = "_webSocketMessages", skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<SocketMessage<'e>>>,
    #[serde(rename = "_netcomm")]
    own: Own<'e>,
}

/// What is told of one exchange: an attempt, or what came without one.
#[derive(Clone, Copy)]
struct Shown<'e> {
    entry: &'e Entry,
    attempt: Option<&'e EntryAttempt>,
    /// The attempt before it.
    before: Option<&'e EntryAttempt>,
    /// Whether it is the last of its call.
    is_last: bool,
    /// Whether the answer came with it, and so its body. Of two that were sent side by side it need not be the last.
    has_body: bool,
}

impl Shown<'_> {
    fn is_from_store(&self) -> bool {
        self.attempt.is_none() && self.entry.is_from_store
    }
}

fn exchanges(entry: &Entry) -> Vec<Exchange<'_>> {
    let has_own = entry.is_from_store || entry.attempts.is_empty();
    let count = entry.attempts.len();
    let answer = if has_own { None } else { answered_by(entry) };
    let mut before = None;
    let mut shown: Vec<_> = entry
        .attempts
        .iter()
        .enumerate()
        .map(|(at, attempt)| {
            let is_last = !has_own && at + 1 == count;
            let has_body = answer == Some(at);
            Shown { entry, attempt: Some(attempt), before: before.replace(attempt), is_last, has_body }
        })
        .collect();
    if has_own {
        shown.push(Shown { entry, attempt: None, before, is_last: true, has_body: true });
    }
    shown.into_iter().map(exchange).collect()
}

/// Which attempt brought the answer.
fn answered_by(entry: &Entry) -> Option<usize> {
    let status = match entry.ended {
        Some(ended) => Some(ended.status?),
        None => None,
    };
    let attempts = entry.attempts.iter().map(|attempt| attempt.status);
    let is_answer = |found: Option<_>| found.is_some() && (status.is_none() || found == status);
    attempts.enumerate().filter(|(_, found)| is_answer(*found)).map(|(at, _)| at).next_back()
}

fn exchange(shown: Shown<'_>) -> Exchange<'_> {
    let Shown { entry, attempt, is_last, .. } = shown;
    let timings = Timings::of(&shown);
    let connection = attempt.and_then(|attempt| attempt.connection);
    let started = match (attempt, entry.stored.as_ref().filter(|_| entry.is_from_store)) {
        (Some(attempt), _) => attempt.started,
        // What came from store came at once.
        (None, Some(stored)) => stored.at,
        (None, None) => entry.started,
    };
    Exchange {
        started_date_time: dates::iso(entry.started_at + started.saturating_duration_since(entry.started)),
        time: timings.total(),
        request: Request::of(&shown),
        response: Response::of(&shown),
        cache: Nothing {},
        timings,
        server_ip_address: connection.and_then(|connection| Some(connection.peer?.ip().to_string())),
        connection: connection.and_then(|connection| Some(connection.local?.port().to_string())),
        resource_type: match () {
            () if entry.socket.is_some() || entry.call.0 >> 63 == 1 => "websocket",
            () if entry.events.is_some() => "eventsource",
            () => "fetch",
        },
        from_cache: shown.is_from_store().then_some("memory"),
        messages: entry.socket.as_ref().filter(|_| is_last).map(|_| own::messages(entry)),
        own: Own::of(&shown),
    }
}
