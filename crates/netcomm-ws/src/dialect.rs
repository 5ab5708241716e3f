//! What messages mean: the application's own protocol inside the frames.

use std::fmt;

use netcomm_core::{Error, ErrorKind, Result};

use crate::connection::Ack;
use crate::message::{Message, Text};

/// The application's own protocol: how messages are numbered, acknowledged, addressed and answered.
///
/// Every method has a default for "we have no such thing". A [`Connection`](crate::Connection) asks only for what is used:
/// [`read`](Self::read) for each message that comes, [`subscribe`](Self::subscribe) when a topic is listened to, and so on.
/// [`JsonDialect`](crate::JsonDialect) is a complete one.
///
/// Called on the connection's task: quick, and without blocking. A panic ends the connection.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What a message that came means. Default: nothing beyond itself.
    ///
    /// # Errors
    ///
    /// For a message that breaks the protocol; it is given to those who listen to all messages, as it is.
    fn read(&self, message: Message) -> Result<Reading> {
        Ok(Reading::plain(message))
    }

    /// Puts a message into words. Default: the message as it is, if that is all there is to say.
    ///
    /// # Errors
    ///
    /// For what cannot be put into words: it is dropped as [`Refused`](crate::Dropped::Refused).
    fn write(&self, writing: Writing<'_>) -> Result<Message> {
        if writing.is_plain() {
            return Ok(writing.message.clone());
        }
        let detail = "this dialect has no numbers, requests and topics";
        Err(Error::new(ErrorKind::Unsupported, "write message").with_detail(detail))
    }

    /// Acknowledges a message that came with that number; `None` if that is not done.
    fn acknowledge(&self, sequence: u64) -> Option<Message> {
        let _ = sequence;
        None
    }

    /// Asks for the messages of a topic; `None` if the server sends them unasked.
    fn subscribe(&self, topic: &str) -> Option<Message> {
        let _ = topic;
        None
    }

    /// Asks for no more messages of a topic.
    fn unsubscribe(&self, topic: &str) -> Option<Message> {
        let _ = topic;
        None
    }

    /// A question to which the server has some answer, for servers that do not answer pings of the protocol.
    fn ping(&self) -> Option<Message> {
        None
    }
}

/// No protocol inside the frames: each message is for all listeners.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Dialect for Plain {}

/// A message that is to be put into words, and what is to be said beside it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Writing<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its number, by which it will be acknowledged ([`AtLeastOnce`](crate::AtLeastOnce)).
    pub sequence: Option<u64>,
    /// Whether it was sent before under that number, so that the peer may have it.
    pub redelivered: bool,
    /// It is a request with this number, which its answer names.
    pub request: Option<u64>,
    /// It belongs to this topic.
    pub topic: Option<&'a str>,
}

impl<'a> Writing<'a> {
    /// A message with nothing beside it.
    #[must_use]
    pub const fn plain(message: &'a Message) -> Self {
        Self { message, sequence: None, redelivered: false, request: None, topic: None }
    }

    /// Whether there is nothing beside the message.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.sequence.is_none() && self.request.is_none() && self.topic.is_none()
    }
}

/// What a message that came means. More than one thing can be true.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reading {
    /// What listeners get; `None` for a message between the protocols alone: an acknowledgement, a pong.
    pub message: Option<Message>,
    /// Listeners of this topic get it, in place of those to all messages.
    pub topic: Option<Text>,
    /// It answers the request with this number.
    pub answers: Option<u64>,
    /// Its own number: it wants to be acknowledged, and may come twice.
    pub sequence: Option<u64>,
    /// What it acknowledges.
    pub ack: Option<Ack>,
}

impl Reading {
    /// A message for all listeners.
    #[must_use]
    pub fn plain(message: Message) -> Self {
        Self { message: Some(message), ..Self::default() }
    }

    /// The same as one of a topic.
    #[must_use]
    pub fn with_topic(self, topic: impl Into<Text>) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// The same as an answer to that request.
    #[must_use]
    pub fn with_answers(self, number: u64) -> Self {
        Self { answers: Some(number), ..self }
    }

    /// The same with a number.
    #[must_use]
    pub fn with_sequence(self, sequence: u64) -> Self {
        Self { sequence: Some(sequence), ..self }
    }

    /// The same with an acknowledgement.
    #[must_use]
    pub fn with_ack(self, ack: Ack) -> Self {
        Self { ack: Some(ack), ..self }
    }
}
