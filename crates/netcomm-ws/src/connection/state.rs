//! Where a connection stands, and what happens to it.

use std::time::{Duration, Instant};

use netcomm_core::Error;

use super::receipt::Dropped;
use crate::close::Closed;
use crate::message::{Message, Text};

/// Where a connection stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// It was not asked for yet.
    Idle,
    /// It is being dialled.
    Connecting {
        /// Which try this is since the last stable connection, from 1.
        attempt: u32,
    },
    /// The handshake is done, the greeting is under way.
    Open,
    /// Messages flow.
    Ready,
    /// There is none, and the next try waits.
    Backoff {
        /// How many tries failed since the last stable connection.
        attempt: u32,
        /// Until when, by the clock of the environment; `None`: until there is a network.
        until: Option<Instant>,
        /// What ended the last one.
        cause: Error,
    },
    /// Goodbye is said, the peer's is awaited.
    Closing,
    /// There is none, and there will be none.
    Closed {
        /// How the last one ended, where it came so far.
        closed: Option<Closed>,
        /// What made the connection give up; `None` if its owner closed it.
        cause: Option<Error>,
    },
}

impl State {
    /// Whether messages flow.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether it is over for good.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

/// What happens to a connection, for those who want to know more than its [`State`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// It is dialled.
    Connecting {
        /// Which try this is since the last stable connection, from 1.
        attempt: u32,
    },
    /// Messages flow again, or for the first time.
    Ready {
        /// Whether the peer has taken up the session of before.
        recovered: bool,
        /// How many messages are sent once more.
        resent: usize,
    },
    /// It broke, or was closed by the peer.
    Lost {
        /// How.
        cause: Error,
        /// How long it was ready.
        uptime: Duration,
    },
    /// The next try waits.
    Waiting {
        /// How many tries failed since the last stable connection.
        attempt: u32,
        /// How long; `None`: until there is a network.
        wait: Option<Duration>,
        /// What ended the last one.
        cause: Error,
    },
    /// The network changed: the peer is asked for a sign of life, or the next try comes at once.
    NetworkChanged,
    /// A message was not sent.
    Dropped {
        /// Its number, as its receipt has it.
        id: u64,
        /// Why.
        why: Dropped,
    },
    /// A message may have been sent or not, and is not sent again.
    Unknown {
        /// Its number, as its receipt has it.
        id: u64,
    },
    /// A message came that nobody listened to.
    Unclaimed {
        /// Its topic, if it had one.
        topic: Option<Text>,
    },
    /// A message came that the dialect could not read. Those who listen to all messages get it as it is.
    Misread {
        /// Why.
        cause: Error,
    },
    /// It is over for good; nothing comes after it.
    Closed {
        /// How the last connection ended, where it came so far.
        closed: Option<Closed>,
        /// What made it give up; `None` if its owner closed it.
        cause: Option<Error>,
    },
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The message, as the dialect has unwrapped it.
    pub message: Message,
    /// Which member of a cluster it came by.
    pub member: Option<Text>,
    /// Its topic, if it has one.
    pub topic: Option<Text>,
    /// Its number, if it has one.
    pub sequence: Option<u64>,
    /// Whether a message with that number has come before: it was sent once more after a connection was lost.
    pub duplicate: bool,
    /// Which run of numbers its number belongs to.
    pub(crate) session: u64,
}

/// A connection at one moment, in numbers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// Bytes of those.
    pub queued_bytes: usize,
    /// Messages sent and not acknowledged, where acknowledgements are in use.
    pub unacknowledged: usize,
    /// Requests without answer.
    pub requests: usize,
    /// What happened since the start.
    pub counts: Counts,
    /// Round-trip times on the connection of now.
    pub rtt: Option<crate::heartbeat::Rtt>,
}

/// What happened since a connection was first asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Tries to connect.
    pub attempts: u64,
    /// Connections that were ready.
    pub connections: u64,
    /// Messages handed to a connection, repetitions included.
    pub sent: u64,
    /// Of those, repetitions.
    pub resent: u64,
    /// Messages that came.
    pub received: u64,
    /// Of those, such that had come before.
    pub duplicates: u64,
    /// Messages that were never sent.
    pub dropped: u64,
    /// Messages of which nobody knows.
    pub unknown: u64,
    /// Messages that came and nobody listened to.
    pub unclaimed: u64,
}
