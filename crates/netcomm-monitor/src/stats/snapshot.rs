//! What was counted, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::histogram::quantile;
use super::scale::{ENDS, Scale};

/// All that a [`Stats`](crate::Stats) has counted since it was made.
///
/// Taken while others count: an observation that comes in that moment may be in one number and not yet in another. Serializes to
/// a map of its fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls of HTTP.
    pub calls: Calls,
    /// What went to each origin, by their names; those that had no place or had to leave it are the last one.
    pub origins: Vec<Origin>,
    /// How many origins had to leave their place for another one.
    pub origins_left: u64,
    /// All attempts, of all origins.
    pub attempts: Attempts,
    /// What was decided on the way of calls.
    pub decisions: Decisions,
    /// Connections, of all components.
    pub connections: Connections,
    /// Lookups of names.
    pub dns: Dns,
    /// WebSockets.
    pub sockets: Sockets,
    /// Event streams.
    pub streams: Streams,
    /// Round trips that were measured on connections.
    pub round_trips: Latency,
}

/// Calls of HTTP: what a user asked for, with all its redirects and attempts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Calls {
    /// Begun.
    pub started: u64,
    /// Begun and not ended.
    pub active: u64,
    /// Ended, by error and in seconds; an answer of whatever status is no error. From the start of a call to the end of its body.
    pub ended: Vec<Ended>,
    /// How long they took.
    pub took: Latency,
    /// Redirects followed.
    pub redirects: u64,
    /// Of these, how many led to another origin so that credentials were dropped.
    pub redirects_crossed: u64,
    /// Downloads that went on after a break.
    pub resumptions: u64,
    /// Body bytes of each call that has ended, before decoding.
    pub received: Histogram,
    /// Body bytes that have come, before decoding, also of calls under way.
    pub received_bytes: u64,
}

/// Calls that ended in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ended {
    /// Status of the response, if there was one.
    pub status: Option<u16>,
    /// The kind of the error in one word, if there was one.
    pub error: Option<&'static str>,
    /// How long they took, in seconds.
    pub duration: Histogram,
}

/// What was counted for an origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Origin {
    /// `scheme://host:port`; `None` for all that have no place of their own.
    pub origin: Option<String>,
    /// Attempts that have come to something, by what they came to.
    pub requests: Vec<Requests>,
    /// How long they took, from their start to the head of the response or the error.
    pub took: Latency,
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened.
    pub failed: u64,
    /// Connections let go.
    pub closed: u64,
    /// Whether it is not asked for now, since it failed too often.
    pub is_broken: bool,
}

impl Origin {
    /// Connections that are open, as far as their ends were told; 0 where more ends than beginnings were seen, as may be for an
    /// origin that had left its place meanwhile.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }
}

/// Attempts that came to the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Requests {
    /// The method; `_OTHER` for one that is not of RFC 9110 or RFC 5789, and for what found no place in the table.
    pub method: &'static str,
    /// Status, if a response came.
    pub status: Option<u16>,
    /// Version of HTTP, if a response came.
    pub version: Option<&'static str>,
    /// The kind of the error in one word, if there was one.
    pub error: Option<&'static str>,
    /// How long they took, in seconds.
    pub duration: Histogram,
}

/// Attempts: each request that was tried on the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempts {
    /// Begun. More than [`ended`](Self::ended) by those under way, and by those that were dropped before they came to anything.
    pub started: u64,
    /// Those that came to a response or an error.
    pub ended: u64,
    /// Of these, how many were without a response.
    pub failed: u64,
    /// Of these, how many went over a connection that had carried a request before.
    pub reused: u64,
    /// How long they took, from their start to the head of the response or the error.
    pub took: Latency,
}

/// What was decided on the way of calls and connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Decisions {
    /// Answers that came from a cache.
    pub cache_hits: u64,
    /// Questions that went on to the origin.
    pub cache_misses: u64,
    /// Answers that were stored.
    pub cache_stores: u64,
    /// How long was waited before each repetition, in seconds; its count is that of the repetitions.
    pub retries: Histogram,
    /// What was not tried again, by the reason in one word.
    pub gave_up: BTreeMap<&'static str, u64>,
    /// Slow calls that were sent a second time.
    pub hedges: u64,
    /// Calls that had to wait, or could not.
    pub held: Vec<Held>,
    /// Calls put into the outbox.
    pub kept: u64,
    /// Of these, how many may have reached their origin already.
    pub kept_maybe_sent: u64,
    /// How often it was decided not to ask an origin for a while.
    pub breaker_opened: u64,
    /// How often it was decided to ask it again.
    pub breaker_closed: u64,
    /// How often an origin asked to be left alone.
    pub deferrals: u64,
    /// Tokens fetched anew.
    pub tokens: u64,
    /// Tokens that could not be had.
    pub tokens_failed: u64,
    /// Cookies refused.
    pub cookies_refused: u64,
}

