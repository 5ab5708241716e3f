//! What is kept of one exchange.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, StatusCode, Version};
use netcomm_core::{CallId, ErrorKind, GaveUp, Stage, Steps};

use super::body::EntryBody;

/// One call, or one WebSocket: what happened to it, secrets taken out.
///
/// Its memory is bounded by the bounds of its recorder: bodies and messages are cut, and of attempts and decisions the first
/// and the last are kept ([`left_out`](Self::left_out)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The call, as observations name it.
    pub call: CallId,
    /// The name of the scope under which it runs.
    pub scope: Option<Arc<str>>,
    /// Its method.
    pub method: Method,
    /// Its URL before redirects, redacted. Has a query only where heads are recorded.
    pub url: String,
    /// When it began, by the clock of the environment.
    pub started: Instant,
    /// The same in civil time.
    pub started_at: SystemTime,
    /// What was sent, in order: first tries, repetitions, redirects, hedges, the handshakes of a WebSocket.
    pub attempts: Vec<EntryAttempt>,
    /// What was decided on the way, in order.
    pub decisions: Vec<EntryDecision>,
    /// Attempts and decisions that are missing, since there were too many.
    pub left_out: u32,
    /// The head of an answer that came from a cache, or was shared with an equal call.
    pub stored: Option<EntryHead>,
    /// The body of the answer, decoded, as the caller read it.
    pub body: EntryBody,
    /// How it ended; `None` while it goes on.
    pub ended: Option<EntryEnd>,
    /// What went over it, if it is a WebSocket.
    pub socket: Option<EntrySocket>,
    /// What came over it, if it is an event stream.
    pub events: Option<EntryEvents>,
    /// When the last piece of the body came.
    pub(super) body_at: Option<Instant>,
    /// Whether an answer from store is what the body belongs to.
    pub(super) is_from_store: bool,
    /// What it weighs, in bytes.
    pub(super) weight: usize,
    /// Whether somebody has read it since it ended.
    pub(super) was_read: bool,
}

/// One request on the wire, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryAttempt {
    /// Its number in the call, from 1. Parts of a resumed download count anew.
    pub number: u32,
    /// `scheme://host:port`.
    pub origin: String,
    /// When it began.
    pub started: Instant,
    /// The connection over which it went, where one is known.
    pub connection: Option<EntryConnection>,
    /// The head of the request; `None` where heads are not recorded, or it was never sent.
    pub request: Option<EntryHead>,
    /// Its body as it was sent.
    pub request_body: EntryBody,
    /// The head of the response; `None` where heads are not recorded, or none came.
    pub response: Option<EntryHead>,
    /// The version of HTTP that was spoken, if a response came.
    pub version: Option<Version>,
    /// The status, if a response came.
    pub status: Option<StatusCode>,
    /// What went wrong, if something did.
    pub error: Option<ErrorKind>,
    /// Where a redirect leads, if that is what came and it was followed; redacted.
    pub redirected_to: Option<String>,
    /// When the head of the response came, or an error.
    pub ended: Option<Instant>,
    /// When the last piece of the request's body went.
    pub(super) body_at: Option<Instant>,
    /// How long the head of the response took after the request, as its client says.
    pub(super) waited: Option<Duration>,
    /// How long the answer's body took, where this is the attempt that brought it.
    pub(super) receive: Option<Duration>,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EntryConnection {
    /// When the attempt had it.
    pub at: Instant,
    /// The peer, where it is one with an address.
    pub peer: Option<SocketAddr>,
    /// The own address, where there is one.
    pub local: Option<SocketAddr>,
    /// Whether it had carried a request before.
    pub reused: bool,
    /// How long the attempt waited for it beside the steps of making it.
    pub blocked: Duration,
    /// The time of each step; none where it was there before.
    pub steps: Steps,
}

/// A head, secrets taken out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryHead {
    /// When it went or came.
    pub at: Instant,
    /// The method of a request.
    pub method: Option<Method>,
    /// The URL of a request, redacted, with its query.
    pub url: Option<String>,
    /// The status of a response.
    pub status: Option<StatusCode>,
    /// The version of HTTP.
    pub version: Version,
    /// The header fields. Beyond 64 KiB they are left out.
    pub headers: HeaderMap,
}

