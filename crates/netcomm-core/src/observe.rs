//! What can be observed, and by whom.

use std::fmt;
use std::net::SocketAddr;
use std::ops::BitOr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::dial::Steps;
use crate::error::{ErrorKind, GaveUp, Stage};

/// Which observations somebody wants: a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u32);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Begin and end of calls, redirects, resumption.
    pub const CALL: Self = Self(1);
    /// Begin and end of attempts.
    pub const ATTEMPT: Self = Self(1 << 1);
    /// Name lookups, connections opened and closed.
    pub const CONNECTION: Self = Self(1 << 2);
    /// What a client decided on its own: cookies refused, tokens refreshed.
    pub const DECISION: Self = Self(1 << 3);
    /// Messages of long-lived connections, each.
    pub const MESSAGE: Self = Self(1 << 4);
    /// Body bytes as they come, each piece.
    pub const TRANSFER: Self = Self(1 << 5);
    /// Heads with their header fields, bodies, and what messages say: secrets among them. Whoever asks for this is
    /// responsible for where it goes; it costs a copy of each head.
    pub const CONTENT: Self = Self(1 << 6);
    /// Everything but [`CONTENT`](Self::CONTENT), which must be asked for by its name; what later versions add included.
    pub const ALL: Self = Self(!Self::CONTENT.0);

    /// Whether everything in `other` is in here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This without what is in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interest({:#b})", self.0)
    }
}

/// Tells the calls of one process apart; 0 stands for what belongs to no call. Of two calls that one thread began, the later
/// one has the larger number; between threads the numbers say nothing of time. A WebSocket has a number too, with its
/// highest bit set, drawn by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// One thing that happened. Holds no secret, unless [`Interest::CONTENT`] was asked for: URLs come without user information
/// and query, headers do not come at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Observation {
    /// When, by the clock of the environment.
    pub at: Instant,
    /// In which call.
    pub call: CallId,
    /// The name of the scope under which the call runs.
    pub scope: Option<Arc<str>>,
    /// What.
    pub event: Event,
}

impl Observation {
    /// An observation that belongs to no call.
    #[must_use]
    pub fn new(at: Instant, event: Event) -> Self {
        Self { at, call: CallId(0), scope: None, event }
    }

