//! What an observation means for the entry of its call: pure.

use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use netcomm_core::{ErrorKind, Event, Observation};

use super::body::EntryBody;
use super::entry::{
    Decided, Entry, EntryAttempt, EntryConnection, EntryDecision, EntryEnd, EntryEvents, EntryHead, EntryMessage,
    EntrySocket,
};
use crate::redactor::Redactor;

/// Attempts of one call that are kept: so many from its beginning, and as many from its end.
const HALF_OF_ATTEMPTS: usize = 16;
/// Decisions of one call that are kept.
const MOST_DECISIONS: usize = 64;
/// Header fields of one head that are kept, in bytes.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// What the payloads of one WebSocket's messages may weigh.
const MOST_MESSAGE_BYTES: usize = 1024 * 1024;
/// What a thing weighs beside its payload.
const THING_BYTES: usize = 256;

/// How much is kept, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'r> {
    pub(super) redactor: &'r Redactor,
    pub(super) body_bytes: usize,
    pub(super) messages: usize,
    pub(super) has_bodies: bool,
}

/// What was let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) bytes: u64,
    pub(super) messages: u64,
    pub(super) others: u64,
}

/// A head as it may be kept: redacted before anybody holds a lock.
pub(super) fn head_of(event: &Event, at: Instant, redactor: &Redactor) -> Option<EntryHead> {
    let (method, url, status, version, headers) = match event {
        Event::RequestHead { method, url, version, headers, .. } => {
            (Some(method.clone()), Some(redactor.url(url)), None, *version, headers)
        }
        Event::ResponseHead { status, version, headers, .. } => (None, None, Some(*status), *version, headers),
        _ => return None,
    };
    let mut shown = HeaderMap::with_capacity(headers.keys_len());
    let mut bytes = 0;
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if bytes <= MOST_HEAD_BYTES {
            shown.append(name, redactor.header(name, value));
        }
    }
    Some(EntryHead { at, method, url, status, version, headers: shown })
}