/// What was decided for a call, and when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryDecision {
    /// From the start of the call.
    pub after: Duration,
    /// What it was.
    pub what: Decided,
}

/// What was decided for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decided {
    /// It goes to another place.
    Redirected {
        /// The status that redirects.
        status: StatusCode,
        /// Where to, redacted.
        to: String,
        /// Whether credentials were dropped because the origin changed.
        crossed_origin: bool,
    },
    /// It is tried again.
    Retried {
        /// How many tries there were.
        tries: u32,
        /// How long it waits before the next one.
        wait: Duration,
        /// What the last one had come to: its status.
        status: Option<StatusCode>,
        /// Or its error.
        error: Option<ErrorKind>,
    },
    /// It is not tried again.
    GaveUp(GaveUp),
    /// It was sent a second time since it was slow.
    Hedged,
    /// It had to wait before it was sent.
    Held {
        /// For what.
        stage: Stage,
        /// How long.
        took: Duration,
        /// Whether it went on then.
        passed: bool,
    },
    /// An interrupted download goes on from this byte.
    Resumed(u64),
    /// A cache was asked.
    Cache {
        /// Whether it answered without the origin.
        hit: bool,
        /// Why the request went on, in the words of RFC 9211 §2.2.
        forwarded: Option<&'static str>,
        /// Whether the origin's answer was stored.
        stored: bool,
        /// More, in a word.
        detail: Option<&'static str>,
    },
    /// It was put into the outbox, to be delivered later, under this number.
    Kept(u64),
    /// The origin has asked to be left alone for so long.
    Deferred(Duration),
    /// A cookie was refused.
    CookieRefused(&'static str),
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EntryEnd {
    /// When.
    pub at: Instant,
    /// The status of the final response, if there was one.
    pub status: Option<StatusCode>,
    /// What went wrong, if something did.
    pub error: Option<ErrorKind>,
    /// Body bytes received, before decoding.
    pub received_bytes: u64,
    /// From the start of the call.
    pub took: Duration,
}

/// What went over a WebSocket.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EntrySocket {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// Whether messages may be compressed.
    pub compressed: bool,
    /// Messages sent, and bytes of their payloads.
    pub sent: (u64, u64),
    /// Messages received, and bytes of their payloads.
    pub received: (u64, u64),
    /// The last messages, oldest first; empty where bodies are not recorded.
    pub messages: VecDeque<EntryMessage>,
    /// Older messages that are missing.
    pub left_out: u64,
    /// The close code, and whether both sides said goodbye, once it has ended.
    pub closed: Option<(u16, bool)>,
    pub(super) weight: usize,
}

/// A message of a WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryMessage {
    /// When it went or came.
    pub at: Instant,
    /// Whether it was sent from here.
    pub is_sent: bool,
    /// Whether it is text.
    pub is_text: bool,
    /// What it says.
    pub body: EntryBody,
}

/// What came over an event stream.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EntryEvents {
    /// How many events.
    pub events: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Whether the server was asked to go on behind an event.
    pub resumed: bool,
    /// Whether it has ended, as far as its reader is concerned.
    pub has_ended: bool,
    /// Why it ended, if that was no good end.
    pub error: Option<ErrorKind>,
}

impl Entry {
    /// The status of the answer: that of the end, or of what came so far.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        let ended = self.ended.and_then(|ended| ended.status);
        let stored = self.stored.as_ref().filter(|_| self.is_from_store).and_then(|head| head.status);
        ended.or(stored).or_else(|| self.attempts.last()?.status)
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn error(&self) -> Option<ErrorKind> {
        self.ended?.error
    }

    /// The head of the answer, if heads are recorded and one came.
    #[must_use]
    pub fn response(&self) -> Option<&EntryHead> {
        match &self.stored {
            Some(stored) if self.is_from_store => Some(stored),
            _ => self.attempts.iter().rev().find_map(|attempt| attempt.response.as_ref()),
        }
    }

    /// Whether the answer came from a cache, or was shared with an equal call.
    #[must_use]
    pub fn is_from_store(&self) -> bool {
        self.is_from_store
    }
}
