//! Where a source stands, and what happens to it.

use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use netcomm_core::{Error, Redacted, Text};

use crate::event::Event;
use crate::request::Resume;

/// Where a source stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// It was not asked for yet.
    Idle,
    /// A request is prepared, or its answer is awaited.
    Connecting {
        /// Which try this is since the last stable stream, from 1.
        attempt: u32,
    },
    /// Events flow.
    Open,
    /// There is no stream, and the next try waits.
    Backoff {
        /// How many tries failed since the last stable stream.
        attempt: u32,
        /// Until when, by the clock of the environment; `None`: until there is a network.
        until: Option<Instant>,
        /// What ended the last one.
        cause: Error,
    },
    /// There is no stream, and there will be none.
    Closed(End),
}

impl State {
    /// Whether events flow.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Whether it stands where it stood.
    pub(crate) fn is_as(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Connecting { attempt }, Self::Connecting { attempt: before }) => attempt == before,
            (Self::Backoff { attempt, until, .. }, Self::Backoff { attempt: before, until: then, .. }) => {
                (attempt, until) == (before, then)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(before),
        }
    }
}

/// How a source ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End {
    /// Its owner closed it.
    Owner,
    /// The server has no more to say (204).
    NoContent,
    /// The event came that was named as the [last one](crate::Builder::done_when).
    Sentinel,
    /// The server ended the stream, and it is one that does not come back.
    Finished,
    /// This, and nothing promises that another try would go better.
    Failed(Error),
}

/// What happens to a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// An event came.
    Event(Event),
    /// A comment came: what stands behind the colon. Only where [comments](crate::Builder::comments) are wanted.
    Comment(Text),
    /// The server says how long to wait before coming back.
    Retry(Duration),
    /// A block without data changed the last event id.
    Id(Text),
    /// A request is sent.
    Connecting {
        /// Which try this is since the last stable stream, from 1.
        attempt: u32,
    },
    /// The stream is open: events may come.
    Open(Opened),
    /// Events are missing: what came first after a return does not follow what came last before it, as
    /// [your code](crate::Builder::gaps) says. Comes before that event.
    Gap {
        /// The id that the server was asked to go on from.
        after: Text,
    },
    /// An event, or a line, was too large and is left out; the stream goes on ([`Oversize::Skip`](crate::Oversize::Skip)).
    Skipped(Error),
    /// The stream broke, or ended.
    Lost {
        /// How.
        cause: Error,
        /// How long it was open.
        uptime: Duration,
    },
    /// The next try waits.
    Waiting {
        /// How many tries failed since the last stable stream.
        attempt: u32,
        /// How long; `None`: until there is a network.
        wait: Option<Duration>,
        /// What ended the last one.
        cause: Error,
    },
    /// The network changed: the next try comes at once.
    NetworkChanged,
    /// The last event id could not be kept ([`KeepId`](crate::KeepId)).
    NotKept(Error),
    /// It is over; nothing comes after it.
    Closed(End),
}

/// A stream that was opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct Opened {
    /// Which try it was since the last stable stream, from 1.
    pub attempt: u32,
    /// The status of the answer.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Where in the stream the server was asked to go on.
    pub resume: Resume,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("attempt", &self.attempt)
            .field("status", &self.status)
            .field("headers", &Redacted(&self.headers))
            .field("resume", &self.resume)
            .finish()
    }
}

/// What happened to a source since it was first asked for, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests sent.
    pub attempts: u64,
    /// Streams that were open.
    pub streams: u64,
    /// Events that came and were wanted.
    pub events: u64,
    /// Bytes of streams that came.
    pub bytes: u64,
    /// Events left out for their size.
    pub skipped: u64,
}
