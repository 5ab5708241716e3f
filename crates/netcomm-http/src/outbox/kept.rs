//! What is told of a call that is kept, and of one that ended: values.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, StatusCode};

/// The number of a call in its outbox: counted from 1, never used twice, so that a smaller one was kept earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptId(pub(super) u64);

impl KeptId {
    /// The number itself, to be written down.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for KeptId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The receipt for a call: it is on disk.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(super) id: KeptId,
    pub(super) idempotency_key: Arc<str>,
}

impl Ticket {
    /// The call's number.
    #[must_use]
    pub fn id(&self) -> KeptId {
        self.id
    }

    /// The value of `Idempotency-Key` with which it is sent, each time: the request's own, or one that was made.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }
}

/// A call that is kept, as it is at this moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeptCall {
    /// Its number.
    pub id: KeptId,
    /// The method.
    pub method: Method,
    /// The URL without its query.
    pub url: Arc<str>,
    /// Calls with the same one are sent one after the other.
    pub order_key: Arc<str>,
    /// The value of `Idempotency-Key` with which it is sent.
    pub idempotency_key: Arc<str>,
    /// How long the body is.
    pub body_bytes: u64,
    /// When it was kept, by the environment's clock.
    pub kept_at: SystemTime,
    /// When it is given up if it could not be delivered.
    pub expires_at: SystemTime,
    /// How often it was begun to be sent. After a crash those count that had failed before.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_failure: Option<Failure>,
    /// What is done with it.
    pub state: KeptState,
}

/// What is done with a call that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptState {
    /// It waits: for the network, for its turn, or for the time of its next attempt.
    Waiting,
    /// It is being sent.
    Sending,
    /// It has ended, which is being written down.
    Ending,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// When, by the environment's clock.
    pub at: SystemTime,
    /// The status of the answer; `None` if there was none.
    pub status: Option<StatusCode>,
    /// In one line, without secrets; at most 256 bytes.
    pub message: Arc<str>,
}

/// What became of a call that was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancellation {
    /// There is no such call, or none any more.
    NotKept,
    /// It was never sent, and will not be.
    Unsent,
    /// It is sent no more, but it may have reached the server: it was being sent, an attempt broke off, or it comes from an
    /// earlier process of which nobody knows.
    MaybeSent,
}

/// A call that ended without being delivered, as it is kept for whoever asks later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedCall {
    /// The number it had.
    pub id: KeptId,
    /// The method.
    pub method: Method,
    /// The URL without its query.
    pub url: Arc<str>,
    /// Its order key.
    pub order_key: Arc<str>,
    /// The value of `Idempotency-Key` with which it was sent.
    pub idempotency_key: Arc<str>,
    /// When it was kept.
    pub kept_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// How often it was begun to be sent.
    pub attempts: u32,
    /// How it ended.
    pub end: End,
}

/// How a call ended that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The server answered with a status that another attempt would not change, or the call cannot be sent at all (a
    /// policy forbids it): then there is none.
    Refused(Option<StatusCode>),
    /// Its time was over.
    Expired,
}

/// What could not be read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Calls that were damaged since the outbox was opened, each moved aside within the file.
    pub calls: u64,
    /// Where the file was moved that could not be read at all.
    pub file: Option<std::path::PathBuf>,
}