impl Entry {
    /// Takes an observation of its call. `head` is what [`head_of`] made of it.
    pub(super) fn apply(&mut self, seen: &Observation, head: Option<EntryHead>, terms: Terms<'_>) -> Loss {
        let at = seen.at;
        let mut loss = Loss::default();
        match &seen.event {
            Event::CallEnded { status, error, received_bytes, took } => {
                self.end(at, *status, *error, *received_bytes, *took);
            }
            Event::AttemptStarted { number, origin } => {
                self.weight += origin.len();
                let mut attempt = attempt(*number, at);
                attempt.origin.clone_from(origin);
                loss = self.begin(attempt);
            }
            Event::ConnectionTaken { number, peer, local, reused, blocked, steps } => {
                if let Some(attempt) = self.attempt(*number) {
                    let (peer, local, reused, blocked, steps) = (*peer, *local, *reused, *blocked, *steps);
                    attempt.connection = Some(EntryConnection { at, peer, local, reused, blocked, steps });
                }
            }
            Event::AttemptEnded { number, version, status, error, wait, .. } => {
                if let Some(attempt) = self.attempt(*number) {
                    (attempt.version, attempt.status, attempt.error) = (*version, *status, *error);
                    attempt.waited = *wait;
                    attempt.ended = Some(attempt.response.as_ref().map_or(at, |head| head.at));
                }
            }
            Event::RequestHead { number, .. } => loss = self.asked(*number, at, head),
            Event::RequestBody { number, data } => {
                if let Some(attempt) = self.attempt(*number) {
                    attempt.body_at = Some(at);
                    let before = attempt.request_body.weight();
                    loss.bytes = take_piece(&mut attempt.request_body, data, terms);
                    let now = attempt.request_body.weight();
                    self.weight = self.weight + now - before;
                }
            }
            Event::ResponseHead { number, .. } => self.answered(*number, at, head),
            Event::ResponseBody { data } => {
                self.body_at = Some(at);
                let before = self.body.weight();
                loss.bytes = take_piece(&mut self.body, data, terms);
                self.weight = self.weight + self.body.weight() - before;
                self.received(at);
            }
            // What belongs to a call of HTTP is told by its attempts.
            Event::Connected { peer, local, origin, steps, .. } => {
                let mut attempt = attempt(self.next_number(), at.checked_sub(steps.total()).unwrap_or(at));
                attempt.origin.clone_from(origin);
                let blocked = Duration::ZERO;
                attempt.connection =
                    Some(EntryConnection { at, peer: *peer, local: *local, reused: false, blocked, steps: *steps });
                loss = self.begin(attempt);
            }
            Event::ConnectFailed { origin, error } => {
                let mut attempt = attempt(self.next_number(), at);
                attempt.origin.clone_from(origin);
                (attempt.error, attempt.ended) = (Some(*error), Some(at));
                loss = self.begin(attempt);
                self.end_now(at, None, Some(*error));
            }
            Event::Disconnected { .. } => {
                let status = self.attempts.last().and_then(|attempt| attempt.status);
                let error = status.is_none().then_some(ErrorKind::Protocol);
                self.end_now(at, status, error);
            }
            Event::SocketOpened { url, subprotocol, compressed } => {
                self.weight += THING_BYTES + url.len();
                if self.attempts.iter().all(|attempt| attempt.request.is_none()) {
                    self.url.clone_from(url);
                }
                let socket = self.socket.get_or_insert_default();
                (socket.subprotocol, socket.compressed) = (subprotocol.clone(), *compressed);
                self.ended = None;
            }
            Event::SocketClosed { code, clean, error, .. } => {
                self.socket.get_or_insert_default().closed = Some((*code, *clean));
                let status = self.attempts.last().and_then(|attempt| attempt.status);
                self.end_now(at, status, *error);
            }
            Event::MessageSent { bytes, .. } => count(&mut self.socket.get_or_insert_default().sent, *bytes),
            Event::MessageReceived { bytes, .. } => count(&mut self.socket.get_or_insert_default().received, *bytes),
            Event::MessageContent { is_sent, is_text, data } if terms.has_bodies => {
                let mut body = EntryBody::default();
                body.set_content_type(is_text.then(|| "text/plain".to_owned()));
                loss.bytes = body.take(data, terms.body_bytes, terms.redactor);
                body.close();
                let message = EntryMessage { at, is_sent: *is_sent, is_text: *is_text, body };
                loss.messages = self.said(message, terms);
            }
            Event::StreamOpened { resumed, .. } => {
                self.weight += THING_BYTES;
                self.events = Some(EntryEvents { resumed: *resumed, ..EntryEvents::default() });
            }
            Event::EventReceived { bytes } => {
                if let Some(events) = &mut self.events {
                    events.events += 1;
                    events.bytes += *bytes as u64;
                }
            }
            Event::StreamEnded { error, .. } => {
                if let Some(events) = &mut self.events {
                    (events.has_ended, events.error) = (true, *error);
                }
            }
            other => {
                if let Some(what) = self.decided(other) {
                    loss = self.note(at, what);
                }
            }
        }
        loss
    }

