//! A message on its way into a connection, and how it is to be treated.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use netcomm_core::{Error, ErrorKind};

use super::receipt::Dropped;
use crate::message::{Message, Text};
use crate::queue::Priority;

/// A message, and how it is to be treated on its way. Anything that becomes a [`Message`] becomes one with the defaults.
#[derive(Clone, Debug)]
#[must_use]
pub struct Outbound {
    pub(crate) message: Message,
    pub(crate) priority: Priority,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) volatile: bool,
    pub(crate) topic: Option<Text>,
}

impl Outbound {
    /// A message of normal priority that waits as long as it must.
    pub fn new(message: impl Into<Message>) -> Self {
        Self {
            message: message.into(),
            priority: Priority::default(),
            time_to_live: None,
            volatile: false,
            topic: None,
        }
    }

    /// Before or after others that wait.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// How long it may wait: if it was not begun to be sent by then it is [`Dropped::Expired`].
    pub fn time_to_live(self, time_to_live: Duration) -> Self {
        Self { time_to_live: Some(time_to_live), ..self }
    }

    /// Of no use unless it can go now: without a connection that is ready it is [`Dropped::Volatile`] at once, and when one is
    /// lost it is not kept for the next. It is never numbered, nor sent twice.
    pub fn volatile(self) -> Self {
        Self { volatile: true, ..self }
    }

    /// To this topic, in the words of the connection's [`Dialect`](crate::Dialect).
    pub fn topic(self, topic: impl Into<Text>) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl<M: Into<Message>> From<M> for Outbound {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

/// A message that was not taken, and why: the queue is full, or the connection closed for good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// What was to be sent.
    pub outbound: Outbound,
    /// [`Dropped::Full`] or [`Dropped::Closed`].
    pub why: Dropped,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Dropped::Closed => "not taken: the connection is closed for good",
            _ => "not taken: the queue is full",
        })
    }
}

impl StdError for Rejected {}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        let kind = if rejected.why == Dropped::Closed { ErrorKind::Closed } else { ErrorKind::Busy };
        Self::new(kind, "send").with_detail(rejected.to_string()).with_unsent()
    }
}