/// Calls that were held at the same stage and went on, or did not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Held {
    /// The stage in one word.
    pub stage: &'static str,
    /// Whether they went on.
    pub passed: bool,
    /// How long they waited, in seconds.
    pub duration: Histogram,
}

/// Connections of all components and all origins.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Connections {
    /// Opened.
    pub opened: u64,
    /// Could not be opened, by the kind of the error in one word.
    pub failed: BTreeMap<&'static str, u64>,
    /// Let go.
    pub closed: u64,
    /// Opened and not let go, as far as that was told.
    pub open: u64,
    /// Seconds from the first address dialled to the connection that won.
    pub connect: Histogram,
    /// Seconds of speaking with the proxy.
    pub proxy: Histogram,
    /// Seconds of the TLS handshake.
    pub tls: Histogram,
}

/// Lookups of names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Dns {
    /// Answered from memory.
    pub cached: u64,
    /// Asked for, and no address came.
    pub failed: u64,
    /// How long those took that were not answered from memory, the failed ones included.
    pub took: Latency,
}

/// WebSockets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sockets {
    /// Opened.
    pub opened: u64,
    /// Opened and not closed.
    pub open: u64,
    /// Closed, by code; `None` for codes outside of RFC 6455 §7.4.1.
    pub closed: Vec<Closed>,
    /// Closed without a goodbye of both sides.
    pub unclean: u64,
    /// How long they were open, in seconds.
    pub duration: Histogram,
    /// Messages that were sent.
    pub sent: Messages,
    /// Messages that came.
    pub received: Messages,
}

/// WebSockets that were closed with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Closed {
    /// The code; `None` for all that are not of the protocol.
    pub code: Option<u16>,
    /// How many.
    pub count: u64,
}

/// Messages of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Messages {
    /// Those of text.
    pub text: u64,
    /// The other ones.
    pub binary: u64,
    /// Bytes of payload of both.
    pub bytes: u64,
}

/// Event streams.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Streams {
    /// Opened.
    pub opened: u64,
    /// Of these, how many asked the server to go on behind an event.
    pub resumed: u64,
    /// Opened and not ended.
    pub open: u64,
    /// Ended, by the kind of the error in one word; `None` for those that ended well.
    pub ended: Vec<StreamEnds>,
    /// How long they were open, in seconds.
    pub duration: Histogram,
    /// Events that came.
    pub events: u64,
    /// Bytes of their data.
    pub bytes: u64,
}

/// Event streams that ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamEnds {
    /// The kind of the error in one word; `None` if there was none.
    pub error: Option<&'static str>,
    /// How many.
    pub count: u64,
}

/// A distribution in few buckets, as it is exported.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// How many values.
    pub count: u64,
    /// All of them together, in the unit that is told beside.
    pub sum: f64,
    /// How many are not above which value, rising; what is above the last one is in [`count`](Self::count) alone.
    pub buckets: Vec<Bucket>,
}

/// A bucket of a [`Histogram`], with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bucket {
    /// Its upper end, which belongs to it.
    pub end: f64,
    /// How many values are not above it.
    pub count: u64,
}

impl Histogram {
    pub(super) fn new(scale: Scale, counts: [u64; ENDS + 1], sum: u64) -> Self {
        let mut count = 0;
        let buckets = scale.ends().iter().zip(&counts).map(|(end, here)| {
            count += here;
            Bucket { end: scale.told(*end), count }
        });
        let buckets = buckets.collect();
        Self { count: count + counts[ENDS], sum: scale.told(sum), buckets }
    }

    /// Both together, of the same scale.
    pub(super) fn plus(mut self, other: &Self) -> Self {
        if self.buckets.is_empty() {
            return other.clone();
        }
        self.count += other.count;
        self.sum += other.sum;
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(here, there)| here.count += there.count);
        self
    }

    /// The mean; `None` of none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// A distribution of durations, fine enough for percentiles.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// In few buckets, in seconds.
    pub histogram: Histogram,
    /// Seconds within which half of them were; `None` of none.
    pub p50_seconds: Option<f64>,
    /// Seconds within which nine of ten were.
    pub p90_seconds: Option<f64>,
    /// Seconds within which 99 of 100 were.
    pub p99_seconds: Option<f64>,
    #[serde(skip)]
    steps: Vec<u64>,
}

impl Latency {
    pub(super) fn new(histogram: Histogram, steps: Vec<u64>) -> Self {
        let at = |part| quantile(&steps, part).map(|took| took.as_secs_f64());
        let (p50_seconds, p90_seconds, p99_seconds) = (at(0.5), at(0.9), at(0.99));
        Self { histogram, p50_seconds, p90_seconds, p99_seconds, steps }
    }

    /// The duration within which that part of them was, from 0 to 1; other numbers are read as the nearer of these.
    ///
    /// Known within 3.2 % from 4 µs to 73 minutes, and to 128 ns below. `None` of none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        quantile(&self.steps, part)
    }
}