    /// What of an event is a decision.
    fn decided(&mut self, event: &Event) -> Option<Decided> {
        Some(match event {
            Event::Redirected { status, to, crossed_origin } => {
                if let Some(last) = self.attempts.iter_mut().rev().find(|one| one.status == Some(*status)) {
                    last.redirected_to = Some(to.clone());
                }
                self.ended = None;
                Decided::Redirected { status: *status, to: to.clone(), crossed_origin: *crossed_origin }
            }
            Event::Retrying { tries, wait } => {
                let last = self.attempts.iter().rev().find(|attempt| attempt.ended.is_some());
                let (status, error) = last.map_or((None, None), |last| (last.status, last.error));
                Decided::Retried { tries: *tries, wait: *wait, status, error }
            }
            Event::GaveUp { why } => Decided::GaveUp(*why),
            Event::Hedged { .. } => Decided::Hedged,
            Event::Held { stage, took, passed } => Decided::Held { stage: *stage, took: *took, passed: *passed },
            Event::Resumed { offset } => Decided::Resumed(*offset),
            Event::CacheAsked { hit, forwarded, stored, detail } => {
                Decided::Cache { hit: *hit, forwarded: *forwarded, stored: *stored, detail: *detail }
            }
            Event::Kept { number, .. } => Decided::Kept(*number),
            Event::Deferred { wait, .. } => Decided::Deferred(*wait),
            Event::CookieRefused { reason, .. } => Decided::CookieRefused(reason),
            _ => return None,
        })
    }

    fn note(&mut self, at: Instant, what: Decided) -> Loss {
        if self.decisions.len() >= MOST_DECISIONS {
            self.left_out = self.left_out.saturating_add(1);
            return Loss { others: 1, ..Loss::default() };
        }
        self.weight += size_of::<EntryDecision>();
        if let Decided::Redirected { to, .. } = &what {
            self.weight += to.len();
        }
        self.decisions.push(EntryDecision { after: at.saturating_duration_since(self.started), what });
        Loss::default()
    }

    fn next_number(&self) -> u32 {
        self.attempts.last().map_or(1, |attempt| attempt.number + 1)
    }

    /// The last attempt of that number: numbers begin anew where a download goes on.
    fn attempt(&mut self, number: u32) -> Option<&mut EntryAttempt> {
        self.attempts.iter_mut().rev().find(|attempt| attempt.number == number)
    }

    fn begin(&mut self, attempt: EntryAttempt) -> Loss {
        self.ended = self.ended.filter(|_| self.call.0 >> 63 == 0);
        self.weight += THING_BYTES + size_of::<EntryAttempt>();
        self.attempts.push(attempt);
        if self.attempts.len() <= 2 * HALF_OF_ATTEMPTS {
            return Loss::default();
        }
        let gone = self.attempts.remove(HALF_OF_ATTEMPTS);
        self.weight = self.weight.saturating_sub(gone.weight());
        self.left_out = self.left_out.saturating_add(1);
        Loss { others: 1, ..Loss::default() }
    }

    fn asked(&mut self, number: u32, at: Instant, head: Option<EntryHead>) -> Loss {
        let Some(head) = head else { return Loss::default() };
        if self.attempts.is_empty() || (number == 1 && self.attempts.len() == 1) {
            if let Some(url) = &head.url {
                self.weight += url.len();
                self.url.clone_from(url);
            }
            if let Some(method) = &head.method {
                self.method.clone_from(method);
            }
        }
        let mut loss = Loss::default();
        // A handshake has no other beginning, unless the connection was told.
        if self.attempt(number).is_none_or(|attempt| attempt.request.is_some()) {
            let is_waiting = self.attempts.last().is_some_and(|last| last.request.is_none());
            match self.attempts.last_mut().filter(|_| is_waiting && self.call.0 >> 63 == 1) {
                Some(last) => last.number = number,
                None => loss = self.begin(attempt(number, at)),
            }
        }
        self.weight += head.weight();
        if let Some(attempt) = self.attempt(number) {
            attempt.request_body.set_content_type(content_type(&head.headers));
            attempt.request = Some(head);
        }
        loss
    }

    fn answered(&mut self, number: u32, at: Instant, head: Option<EntryHead>) {
        let Some(head) = head else { return };
        self.weight += head.weight();
        self.is_from_store = number == 0;
        // What was read of a body before belongs to an answer that turned out not to be the one.
        if self.body.bytes() == 0 {
            self.body.set_content_type(content_type(&head.headers));
        }
        if number == 0 {
            self.stored = Some(head);
        } else if let Some(attempt) = self.attempt(number) {
            (attempt.version, attempt.status) = (Some(head.version), head.status);
            attempt.ended = Some(at);
            attempt.response = Some(head);
        }
    }