    /// The same as part of a call.
    #[must_use]
    pub fn with_call(mut self, call: CallId, scope: Option<Arc<str>>) -> Self {
        self.call = call;
        self.scope = scope;
        self
    }
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A call begins ([`Interest::CALL`]).
    CallStarted {
        /// Its method.
        method: Method,
        /// Its URL, redacted.
        url: String,
    },
    /// A call ended: the body was read to its end or dropped, or an error came ([`Interest::CALL`]).
    CallEnded {
        /// Status of the final response, if there was one.
        status: Option<StatusCode>,
        /// What went wrong, if something did.
        error: Option<ErrorKind>,
        /// Body bytes received, before decoding.
        received_bytes: u64,
        /// From the start of the call.
        took: Duration,
    },
    /// A redirect is followed ([`Interest::CALL`]).
    Redirected {
        /// The status that redirects.
        status: StatusCode,
        /// Where to, redacted.
        to: String,
        /// Whether credentials were dropped because the origin changed.
        crossed_origin: bool,
    },
    /// An interrupted download goes on ([`Interest::CALL`]).
    Resumed {
        /// From this byte on.
        offset: u64,
    },
    /// An attempt begins ([`Interest::ATTEMPT`]).
    AttemptStarted {
        /// Its number in the call, from 1.
        number: u32,
        /// `scheme://host:port`.
        origin: String,
    },
    /// The head of a response came, or an error ([`Interest::ATTEMPT`]).
    AttemptEnded {
        /// Its number in the call, from 1.
        number: u32,
        /// `scheme://host:port`.
        origin: String,
        /// The method of its request.
        method: Method,
        /// The version of HTTP that was spoken, if a response came.
        version: Option<Version>,
        /// Status, if a response came.
        status: Option<StatusCode>,
        /// What went wrong, if something did.
        error: Option<ErrorKind>,
        /// Whether the connection had carried a request before.
        reused: bool,
        /// From the end of the request to the head of the response, if one came: one round trip and the server's own time.
        wait: Option<Duration>,
        /// From the start of the attempt.
        took: Duration,
    },
    /// An attempt has the connection over which it is sent ([`Interest::ATTEMPT`]).
    ConnectionTaken {
        /// The number of the attempt in its call, from 1.
        number: u32,
        /// The peer, where it is one with an address.
        peer: Option<SocketAddr>,
        /// The own address, where there is one.
        local: Option<SocketAddr>,
        /// Whether the connection had carried a request before.
        reused: bool,
        /// How long the attempt waited for it beside the steps of making it.
        blocked: Duration,
        /// The time of each step; none where the connection was there before.
        steps: Steps,
    },
    /// A name was looked up ([`Interest::CONNECTION`]).
    Resolved {
        /// The name.
        host: String,
        /// How many addresses came; 0 if the lookup failed.
        addresses: usize,
        /// Whether the answer came from memory.
        cached: bool,
        /// How long it took.
        took: Duration,
    },
    /// A connection was opened ([`Interest::CONNECTION`]).
    Connected {
        /// The peer, where it is one with an address.
        peer: Option<SocketAddr>,
        /// The own address, where there is one.
        local: Option<SocketAddr>,
        /// Whether the peer is a proxy, which leads on to the origin.
        through_proxy: bool,
        /// `scheme://host:port`.
        origin: String,
        /// The time of each step.
        steps: Steps,
    },
    /// A connection could not be opened ([`Interest::CONNECTION`]).
    ConnectFailed {
        /// `scheme://host:port`.
        origin: String,
        /// Why.
        error: ErrorKind,
    },
    /// A connection was let go ([`Interest::CONNECTION`]).
    Disconnected {
        /// `scheme://host:port`.
        origin: String,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// A cache was asked ([`Interest::DECISION`]).
    CacheAsked {
        /// Whether it answered without the origin.
        hit: bool,
        /// Why the request went on, in the words of RFC 9211 §2.2.
        forwarded: Option<&'static str>,
        /// Whether the origin's answer was stored.
        stored: bool,
        /// More, in a word: why a stale response was used, or why the answer was not stored.
        detail: Option<&'static str>,
    },
    /// A call that failed is tried again ([`Interest::DECISION`]).
    Retrying {
        /// How many tries there were.
        tries: u32,
        /// How long it waits before the next one.
        wait: Duration,
    },
    /// A call that failed is not tried again ([`Interest::DECISION`]).
    GaveUp {
        /// Why.
        why: GaveUp,
    },
    /// A call that is slow is sent a second time ([`Interest::DECISION`]).
    Hedged {
        /// From the start of the call.
        after: Duration,
    },
    /// A call had to wait before it was sent, or was not sent since it could not wait ([`Interest::DECISION`]).
    Held {
        /// For the network, or for a limit.
        stage: Stage,
        /// How long it waited.
        took: Duration,
        /// Whether it went on then.
        passed: bool,
    },
    /// A call was put into the outbox, to be delivered later ([`Interest::DECISION`]).
    Kept {
        /// Its number there.
        number: u64,
        /// Whether it may have reached its origin already.
        maybe_sent: bool,
    },
    /// An origin is not asked for a while, or is asked again ([`Interest::DECISION`]).
    BreakerTurned {
        /// `scheme://host:port`.
        origin: String,
        /// Until when it is not asked; `None` if it is asked again.
        until: Option<Instant>,
    },
    /// An origin has asked to be left alone for a while ([`Interest::DECISION`]).
    Deferred {
        /// `scheme://host:port`.
        origin: String,
        /// For how long.
        wait: Duration,
    },
    /// A WebSocket is open ([`Interest::CONNECTION`]).
    SocketOpened {
        /// Its URL, redacted.
        url: String,
        /// The subprotocol that the server chose.
        subprotocol: Option<String>,
        /// Whether messages may be compressed.
        compressed: bool,
    },
    /// A WebSocket has ended ([`Interest::CONNECTION`]).
    SocketClosed {
        /// The close code of whoever closed; 1006 if nobody did.
        code: u16,
        /// Whether both sides said goodbye.
        clean: bool,
        /// What went wrong, if something did.
        error: Option<ErrorKind>,
        /// How long it was open.
        took: Duration,
    },
    /// A message was handed to a WebSocket ([`Interest::MESSAGE`]).
    MessageSent {
        /// Whether it is text.
        is_text: bool,
        /// Bytes of its payload.
        bytes: usize,
    },
    /// A message came over a WebSocket ([`Interest::MESSAGE`]).
    MessageReceived {
        /// Whether it is text.
        is_text: bool,
        /// Bytes of its payload.
        bytes: usize,
    },
    /// An event stream is open ([`Interest::CONNECTION`]).
    StreamOpened {
        /// Its URL, redacted.
        url: String,
        /// Whether the server was asked to go on behind an event.
        resumed: bool,
    },
    /// An event stream has ended ([`Interest::CONNECTION`]).
    StreamEnded {
        /// Why; `None` if its owner ended it, or it ended well.
        error: Option<ErrorKind>,
        /// How many events came over it.
        events: u64,
        /// How long it was open.
        took: Duration,
    },
    /// An event came over an event stream ([`Interest::MESSAGE`]).
    EventReceived {
        /// Bytes of its data.
        bytes: usize,
    },
    /// A piece of a response's body came, counted before decoding ([`Interest::TRANSFER`]).
    BodyReceived {
        /// Bytes of it.
        bytes: u64,
    },
    /// The head of a request goes out, as the wire will have it ([`Interest::CONTENT`]).
    RequestHead {
        /// The number of the attempt in its call, from 1.
        number: u32,
        /// Its method.
        method: Method,
        /// Its URL, whole: with query, without user information.
        url: String,
        /// The version of HTTP that is spoken.
        version: Version,
        /// Its header fields, secrets included.
        headers: HeaderMap,
    },
    /// A piece of a request's body goes out ([`Interest::CONTENT`]).
    RequestBody {
        /// The number of the attempt in its call, from 1.
        number: u32,
        /// The piece.
        data: Bytes,
    },
    /// The head of a response came ([`Interest::CONTENT`]).
    ResponseHead {
        /// The number of the attempt in its call, from 1; 0 if it came from a cache, or was shared with an equal request.
        number: u32,
        /// Its status.
        status: StatusCode,
        /// The version of HTTP that was spoken.
        version: Version,
        /// Its header fields, secrets included.
        headers: HeaderMap,
    },
    /// A piece of a response's body was read by the caller, decoded ([`Interest::CONTENT`]). One that was there as a whole is
    /// told with its head; the last pieces of a stream are told after the end of the call.
    ResponseBody {
        /// The piece.
        data: Bytes,
    },
    /// What a message of a WebSocket says ([`Interest::CONTENT`]); messages that go in pieces are not told.
    MessageContent {
        /// Whether it was sent from here.
        is_sent: bool,
        /// Whether it is text.
        is_text: bool,
        /// Its payload.
        data: Bytes,
    },
    /// A round trip was measured on a connection ([`Interest::CONNECTION`]).
    RoundTrip {
        /// How long it took.
        took: Duration,
    },
    /// A token was fetched anew for all callers ([`Interest::DECISION`]).
    TokenRefreshed {
        /// Whether that worked.
        ok: bool,
    },
    /// A cookie was refused ([`Interest::DECISION`]).
    CookieRefused {
        /// The host that sent it.
        host: String,
        /// Why, in a few words.
        reason: &'static str,
    },
}

impl Event {
    /// What somebody must want to be shown it: one of the sets of one in [`Interest`].
    ///
    /// For whoever passes observations on to several observers, which want different things.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        match self {
            Self::CallStarted { .. } | Self::CallEnded { .. } | Self::Redirected { .. } | Self::Resumed { .. } => {
                Interest::CALL
            }
            Self::AttemptStarted { .. } | Self::ConnectionTaken { .. } | Self::AttemptEnded { .. } => Interest::ATTEMPT,
            Self::Resolved { .. }
            | Self::Connected { .. }
            | Self::ConnectFailed { .. }
            | Self::Disconnected { .. }
            | Self::SocketOpened { .. }
            | Self::SocketClosed { .. }
            | Self::StreamOpened { .. }
            | Self::StreamEnded { .. }
            | Self::RoundTrip { .. } => Interest::CONNECTION,
            Self::CacheAsked { .. }
            | Self::Retrying { .. }
            | Self::GaveUp { .. }
            | Self::Hedged { .. }
            | Self::Held { .. }
            | Self::Kept { .. }
            | Self::BreakerTurned { .. }
            | Self::Deferred { .. }
            | Self::TokenRefreshed { .. }
            | Self::CookieRefused { .. } => Interest::DECISION,
            Self::MessageSent { .. } | Self::MessageReceived { .. } | Self::EventReceived { .. } => Interest::MESSAGE,
            Self::BodyReceived { .. } => Interest::TRANSFER,
            Self::RequestHead { .. }
            | Self::RequestBody { .. }
            | Self::ResponseHead { .. }
            | Self::ResponseBody { .. }
            | Self::MessageContent { .. } => Interest::CONTENT,
        }
    }
}

/// Looks at what happens and changes nothing.
///
/// Called on the task where things happen, never under a lock: it must be quick and must not block.
pub trait Observe: Send + Sync + 'static {
    /// What is wanted now. Asked before anything is built, so an observer that wants nothing costs next to nothing.
    fn interest(&self) -> Interest;

    /// Takes one observation.
    fn observe(&self, observation: &Observation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_told_from_what_everybody_may_see() {
        let data = Bytes::from_static(b"secret");
        for event in [
            Event::RequestBody { number: 1, data: data.clone() },
            Event::ResponseBody { data: data.clone() },
            Event::MessageContent { is_sent: true, is_text: true, data },
        ] {
            assert_eq!(event.interest(), Interest::CONTENT);
            assert!(!Interest::ALL.contains(event.interest()));
        }
        assert_eq!(Event::MessageSent { is_text: true, bytes: 1 }.interest(), Interest::MESSAGE);
        assert_eq!(Event::BodyReceived { bytes: 1 }.interest(), Interest::TRANSFER);
        assert_eq!(Event::RoundTrip { took: Duration::ZERO }.interest(), Interest::CONNECTION);
        assert_eq!(Event::Resumed { offset: 1 }.interest(), Interest::CALL);
    }
}