    fn end(
        &mut self,
        at: Instant,
        status: Option<StatusCode>,
        error: Option<ErrorKind>,
        received_bytes: u64,
        took: Duration,
    ) {
        self.ended = Some(EntryEnd { at, status, error, received_bytes, took });
        if status.is_some() {
            self.received(at);
        }
    }

    fn end_now(&mut self, at: Instant, status: Option<StatusCode>, error: Option<ErrorKind>) {
        let received_bytes = self.socket.as_ref().map_or_else(|| self.body.bytes(), |socket| socket.received.1);
        let took = at.saturating_duration_since(self.started);
        self.ended = Some(EntryEnd { at, status, error, received_bytes, took });
    }

    /// More of the answer's body is there: of the last attempt that brought a head, unless the answer came from store.
    fn received(&mut self, at: Instant) {
        if self.is_from_store || self.call.0 >> 63 == 1 {
            return;
        }
        // Of two that were sent side by side the last need not be the one.
        let status = self.ended.and_then(|ended| ended.status);
        let is_answer =
            |attempt: &&mut EntryAttempt| attempt.status.is_some() && (status.is_none() || attempt.status == status);
        let Some(attempt) = self.attempts.iter_mut().rev().find(is_answer) else { return };
        if let Some(head_at) = attempt.ended {
            attempt.receive = Some(at.saturating_duration_since(head_at));
        }
    }

    /// Keeps a message; the oldest leave. Gives how many left.
    fn said(&mut self, message: EntryMessage, terms: Terms<'_>) -> u64 {
        let socket = self.socket.get_or_insert_default();
        let weight = weight_of(&message);
        self.weight += weight;
        socket.weight += weight;
        socket.messages.push_back(message);
        let mut left = 0;
        while socket.messages.len() > terms.messages || socket.weight > MOST_MESSAGE_BYTES {
            let Some(gone) = socket.messages.pop_front() else { break };
            socket.weight -= weight_of(&gone);
            self.weight -= weight_of(&gone);
            left += 1;
        }
        socket.left_out += left;
        left
    }

    /// What it weighs with nothing in it.
    pub(super) fn bare_weight(url: &str) -> usize {
        THING_BYTES + size_of::<Self>() + url.len()
    }
}

fn take_piece(body: &mut EntryBody, data: &[u8], terms: Terms<'_>) -> u64 {
    if terms.has_bodies {
        return body.take(data, terms.body_bytes, terms.redactor);
    }
    body.count(data.len());
    0
}

fn count((count, sum): &mut (u64, u64), bytes: usize) {
    *count += 1;
    *sum += bytes as u64;
}

fn weight_of(message: &EntryMessage) -> usize {
    size_of::<EntryMessage>() + message.body.weight()
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn attempt(number: u32, started: Instant) -> EntryAttempt {
    EntryAttempt {
        number,
        origin: String::new(),
        started,
        connection: None,
        request: None,
        request_body: EntryBody::default(),
        response: None,
        version: None,
        status: None,
        error: None,
        redirected_to: None,
        ended: None,
        body_at: None,
        waited: None,
        receive: None,
    }
}

impl EntryHead {
    fn weight(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| 64 + name.as_str().len() + value.len()).sum();
        THING_BYTES + fields + self.url.as_ref().map_or(0, String::len)
    }
}

impl EntryAttempt {
    fn weight(&self) -> usize {
        let heads = [&self.request, &self.response].into_iter().flatten().map(EntryHead::weight).sum::<usize>();
        THING_BYTES + size_of::<Self>() + self.origin.len() + heads + self.request_body.weight()
    }
}

impl EntrySocket {
    /// Messages of both ways.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sent.0 + self.received.0
    }
}
